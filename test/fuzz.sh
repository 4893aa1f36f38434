#!/usr/bin/env bash
# What: the fuzz layer of test/run.sh, or by itself (`make test-fuzz`): every test/fuzz/NAME.cpp is a libFuzzer target with
# ASan and UBSan that starts from test/fuzz/corpus/NAME, with the words in NAME.dict if there is one. MIGRATION_FUZZ_SECONDS each (5); MIGRATION_TESTS="NAME ..." only
# these; MIGRATION_FUZZ_DIR keeps what is found and the inputs that reached new code. A target passes when no property failed.
set -uo pipefail
tree=${MIGRATION_TREE:-$(cd "$(dirname "$0")/.." && pwd)}
seconds=${MIGRATION_FUZZ_SECONDS:-5}
cxx=${FUZZ_CXX:-clang++-14}
if ! command -v "$cxx" >/dev/null; then
  echo "skip - $cxx cannot be had"
  echo "0 passed, 0 failed"
  exit 0
fi
out=${MIGRATION_FUZZ_DIR:-$(mktemp -d)}
[ -n "${MIGRATION_FUZZ_DIR:-}" ] || trap 'rm -rf "$out"' EXIT
mkdir -p "$out"
cd "$tree" || exit 2
good=0
bad=0
for file in test/fuzz/*.cpp; do
  name=$(basename "$file" .cpp)
  case " ${MIGRATION_TESTS:-$name} " in *" $name "*) ;; *) continue ;; esac
  mkdir -p "$out/$name"
  rm -f "$out/$name.log"
  dict=test/fuzz/$name.dict
  [ -e "$dict" ] || dict=
  # shellcheck disable=SC2046
  if "$cxx" -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -DFMT_HEADER_ONLY -Isrc -Itest/fuzz \
    "$file" $(sed -n 's|^// Sources: ||p' "$file") -o "$out/$name.bin" &&
    "$out/$name.bin" ${dict:+"-dict=$dict"} -max_total_time="$seconds" -timeout=20 -max_len=2048 -print_final_stats=1 -artifact_prefix="$out/$name-" \
      "$out/$name" "test/fuzz/corpus/$name" >"$out/$name.log" 2>&1; then
    echo "ok - $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$out/$name.log") inputs"
    good=$((good + 1))
  else
    echo "not ok - $name"
    tail -n 40 "$out/$name.log" 2>/dev/null
    bad=$((bad + 1))
  fi
done
[ $((good + bad)) -gt 0 ] || bad=1
echo "$good passed, $bad failed"
[ "$bad" = 0 ]
