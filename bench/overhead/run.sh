#!/usr/bin/env bash
# What: bench/overhead/run.sh: what a run with one step in a background worker costs above the bare statement: CREATE INDEX
# CONCURRENTLY on a small table, typed by hand and as a revision. Target: less than 50 ms more (median).
# Environment: BENCH_CALLS=40, and that of lib/lib.sh.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=bench/lib/lib.sh
. "$here/../lib/lib.sh"
bench_begin
bench_python "$here/overhead.py"
