#!/usr/bin/env bash
# What: bench/alembic/run.sh: the same 1,000 revisions of one statement each, from base to head, through Alembic (the
# distribution's, with psycopg2; in one transaction, its default, and with a transaction each), through psql as one bare
# script (the same two), and through us (registered as a script of calls, then migration_upgrade in the session). The
# statement is SELECT 1, COMMENT ON TABLE, or CREATE TABLE. Targets: where it is trivial, Alembic takes at least 10 times
# as long; less than 1 ms per revision above the bare script, registration included.
# Environment: BENCH_REVISIONS=1000 BENCH_ROUNDS=3 BENCH_KINDS=select,comment,create, and that of lib/lib.sh.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=bench/lib/lib.sh
. "$here/../lib/lib.sh"
bench_begin python3-alembic
bench_python "$here/alembic_bench.py"
