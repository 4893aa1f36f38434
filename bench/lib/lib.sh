# What: the frame of every benchmark: a private server with this extension built without test hooks, gone at the end.
# Why: numbers of two programs mean something only side by side on one machine in one run, so each benchmark prints
# ratios and whether they meet its target. Source this file, call bench_begin, then bench_python FILE [ARGUMENT...].
# Environment: BENCH_SERVER=1 uses the running server of PGHOST, PGPORT, PGUSER with programs in PG_BIN instead.
# shellcheck shell=bash

bench_lib=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
given_server=()
[ -z "${BENCH_SERVER:-}" ] || given_server=("${PGHOST:-/tmp}" "${PGPORT:-5432}" "${PGUSER:-postgres}")
# shellcheck source=test/lib/server.sh
. "$bench_lib/../../test/lib/server.sh"
bench_work=

bench_end() {
  local status=$?
  trap - EXIT
  [ -z "$bench_work" ] || remove_work_dir "$bench_work"
  exit "$status"
}

# bench_begin PACKAGE...: these packages, and a server that answers.
bench_begin() {
  local major
  trap bench_end EXIT
  trap 'exit 130' INT TERM HUP
  need_packages python3-psycopg2 "$@" || exit 1
  if [ -n "${BENCH_SERVER:-}" ]; then
    bench_work=$(mktemp -d) || exit 1
    export PGHOST=${given_server[0]} PGPORT=${given_server[1]} PGUSER=${given_server[2]} PGDATABASE=postgres
  else
    major=$(choose_major) && need_server_packages "$major" || exit 1
    bench_work=$(new_work_dir) || exit 1
    private_install "$major" "$bench_work" >"$bench_work/build.log" 2>&1 || { tail -n 40 "$bench_work/build.log"; exit 1; }
    start_server "$bench_work/db" 54380 "shared_buffers = '256MB'" "max_locks_per_transaction = 256" || exit 1
  fi
  export PG_BIN BENCH_WORK=$bench_work PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$bench_lib
}

# The distribution's Python, because its modules come from the distribution.
bench_python() { /usr/bin/python3 "$@"; }
