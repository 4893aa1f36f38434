// Interrupting a worker from another session.
//
// What: cancel_at_commit() sends a query cancel to a process when this transaction commits. Why at commit: the worker
// looks in the ledger for what is wanted of it, and must find it there. Invariant: a rolled-back wish signals nobody.
#pragma once

namespace migration::pg {

/// Cancels what process `pid` is doing (as pg_cancel_backend does) once this transaction has committed.
void cancel_at_commit(int pid);

}  // namespace migration::pg
