// A backfill by blocks: windows of a table, each in several passes.
//
// What: goes through the blocks of every leaf in ascending order, a window at a time. A window is looked at once for
// the rows that need the change; then each pass, a transaction of its own, updates those whose new versions fit on
// their own pages (see backfill/passes.hpp and pg/heap_pages.hpp). Deletes, and tables for which passes do not pay,
// take a window in one statement. Invariants: the cursor stands before the window until all its passes are done, so
// whatever dies, the window is looked at again and only rows that still need the change are changed; passes are about
// where new versions go, never about which rows change. Locks: each statement under lock_timeout; nothing between
// passes.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backfill/passes.hpp"
#include "pg/heap_pages.hpp"
#include "pg/prepared.hpp"
#include "worker/backfill_job.hpp"

namespace migration {

class BlockWindows {
 public:
  explicit BlockWindows(BackfillJob& job) : job_(job) {}

  /// Inside a transaction: one pass, or one window in one statement. False when the last block is done.
  bool batch();
  /// The same for a short window, halving where it fails and setting single rows aside.
  bool careful_batch();
  /// All rows of all leaves that still need the change, halving where it fails; again until one look at the whole table
  /// finds no more rows than those that failed. Errors: 55000 when writers keep it from getting there.
  void careful_sweep();
  /// Most blocks of the next window.
  long long limit() const;
  /// In the transaction of batch(), after it: the size that its cost proposes for the next window. The least of all
  /// passes counts.
  void measured(long long blocks);
  /// When the transaction of batch() has committed: how long to wait before the next one, because dead rows cannot be
  /// pruned yet; nothing is held meanwhile.
  int pause_ms();
  /// The leaf in work when it is time to vacuum it (setting `vacuum`), else empty.
  std::string due_for_vacuum();
  /// The current window has to be looked at again (its transaction failed).
  void forget() { window_.reset(); }

 private:
  struct Leaf {
    unsigned oid = 0;
    std::string name;
    int passes = 1;
    int growth = 8;
    std::unique_ptr<pg::Prepared> whole, look, rows;
  };
  /// The leaf in work, entered; false when there is none left, or the partition is gone.
  bool at_leaf();
  bool leaves_left() const;
  bool move_on(long long to);
  /// Returns how many rows fail.
  long long change_carefully(long long from, long long to);
  void enter_leaf(std::size_t i);
  void next_leaf(std::size_t i);
  void start_over(std::size_t i, unsigned file);
  void pass(long long to);
  void learn(const pg::PassLook& look, bool all);
  void tell_holder();

  BackfillJob& job_;
  std::optional<Leaf> leaf_;
  std::optional<pg::Window> window_;
  std::vector<pg::RowId> ids_;
  long long window_end_ = 0;
  long long vacuumed_ = 0;  ///< block of the leaf up to which it has been vacuumed
  int pass_ = 0;
  int wanted_passes_ = 0;  ///< the setting that leaf_ was entered with
  int generation_ = 0;
  int stuck_ = 0;                      ///< looks in a row that found nothing to take
  int waited_ms_ = 0;                  ///< for the horizon, in this window
  int patience_ms_ = 2000;             ///< longest wait for the horizon in one window
  bool told_ = false;                  ///< who holds the horizon has been said
  std::size_t stayed_ = 0, left_ = 0;  ///< sampled rows of this leaf: in place, moved against the plan
  long long proposed_ = 0;             ///< size of the next window; 0: nothing proposed yet
  bool last_had_passes_ = false, after_all_ = false;
};

}  // namespace migration
