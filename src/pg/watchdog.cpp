// The timer behind Watchdog, and crash points; see watchdog.hpp.
#include "pg/watchdog.hpp"

#include <csignal>
#include <string>

#include <unistd.h>

#include "pg/guard.hpp"
#include "pg/settings.hpp"

extern "C" {
#include "storage/latch.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"
}

namespace migration::pg {

namespace {

constexpr int period_ms = 100;
TimeoutId g_timer = MAX_TIMEOUTS;
volatile sig_atomic_t g_budget_ticks = 0;
volatile sig_atomic_t g_every_wait = 0;
volatile sig_atomic_t g_ticks = 0;
volatile sig_atomic_t g_fired = 0;

void tick() {
  const LOCK* waiting = MyProc == nullptr ? nullptr : MyProc->waitLock;
  if (waiting == nullptr || (g_every_wait == 0 && waiting->tag.locktag_type != LOCKTAG_RELATION)) {
    g_ticks = 0;
    return;
  }
  g_ticks = g_ticks + 1;
  if (g_ticks < g_budget_ticks) return;
  g_fired = 1;
  InterruptPending = 1;
  QueryCancelPending = 1;
  SetLatch(MyLatch);
}

}  // namespace

Watchdog::Watchdog(int lock_budget_ms, bool every_wait) {
  g_every_wait = every_wait ? 1 : 0;
  g_budget_ticks = lock_budget_ms / period_ms + 1;
  g_ticks = 0;
  g_fired = 0;
  pg_call([] {
    if (g_timer == MAX_TIMEOUTS) g_timer = RegisterTimeout(USER_TIMEOUT, tick);
    enable_timeout_every(g_timer, TimestampTzPlusMilliseconds(GetCurrentTimestamp(), period_ms), period_ms);
  });
}

Watchdog::~Watchdog() {
  // Cheap and safe with an error in flight: it only edits the list of timers.
  disable_timeout(g_timer, false);
}

bool Watchdog::fired() {
  return g_fired != 0;
}

void crash_point([[maybe_unused]] const char* name, [[maybe_unused]] int step) {
#ifdef MIGRATION_TEST_HOOKS
  const std::string wanted = settings().crash_at;
  if (wanted.empty()) return;
  if (wanted == name || wanted == std::string(name) + ":" + std::to_string(step)) kill(getpid(), SIGKILL);
#endif
}

}  // namespace migration::pg
