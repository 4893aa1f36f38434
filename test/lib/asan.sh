# What: puts the address and undefined behaviour sanitizers under a private server. Why: the stock server was linked
# without them, so they must be loaded before it, and loading them the usual way hangs every program that links
# libgpg-error: its constructor holds a glibc lock while its first malloc starts the sanitizer. A shim that starts the
# sanitizer before any constructor cures that. `postgres` becomes a wrapper script, so that every way to start a server
# (pg_ctl, initdb, TAP nodes) is covered while clients stay as they are.
# Sourced by run.sh after private_install; uses PG_BIN and work.
# shellcheck shell=bash

echo 'extern void __asan_init(void); __attribute__((constructor)) static void early(void) { __asan_init(); }' \
  >"$work/asan_first.c"
gcc -shared -fPIC -o "$work/asan_first.so" "$work/asan_first.c" -Wl,-z,initfirst -Wl,--unresolved-symbols=ignore-all
mv "$PG_BIN/postgres" "$PG_BIN/postgres.real"
cat >"$PG_BIN/postgres" <<WRAPPER
#!/bin/bash
# gcc's runtimes before everything else, also before what a test puts under a server. Leaks are not looked for, as
# PostgreSQL leaves memory to the end of a process.
export LD_PRELOAD=$(gcc -print-file-name=libasan.so):$(gcc -print-file-name=libubsan.so):$work/asan_first.so\${LD_PRELOAD:+:\$LD_PRELOAD}\${ASAN_CANARY:+:\$ASAN_CANARY}
export ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:detect_odr_violation=0:detect_stack_use_after_return=0:use_sigaltstack=0
export UBSAN_OPTIONS=print_stacktrace=1
exec -a "\$0" "$PG_BIN/postgres.real" "\$@"
WRAPPER
chmod 755 "$PG_BIN/postgres"

# Silence must mean that nothing was found: a server with one byte too many and one overflow under it reports both.
cat >"$work/asan_canary.c" <<'CANARY'
#include <limits.h>
#include <stdlib.h>
__attribute__((constructor)) static void sing(void) {
  volatile int most = INT_MAX;
  most = most + 1;
  volatile char *memory = malloc(16);
  memory[16] = (char)most;
}
CANARY
gcc -shared -fPIC -fsanitize=address,undefined -o "$work/asan_canary.so" "$work/asan_canary.c"
ASAN_CANARY=$work/asan_canary.so "$PG_BIN/postgres" --version >"$work/canary" 2>&1
if ! grep -q 'runtime error: signed integer overflow' "$work/canary" || ! grep -q 'AddressSanitizer: heap-buffer-overflow' "$work/canary"; then
  show "$work/canary" 20
  count sanitizer 0 1
fi
