// One batch of a backfill: the transaction, and what becomes of it when it fails.
//
// What: rows and cursor in one transaction, fenced by the owner's epoch. A batch that a row makes fail is made again,
// row by row; one that lost a lock is made smaller. Invariant: after an error the record is what the ledger says.
// Locks: each statement under lock_timeout; after the commit nothing.
#pragma once

#include <exception>

#include "worker/cursor.hpp"
#include "worker/pace.hpp"
#include "worker/verify.hpp"

namespace migration {

class OneBatch {
 public:
  /// `worker`: 0 leads.
  OneBatch(BackfillJob& job, Cursor& cursor, FillProof& proof, int worker)
      : job_(job), cursor_(cursor), proof_(proof), worker_(worker) {}

  enum class End {
    more,
    done,       ///< of the range in hand, or of the job
    met_again,  ///< a watched row still meets the condition; the batch was rolled back, why() is its error
  };
  /// A batch; when a row makes it fail, the same rows again with the bad ones set aside. Errors: the row's own when
  /// more of them fail than may; those of locks; 57P01.
  End run(Pace& pace);
  const std::exception_ptr& why() const { return why_; }

  /// After it: waits as setting synchronous_commit wants it, without a lock that anybody else could want: the next
  /// commit record carries all before it with it. Between the passes of a window there is nothing to wait for.
  void await_durability();
  /// Before it: neither this nor the application is to wait for a new file of WAL in the middle of a transaction.
  void make_wal_files() const;

 private:
  bool batch(Pace& pace, bool careful);

  BackfillJob& job_;
  Cursor& cursor_;
  FillProof& proof_;
  const int worker_;
  std::exception_ptr why_;
  long long wal_ = 0;  ///< of the last batches, the most that one has written
};

}  // namespace migration
