// The timer behind Deadline; see deadline.hpp.
#include "pg/deadline.hpp"

#include <csignal>

#include "pg/guard.hpp"

extern "C" {
#include "storage/latch.h"
#include "utils/timeout.h"
}

namespace migration::pg {

namespace {

TimeoutId g_timer = MAX_TIMEOUTS;
volatile sig_atomic_t g_fired = 0;
volatile sig_atomic_t g_ours = 0;  ///< the pending cancel was set by us

void strike() {
  g_fired = 1;
  g_ours = QueryCancelPending == 0 ? 1 : 0;
  InterruptPending = 1;
  QueryCancelPending = 1;
  SetLatch(MyLatch);
}

}  // namespace

Deadline::Deadline(int milliseconds) {
  g_fired = 0;
  g_ours = 0;
  pg_call([&] {
    if (g_timer == MAX_TIMEOUTS) g_timer = RegisterTimeout(USER_TIMEOUT, strike);
    enable_timeout_after(g_timer, milliseconds);
  });
}

Deadline::~Deadline() {
  disable_timeout(g_timer, false);
  if (g_ours != 0) QueryCancelPending = 0;
  g_ours = 0;
}

bool Deadline::fired() {
  return g_fired != 0;
}

}  // namespace migration::pg
