// Waiting without a snapshot.
//
// What: WaitingCall releases every snapshot that a plain `SELECT migration_upgrade(...)` holds for as long as the
// session waits, and takes a new one afterwards. Why: a session that waits inside a statement pins its snapshot, and
// CREATE INDEX CONCURRENTLY in the worker then waits for that session for ever; no deadlock detector can see it.
// Invariant: it is done only when nobody can notice: READ COMMITTED, no transaction id assigned, the statement is
// nothing but this call with constant arguments, and MyProc->xmin is really invalid afterwards. Everything else is
// refused with 25001 before any work. Source: measured on PostgreSQL 15, portals as in src/backend/tcop/pquery.c.
#pragma once

#include "pg/server.hpp"

namespace migration::pg {

class WaitingCall {
 public:
  /// Checks that this call may wait and releases the snapshots. Errors: 25001 with the reason in DETAIL.
  /// `function` is the OID of the function being called, `name` and `hint` go into the message.
  WaitingCall(Oid function, const char* name, const char* hint);
  ~WaitingCall();
  WaitingCall(const WaitingCall&) = delete;
  WaitingCall& operator=(const WaitingCall&) = delete;

  /// Takes a snapshot again; afterwards SQL may run as before. Idempotent.
  void resume();
  /// The same for a short look at the ledger: CREATE INDEX CONCURRENTLY does not wait for a snapshot taken here. Only
  /// tables of the ledger and catalogs may be read before release().
  void resume_to_look();
  /// Releases it once more, to go on waiting.
  void release();

 private:
  bool released_ = false;
  bool looking_ = false;
  int exceptions_;
};

/// Waits on the process latch, at most `milliseconds`; handles interrupts. True when the latch was set.
bool wait_latch(long milliseconds);

/// Waits that long whatever wakes the process; handles interrupts.
void pause(long milliseconds);

}  // namespace migration::pg
