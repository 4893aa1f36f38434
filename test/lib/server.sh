# What: private PostgreSQL servers: a full copy of the installed server with this extension in it, started on a Unix
# socket in a directory of its own. Why: tests, demo and benchmarks must not touch the machine's own clusters and need
# no port. Source this file; it runs nothing by itself. Needs bash.
#
#   . test/lib/server.sh
#   work=$(new_work_dir); trap 'remove_work_dir "$work"' EXIT
#   need_server_packages "$major"                        # lib/packages.sh
#   private_install "$major" "$work" [make arguments]    # sets PG_BIN, PG_XS, PG_MAJOR
#   start_server "$work/db" 54321 "work_mem = '64MB'"    # exports PGHOST, PGPORT, PGUSER, PGDATABASE
#   "$PG_BIN/psql" -c 'CREATE EXTENSION migration_ext'
#   stop_server "$work/db"
# shellcheck shell=bash
# shellcheck disable=SC2034  # PG_XS and PG_MAJOR are for the scripts that source this

server_lib_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
migration_tree=$(cd "$server_lib_dir/../.." && pwd)
# shellcheck source=test/lib/packages.sh
. "$server_lib_dir/packages.sh"
# shellcheck source=test/lib/tree.sh
. "$server_lib_dir/tree.sh"

export LC_ALL=C.UTF-8
unset PGHOST PGHOSTADDR PGPORT PGUSER PGDATABASE PGPASSWORD PGPASSFILE PGSERVICE PGSERVICEFILE PGOPTIONS PGSSLMODE \
  PGCLIENTENCODING PGTZ PGDATESTYLE PGAPPNAME PGDATA PGCONNECT_TIMEOUT PSQLRC
umask 022

# PostgreSQL refuses to run as root: then its programs run as user postgres, else as whoever we are.
as_server_user() {
  if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi
}

give_to_server_user() {
  if [ "$(id -u)" = 0 ]; then chown -R postgres: "$@"; fi
}

# new_work_dir: a new directory that the server user can reach and write; the path is short, as sockets need.
new_work_dir() {
  local dir
  dir=$(mktemp -d "${TMPDIR:-/tmp}/migration_ext.XXXXXX") || return 1
  chmod 755 "$dir"
  if [ "$(id -u)" = 0 ]; then chown postgres: "$dir" 2>/dev/null || true; fi # no such user before the packages are in
  echo "$dir"
}

# Ends every server with its data anywhere below a directory, also those that a killed test has left behind.
stop_servers_below() {
  local file pid
  find "$1" -name postmaster.pid 2>/dev/null | while IFS= read -r file; do
    pid=$(head -n 1 "$file" 2>/dev/null)
    case $pid in '' | *[!0-9]*) continue ;; esac
    # The number may belong to another process by now.
    if [ -e /proc/self/cwd ]; then
      [ "$(readlink "/proc/$pid/cwd")" = "$(readlink -f "$(dirname "$file")")" ] || continue
    fi
    kill -QUIT "$pid" 2>/dev/null || continue
    timeout 8 tail -f /dev/null --pid="$pid" -s 0.1 || kill -KILL "$pid" 2>/dev/null || true
  done
}

remove_work_dir() {
  [ -n "${1:-}" ] && [ -d "$1" ] || return 0
  stop_servers_below "$1"
  rm -rf --one-file-system "$1"
}

# private_install MAJOR DIR [make arguments...]: the server of PG_CONFIG (default: the distribution's) copied into
# DIR/inst, the extension built from this checkout and installed into it. PostgreSQL finds its files relative to its own
# binary, so a copy is a full install. Objects are kept below MIGRATION_BUILD (default build/ of the checkout), one
# directory per server and set of arguments, so only the first build is slow.
private_install() {
  local major=$1 dir=$2 config=${PG_CONFIG:-/usr/lib/postgresql/$1/bin/pg_config} path key objects
  shift 2
  [ -x "$config" ] || config=$(command -v "$config") || { echo "no pg_config for PostgreSQL $major" >&2; return 1; }
  for path in bindir pkglibdir sharedir; do
    path=$("$config" --$path) || return 1
    mkdir -p "$dir/inst$path"
    cp -rL "$path/." "$dir/inst$path" 2>/dev/null || true # dangling links in share/ are no loss
  done
  key=$("$config" --version | tr -dc '0-9.')-$(printf '%s\n' "$config" "$@" | cksum | cut -d' ' -f1)
  objects=${MIGRATION_BUILD:-$migration_tree/build}/pg$key
  mkdir -p "$objects" || return 1
  (
    flock 8 || exit 1
    sync_tree "$migration_tree" "$objects/tree"
    cd "$objects/tree" || exit 1
    make -s -j "${JOBS:-$(nproc)}" PG_CONFIG="$config" "$@" && make -s install PG_CONFIG="$config" DESTDIR="$dir/inst" "$@"
  ) 8>"$objects/lock" || return 1
  PG_MAJOR=$("$config" --version | sed -E 's/^PostgreSQL ([0-9]+).*/\1/')
  PG_BIN=$dir/inst$("$config" --bindir)
  PG_XS=$dir/inst$(dirname "$(dirname "$(dirname "$("$config" --pgxs)")")") # the pgxs directory, with src/test
  [ -x "$PG_BIN/postgres" ] && [ -d "$PG_XS/src/test/regress" ] || {
    echo "the private copy of the server is incomplete: $PG_BIN, $PG_XS" >&2
    return 1
  }
}

# start_server DIR PORT [line of postgresql.conf...]: makes a cluster in DIR/data if there is none, starts it on a socket
# in DIR, exports PGHOST and the like. The log is DIR/log. The lines hold for later starts too.
start_server() {
  local dir=$1 port=$2 line
  shift 2
  mkdir -p "$dir"
  if [ ! -e "$dir/data/PG_VERSION" ]; then
    give_to_server_user "$dir"
    as_server_user "$PG_BIN/initdb" --no-sync -A trust -U postgres -E UTF8 --locale=C.UTF-8 -D "$dir/data" \
      >"$dir/initdb.out" 2>&1 || { cat "$dir/initdb.out" >&2; return 1; }
    # Connections hold no password and come through the socket's directory only.
    {
      printf '%s\n' "listen_addresses = ''" "fsync = off" "jit = off" "max_connections = 60" \
        "max_worker_processes = 24" "max_prepared_transactions = 10" "log_line_prefix = '%m [%p] %b %a '" \
        "log_timezone = 'UTC'" "timezone = 'UTC'"
    } >>"$dir/data/postgresql.conf"
  fi
  {
    printf "unix_socket_directories = '%s'\nport = %s\n" "$dir" "$port"
    for line in "$@"; do printf '%s\n' "$line"; done
  } >>"$dir/data/postgresql.conf"
  (cd "$dir" && as_server_user "$PG_BIN/pg_ctl" -D "$dir/data" -l "$dir/log" -w -t 120 start >"$dir/start.out" 2>&1 8>&- 9>&-) || {
    cat "$dir/start.out" >&2
    tail -n 30 "$dir/log" >&2
    return 1
  }
  export PGHOST=$dir PGPORT=$port PGUSER=postgres PGDATABASE=postgres
}

# stop_server DIR [smart|fast|immediate]
stop_server() {
  [ -e "$1/data/postmaster.pid" ] || return 0
  (cd "$1" && as_server_user "$PG_BIN/pg_ctl" -D "$1/data" -m "${2:-fast}" -w -t 120 stop >/dev/null 2>&1)
}
