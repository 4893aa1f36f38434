#!/usr/bin/env bash
# What: test/major.sh 17|18 [layer...]: builds and tests the tree on another PostgreSQL major.
# Why: a Debian release has one major; the others come from newer releases unpacked in a folder of their own.
# The folders stay in MIGRATION_CHROOTS (default /var/cache/migration_ext) and are used again.
# `test/major.sh 17 prepare` makes the folder and stops; `test/major.sh 17 shell CMD...` runs a command inside.
set -euo pipefail
umask 022
here=$(cd "$(dirname "$0")" && pwd)
tree=$(dirname "$here")

case ${1:-} in
  17) suite=trixie ;;
  18) suite=forky ;;
  *)
    echo "usage: test/major.sh 17|18 [layer...|prepare|shell COMMAND...]" >&2
    exit 2
    ;;
esac
major=$1
shift

if [ "$(id -u)" != 0 ]; then
  exec sudo MIGRATION_CHROOTS="${MIGRATION_CHROOTS:-}" JOBS="${JOBS:-}" "$0" "$major" "$@"
fi
# shellcheck source=test/lib/packages.sh
. "$here/lib/packages.sh"
# shellcheck source=test/lib/tree.sh
. "$here/lib/tree.sh"

caches=${MIGRATION_CHROOTS:-/var/cache/migration_ext}
root=$caches/$major
packages="postgresql-$major postgresql-server-dev-$major g++ make cmake libfmt-dev libgtest-dev nlohmann-json3-dev
  libipc-run-perl libjson-perl procps perl"
contents="with security updates: $packages"

# The Debian mirror this machine already uses, so that no address is written down here; none: debootstrap's own.
debian_mirror() {
  [ "$(. /etc/os-release && echo "$ID")" = debian ] || return 0
  apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
    sed -n 's/^Debian|Debian|//p' | grep -v security | head -n 1
}

# The same for security updates. pg_upgrade wants both servers equally new: an older release does not read what a newer
# release of the major before it has written down about columns.
security_mirror() {
  [ "$(. /etc/os-release && echo "$ID")" = debian ] || return 0
  apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
    sed -n 's/^Debian|Debian-Security|//p' | head -n 1
}

make_folder() {
  need_packages debootstrap
  want_packages debian-archive-keyring
  local new=$root.new script mirror
  rm -rf --one-file-system "$new"
  script=/usr/share/debootstrap/scripts/$suite
  [ -e "$script" ] || script=/usr/share/debootstrap/scripts/sid # every suite newer than this debootstrap
  mirror=$(debian_mirror)
  echo "making $root (Debian $suite, PostgreSQL $major): two to five minutes, once"
  debootstrap --variant=minbase --include=ca-certificates "$suite" "$new" ${mirror:+"$mirror"} \
    ${mirror:+"$script"} >"$caches/$major.log" 2>&1 || {
    tail -n 20 "$caches/$major.log" >&2
    return 1
  }
  mkdir -p "$new/etc/postgresql-common"
  echo 'create_main_cluster = false' >"$new/etc/postgresql-common/createcluster.conf"
  echo 'Acquire::Check-Valid-Until "false";' >"$new/etc/apt/apt.conf.d/90old-snapshot"
  printf '#!/bin/sh\nexit 101\n' >"$new/usr/sbin/policy-rc.d" # no services in here
  chmod 755 "$new/usr/sbin/policy-rc.d"
  cp /etc/resolv.conf "$new/etc/resolv.conf"
  install -d -m 1777 "$new/dev/shm"
  install_packages "$new" || return 1
  mv "$new" "$root"
}

# Runs a command inside, in a process namespace of its own where that is allowed: when it ends, nothing is left behind.
inside() {
  local script='
    root=$1; shift
    mount --make-rprivate / 2>/dev/null
    mount -t proc proc "$root/proc" 2>/dev/null
    mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm" 2>/dev/null
    chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 "$@"'
  local environment=(CI="${CI:-}" JOBS="${JOBS:-$(nproc)}" PGMAJOR="$major" MIGRATION_KEEP="${MIGRATION_KEEP:-}"
    MIGRATION_TESTS="${MIGRATION_TESTS:-}" MIGRATION_OLDER="${older:-}" MIGRATION_BUILD=/var/cache/migration_ext_build)
  if unshare --mount --pid --fork true 2>/dev/null; then
    unshare --mount --pid --fork --kill-child bash -c "$script" inside "$root" "${environment[@]}" "$@"
  else
    bash -c "$script" inside "$root" "${environment[@]}" "$@"
  fi
}

# Into a folder; what is in it is written down in .ready, so that a folder of an older checkout gets what came later.
install_packages() {
  local root=$1 security
  security=$(security_mirror)
  # Released suites only.
  if [ -n "$security" ] && [ "$suite" = trixie ]; then
    echo "deb $security $suite-security main" >"$root/etc/apt/sources.list.d/security.list"
  fi
  {
    # shellcheck disable=SC2086
    inside http_proxy="${http_proxy:-}" apt-get -qq update &&
      inside http_proxy="${http_proxy:-}" DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends $packages &&
      inside apt-get clean
  } >>"$caches/$major.log" 2>&1 || {
    tail -n 20 "$caches/$major.log" >&2
    return 1
  }
  echo "$contents" >"$root/.ready"
}

# bring_older FOLDER: this machine's own server, if it is of an older major, with the extension and with the libraries
# that it needs and the root does not have: for pg_upgrade. Prints its place inside; nothing if there is none. Not into
# suites without security updates, see security_mirror.
bring_older() (
  unset PG_CONFIG PGMAJOR
  # shellcheck source=test/lib/server.sh
  . "$here/lib/server.sh"
  local older name file path
  older=$(choose_major 2>/dev/null) && [ "$older" -lt "$major" ] && need_server_packages "$older" >&2 || return 0
  private_install "$older" "$1" TEST_HOOKS=1 >"$1.log" 2>&1 || { tail -n 30 "$1.log" >&2; return 1; }
  path=$(dirname "$PG_BIN")
  mkdir "$path/older_lib"
  ldd "$PG_BIN"/* "$path"/lib/*.so 2>/dev/null | awk '$2 == "=>" && $3 ~ /^\// { print $1, $3 }' | sort -u |
    while read -r name file; do
      [ -n "$(find "$root/usr/lib" -name "$name" -print -quit)" ] || cp -L "$file" "$path/older_lib"
    done
  echo "${path#"$root"}"
)

mkdir -p "$caches"
(
  flock 9
  if [ ! -e "$root/.ready" ]; then
    make_folder
  elif [ "$(cat "$root/.ready")" != "$contents" ]; then
    echo "installing what is missing in $root"
    install_packages "$root"
  fi
) 9>"$caches/$major.lock"

case ${1:-} in
  prepare) echo "$root is ready" ;;
  shell)
    shift
    inside "$@"
    ;;
  *)
    [ $# -gt 0 ] || set -- build unit regress isolation tap
    copy=$(mktemp -d "$root/var/tmp/migration_ext.XXXXXX")
    trap 'rm -rf --one-file-system "$copy"' EXIT
    chmod 755 "$copy"
    copy_tree "$tree" "$copy"
    older=
    case "$suite $* " in trixie*" tap "*) older=$(bring_older "$copy/older") ;; esac
    status=0
    inside /bin/bash "${copy#"$root"}/test/run.sh" "$@" || status=$?
    exit "$status"
    ;;
esac
