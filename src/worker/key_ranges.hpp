// A backfill by key: ranges of an immutable unique key, each row exactly once.
//
// What: each batch finds the key `batch_size` rows above the cursor and changes the rows in between. Where it pays
// (key_passes.hpp), such a window is gone through in passes, each a transaction of its own: every pass changes the rows
// of one interval of fractions of the key, so that all but the first find the room that the rows of the one before have
// left on their pages. Invariants: the cursor, and the part of the window with it, moves in the transaction that
// changed the rows, and the part that a row belongs to follows from its key, so a row is changed once, whatever dies;
// ranges are half open, (low, high]. Where the change of a row is plain (row_update.hpp), a window is read once and its
// rows are gone to where they were (key_window.hpp); those that somebody has moved meanwhile are found by their keys.
// Locks: each statement under lock_timeout.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pg/key_window.hpp"
#include "pg/prepared.hpp"
#include "pg/row_update.hpp"
#include "worker/backfill_job.hpp"
#include "worker/key_passes.hpp"
#include "worker/vacuuming.hpp"

namespace migration {

class KeyRanges {
 public:
  explicit KeyRanges(BackfillJob& job) : job_(job), passes_(job), vacuuming_(job) {}
  /// Inside a transaction: one range, or one pass of it. False when the last key is done.
  bool batch();
  /// The same, halving where it fails and setting single rows aside.
  bool careful_batch();
  /// Has a window been begun and not ended?
  bool in_window() const { return job_.record.window_part > 0; }
  /// Most rows of the next window, and the size that its cost proposes; the least of all passes counts.
  long long limit() const;
  void measured(long long rows);
  /// When the transaction of batch() has committed: how long to wait before the next one; nothing is held meanwhile.
  int pause_ms() { return passes_.pause_ms(); }
  /// The last pass could not begin yet.
  bool is_stuck() const { return passes_.is_stuck(); }
  /// Between two transactions: VACUUM of the table when it is time for it.
  bool vacuum_when_due(std::optional<double> within_ms) { return vacuuming_.when_due(within_ms); }
  /// Another range is gone through, or the transaction has failed.
  void forget() { proposed_ = 0; }
  /// The rows of the open window, and what they were noted for.
  struct Noted {
    pg::KeyWindow rows;
    std::vector<std::string> low, high;
    std::vector<unsigned> files;  ///< of its tables
    int generation = -1;
  };
  /// What is known of a window in work, for those that are gone through in turn.
  struct Turn {
    long long proposed = 0;
    KeyPasses::Turn passes;
    Noted noted;
  };
  void change_turn(Turn& other) {
    std::swap(proposed_, other.proposed);
    std::swap(noted_, other.noted);
    passes_.change_turn(other.passes);
  }

 private:
  std::vector<pg::Parameter> parameters(const std::vector<std::string>& high) const;
  void prepare();
  /// The high end of the next range; true when it is the last one.
  bool next_range(std::vector<std::string>& high);
  bool move_on(const std::vector<std::string>& high, bool last);
  /// Rows of the table, estimated; 0: not known. What the catalogs say may be old, or nothing yet.
  long long rows_in_all() const { return std::max(job_.rows_in_all, passes_.rows_by_size()); }
  /// The next pass of the open window, all of it or, in a transaction that looks for bad rows, carefully.
  bool pass(bool careful);
  bool end_of_pass(int parts);
  pg::Prepared& change_of_part();
  /// Are the rows of the open window noted, and where they were then? (They may have been changed since.)
  bool is_noted();
  void note_window();
  /// Are the changes of all tables in the window plain? From here on to the end of the transaction they stay so.
  bool are_plain();
  /// Can the rows of the open window be gone to where they are?
  bool goes_by_place();
  /// The rows of the next `parts` parts, where they are noted to be, or by their keys; returns how many were changed.
  long long change_by_place(int parts);
  /// The interval of fractions of `parts` parts from where the window is.
  void add_interval(std::vector<pg::Parameter>& to, int parts) const;
  /// `parts` 0: all rows up to `high`.
  void change_carefully(const std::vector<std::string>& high, int parts);

  BackfillJob& job_;
  KeyPasses passes_;
  Vacuuming vacuuming_;
  int generation_ = 0;
  long long proposed_ = 0;
  bool first_ = true;  ///< prepared for a range without a low end
  std::unique_ptr<pg::Prepared> bound_, change_, of_part_, places_, exact_;
  struct Placed {
    std::string name;
    std::unique_ptr<pg::RowUpdate> change;
  };
  std::map<unsigned, Placed> placed_;  ///< by table
  Noted noted_;
  std::optional<std::uint64_t> not_plain_;  ///< as of this state of the catalogs
};

}  // namespace migration
