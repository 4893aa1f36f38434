// VACUUM of the table that a backfill goes through, by the backfill.
//
// What: counts what has been gone through and how many rows got a new place, and runs VACUUM when it is time for it
// (setting `vacuum`). Why, and when: see backfill/vacuum.hpp. Invariant: only between two transactions, by the process
// that leads; a failure (a lock that was not to be had) costs nothing but room. Locks: SHARE UPDATE EXCLUSIVE, which
// waits for nobody (SKIP_LOCKED) and keeps neither reads nor writes from going on. It ends when the run is paused or
// cancelled, when somebody has waited for that lock for deadlock_timeout, and when the time window closes.
#pragma once

#include <optional>
#include <string>

#include "worker/backfill_job.hpp"

namespace migration {

class Vacuuming {
 public:
  explicit Vacuuming(BackfillJob& job) : job_(job) {}

  /// What is known of the table from here on; a table that is not the last one is counted anew. `passes`: new row
  /// versions stay on their pages.
  struct Table {
    unsigned oid = 0;
    std::string name;
    long long blocks = 0;
    bool indexes = false, passes = false;
  };
  void of(Table table);
  /// `share` of the table (1: all of it) has been gone through by this process.
  void passed(double share) {
    passed_ += share;
    done_ += share;
  }
  /// Of `rows` rows that were looked at, `moved` got a place on another page.
  void saw(long long rows, long long moved) {
    rows_ += rows;
    moved_ += moved;
  }
  /// Most of `all` (blocks, rows) that a window may take, so that a VACUUM is not long overdue at its end.
  long long most_of(long long all) const;
  /// Between two transactions. It is ended after `within_ms` (nothing: never). True when there was one. Errors: 57014,
  /// 57P01.
  bool when_due(std::optional<double> within_ms);

 private:
  /// Percent of the table from one VACUUM to the next; 0: none.
  int after() const;

  BackfillJob& job_;
  Table table_;
  double passed_ = 0, done_ = 0;  ///< since the last time, and in all
  long long rows_ = 0, moved_ = 0;
};

}  // namespace migration
