#!/usr/bin/env bash
# What: bench/alembic/run.sh: the same 1,000 revisions of one CREATE TABLE each through Alembic (the distribution's, with
# psycopg2), through psql as one bare script (one transaction; a transaction per statement), and through us (registered
# as a script of calls, then migration_upgrade in the session). Targets: at least 10 times faster than Alembic, and less
# than 1 ms per revision above the bare script, registration included.
# Environment: BENCH_REVISIONS=1000 BENCH_ROUNDS=3, and that of lib/lib.sh.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=bench/lib/lib.sh
. "$here/../lib/lib.sh"
bench_begin python3-alembic
bench_python "$here/alembic_bench.py"
