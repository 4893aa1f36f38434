#!/usr/bin/env bash
# What: test/property.sh: the property test of backfills, see property/property.py: random tables, fills, writers and faults
# against a specification; then a smaller share with SIGKILLs of the worker, each of which restarts the whole server.
# A layer of test/run.sh (PGHOST, PGPORT, PGUSER, PG_BIN; packages in property.packages). A failed seed is printed and can be
# run by itself: test/property/run SEED.
# Environment: MIGRATION_SEEDS (200), MIGRATION_KILL_SEEDS (a tenth of them), MIGRATION_FIRST (first seed; random).
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export PYTHONDONTWRITEBYTECODE=1
seeds=${MIGRATION_SEEDS:-200}
kills=${MIGRATION_KILL_SEEDS:-$((seeds / 10))}
python=/usr/bin/python3 # the distribution's: psycopg2 comes from the distribution
if ! "$python" -c 'import psycopg2' 2>/dev/null; then
  echo "skip - python3-psycopg2 is not installed"
  echo "0 passed, 0 failed"
  exit 0
fi
passed=0 failed=0 log=$(mktemp)
trap 'rm -f "$log"' EXIT
part() {
  "$python" "$here/property/property.py" ${MIGRATION_FIRST:+--first "$MIGRATION_FIRST"} "$@" 2>&1 | tee "$log" | grep -Ev '^[0-9]+ passed, '
  local line
  line=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$log" | tail -n 1)
  if [ -z "$line" ]; then
    failed=$((failed + 1)) # it did not get to its end
  else
    passed=$((passed + ${line%% *}))
    line=${line#*, }
    failed=$((failed + ${line%% *}))
  fi
}
[ "$seeds" = 0 ] || part --seeds "$seeds"
[ "$kills" = 0 ] || part --kill --seeds "$kills"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
