#!/usr/bin/env bash
# What: bench/backfill/run.sh [options]: one column of a table like an application's is filled by one whole-table UPDATE,
# by the loops that people write, and by us; each on its own copy of the same table, in one run. Prints ratios to the
# whole-table UPDATE: time, processor time, growth of heap and indexes, WAL, share of HOT updates, memory.
#   --rows N,N       rows of the table (1000000); of two sizes, what a row costs is compared; --big: 5000000
#   --methods a,b    update, loop, keyset, ctid, ours, oursN (N workers), ourskey (ours, by key); the quadratic loop is left
#                    out above a million rows unless it is named
#   --workers N      of the method with several workers (2); 1: without it
#   --variants a,b   fresh, dead12, dead12v, dead20, dead20v (v: vacuumed), ff90, toast, uuid, wide, trigger; or `all`
#   --repeats N      runs of each method; medians are shown (1)
#   --target T       migration_ext.batch_target, for ours
#   --check          exit status 1 if a target is missed (else the targets are only shown)
# Why ratios: two programs compare only side by side on one machine. Why copies of a database: every method starts from
# the same pages. Environment: that of lib/lib.sh.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=bench/lib/lib.sh
. "$here/../lib/lib.sh"
bench_begin
bench_python "$here/backfill.py" "$@"
