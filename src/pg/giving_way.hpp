// Giving way, as an autovacuum does.
//
// What: while alive, whoever has waited for a lock of this process for deadlock_timeout has the server cancel what it
// does (57014). A cancel that comes when it is done already is forgotten. Why: an ALTER TABLE that waits for a long
// VACUUM keeps everybody waiting who comes after it; the server spares them that for its own workers, by a flag in
// PGPROC that ProcSleep() looks at (storage/lmgr/proc.c). Invariant: the flag is this process's own and is gone
// afterwards; it is to outlive the transaction, also an aborted one, whose locks of every kind are back then. Locks:
// ProcArrayLock, for a moment.
#pragma once

namespace migration::pg {

class GivingWay {
 public:
  GivingWay();
  ~GivingWay();
  GivingWay(const GivingWay&) = delete;
  GivingWay& operator=(const GivingWay&) = delete;
};

}  // namespace migration::pg
