// The signal sent at commit; see signal.hpp.
#include "pg/signal.hpp"

#include <csignal>

#include "pg/guard.hpp"

extern "C" {
#include "access/xact.h"
#include "storage/proc.h"
#include "storage/procarray.h"
}

namespace migration::pg {

namespace {

int g_pid = 0;

void on_transaction_end(XactEvent event, void*) {
  if (g_pid == 0) return;
  if (event == XACT_EVENT_COMMIT) {
    // The worker may have ended meanwhile; its PID is only signalled while it is a process of this server.
    if (BackendPidGetProc(g_pid) != nullptr) kill(g_pid, SIGINT);
    g_pid = 0;
  } else if (event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE) {
    g_pid = 0;
  }
}

}  // namespace

void cancel_at_commit(int pid) {
  static bool registered = false;
  if (!registered) {
    pg_call([] { RegisterXactCallback(on_transaction_end, nullptr); });
    registered = true;
  }
  g_pid = pid;
}

}  // namespace migration::pg
