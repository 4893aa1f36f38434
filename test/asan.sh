#!/usr/bin/env bash
# What: test/asan.sh [layer...]: unit and server tests under the address and undefined behaviour sanitizers.
# Why: a wrong byte in a backend is somebody's data. Any report is a failure; there is no list of exceptions.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export MIGRATION_ASAN=1 SANITIZE=1
export SAN='-fsanitize=address,undefined -fno-omit-frame-pointer -O1'
[ $# -gt 0 ] || set -- deps unit regress isolation tap
exec "$here/run.sh" "$@"
