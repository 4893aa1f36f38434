// Does a window of keys pay in passes, and can the next pass begin?
//
// What: the judgement behind the passes of a backfill by key (key_ranges.hpp does them): how many passes a window gets,
// whether the dead versions of the last pass can be pruned yet, and whether new versions stay on their pages at all.
// Passes pay when the rows of a window lie together on full pages, in the order of the key or nearly, and no set column
// is in an index; a random key has every row on a page of its own. Invariants: nothing here decides which rows change;
// what it knows is of this process alone, and one that starts anew may decide otherwise for the next window. Locks: as
// a SELECT.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "backfill/passes.hpp"
#include "pg/prepared.hpp"
#include "worker/backfill_job.hpp"

namespace migration {

class KeyPasses {
 public:
  explicit KeyPasses(BackfillJob& job) : job_(job) {}
  /// Is the window with these ends worth passes, or one statement? Inside a transaction.
  bool pay(const std::vector<pg::Parameter>& window);
  /// How many parts of the open window, of backfill::key_parts, its next pass takes.
  int parts();
  /// Most rows of a window.
  long long limit() const;

  /// Inside the transaction of a pass after the first: may it begin? False: dead rows of the last one cannot be pruned
  /// yet. It does not say so for ever.
  bool ready();
  /// Milliseconds until ready() is worth another try; 0: it was ready.
  int pause_ms();
  /// In the transaction of a pass, when it has changed `rows` rows, `hot` of them in place (-1: not known).
  void changed(long long rows, long long hot);
  /// A window begins.
  void begin_window();
  bool is_stuck() const { return turn_.stuck > 0; }
  /// Rows of the table by its size, as far as it was looked at.
  long long rows_by_size() const { return page_.rows * job_.record.blocks_total; }
  /// As far as is known, do new row versions stay on their pages?
  bool in_place() const { return !off_ && wanted() > 1 && (together_ || job_.settings.passes > 0); }
  /// What belongs to one window.
  struct Turn {
    unsigned last = 0;  ///< transaction of its last pass
    int stuck = 0, waited_ms = 0;
  };
  void change_turn(Turn& other) { std::swap(turn_, other); }

 private:
  static constexpr double least_care = 0.5, most_care = 2;
  void look_at_table();
  int wanted() const;
  bool lie_together(const std::vector<pg::Parameter>& window);

  BackfillJob& job_;
  int generation_ = -1;
  int passes_ = 1;  ///< for a window that lies together
  backfill::KeyPage page_;
  double care_ = least_care;  ///< rows by which a pass takes less than fits on an average page
  bool together_ = false;
  int windows_ = 0;  ///< since that was looked at
  Turn turn_;
  int patience_ms_ = 2000;
  bool gave_up_ = false, told_ = false, off_ = false;
  std::size_t stayed_ = 0, left_ = 0;
};

}  // namespace migration
