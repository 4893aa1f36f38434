#!/usr/bin/env bash
# What: bench/backfill/pgbench.sh: what an application notices of a backfill. pgbench reads and updates rows of the table
# at a fixed rate, in turns alone and while a new column of the table is filled at batch_target 100 ms. Prints percentiles
# of both, failed transactions, and the longest wait for a lock that the server logged. Targets: p99 at most 1.5 times
# that without the backfill, nothing failed, no wait above lock_timeout (2 s).
# Why a fixed rate: an application does not send less because the server is slower; latency includes the time that a
# transaction was late (pgbench -R). Why in turns: whatever else the machine does meets both alike. Exit status 1 with
# --check if a target is missed.
#   --rows N (1000000)   --rate N (transactions per second, 200)   --clients N (4)   --seconds N (alone, in sum, 30)
#   --target T (100ms)   --repeats N turns, each a column of its own (6)   --options JSON (of the backfill)   --check
# Environment: that of lib/lib.sh, but always a private server.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
rows=1000000 rate=200 clients=4 seconds=30 target=100ms repeats=6 options='{}' check=
while [ $# -gt 0 ]; do
  case $1 in
    --rows) rows=$2; shift ;;
    --rate) rate=$2; shift ;;
    --clients) clients=$2; shift ;;
    --seconds) seconds=$2; shift ;;
    --target) target=$2; shift ;;
    --repeats) repeats=$2; shift ;;
    --options) options=$2; shift ;;
    --check) check=1 ;;
    *) echo "unknown option $1" >&2; exit 2 ;;
  esac
  shift
done
unset BENCH_SERVER
# shellcheck source=bench/lib/lib.sh
. "$here/../lib/lib.sh"
bench_begin
psql() { "$PG_BIN/psql" -qXAt -v ON_ERROR_STOP=1 "$@"; }
for setting in "max_wal_size = '16GB'" "checkpoint_timeout = '1h'" "log_lock_waits = on" "deadlock_timeout = '20ms'"; do
  psql -c "ALTER SYSTEM SET $setting"
done
psql -c 'SELECT pg_reload_conf()' >/dev/null
psql <<SQL
CREATE EXTENSION migration_ext;
CREATE TABLE account (id bigint PRIMARY KEY, owner int NOT NULL, balance bigint NOT NULL, note text);
INSERT INTO account SELECT i, (random() * 2000000000)::int, i * 7, md5(i::text) || left(md5(i::text), 10) FROM generate_series(1, $rows) i;
CREATE INDEX account_owner ON account (owner);
VACUUM ANALYZE account;
CHECKPOINT;
SQL
mkdir "$bench_work/app"
cat >"$bench_work/app/application.sql" <<SQL
\set id random(1, $rows)
\set other random(1, $rows)
BEGIN;
SELECT balance FROM account WHERE id = :id;
UPDATE account SET balance = balance + 1 WHERE id = :id;
SELECT count(*) FROM account WHERE id BETWEEN :other AND :other + 20;
COMMIT;
SQL
give_to_server_user "$bench_work/app"
cd "$bench_work/app"
as_server_user "$PG_BIN/pgbench" -n -c "$clients" -j 2 -R "$rate" -T 36000 -l --log-prefix=tx -f application.sql postgres >out 2>err &
load=$!
sleep 3
lines=$(wc -l <"$bench_work/db/log")
alone_spans='' during_spans='' busy_spans=''
for ((n = 1; n <= repeats; n++)); do
  down=$([ "$n" = 1 ] && echo NULL || echo "'fill$((n - 1))'")
  psql >/dev/null <<SQL
