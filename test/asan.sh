#!/usr/bin/env bash
# What: test/asan.sh [layer...]: unit and server tests under the address and undefined behaviour sanitizers.
# Why: a wrong byte in a backend is somebody's data. Any report is a failure; there is no list of exceptions.
# -Og, line tables only and checks as calls: a third of the compiler's time of -O1 with full debug information, which
# is most of the time that this takes; every check is still made. Deadlines are longer, as everything is slower.
# Environment: that of run.sh; MIGRATION_SEEDS (30) for layer property.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export MIGRATION_ASAN=1 SANITIZE=1
export SAN='-fsanitize=address,undefined -fno-omit-frame-pointer -Og -g1 --param asan-instrumentation-with-call-threshold=0'
export MIGRATION_TIMEOUT=${MIGRATION_TIMEOUT:-3600} PG_TEST_TIMEOUT_DEFAULT=${PG_TEST_TIMEOUT_DEFAULT:-600}
export PGCTLTIMEOUT=${PGCTLTIMEOUT:-300} MIGRATION_SEEDS=${MIGRATION_SEEDS:-30}
[ $# -gt 0 ] || set -- deps unit regress isolation tap docs property
exec "$here/run.sh" "$@"
