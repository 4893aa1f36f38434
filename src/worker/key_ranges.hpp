// A backfill by key: ranges of an immutable unique key, each row exactly once.
//
// What: each batch finds the key `batch_size` rows above the cursor and changes the rows in between. Invariant: the
// cursor moves in the transaction that changed the rows, so a row is changed once, whatever dies; ranges are half open,
// (low, high]. Locks: each statement under lock_timeout.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "pg/prepared.hpp"
#include "worker/backfill_job.hpp"

namespace migration {

class KeyRanges {
 public:
  explicit KeyRanges(BackfillJob& job) : job_(job) {}
  /// Inside a transaction: one range. False when the last key is done.
  bool batch();
  /// The same, halving where it fails and setting single rows aside.
  bool careful_batch();

 private:
  std::vector<pg::Parameter> parameters(const std::vector<std::string>& high) const;
  void prepare();
  /// The high end of the next range; true when it is the last one.
  bool next_range(std::vector<std::string>& high);
  bool move_on(const std::vector<std::string>& high, bool last);

  BackfillJob& job_;
  int generation_ = 0;
  bool first_ = true;  ///< prepared for a range without a low end
  std::unique_ptr<pg::Prepared> bound_, change_;
};

}  // namespace migration
