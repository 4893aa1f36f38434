// Proving that a backfill left no gap.
//
// What: watches over the fill trigger that the plan made for a backfill, and looks through the table at the end when
// verify => 'scan' asks for it. Why watching: with the trigger standing from before the job was made to its end, every
// row that needs the change was there at the start, so going through the blocks once is exact and no last look at the
// whole table is needed. Invariants: a trigger that is gone or disabled while the job is at work stops the run with
// 55000; starting or resuming makes it again and remembers that it did not stand all the time, so the last look is
// taken. Locks: making it again takes SHARE ROW EXCLUSIVE under lock_timeout; a scan takes what a SELECT takes.
#pragma once

#include <functional>
#include <string>

#include "worker/backfill_job.hpp"

namespace migration {

class FillProof {
 public:
  explicit FillProof(BackfillJob& job) : job_(job) {}

  /// In the transaction that starts the step, after it is marked started.
  void begin();
  /// In the transaction of a batch. Errors: 55000 when the trigger no longer stands, or the constraint is gone.
  void check();
  /// Between the batches and the end: verify => 'scan'. `sweep` changes what is left, in transactions of its own, and
  /// is false when told to stop; `go_on` is asked between ranges. False when told to stop. Errors: 55000 when rows are
  /// left after some rounds.
  bool scan(const std::function<bool()>& go_on, const std::function<bool()>& sweep);
  /// In the last transaction: has the whole table to be looked at once more? Errors: as check().
  bool needs_sweep();

 private:
  bool stands();
  /// Does a row that meets the condition prove that it was missed?
  bool can_scan() const;
  /// How many meet it, also in words.
  long long needing(std::string& count);
  /// A row that still needs the change, as text; empty when there is none. False when told to stop.
  bool look(const std::function<bool()>& go_on, std::string& found);

  BackfillJob& job_;
  std::string trigger_;  ///< its name, quoted; empty: the plan made none
  std::string check_;    ///< the constraint of verify => 'constraint', unquoted; empty: the plan made none
  unsigned oid_ = 0;     ///< of the trigger that has stood all the time; 0: none has
  double checked_ms_ = 0;
  bool scanned_ = false;
};

}  // namespace migration
