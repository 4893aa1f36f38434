// Interrupting a worker from another session.
//
// What: cancel_at_commit() sends a query cancel to a process when this transaction commits, wake_at_commit() sets its
// latch, so that one that rests looks at the ledger at once. Why at commit: the worker looks in the ledger for what is
// wanted of it, and must find it there. Invariant: a rolled-back wish signals nobody.
#pragma once

namespace migration::pg {

/// Cancels what process `pid` is doing (as pg_cancel_backend does) once this transaction has committed.
void cancel_at_commit(int pid);

/// Wakes process `pid` once this transaction has committed; whatever it does otherwise goes on.
void wake_at_commit(int pid);

}  // namespace migration::pg
