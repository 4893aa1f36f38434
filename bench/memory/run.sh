#!/usr/bin/env bash
# What: bench/memory/run.sh: does a session that calls us again and again grow, or a worker that goes through many rows?
# 100,000 calls of migration_status, 1,000 upgrades that fail in the session, 1,000 registrations that are refused, and
# runs in a worker one after the other, each in one session; then one backfill by blocks and one by key over 10,000,000
# rows. Why: what a library leaks per call or per batch shows only after days. Target: private memory (RssAnon) afterwards
# less than 512 kB above that after the first tenth, which is warm-up; of a worker, the median of the last tenth of its rows
# against that of the fourth, and no sample 4 MB above it.
# Environment: BENCH_CALLS=100000 BENCH_FAILURES=1000 BENCH_RUNS=200 BENCH_ROWS=10000000 (0: without it), and that of
# lib/lib.sh.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=bench/lib/lib.sh
. "$here/../lib/lib.sh"
bench_begin
bench_python "$here/memory.py"
