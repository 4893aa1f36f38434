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

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backfill/passes.hpp"
#include "pg/heap_pages.hpp"
#include "pg/prepared.hpp"
#include "pg/row_update.hpp"
#include "worker/backfill_job.hpp"
#include "worker/vacuuming.hpp"

namespace migration {

class BlockWindows {
 public:
  explicit BlockWindows(BackfillJob& job) : job_(job), vacuuming_(job) {}

  /// Inside a transaction: one pass, or one window in one statement. False when the last block is done.
  bool batch();
  /// The same for a short window, halving where it fails and setting single rows aside.
  bool careful_batch();
  /// All rows of all leaves that still need the change, halving where it fails; again until one look at the whole table
  /// finds no more rows than those that failed. Errors: 55000 when writers keep it from getting there.
  void careful_sweep();
  /// Most blocks of the next window.
  long long limit() const;
  /// In the transaction of batch(): it has changed nothing, because the dead rows of every window have to be pruned
  /// first.
  bool waits() const { return waits_; }
  /// The last batch() has brought the cursor forward.
  bool moved() const { return moved_; }
  /// In the transaction of batch(), after it: the size that its cost proposes for the next window. The least of all
  /// passes since the last one counts.
  void measured(long long blocks);
  /// When the transaction of batch() has committed: how long to wait before the next one, because dead rows cannot be
  /// pruned yet; nothing is held meanwhile.
  int pause_ms();
  /// Between two transactions: VACUUM of the leaf in work when it is time for it (setting `vacuum`), so that what later
  /// windows move finds the room of the row versions that earlier ones left dead.
  bool vacuum_when_due(std::optional<double> within_ms) { return vacuuming_.when_due(within_ms); }
  /// The current window has to be looked at again (its transaction failed), or another range is gone through.
  void forget();
  /// Has a window been begun and not ended?
  bool in_window() const { return !lanes_.empty(); }
  /// Has every window that was begun to be ended before another is? Otherwise several are worked on in turn: the
  /// transactions of other workers, and of the application, hold back the pruning of dead rows, and while one window
  /// waits for that there is another to go on with.
  void one_at_a_time(bool one) { most_lanes_ = one ? 1 : several_lanes; }

 private:
  struct Leaf {
    unsigned oid = 0;
    std::string name;
    unsigned file = 0;        ///< what it was stored in when it was looked at
    std::uint64_t known = 0;  ///< pg::catalog_changes() then
    int passes = 1;
    int growth = 8;
    bool dense = false;  ///< nearly all rows need the change: a window is not looked at before its first pass
    std::unique_ptr<pg::Prepared> whole, look;
    std::unique_ptr<pg::RowUpdate> rows;
  };
  /// A window and how far its passes are.
  struct Lane {
    long long from = 0, to = 0;        ///< blocks
    std::optional<pg::Window> window;  ///< once it has been looked at
    std::size_t begun = 0;             ///< pages that the first pass has been over
    int passes = 0;                    ///< after the first
    int stuck = 0;                     ///< looks in a row that found nothing to take
    unsigned last = 0;                 ///< transaction of its last pass
    std::size_t chosen = 0, live = 0;  ///< rows taken so far, row versions on their pages
    long long changed = 0;
    bool first() const { return !window || begun < window->pages.size(); }
    bool done() const { return window && window->open == 0; }
  };
  /// The leaf in work, entered; false when there is none left, or the partition is gone.
  bool at_leaf();
  bool leaves_left() const;
  bool move_on(long long to);
  /// Returns how many rows fail.
  long long change_carefully(long long from, long long to);
  void enter_leaf(std::size_t i);
  void next_leaf();
  void start_over(std::size_t i, unsigned file);
  bool open_lane();
  Lane* next_lane();
  long long change_whole(long long from, long long to);
  void look(Lane& lane);
  void pass(Lane& lane);
  void learn(const pg::PassLook& look, const Lane& lane, bool all);
  void learn_density(const Lane& lane);
  void tell_holder();

  BackfillJob& job_;
  Vacuuming vacuuming_;
  std::optional<Leaf> leaf_;
  /// As many as there are phases in which a transaction of another worker may be.
  static constexpr std::size_t several_lanes = 4;
  std::deque<Lane> lanes_;  ///< in the order of their blocks; the first is not done
  std::size_t lane_ = 0, most_lanes_ = 1;
  long long window_end_ = 0;
  int wanted_passes_ = 0;  ///< the setting that leaf_ was entered with
  int generation_ = 0;
  bool waits_ = false;  ///< nothing can be done now
  bool moved_ = false;
  bool ended_ = false;  ///< the last pass was that of its window
  int waits_in_a_row_ = 0;
  int waited_ms_ = 0;                  ///< for the horizon, since a window was begun
  int patience_ms_ = 2000;             ///< longest wait for the horizon in one window
  bool told_ = false;                  ///< who holds the horizon has been said
  std::size_t stayed_ = 0, left_ = 0;  ///< sampled rows of this leaf: in place, moved against the plan
  long long proposed_ = 0;             ///< size of the next window; 0: nothing proposed yet
  bool last_had_passes_ = false, after_all_ = false;
};

}  // namespace migration
