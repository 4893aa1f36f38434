#!/usr/bin/env bash
# What: test/lint.sh [format | FILE...]: clang-format and clang-tidy over the sources (or some of them), warnings are
# errors; `format` reformats them in place. Uses version 14 of both, so that everybody gets the same answer.
set -uo pipefail
umask 022
here=$(cd "$(dirname "$0")" && pwd)
tree=$(dirname "$here")
# shellcheck source=test/lib/packages.sh
. "$here/lib/packages.sh"
cd "$tree" || exit 2

all_sources() { find src test bench -type f \( -name '*.cpp' -o -name '*.hpp' \) 2>/dev/null | LC_ALL=C sort; }

need_packages clang-format-14 || exit 1
if [ "${1:-}" = format ]; then
  all_sources | xargs -r clang-format-14 -i
  exit 0
fi
mapfile -t files < <(if [ $# -gt 0 ]; then printf '%s\n' "$@"; else all_sources; fi)
status=0
clang-format-14 --dry-run -Werror "${files[@]}" || status=1

major=$(choose_major) && need_server_packages "$major" && need_packages cmake libgtest-dev nlohmann-json3-dev clang-tidy-14 || exit 1
build=${MIGRATION_BUILD:-$tree/build}/lint
mkdir -p "$build"
cmake -S . -B "$build" -DPG_CONFIG="${PG_CONFIG:-/usr/lib/postgresql/$major/bin/pg_config}" >"$build.log" 2>&1 || {
  tail -n 20 "$build.log"
  exit 1
}
# Only translation units that the build knows; headers are seen through them.
printf '%s\n' "${files[@]}" | grep '\.cpp$' | while IFS= read -r file; do
  if grep -qF "/$file\"" "$build/compile_commands.json"; then echo "$file"; fi
done >"$build.files"
xargs -r -n 1 -P "${JOBS:-$(nproc)}" clang-tidy-14 -p "$build" --quiet <"$build.files" 2>"$build.log" || status=1
grep -E 'error:' "$build.log" | head -n 20
echo "lint: $(wc -l <"$build.files") files through clang-tidy, ${#files[@]} through clang-format: $([ "$status" = 0 ] && echo clean || echo not clean)"
exit "$status"
