# What: copies of the source tree. Why: tests build and run on a copy, so that the checkout stays clean, may be readable
# by its owner only, and may be edited meanwhile. Source this file; it runs nothing by itself.
# shellcheck shell=bash

# The files of a tree, one per line, without what builds and tests leave behind.
tree_files() {
  (cd "$1" && find . \( -name .git -o -path ./build -o -path ./results -o -path ./output_iso -o -path ./tmp_check \
    -o -name __pycache__ -o -name .deps \) -prune -o -type f ! -name '*.o' ! -name '*.d' ! -name '*.so' ! -name '*.bc' \
    ! -name '.build-flags' ! -name 'regression.*' -print | LC_ALL=C sort)
}

# copy_tree FROM TO: a fresh copy. A file that goes away meanwhile is not an error.
copy_tree() {
  mkdir -p "$2"
  tree_files "$1" | { tar -C "$1" -c -f - -T - 2>/dev/null || true; } | tar -C "$2" -x --no-same-owner -f -
  chmod -R u+rwX,go+rX "$2"
}

# sync_tree FROM TO: makes an older copy equal again. A changed file gets the time of now and an unchanged one is left
# alone, so make rebuilds exactly what changed even if somebody edits during the copy; files that went are removed.
sync_tree() {
  local from=$1 to=$2 file
  mkdir -p "$to"
  tree_files "$from" >"$to.files"
  tree_files "$to" | LC_ALL=C comm -13 "$to.files" - | while IFS= read -r file; do
    rm -f "$to/$file" "$to/${file%.cpp}.o" "$to/${file%.cpp}.d"
    rm -f "$to"/*.so
  done
  while IFS= read -r file; do
    cmp -s "$from/$file" "$to/$file" && continue
    [ -e "$from/$file" ] || continue
    mkdir -p "$to/$(dirname "$file")"
    rm -f "$to/$file"
    cp "$from/$file" "$to/$file"
  done <"$to.files"
  rm -f "$to.files"
}