SET client_min_messages = error;
SELECT migration_register('add$n', 'a column', $down, 'ALTER TABLE account ADD COLUMN tax$n bigint');
SELECT migration_register('fill$n', 'fill it', 'add$n', \$r\$SELECT migration_backfill('account', 'tax$n = balance / 5', 'tax$n IS NULL', '$options')\$r\$, 'irreversible');
SELECT migration_upgrade('add$n');
SQL
  from=$(date +%s.%N)
  sleep "$(awk -v s="$seconds" -v n="$repeats" 'BEGIN { print s / n }')"
  middle=$(date +%s.%N)
  busy_spans="$busy_spans $middle"
  (while :; do :; done) &
  loop=$!
  sleep "$(awk -v s="$seconds" -v n="$repeats" 'BEGIN { print s / n / 2 }')"
  kill "$loop"
  wait "$loop" || true
  busy_spans="$busy_spans:$(date +%s.%N)"
  alone_spans="$alone_spans $from:$middle"
  middle=$(date +%s.%N)
  psql -c 'SET client_min_messages = error' -c "SET migration_ext.batch_target = '$target'" -c "SELECT migration_upgrade('fill$n')" >/dev/null
  during_spans="$during_spans $middle:$(date +%s.%N)"
done
kill -0 "$load" || { tail -n 5 err >&2; exit 1; }
left=$(psql -c 'SELECT count(*) FROM account WHERE tax1 IS NULL')
# The lines of pgbench's log: client, transaction, latency in us, script, epoch, us (, lag in us).
kill "$load"
wait "$load" || true
slice() { # FROM:TO...: latencies in ms, ascending
  cat tx.* | awk -v spans="$*" 'BEGIN { n = split(spans, span, " "); for (i = 1; i <= n; i++) { split(span[i], t, ":"); from[i] = t[1]; to[i] = t[2] } }
    $3 ~ /^[0-9]+$/ { at = $5 + $6 / 1e6; for (i = 1; i <= n; i++) if (at >= from[i] && at < to[i]) print $3 / 1000 }' | sort -n
}
percentile() { awk -v p="$2" '{ v[NR] = $1 } END { i = int(NR * p + 0.999999); if (i < 1) i = 1; printf "%.2f", v[i] }' "$1"; }
# shellcheck disable=SC2086
slice $alone_spans >alone
# shellcheck disable=SC2086
slice $busy_spans >busy
# shellcheck disable=SC2086
slice $during_spans >during
took=$(awk -v spans="$during_spans" 'BEGIN { n = split(spans, span, " "); for (i = 1; i <= n; i++) { split(span[i], t, ":"); sum += t[2] - t[1] } printf "%.1f", sum }')
waits=$(tail -n +$((lines + 1)) "$bench_work/db/log" | sed -nE 's/.*process [0-9]+ (acquired|still waiting for) .* after ([0-9.]+) ms.*/\2/p' | sort -n | tail -n 1)
# Failures are errors that pgbench or the server saw in the application's sessions.
failed=$({ grep -c 'ERROR' err || true; } | head -n 1)
printf '%-28s %8s %8s %8s %8s %8s %8s\n' "$rows rows, $rate tps" transactions p50 p95 p99 p99.9 max
for phase in alone busy during; do
  case $phase in busy) name='beside a busy loop' ;; during) name='beside the backfill' ;; *) name=$phase ;; esac
  printf '%-28s %12s %8s %8s %8s %8s %8s\n' "$name" "$(wc -l <$phase)" "$(percentile $phase 0.5)" "$(percentile $phase 0.95)" \
    "$(percentile $phase 0.99)" "$(percentile $phase 0.999)" "$(percentile $phase 1)"
done
times_alone() { awk -v a="$(percentile alone 0.99)" -v b="$(percentile "$1" 0.99)" 'BEGIN { printf "%.2f", b / a }'; }
ratio=$(times_alone during)
printf '%s backfills at %s: %s s, %s rows left without a value; longest lock wait %s ms; %s failed transactions\n' \
  "$repeats" "$target" "$took" "$left" "${waits:-<20}" "$failed"
missed=0
judge() { # CONDITION TEXT
  if awk "BEGIN { exit !($1) }"; then echo "met    $2"; else echo "MISSED $2"; missed=1; fi
}
judge "$ratio <= 1.5" "p99 is $ratio times that without the backfill, target 1.5 (beside a busy loop $(times_alone busy))"
judge "$failed == 0 && $left == 0" "no failed transaction and no row left"
judge "${waits:-0} < 2000" "no lock wait above lock_timeout"
[ -z "$check" ] || exit $missed
