#!/usr/bin/env bash
# What: the fuzz layer of test/run.sh (`make test-fuzz`), or by itself: every test/fuzz/NAME.cpp is a libFuzzer target
# with ASan and UBSan over the pure rooms of src/. It starts from test/fuzz/corpus/NAME, with the words in NAME.dict if
# there are any, and passes when no property failed. MIGRATION_FUZZ_SECONDS each (5); MIGRATION_TESTS="NAME ..." only
# these; MIGRATION_FUZZ_DIR keeps what is found and the inputs that reached new code; MIGRATION_BUILD (build/) has the
# programs: build/fuzz/NAME FILE tries a finding once more.
set -uo pipefail
tree=${MIGRATION_TREE:-$(cd "$(dirname "$0")/.." && pwd)}
seconds=${MIGRATION_FUZZ_SECONDS:-5}
cxx=${FUZZ_CXX:-clang++-14}
if ! printf 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }' |
  "$cxx" -fsanitize=fuzzer,address -x c++ - -o /dev/null 2>/dev/null; then
  echo "skip - $cxx with libFuzzer cannot be had"
  echo "0 passed, 0 failed"
  exit 0
fi
out=${MIGRATION_FUZZ_DIR:-$(mktemp -d)}
[ -n "${MIGRATION_FUZZ_DIR:-}" ] || trap 'rm -rf "$out"' EXIT
mkdir -p "$out"
cd "$tree" || exit 2

targets=()
for file in test/fuzz/*.cpp; do
  name=$(basename "$file" .cpp)
  case " ${MIGRATION_TESTS:-$name} " in *" $name "*) targets+=("$name") ;; esac
done
# Names of other layers' tests were asked for.
if [ ${#targets[@]} = 0 ]; then
  echo "0 passed, 0 failed"
  exit 0
fi
build=${MIGRATION_BUILD:-$tree/build}/fuzz
mkdir -p "$build"
# -k: a target that does not compile keeps no other from running.
flock "$build/lock" make -s -k -j "${JOBS:-$(nproc)}" -f test/fuzz/Makefile OUT="$build" FUZZ_CXX="$cxx" \
  "${targets[@]/#/$build/}" >"$build/log" 2>&1 || tail -n 40 "$build/log"

# Sources may be edited from here on.
built=
for name in "${targets[@]}"; do
  if make -s -q -f test/fuzz/Makefile OUT="$build" FUZZ_CXX="$cxx" "$build/$name" 2>/dev/null; then built+=" $name "; fi
done

good=0
bad=0
for name in "${targets[@]}"; do
  mkdir -p "$out/$name"
  : >"$out/$name.log"
  dict=test/fuzz/$name.dict
  [ -e "$dict" ] || dict=
  if [[ $built == *" $name "* ]] &&
    "$build/$name" ${dict:+"-dict=$dict"} -max_total_time="$seconds" -timeout=60 -max_len=2048 -print_final_stats=1 \
      -artifact_prefix="$out/$name-" "$out/$name" "test/fuzz/corpus/$name" >"$out/$name.log" 2>&1; then
    echo "ok - $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$out/$name.log") inputs"
    good=$((good + 1))
  else
    echo "not ok - $name"
    tail -n 40 "$out/$name.log"
    bad=$((bad + 1))
  fi
done
echo "$good passed, $bad failed"
[ "$bad" = 0 ]
