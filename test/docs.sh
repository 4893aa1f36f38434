#!/usr/bin/env bash
# What: runs every ```sql block of README.md and docs/, in order, one fresh database per page, one session per block. A
# ```text block right behind it is the output that the reader sees, and must be what comes. A block without one must not
# raise an error. Why: an example that is not run is wrong sooner or later. A layer of test/run.sh, which starts the server:
# `test/run.sh docs`. test/docs.sh --update [page...] writes the present output into the pages (read the diff!).
set -uo pipefail
tree=${MIGRATION_TREE:-$(cd "$(dirname "$0")/.." && pwd)}
cd "$tree" || exit 2
update=0
if [ "${1:-}" = --update ]; then update=1; shift; fi
if [ $# -eq 0 ]; then set -- README.md docs/*.md; fi
export LC_ALL=C.UTF-8 PGTZ=UTC PGOPTIONS='-c client_min_messages=notice'
unset PSQLRC PAGER
exec perl test/lib/docs.pl "$update" "$@"
