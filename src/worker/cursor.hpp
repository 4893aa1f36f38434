// Where a backfill is: at a block, or at a key.
//
// What: the two ways through a table under one name; the job's record says which is in force, and may change it once
// (see Backfill::go_by_keys()). Invariants: those of BlockWindows and KeyRanges.
#pragma once

#include "worker/backfill_job.hpp"
#include "worker/block_windows.hpp"
#include "worker/key_ranges.hpp"

namespace migration {

class Cursor {
 public:
  explicit Cursor(BackfillJob& job) : blocks(job), keys(job), job_(job) {}

  bool by_blocks() const { return job_.record.cursor_kind == "ctid"; }
  /// Has a window been begun and not ended?
  bool in_window() const { return by_blocks() ? blocks.in_window() : keys.in_window(); }
  /// What is known of an open window is of no use: its transaction failed, or another range is gone through.
  void forget() {
    blocks.forget();
    keys.forget();
  }
  /// Inside a transaction; `careful`: a short one in which single rows are set aside. False when the end is reached.
  bool batch(bool careful) {
    if (by_blocks()) return careful ? blocks.careful_batch() : blocks.batch();
    return careful ? keys.careful_batch() : keys.batch();
  }
  /// The last batch() has changed nothing: it waits for dead rows to be pruned.
  bool waits() const { return by_blocks() && blocks.waits(); }
  /// The last batch() has brought the cursor past a window or a range.
  bool moved() const { return by_blocks() ? blocks.moved() : !keys.in_window(); }
  long long limit() const { return by_blocks() ? blocks.limit() : keys.limit(); }
  void measured(long long size) { by_blocks() ? blocks.measured(size) : keys.measured(size); }
  int pause_ms() { return by_blocks() ? blocks.pause_ms() : keys.pause_ms(); }
  bool vacuum_when_due(std::optional<double> within_ms) {
    return by_blocks() ? blocks.vacuum_when_due(within_ms) : keys.vacuum_when_due(within_ms);
  }

  BlockWindows blocks;
  KeyRanges keys;

 private:
  BackfillJob& job_;
};

}  // namespace migration
