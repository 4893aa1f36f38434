#!/usr/bin/env bash
# What: bench/memory/run.sh: does a session that calls us again and again grow? 100,000 calls of migration_status, 1,000
# upgrades that fail in the session, 1,000 registrations that are refused, and runs in a worker one after the other, each
# in one session. Why: what a library leaks per call shows only in a pool's sessions after days. Target: private memory
# (RssAnon) at the end less than 512 kB above that after the first tenth, which is warm-up.
# Environment: BENCH_CALLS=100000 BENCH_FAILURES=1000 BENCH_RUNS=200, and that of lib/lib.sh.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=bench/lib/lib.sh
. "$here/../lib/lib.sh"
bench_begin
bench_python "$here/memory.py"
