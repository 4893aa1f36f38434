#!/usr/bin/env bash
# What: bench/graph/run.sh: how registration, status, plan, history and heads grow with the number of revisions, for one
# chain and for a graph of 100 branches that are merged again and again. Targets: status and plan of 10,000 revisions
# under 100 ms each (processor time of the session, which waits for nothing: on a busy machine more time passes);
# registration linear (cost per revision at 10,000 at most 1.5 times that at 2,500).
# Environment: BENCH_SIZES="2500 5000 10000", and that of lib/lib.sh.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=bench/lib/lib.sh
. "$here/../lib/lib.sh"
bench_begin
bench_python "$here/graph.py"
