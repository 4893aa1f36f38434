#!/usr/bin/env bash
# What: test/assert.sh [layer...]: the server tests on a PostgreSQL built with --enable-cassert.
# Why: packaged servers have assertions off and do not overwrite freed memory; here a wrong memory context, a leaked
# buffer or a missing snapshot stops the server instead of passing by luck.
# The server is built once from the distribution's source package into MIGRATION_CHROOTS (default
# /var/cache/migration_ext) as assert-MAJOR; `test/assert.sh prepare` only builds it.
# MIGRATION_PGSRC names an unpacked PostgreSQL source tree to use instead of the package.
set -euo pipefail
umask 022
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=test/lib/packages.sh
. "$here/lib/packages.sh"

caches=${MIGRATION_CHROOTS:-/var/cache/migration_ext}
if [ "$(id -u)" != 0 ]; then
  exec sudo MIGRATION_CHROOTS="$caches" MIGRATION_PGSRC="${MIGRATION_PGSRC:-}" PGMAJOR="${PGMAJOR:-}" \
    JOBS="${JOBS:-}" "$0" "$@"
fi
major=$(PG_CONFIG='' choose_major)
prefix=$caches/assert-$major

# Unpacks PostgreSQL as released, into ./source: the tarball in the source package, without the distribution's patches.
# (Debian's write /usr/lib/postgresql/MAJOR/lib into the makefiles whatever --prefix says, so that `make install` of a
# private build would overwrite the machine's own server.) The list of sources is made here from the machine's own list
# of binary packages, because deb-src is switched off on most machines.
fetch_source() {
  need_packages dpkg-dev
  update_package_lists
  mkdir -p lists/partial parts
  apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)|$(SIGNED_BY)' 'Created-By: Packages' | sort -u |
    while IFS='|' read -r line key; do
      case $key in /*) key="[signed-by=$key] " ;; *) key= ;; esac
      echo "deb-src $key$line"
    done | grep -Ew 'main' >sources.list
  local options=(-qq -o "Dir::Etc::SourceList=$PWD/sources.list" -o "Dir::Etc::SourceParts=$PWD/parts"
    -o "Dir::State::Lists=$PWD/lists" -o APT::Sandbox::User=root -o Acquire::Retries=3)
  apt-get "${options[@]}" update
  # A mirror may list a version that it does not hold: newest first, whichever can be had.
  local version
  for version in $(apt-cache "${options[@]:1}" showsrc "postgresql-$major" | sed -n 's/^Version: //p' | sort -rVu); do
    apt-get "${options[@]}" --download-only source "postgresql-$major=$version" || continue
    mkdir source
    tar -C source --strip-components=1 -xf postgresql-"$major"_*.orig.tar.*
    return 0
  done
  echo "no source of postgresql-$major can be fetched" >&2
  return 1
}

build_server() {
  need_packages gcc make perl bison flex libicu-dev zlib1g-dev liblz4-dev libipc-run-perl pkg-config bzip2 patch
  if [ -n "${MIGRATION_PGSRC:-}" ]; then
    cp -a "$MIGRATION_PGSRC" source
  else
    fetch_source
  fi
  local stage=$PWD/stage stray
  cd source
  CFLAGS='-O1 -g -fno-omit-frame-pointer' ./configure --quiet --prefix="$prefix" --enable-cassert --enable-debug \
    --enable-tap-tests --with-icu --with-lz4 --without-readline
  make -s -j "${JOBS:-2}"
  make -s -C contrib -j "${JOBS:-2}"
  # Nothing is written outside the stage, and nothing leaves it that does not belong below the prefix.
  make -s install DESTDIR="$stage"
  make -s -C contrib install DESTDIR="$stage"
  stray=$(find "$stage" ! -type d ! -path "$stage$prefix/*" | head -n 5)
  if [ -n "$stray" ]; then
    printf 'this source does not keep to its prefix:\n%s\n' "$stray" >&2
    return 1
  fi
  mv "$stage$prefix" "$prefix"
  touch "$prefix/.ready"
}

# The build is a process of its own, because bash ignores `set -e` wherever a result is tested.
if [ "${1:-}" = build-here ]; then
  build_server
  exit 0
fi

mkdir -p "$caches"
(
  flock 9
  if [ ! -e "$prefix/.ready" ]; then
    echo "making $prefix (PostgreSQL $major with assertions): about ten minutes, once"
    rm -rf "$prefix"
    work=$(mktemp -d "$caches/build.XXXXXX")
    log=$caches/assert-$major.log
    if ! (cd "$work" && exec "$here/assert.sh" build-here) >"$log" 2>&1; then
      tail -n 30 "$log" >&2
      echo "building the server failed: see $log and $work" >&2
      exit 1
    fi
    rm -rf "$work"
  fi
) 9>"$caches/assert-$major.lock"

if [ "${1:-}" = prepare ]; then
  echo "$prefix is ready"
  exit 0
fi
[ $# -gt 0 ] || set -- build regress isolation tap
PG_CONFIG=$prefix/bin/pg_config exec "$here/run.sh" "$@"
