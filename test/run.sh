#!/usr/bin/env bash
# What: test/run.sh [layer...]: runs the tests, layer by layer, and ends with a line `N passed, N failed`.
#   deps        installs what is missing          build       the extension in a private copy of the server
#   static      include rules, formatting         unit        C++ without a server (CTest)
#   regress     SQL against expected output       isolation   several sessions (specs)
#   tap         crash, restart, standby (Perl)    fuzz        inputs made up by libFuzzer, without a server
#   NAME        any other test/NAME.sh, with a server running (docs, ...)
# No layer named: all of them, and every test/NAME.sh listed in extra_layers that exists.
# Environment: MIGRATION_TESTS="name name" (only these regress, isolation and TAP tests), PGMAJOR, PG_CONFIG, JOBS,
# MIGRATION_FUZZ_SECONDS (of each fuzz target), MIGRATION_KEEP=1 (keep the work directory), MIGRATION_BUILD (where objects are kept), MIGRATION_TIMEOUT (seconds for
# one regress or isolation run, or one TAP file), MIGRATION_ASAN=1 (see test/asan.sh).
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tree=$(dirname "$here")
# shellcheck source=test/lib/server.sh
. "$here/lib/server.sh"

standard_layers=(deps build static unit regress isolation tap)
extra_layers=(fuzz docs real property)
limit=${MIGRATION_TIMEOUT:-900}
jobs=${JOBS:-$(nproc)}
passed=0
failed=0
built=
work=
summary=()

finish() {
  local status=$?
  trap - EXIT
  trap '' INT TERM HUP
  # shellcheck disable=SC2046
  if [ -n "$child" ]; then
    kill -TERM $(family_of "$child") 2>/dev/null
    wait "$child" 2>/dev/null
  fi
  if [ -n "$work" ]; then
    if [ -n "${MIGRATION_KEEP:-}" ]; then
      stop_servers_below "$work"
      echo "kept: $work"
    else
      remove_work_dir "$work"
    fi
  fi
  exit "$status"
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

title() { printf '\n== %s\n' "$*"; }

# count LAYER PASSED FAILED
count() {
  passed=$((passed + $2))
  failed=$((failed + $3))
  summary+=("$(printf '%-10s %5d passed %5d failed' "$1" "$2" "$3")")
  echo "$1: $2 passed, $3 failed"
}

# show FILE [LINES]: the end of a log, bounded.
show() {
  [ -s "$1" ] || return 0
  echo "--- ${1#"$work"/} (last ${2:-60} lines)"
  tail -n "${2:-60}" "$1" | cut -c 1-300
  echo "---"
}

# show_head FILE [LINES]: the beginning, where the first difference is.
show_head() {
  [ -s "$1" ] || return 0
  echo "--- ${1#"$work"/} (first ${2:-120} lines of $(wc -l <"$1"))"
  head -n "${2:-120}" "$1" | cut -c 1-300
  echo "---"
}

# selected NAME...: those asked for by MIGRATION_TESTS, or all.
selected() {
  local name
  for name in "$@"; do
    case " ${MIGRATION_TESTS:-$name} " in *" $name "*) echo "$name" ;; esac
  done
}

numbers_in() { grep -Ec "$1" "$2" || true; }

make_work() {
  [ -z "$work" ] || return 0
  work=$(new_work_dir) || exit 1
}

# One way to start a program of the server side: as the server user, from a directory, bounded in time. It runs beside this
# shell, because a trap has to wait for a program in the foreground.
child=
run_there() {
  local dir=$1 out=$2 status
  shift 2
  (cd "$dir" && as_server_user timeout --kill-after=20 "$limit" "$@") >"$out" 2>&1 &
  child=$!
  wait "$child"
  status=$?
  child=
  return "$status"
}

# A process and all that descend from it, by /proc (a small machine has no ps).
family_of() {
  cat /proc/[0-9]*/status 2>/dev/null | awk -v root="$1" '/^Pid:/ { pid = $2 } /^PPid:/ { parent[pid] = $2 }
    END { for (pid in parent) for (p = pid; p > 1; p = parent[p]) if (p == root) { print pid; break } }'
}

