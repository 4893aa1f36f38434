// The size of the next batch, and the rest between two.
//
// What: Feedback steers the size of batches towards the target time and keeps our WAL within its budget. Why pure: both
// are control loops, and whether a loop settles is a question for a test. Rules: a batch that somebody waited for
// quarters the aim itself (not only the next size, which the clock would double again), and only undisturbed batches
// bring it back, slowly; WAL counts as well as time, whichever is nearer to its cap; the budget of WAL is what others
// leave of the limit, met on average by resting after each batch; it never sinks to nothing, so that a job always gets
// on. Time: a clock that never jumps, in milliseconds.
#pragma once

#include <optional>

#include "backfill/settings.hpp"

namespace migration {

struct BatchCost {
  double elapsed_ms = 0;
  long long wal_bytes = 0;
  bool waited_for = false;  ///< somebody waited for a lock of this batch
};

class Feedback {
 public:
  /// Size of the next batch: at most doubled, or four times as large when the aim is eight times as far, at least
  /// quartered, within [1, limit].
  long long next_size(const backfill::Settings& settings, long long size, const BatchCost& cost, long long limit);
  /// What a batch aims at now; the target, or less after somebody had to wait.
  double aim_ms(const backfill::Settings& settings) const;

  /// Takes note of the WAL written so far, by us and by the whole server (when that was looked at just now).
  void saw_wal(const backfill::Settings& settings, double now_ms, long long ours, std::optional<long long> server);
  /// What others write per second, once known.
  std::optional<double> other_wal_rate() const { return others_; }
  /// How long to rest now to stay within max_wal_rate.
  double rest_ms(const backfill::Settings& settings, double now_ms, long long ours);

 private:
  double budget(const backfill::Settings& settings) const;

  double share_ = 1;  ///< of the target that a batch may take
  std::optional<double> others_;
  double seen_ms_ = -1, server_seen_ = 0, ours_seen_ = 0;
  double spent_ms_ = -1, debt_ = 0, spent_ours_ = 0;
};

}  // namespace migration
