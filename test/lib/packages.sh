# What: packages the scripts need, installed when they are missing. Why: a fresh Debian or Ubuntu machine has nothing,
# and a machine that has everything must not be touched. Source this file; it runs nothing by itself.
# shellcheck shell=bash

# Runs a command as root: directly, or through sudo.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null 2>&1; then
    sudo "$@"
  else
    echo "this step needs root and there is no sudo: $*" >&2
    return 1
  fi
}

has_package() { dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed; }

# apt-get update, at most once in this process and the scripts it starts.
update_package_lists() {
  [ -z "${MIGRATION_APT_UPDATED:-}" ] || return 0
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Acquire::Retries=3 update >/dev/null || return 1
  export MIGRATION_APT_UPDATED=1
}

known_package() { apt-cache show --no-all-versions "$1" >/dev/null 2>&1; }

# need_packages NAME...: installs those that are missing; error if one cannot be installed.
need_packages() {
  local name missing=() log
  for name in "$@"; do has_package "$name" || missing+=("$name"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  if ! command -v apt-get >/dev/null 2>&1; then
    echo "please install: ${missing[*]} (this machine has no apt-get)" >&2
    return 1
  fi
  echo "installing: ${missing[*]}"
  update_package_lists || return 1
  log=$(mktemp) || return 1
  if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 \
    install --no-install-recommends "${missing[@]}" >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    rm -f "$log"
    return 1
  fi
  rm -f "$log"
}

# want_packages NAME...: installs those the distribution has; never an error.
want_packages() {
  local name wanted=()
  for name in "$@"; do
    has_package "$name" && continue
    command -v apt-get >/dev/null 2>&1 || return 0
    update_package_lists || return 0
    if known_package "$name"; then wanted+=("$name"); fi
  done
  [ ${#wanted[@]} -eq 0 ] || need_packages "${wanted[@]}" || true
}

# The PostgreSQL major to work with: PGMAJOR, else that of PG_CONFIG, else the newest development files installed here,
# else the newest supported major the distribution offers.
choose_major() {
  local major
  if [ -n "${PGMAJOR:-}" ]; then
    echo "$PGMAJOR"
    return 0
  fi
  if [ -n "${PG_CONFIG:-}" ]; then
    "$PG_CONFIG" --version | sed -E 's/^PostgreSQL ([0-9]+).*/\1/'
    return 0
  fi
  for major in 18 17 16 15; do
    if has_package "postgresql-server-dev-$major"; then
      echo "$major"
      return 0
    fi
  done
  update_package_lists >&2 || return 1
  for major in 18 17 16 15; do
    if known_package "postgresql-server-dev-$major"; then
      echo "$major"
      return 0
    fi
  done
  echo "no PostgreSQL 15 to 18 server packages found" >&2
  return 1
}

# What building and running the extension takes; nothing if PG_CONFIG names a server from elsewhere.
need_server_packages() {
  local major=$1
  need_packages g++ make libfmt-dev || return 1
  [ -n "${PG_CONFIG:-}" ] || need_packages "postgresql-$major" "postgresql-server-dev-$major"
}