layer_deps() {
  title "packages"
  local major
  major=$(choose_major) || { count deps 0 1; return 0; }
  if need_server_packages "$major" && need_packages cmake libgtest-dev nlohmann-json3-dev libipc-run-perl libjson-perl; then
    want_packages clang-format-14
    # shellcheck disable=SC2046
    want_packages $(sed "s/MAJOR/$major/" "$here"/*.packages 2>/dev/null)
    echo "PostgreSQL $major, $(g++ -dumpfullversion | sed 's/^/g++ /')"
  else
    count deps 0 1
  fi
}

# What users build has no hooks for tests, and other warnings.
build_plainly() {
  [ -z "${MIGRATION_TESTS:-}${SAN:-}${PG_CONFIG:-}${PGMAJOR:-}" ] || return 0
  if (private_install "$1" "$work/plain") >"$work/plain.log" 2>&1; then
    rm -rf "$work/plain"
    count build 1 0
  else
    show "$work/plain.log" 60
    count build 0 1
  fi
}

layer_build() {
  [ -z "$built" ] || return 0
  title "build"
  built=no
  make_work
  local major
  if ! major=$(choose_major); then
    count build 0 1
    return 0
  fi
  if [ "$(id -u)" = 0 ]; then chown postgres: "$work"; fi
  if private_install "$major" "$work" TEST_HOOKS=1 ${SAN:+"SAN=$SAN"} >"$work/build.log" 2>&1; then
    built=yes
    copy_tree "$tree" "$work/tree"
    mkdir -p "$work/out"
    give_to_server_user "$work/out"
    [ -z "${MIGRATION_ASAN:-}" ] || . "$here/lib/asan.sh"
    echo "$("$PG_BIN/postgres" --version) in $work"
    build_plainly "$major"
  else
    show "$work/build.log" 60
    count build 0 1
  fi
}

# Layers that need the server: build it if that was not asked for, and say nothing more if it failed.
need_build() {
  layer_build
  [ "$built" = yes ]
}

# expect_something DIR NAME...: pg_regress gives up at the first missing expected file. An empty one lets the others run,
# and the difference shows what there is.
expect_something() {
  local dir=$1 name
  shift
  mkdir -p "$dir"
  for name in "$@"; do
    [ -e "$dir/$name.out" ] || : >"$dir/$name.out"
  done
}

layer_static() {
  title "static"
  make_work
  "$here/include_rules.sh" >"$work/static.log" 2>&1
  grep -Ev '^ok' "$work/static.log" | head -n 80
  local good bad
  good=$(numbers_in '^ok ' "$work/static.log")
  bad=$(numbers_in '^not ok ' "$work/static.log")
  [ $((good + bad)) -gt 0 ] || bad=1
  count static "$good" "$bad"
}

layer_unit() {
  title "unit"
  make_work
  local build total bad
  build=${MIGRATION_BUILD:-$tree/build}/unit${SANITIZE:+-sanitize}
  mkdir -p "$build"
  if ! (
    flock 8
    sync_tree "$tree" "$build/tree"
    cmake -S "$build/tree" -B "$build/out" -DMODULE=OFF ${SANITIZE:+-DSANITIZE=ON} &&
      cmake --build "$build/out" -j "$jobs" --target unit_tests
  ) 8>"$build/lock" >"$work/unit-build.log" 2>&1; then
    grep -E 'error|Error' "$work/unit-build.log" | head -n 20 | cut -c 1-300
    show "$work/unit-build.log" 40
    count unit 0 1
    return 0
  fi
  timeout --kill-after=20 "$limit" ctest --test-dir "$build/out" -j "$jobs" --timeout 120 --output-on-failure \
    >"$work/unit.log" 2>&1 8>&-
  local status=$?
  total=$(sed -nE 's/.* tests? failed out of ([0-9]+)$/\1/p; s/.* tests? failed, .* out of ([0-9]+)$/\1/p' "$work/unit.log" | tail -n 1)
  bad=$(sed -nE 's/.*, ([0-9]+) tests? failed out of [0-9]+$/\1/p' "$work/unit.log" | tail -n 1)
  if [ -z "$total" ]; then
    total=0
    bad=0
    # No test at all is fine only if there are no files.
    if [ -n "$(find "$tree/test/unit" -name '*_test.cpp' 2>/dev/null | head -n 1)" ]; then bad=1 total=1; fi
  elif [ "$status" != 0 ] && [ "$bad" = 0 ]; then
    bad=1
  fi
  [ "$bad" = 0 ] || show "$work/unit.log" 120
  count unit $((total - bad)) "$bad"
}

# What pg_regress printed: 15 says `test x ... ok`, 16 and later `ok 1 - x`.
regress_passed() { numbers_in '^(test |     )[^ ].* \.\.\. ok |^ok [0-9]+ ' "$1"; }
regress_failed() { numbers_in '^(test |     )[^ ].* \.\.\. FAILED|^not ok [0-9]+ ' "$1"; }

# check_regress LAYER NAME_OF_RUN LOG NUMBER_OF_TESTS STATUS
check_regress() {
  local good bad
  good=$(regress_passed "$3")
  bad=$(regress_failed "$3")
  # pg_regress gave up (no server, missing file, time): what it did not get to has failed.
  if [ $((good + bad)) -lt "$4" ]; then bad=$(($4 - good)); fi
  if [ "$5" != 0 ] && [ "$bad" = 0 ]; then bad=1; fi
  if [ "$bad" != 0 ]; then
    grep -Ev ' \.\.\. ok |^ok ' "$3" | head -n 40
    show_head "$work/out/$2/regression.diffs" 150
    grep -E 'PANIC|FATAL|TRAP|was terminated by signal|AddressSanitizer|runtime error' "$work/$2/log" | head -n 20
  fi
  count "$1" "$good" "$bad"
}

layer_regress() {
  local names mode status
  mapfile -t names < <(cd "$tree/sql" 2>/dev/null && ls -- *.sql 2>/dev/null | sed 's/\.sql$//' | LC_ALL=C sort)
  # The first file makes the extension for the others.
  [ -z "${MIGRATION_TESTS:-}" ] || mapfile -t names < <(MIGRATION_TESTS="00_install $MIGRATION_TESTS" selected "${names[@]}")
  if [ ${#names[@]} -eq 0 ]; then title "regress: no files"; return 0; fi
  need_build || return 0
  expect_something "$work/tree/expected" "${names[@]}"
  for mode in plain preload; do
    title "regress, $mode"
    local settings=()
    [ "$mode" = plain ] || settings=("shared_preload_libraries = 'migration_ext'")
    mkdir -p "$work/out/regress-$mode"
    give_to_server_user "$work/out"
    if ! start_server "$work/regress-$mode" 54401 "${settings[@]}"; then
      count "regress" 0 ${#names[@]}
      continue
    fi
    run_there "$work/tree" "$work/regress-$mode.log" "$PG_XS/src/test/regress/pg_regress" --bindir="$PG_BIN" \
      --inputdir=. --outputdir="$work/out/regress-$mode" --dbname=contrib_regression --no-locale --encoding=UTF8 "${names[@]}"
    status=$?
    stop_server "$work/regress-$mode" || status=1
    check_regress "regress" "regress-$mode" "$work/regress-$mode.log" ${#names[@]} "$status"
  done
}

layer_isolation() {
  local names status
  mapfile -t names < <(cd "$tree/test/isolation/specs" 2>/dev/null && ls -- *.spec 2>/dev/null | sed 's/\.spec$//' | LC_ALL=C sort)
  [ -z "${MIGRATION_TESTS:-}" ] || mapfile -t names < <(selected "${names[@]}")
  if [ ${#names[@]} -eq 0 ]; then title "isolation: no specs"; return 0; fi
  need_build || return 0
  title "isolation"
  expect_something "$work/tree/test/isolation/expected" "${names[@]}"
  mkdir -p "$work/out/isolation"
  give_to_server_user "$work/out"
  if ! start_server "$work/isolation" 54402; then
    count isolation 0 ${#names[@]}
    return 0
  fi
  run_there "$work/tree/test/isolation" "$work/isolation.log" "$PG_XS/src/test/isolation/pg_isolation_regress" \
    --bindir="$PG_BIN" --inputdir=. --outputdir="$work/out/isolation" --dbname=isolation_regression --no-locale \
    --encoding=UTF8 --load-extension=migration_ext "${names[@]}"
  status=$?
  stop_server "$work/isolation" || status=1
  check_regress isolation isolation "$work/isolation.log" ${#names[@]} "$status"
}

layer_tap() {
  local names files=() name total good bad status wrong
  mapfile -t names < <(cd "$tree/test/t" 2>/dev/null && ls -- *.pl 2>/dev/null | sed 's/\.pl$//' | LC_ALL=C sort)
  [ -z "${MIGRATION_TESTS:-}" ] || mapfile -t names < <(selected "${names[@]}")
  if [ ${#names[@]} -eq 0 ]; then title "tap: no files"; return 0; fi
  need_build || return 0
  title "tap"
  for name in "${names[@]}"; do files+=("$work/tree/test/t/$name.pl"); done
  mkdir -p "$work/out/tap/data" "$work/out/tap/log"
  give_to_server_user "$work/out"
  # `timeout` around each file; its whole output is kept by PERL_TEST_HARNESS_DUMP_TAP.
  limit=$((limit * ${#files[@]} + 60)) run_there "$work/out/tap" "$work/tap.log" env \
    -u PGHOST -u PGPORT -u PGUSER -u PGDATABASE -u PGOPTIONS \
    PATH="$PG_BIN:$PATH" PERL5LIB="$PG_XS/src/test/perl:$work/tree/test/t:$work/tree/test/lib" \
    PG_REGRESS="$PG_XS/src/test/regress/pg_regress" PG_TEST_TIMEOUT_DEFAULT="${PG_TEST_TIMEOUT_DEFAULT:-180}" \
    TESTDIR="$work/out/tap" TESTDATADIR="$work/out/tap/data" TESTLOGDIR="$work/out/tap/log" PG_MAJOR="$PG_MAJOR" \
    PERL_TEST_HARNESS_DUMP_TAP="$work/out/tap/raw" TMPDIR="$work/out/tap" HOME="$work/out/tap" \
    prove -j2 --timer --exec "timeout --kill-after=20 $limit perl" "${files[@]}"
  status=$?
  total=$(sed -nE 's/^Files=[0-9]+, Tests=([0-9]+),.*/\1/p' "$work/tap.log" | tail -n 1)
  # A file that died, hung or has a wrong plan is one failure even if all its assertions passed.
  read -r bad wrong < <(sed -nE 's/^.*\(Wstat: .* Tests: [0-9]+ Failed: ([0-9]+)\)$/\1/p' "$work/tap.log" |
    awk '{ bad += $1; if ($1 == 0) wrong++ } END { print bad + 0, wrong + 0 }')
  good=$((${total:-0} - bad))
  bad=$((bad + wrong))
  if [ "$status" != 0 ] && [ "$bad" = 0 ]; then bad=1; fi
  stop_servers_below "$work/out/tap"
  if [ "$bad" != 0 ]; then
    show "$work/tap.log" 80
    local shown=0
    for name in $(sed -nE 's|^.*/([^/ ]+)\.pl +\(Wstat: .*|\1|p' "$work/tap.log" | sort -u); do
      shown=$((shown + 1))
      [ "$shown" -le 4 ] || break
      show "$(find "$work/out/tap" -name "regress_log_$name" | head -n 1)" 60
    done
    find "$work/out/tap" -name '*.log' -exec grep -HE 'PANIC|TRAP|was terminated by signal|AddressSanitizer|runtime error' {} + |
      sed "s|^$work/out/tap/||" | head -n 20 | cut -c 1-300
  fi
  count tap "$good" "$bad"
}

# count_script NAME STATUS: what a script said of itself in its log, or its status as one test.
count_script() {
  local name=$1 status=$2 line good=0 bad=0
  grep -E '^(skip|seeds) ' "$work/$name.log"
  line=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$work/$name.log" | tail -n 1)
  if [ -n "$line" ]; then
    good=${line%% *}
    bad=$(echo "$line" | sed -E 's/.* ([0-9]+) failed$/\1/')
  else
    [ "$status" = 0 ] && good=1
  fi
  if [ "$status" != 0 ] && [ "$bad" = 0 ]; then bad=1; fi
  [ "$bad" = 0 ] || show "$work/$name.log" 100
  count "$name" "$good" "$bad"
}

layer_fuzz() {
  local status
  # shellcheck disable=SC2046
  want_packages $(cat "$here/fuzz.packages")
  make_work
  title "fuzz"
  # Beside this shell, as run_there() has it.
  nice -n 5 timeout --kill-after=20 "${MIGRATION_TIMEOUT:-86400}" "$here/fuzz.sh" >"$work/fuzz.log" 2>&1 &
  child=$!
  wait "$child"
  status=$?
  child=
  grep -E '^ok - ' "$work/fuzz.log"
  count_script fuzz "$status"
}

# Any other layer is a script test/NAME.sh. It finds a running server (PGHOST, PGPORT, PGUSER, and PG_BIN on the PATH) and
# a copy of the tree (MIGRATION_TREE). Packages it would like stand in test/NAME.packages (MAJOR is the server's); what
# cannot be had it reports by a line `skip - ...`. Its last line may be `N passed, N failed`; else its status is one test.
layer_script() {
  local name=$1 status
  if [ -e "$here/$name.packages" ]; then
    # Before the build, because that copies the server with the extensions it has.
    # shellcheck disable=SC2046
    want_packages $(sed "s/MAJOR/$(choose_major)/" "$here/$name.packages")
  fi
  need_build || return 0
  title "$name"
  if ! start_server "$work/$name" 54403; then
    count "$name" 0 1
    return 0
  fi
  mkdir -p "$work/out/$name"
  give_to_server_user "$work/out"
  run_there "$work/out/$name" "$work/$name.log" env PATH="$PG_BIN:$PATH" PG_BIN="$PG_BIN" PG_XS="$PG_XS" PG_MAJOR="$PG_MAJOR" \
    MIGRATION_TREE="$work/tree" HOME="$work/out/$name" bash "$work/tree/test/$name.sh"
  status=$?
  stop_server "$work/$name" || status=1
  count_script "$name" "$status"
}

if [ $# -eq 0 ]; then
  set -- "${standard_layers[@]}"
  for name in "${extra_layers[@]}"; do [ ! -e "$here/$name.sh" ] || set -- "$@" "$name"; done
fi
for layer in "$@"; do
  case $layer in
    deps | build | static | unit | regress | isolation | tap | fuzz) "layer_$layer" ;;
    *)
      if [ ! -e "$here/$layer.sh" ]; then
        echo "no such layer: $layer" >&2
        exit 2
      fi
      layer_script "$layer"
      ;;
  esac
done
if [ -n "${MIGRATION_ASAN:-}" ] && [ "$built" = yes ]; then
  title "sanitizer reports"
  grep -rhE 'ERROR: AddressSanitizer|runtime error:' "$work" --include='*log*' | sort | uniq -c | head -n 40 >"$work/reports"
  cat "$work/reports"
  if [ -s "$work/reports" ]; then count sanitizer 0 "$(wc -l <"$work/reports")"; else count sanitizer 1 0; fi
fi

printf '\n'
[ ${#summary[@]} -eq 0 ] || printf '%s\n' "${summary[@]}"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
