// Watching one top-level statement that cannot have a lock_timeout.
//
// What: while alive, looks ten times a second at what this process waits for. Waiting for a lock on a relation longer
// than the budget cancels the statement; waiting for other transactions to end (virtual transaction ids) does not.
// Why: lock_timeout also counts the waits for old snapshots inside CREATE INDEX CONCURRENTLY and then leaves an INVALID
// index; only a wait for a table lock can hold up an application. Invariant: the handler runs in signal context, so it
// reads this process's own PGPROC and sets flags, nothing else.
#pragma once

namespace migration::pg {

class Watchdog {
 public:
  /// With `every_wait` the budget holds for any lock, also for other transactions to end.
  explicit Watchdog(int lock_budget_ms, bool every_wait = false);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;
  /// Was it this watchdog that cancelled the statement?
  static bool fired();
};

/// Test builds: kills this process (SIGKILL) when migration_ext.crash_at names the point. Nothing otherwise.
void crash_point(const char* name, int step);

}  // namespace migration::pg
