// The rows that a backfill by blocks has missed because the application moved them.
//
// What: one query over the whole table, with one snapshot, finds the rows that still need the change; they are changed
// in small transactions; then it looks again. Why not one UPDATE over the whole table: it would keep every row that it
// has changed locked until its scan has come to the end, and two of those in the wrong order are a deadlock. Invariant:
// there is no row left only when a query finds none; what is found is a proposal, the statement that follows changes
// only what still meets the condition. A row that still does when it has been changed, because its value stays what it
// was, is not changed again unless somebody else touches it. When there are more than can be remembered (a partition
// was attached with its rows), all tables are gone through once by ranges of blocks before the next look. Locks: as a
// SELECT; those of a batch.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "pg/prepared.hpp"
#include "worker/backfill_job.hpp"

namespace migration {

/// At the start of a transaction that looks at the whole table.
void begin_look(BackfillJob& job);

class LastLook {
 public:
  explicit LastLook(BackfillJob& job);

  enum class End {
    none_left,  ///< seen by the transaction in which `end` ran
    rows_fail,  ///< some of what is left, or was set aside before
    rows_left,  ///< the application moves them faster than they are changed
    stopped
  };
  /// Looks and changes until nothing is left; `go_on` is asked before each transaction. Errors: those of a batch,
  /// except a row's own and those of locks.
  End settle(const std::function<bool()>& go_on, const std::function<void()>& end);

 private:
  /// Inside a transaction: looks. False when there are too many to remember.
  bool find();
  /// Changes what needs it, range of blocks by range of blocks.
  enum class Through { yes, stopped, rows_fail, rows_left };
  Through go_through(const std::function<bool()>& go_on);
  /// A transaction of changes. Empty, or the state of the error that took it back.
  std::string try_to(const std::function<void()>& f);
  /// Changes some of the rows that were found, and forgets them. Empty, or the state of the error that took it back.
  std::string change_some();
  void change();

  BackfillJob& job_;
  int generation_ = -1;
  int tries_ = 0;        ///< taken back by a lock, or a deadlock
  std::size_t at_once_;  ///< rows of one transaction; fewer when somebody is in the way
  std::unique_ptr<pg::Prepared> look_;
  std::map<unsigned, std::unique_ptr<pg::Prepared>> change_;  ///< by leaf
  std::map<unsigned, std::vector<pg::RowId>> found_;
  /// A row version: table, block, line pointer, transaction. The last, because another may come to stand in its place.
  using Version = std::tuple<unsigned, std::uint32_t, std::uint16_t, unsigned>;
  std::set<Version> unmoved_;         ///< changed, and they need it still
  std::vector<Version> unmoved_now_;  ///< by the transaction in hand
};

}  // namespace migration
