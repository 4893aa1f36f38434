// The signal sent at commit; see signal.hpp.
#include "pg/signal.hpp"

#include <csignal>

#include "pg/guard.hpp"

extern "C" {
#include "access/xact.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/procarray.h"
}

namespace migration::pg {

namespace {

int g_cancel = 0;
int g_wake = 0;

void on_transaction_end(XactEvent event, void*) {
  if (g_cancel == 0 && g_wake == 0) return;
  if (event == XACT_EVENT_COMMIT) {
    // The worker may have ended meanwhile; its PID is only signalled while it is a process of this server.
    if (g_cancel != 0 && BackendPidGetProc(g_cancel) != nullptr) kill(g_cancel, SIGINT);
    PGPROC* sleeper = g_wake == 0 ? nullptr : BackendPidGetProc(g_wake);
    if (sleeper != nullptr) SetLatch(&sleeper->procLatch);
    g_cancel = g_wake = 0;
  } else if (event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE) {
    g_cancel = g_wake = 0;
  }
}

void listen_for_the_end() {
  static bool registered = false;
  if (registered) return;
  pg_call([] { RegisterXactCallback(on_transaction_end, nullptr); });
  registered = true;
}

}  // namespace

void cancel_at_commit(int pid) {
  listen_for_the_end();
  g_cancel = pid;
}

void wake_at_commit(int pid) {
  listen_for_the_end();
  g_wake = pid;
}

}  // namespace migration::pg
