#!/usr/bin/env bash
# What: test/real.sh: the drivers people use, against a running server: asyncpg, psycopg 3 and 2, SQLAlchemy, node-postgres,
# JDBC, all also through PgBouncer in transaction mode, and pgTAP. Why: waiting without a snapshot depends on how a driver
# sends a statement, and errors and notices are only as good as what arrives in the program.
# A layer of test/run.sh (PGHOST, PGPORT, PGUSER, PG_BIN; packages in real.packages). A client that is not there is a
# line `skip`, no failure. REAL_CLIENTS="asyncpg node" runs these only.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/real.XXXXXX")
chmod 755 "$work"
finish() {
  # It was started in the subshell of a pipeline, so its file knows it.
  [ ! -s "$work/bouncer.pid" ] || kill "$(cat "$work/bouncer.pid")" 2>/dev/null
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP
export PYTHONDONTWRITEBYTECODE=1 REAL_WORK=$work REAL_BOUNCER=
export PATH=${PG_BIN:+$PG_BIN:}$PATH
python=/usr/bin/python3 # the distribution's: the drivers come from the distribution

start_bouncer() {
  local program
  program=$(PATH=$PATH:/usr/sbin command -v pgbouncer) || { echo "skip - pgbouncer: not installed"; return 0; }
  if [ "$(id -u)" = 0 ]; then echo "skip - pgbouncer: does not run as root"; return 0; fi
  cat >"$work/bouncer.ini" <<INI
[databases]
* = host=$PGHOST port=$PGPORT user=${PGUSER:-postgres}
[pgbouncer]
listen_addr =
unix_socket_dir = $work
listen_port = 6432
auth_type = any
pool_mode = transaction
max_client_conn = 100
default_pool_size = 20
server_lifetime = 30
ignore_startup_parameters = extra_float_digits
logfile = $work/bouncer.log
pidfile = $work/bouncer.pid
INI
  "$program" -q "$work/bouncer.ini" >"$work/bouncer.out" 2>&1 &
  for _ in $(seq 50); do
    [ ! -S "$work/.s.PGSQL.6432" ] || { export REAL_BOUNCER=$work; return 0; }
    sleep 0.1
  done
  echo "not ok - pgbouncer starts"
  cat "$work/bouncer.out" "$work/bouncer.log" 2>/dev/null
}

# node-postgres from the registry that npm is set up for, if it answers.
fetch_node_pg() {
  command -v node >/dev/null 2>&1 || { echo "skip - node: not installed"; return 0; }
  mkdir -p "$work/node"
  if node -e 'require("pg")' 2>/dev/null; then
    export REAL_NODE=$work/node
  elif command -v npm >/dev/null 2>&1 &&
    (cd "$work/node" && HOME=$work timeout 60 npm install --silent --no-audit --no-fund --no-package-lock pg@8 >"$work/npm.out" 2>&1); then
    export REAL_NODE=$work/node
  else
    echo "skip - node: npm cannot get pg"
  fi
}

# The distribution's JDBC driver, and the client compiled against it.
compile_jdbc() {
  local jar=/usr/share/java/postgresql.jar
  if ! command -v java >/dev/null 2>&1 || ! command -v javac >/dev/null 2>&1; then
    echo "skip - jdbc: no java"
  elif [ ! -e "$jar" ]; then
    echo "skip - jdbc: no driver"
  elif ! mkdir -p "$work/jdbc" || ! javac -J-XX:TieredStopAtLevel=1 -d "$work/jdbc" -cp "$jar" "$here/real/Client.java" >"$work/javac.out" 2>&1; then
    if grep -q 'UnixDomainSocketAddress' "$work/javac.out"; then
      echo "skip - jdbc: java is older than 16"
    else
      echo "not ok - jdbc: the client compiles"
      cat "$work/javac.out"
    fi
  else
    export REAL_JDBC=$work/jdbc:$jar
  fi
}

run_pgtap() {
  local database=real_pgtap
  if [ "$(psql -XAtc "SELECT count(*) FROM pg_available_extensions WHERE name = 'pgtap'")" != 1 ]; then
    echo "skip - pgtap: not installed"
    return 0
  fi
  psql -qX -c "DROP DATABASE IF EXISTS $database" -c "CREATE DATABASE $database" 2>/dev/null
  psql -qX -d "$database" -c "CREATE EXTENSION migration_ext"
  psql -qXAt -v ON_ERROR_STOP=1 -d "$database" -f "$here/real/pgtap.sql" 2>&1 |
    sed -E 's/^(not ok|ok) [0-9]+ - /\1 - pgtap: /' | tee "$work/pgtap"
  local planned
  planned=$(sed -n 's/^1\.\.//p' "$work/pgtap")
  [ "$(grep -cE '^(not )?ok ' "$work/pgtap")" = "${planned:-0}" ] || echo "not ok - pgtap: runs to its end"
  # After ROLLBACK nothing of the test is left.
  if [ "$(psql -XAt -d "$database" -c "SELECT state FROM migration_status()")" = empty ]; then
    echo "ok - pgtap: ROLLBACK takes all of it back"
  else
    echo "not ok - pgtap: ROLLBACK takes all of it back"
  fi
  psql -qX -c "DROP DATABASE $database"
}

{
  start_bouncer
  case " ${REAL_CLIENTS:-node} " in *" node "*) fetch_node_pg ;; esac
  case " ${REAL_CLIENTS:-jdbc} " in *" jdbc "*) compile_jdbc ;; esac
  for client in ${REAL_CLIENTS:-asyncpg psycopg3 psycopg2 sqlalchemy node jdbc together}; do
    [ "$client" != pgtap ] || continue
    timeout --kill-after=5 120 "$python" "$here/real/test_$client.py" || echo "not ok - $client: the file ran to its end"
  done
  case " ${REAL_CLIENTS:-pgtap} " in *" pgtap "*) run_pgtap ;; esac
} 2>&1 | tee "$work/out"

good=$(grep -c '^ok ' "$work/out")
bad=$(grep -c '^not ok ' "$work/out")
# Nothing at all is not a success.
[ $((good + bad)) -gt 0 ] || bad=1
echo "$good passed, $bad failed"
[ "$bad" = 0 ]
