#!/usr/bin/env bash
# What: make demo. A private server with a million accounts and an application (pgbench) working on it; real revisions run
# against it meanwhile, with progress on screen; in the end, what the application noticed. Exit status 1 if it noticed an
# error. Why like this: nothing of the machine's own clusters is touched, the server keeps its default durability, and the
# numbers come from pgbench's own log. On a terminal the server stays until Enter or Ctrl-C; else it goes at the end.
# Environment: DEMO_SCALE (10), DEMO_RATE (transactions per second, 150), DEMO_BASELINE (seconds, 15), PGMAJOR, PG_CONFIG.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=test/lib/server.sh
. "$here/../../test/lib/server.sh"

scale=${DEMO_SCALE:-10}
rate=${DEMO_RATE:-150}
baseline=${DEMO_BASELINE:-15}
clients=6
work=
bench_pid=
counter_pid=

# A process and all that descend from it, by /proc (a small machine has no ps).
family_of() {
  cat /proc/[0-9]*/status 2>/dev/null | awk -v root="$1" '/^Pid:/ { pid = $2 } /^PPid:/ { parent[pid] = $2 }
    END { for (pid in parent) for (p = pid; p > 1; p = parent[p]) if (p == root) { print pid; break } }'
}

finish() {
  local status=$?
  trap - EXIT
  trap '' INT TERM HUP
  # shellcheck disable=SC2046
  [ -z "$bench_pid" ] || kill $(family_of "$bench_pid") 2>/dev/null
  [ -z "$counter_pid" ] || kill "$counter_pid" 2>/dev/null
  [ -z "$work" ] || { stop_server "$work/db"; remove_work_dir "$work"; }
  [ ! -t 1 ] || printf '\033[?25h'
  exit "$status"
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

if [ -t 1 ]; then
  bold=$'\033[1m' dim=$'\033[2m' green=$'\033[32m' plain=$'\033[0m'
  width=$(tput cols 2>/dev/null || echo 100)
else
  bold='' dim='' green='' plain=''
  width=130
fi
[ "$width" -ge 90 ] || width=90
[ "$width" -le 140 ] || width=140

say() { printf '%s\n' "$*"; }
title() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
fail() { printf '\ndemo failed: %s\n' "$*" >&2; exit 1; }
now() { date +%s.%N; }
seconds_between() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.1f", b - a }'; }
run_psql() { "$PG_BIN/psql" -X -q -A -t -F "$(printf '\t')" -v ON_ERROR_STOP=1 "$@"; }
one() { run_psql -c "$1" 2>/dev/null; }

# ---- machine, server, data
started=$(now)
title "migration_ext demo"
major=$(choose_major) || exit 1
need_server_packages "$major" || exit 1
work=$(new_work_dir) || exit 1
built=$(now)
say "building for PostgreSQL $major (the first time takes a minute or two) ..."
if [ -t 1 ]; then
  touch "$work/mark"
  total=$(find "$migration_tree/src" -name '*.cpp' | wc -l)
  while sleep 1; do
    printf '\r\033[K%s of %s files' "$(find "${MIGRATION_BUILD:-$migration_tree/build}" -name '*.o' -newer "$work/mark" 2>/dev/null | wc -l)" "$total"
  done &
  counter_pid=$!
fi
# Half the compile time; the hot paths of a migration are in the server, not here.
private_install "$major" "$work" SAN='-O1 -g0' >"$work/build.log" 2>&1 || { tail -n 30 "$work/build.log" >&2; fail "the build"; }
if [ -n "$counter_pid" ]; then
  kill "$counter_pid"
  wait "$counter_pid" 2>/dev/null
  counter_pid=
  printf '\r\033[K'
fi
say "built in $(seconds_between "$built" "$(now)") s"
start_server "$work/db" 54399 "unix_socket_permissions = 0700" "fsync = on" "shared_buffers = 256MB" \
  "max_wal_size = 4GB" || fail "the server did not start"
loading=$(now)
run_psql -c 'CREATE DATABASE shop' || fail "no database"
export PGDATABASE=shop
as_server_user "$PG_BIN/pgbench" -i -q -s "$scale" >"$work/load.log" 2>&1 || { cat "$work/load.log" >&2; fail "loading"; }
run_psql -c 'CREATE EXTENSION migration_ext' || fail "CREATE EXTENSION"
say "loaded $(one "SELECT to_char(count(*), 'FM999,999,999') FROM pgbench_accounts") accounts in $(seconds_between "$loading" "$(now)") s"
one 'CHECKPOINT'

# ---- the application
mkdir "$work/app"
give_to_server_user "$work/app"
cd "$work/app" || exit 1
as_server_user "$PG_BIN/pgbench" -n -c $clients -j 2 -R "$rate" -T 1800 -P 1 -l --log-prefix=tx shop >"$work/app/out" 2>"$work/app/err" &
bench_pid=$!
say "an application is at work: $clients connections, $rate transactions per second, 5 statements each"

# The last word of pgbench -P: transactions per second and average latency.
app_now() {
  tail -n 1 "$work/app/err" 2>/dev/null | awk '/^progress/ { printf "app %.0f tps, %.1f ms", $4, $7 }'
}
still_alive() { kill -0 "$bench_pid" 2>/dev/null || { tail -n 5 "$work/app/err" >&2; fail "the application died"; }; }

phases=$work/phases
sleep 3
from=$(now)
for ((i = 1; i <= baseline; i++)); do
  if [ -t 1 ]; then printf '\r\033[Kmeasuring it alone first: %d of %d s   %s%s%s' "$i" "$baseline" "$dim" "$(app_now)" "$plain"; fi
  sleep 1
done
still_alive
printf 'before\t%s\t%s\n' "$from" "$(now)" >"$phases"
if [ -t 1 ]; then printf '\r\033[K'; fi
say "measured it alone for $baseline s: $(app_now)"
table_before=$(one "SELECT pg_table_size('pgbench_accounts')")
index_before=$(one "SELECT pg_indexes_size('pgbench_accounts')")

# ---- the revisions
title 'cat versions/*.sql | psql -1 -v ON_ERROR_STOP=1'
cat "$here"/versions/*.sql | run_psql -1 >"$work/register.log" 2>&1 || { cat "$work/register.log" >&2; fail "registering"; }
one "SELECT '  ' || revision || '  ' || message FROM migration_history() ORDER BY revision"

# One line per step, redrawn in place on a terminal: mark, kind, statement, time or bar.
steps=()
done_at=()
drawn=0
line_of() { # NUMBER STATE TEXT
  local kind statement room=$((width - 64)) number=$1 text=${3:0:45} # a line that wraps could not be redrawn
  IFS=$'\t' read -r _ kind statement <<<"${steps[$number]}"
  [ ${#statement} -le $room ] || statement="${statement:0:$((room - 3))}..."
  case $2 in
    done) printf '  %sok%s %-10s %-*s %s\n' "$green" "$plain" "$kind" "$room" "$statement" "$text" ;;
    now) printf '  %s>>%s %-10s %-*s %s\n' "$bold" "$plain" "$kind" "$room" "$statement" "$text" ;;
    *) printf '  %s   %-10s %-*s%s\n' "$dim" "$kind" "$room" "$statement" "$plain" ;;
  esac
}
draw() { # CURRENT_STEP BAR
  local n
  if [ ! -t 1 ]; then return 0; fi
  [ "$drawn" = 0 ] || printf '\033[%dA' "$drawn"
  for n in "${!steps[@]}"; do
    printf '\033[K'
    if [ -n "${done_at[$n]:-}" ]; then
      line_of "$n" "done" "${done_at[$n]}"
    elif [ "$n" = "$1" ]; then
      line_of "$n" now "$2"
    else
      line_of "$n" later ''
    fi
  done
  printf '\033[K     %s%s%s\n' "$dim" "$(app_now)" "$plain"
  drawn=$((${#steps[@]} + 1))
}
seconds_sql="to_char(extract(epoch FROM took), 'FM99990.00') || ' s'"
read_done() { # RUN
  local step took
  while IFS=$'\t' read -r step took; do
    [ -n "$step" ] || continue
    if [ -z "${done_at[$step]:-}" ] && [ ! -t 1 ]; then line_of "$step" 'done' "$took"; fi
    done_at[$step]=$took
  done < <(one "SELECT step, $seconds_sql FROM migration_log($1) WHERE event = 'step' ORDER BY event_id")
}

# migrate NAME SQL PLAN_TARGET: runs a call in one session and watches it from another.
migrate() {
  local name=$1 sql=$2 target=$3 n from pid run='' row current bar rest started_plain=0
  title "$sql"
  steps=()
  done_at=()
  drawn=0
  while IFS=$'\t' read -r n rest; do
    steps[$n]="$n"$'\t'"$rest"
  done < <(one "SELECT step, max(kind), regexp_replace(min(statement) FILTER (WHERE first), '\s+', ' ', 'g')
        || CASE WHEN count(*) > 1 THEN ' (+' || count(*) - 1 || ' more)' ELSE '' END
      FROM (SELECT *, row_number() OVER (PARTITION BY step) = 1 AS first FROM migration_plan('$target')) p
      GROUP BY step ORDER BY step")
  from=$(now)
  run_psql -c "$sql" >"$work/run.out" 2>"$work/run.err" &
  pid=$!
  while kill -0 "$pid" 2>/dev/null; do
    # The server counts each phase of an index build from 0 to 100 %, so the phase is named.
    row=$(one "SELECT run_id, step, coalesce(bar, phase), coalesce('~' || to_char(extract(epoch FROM eta), 'FM999990') || ' s left',
      substring(phase FROM ': (?:building index: |waiting for )?(.*)'), '') FROM migration_progress()")
    if [ -n "$row" ]; then
      IFS=$'\t' read -r run current bar rest <<<"$row"
      read_done "$run"
      draw "$current" "$bar $rest"
      if [ ! -t 1 ] && ((started_plain++ % 10 == 9)); then say "     step $current: $bar $rest   $(app_now)"; fi
    fi
    sleep 0.3
  done
  wait "$pid" || { cat "$work/run.err" >&2; fail "$sql"; }
  printf '%s\t%s\t%s\n' "$name" "$from" "$(now)" >>"$phases"
  run=$(cat "$work/run.out")
  read_done "$run"
  # A run in the session's own transaction has no log of its steps, only of the revision.
  for n in "${!steps[@]}"; do
    if [ -z "${done_at[$n]:-}" ]; then
      done_at[$n]=$(one "SELECT $seconds_sql FROM migration_log($run) WHERE event IN ('applied', 'undone') ORDER BY event_id DESC LIMIT 1")
      if [ ! -t 1 ]; then line_of "$n" 'done' "${done_at[$n]}"; fi
    fi
  done
  draw 0 ''
  still_alive
  sleep 1
}

if [ -t 1 ]; then printf '\033[?25l'; fi
migrate 'table, foreign key' "SELECT migration_upgrade('20260105_statement')" 20260105_statement
migrate 'column, 1,000,000 rows, NOT NULL' "SELECT migration_upgrade('20260112_region')" 20260112_region
table_after=$(one "SELECT pg_table_size('pgbench_accounts')")
index_after=$(one "SELECT pg_indexes_size('pgbench_accounts')")
migrate 'index, concurrently' "SELECT migration_upgrade('head')" head
new_index=$(one "SELECT pg_relation_size('accounts_region')")
migrate 'and back: drop the index' "SELECT migration_downgrade('-1')" -1
if [ -t 1 ]; then printf '\033[?25h'; fi

# ---- what the application noticed
nulls=$(one "SELECT count(*) FROM pgbench_accounts WHERE region IS NULL")
# pgbench ends in good order, with its summary, when its own timer rings.
for pid in $(family_of "$bench_pid"); do
  [ "$(cat "/proc/$pid/comm" 2>/dev/null)" != pgbench ] || kill -ALRM "$pid"
done
wait "$bench_pid"
bench_status=$?
bench_pid=
total=$(sed -nE 's/^number of transactions actually processed: ([0-9]+).*/\1/p' out)
failed=$(sed -nE 's/^number of failed transactions: ([0-9]+).*/\1/p' out)
aborted=$(grep -c 'aborted' err)

title "what the application noticed"
printf '  %-34s %8s %12s %10s %10s %10s\n' '' 'time' 'transactions' 'median ms' 'p99 ms' 'worst ms'
awk -f "$here/latency.awk" "$phases" tx.* >"$work/latencies" || fail "no latencies"
while IFS=$'\t' read -r name n median p99 worst; do
  read -r a b < <(awk -F '\t' -v n="$name" '$1 == n { print $2, $3 }' "$phases")
  printf '  %-34s %6s s %12s %10s %10s %10s\n' "$name" "$(seconds_between "$a" "$b")" "$n" "$median" "$p99" "$worst"
done <"$work/latencies"
pretty() { one "SELECT pg_size_pretty($1::bigint)"; }
grew() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%+.0f %%", 100 * (b - a) / a }'; }
say
say "  application transactions: ${total:-0}, failed: $((${failed:-0} + aborted))"
say "  accounts without a region: $nulls"
say "  accounts: table $(pretty "$table_before") -> $(pretty "$table_after") ($(grew "$table_before" "$table_after")), its index $(pretty "$index_before") -> $(pretty "$index_after") ($(grew "$index_before" "$index_after")); the new index was $(pretty "$new_index")"
say "  (every account was updated; what its old versions took is free for new rows)"
say "  time in all: $(seconds_between "$started" "$(now)") s"

if [ "$bench_status" != 0 ] || [ "${failed:-1}" != 0 ] || [ "$aborted" != 0 ] || [ "$nulls" != 0 ]; then
  tail -n 5 err >&2
  fail "the application saw errors"
fi
if [ -t 0 ] && [ -t 1 ]; then
  title "look around"
  if [ "$(id -u)" = 0 ]; then
    say "  runuser -u postgres -- $PG_BIN/psql -h $PGHOST -p $PGPORT shop"
  else
    say "  $PG_BIN/psql -h $PGHOST -p $PGPORT -U postgres shop"
  fi
  say "  then: SELECT * FROM migration_history();  \\df migration_*"
  printf '\nEnter or Ctrl-C stops the server and removes it. '
  read -r _ || true
fi
