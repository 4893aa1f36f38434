// The pace of a backfill: when its next batch may start, and how large it may be.
//
// What: between two batches wait() looks at what is wanted of the run, at tuned settings and at the server, and comes
// back when the next batch may start; next_size() gives that batch its size. Why apart from the engine: how rows are
// changed and whether this is the moment for it have nothing to do with each other. Invariants: while it waits there is
// no transaction, no snapshot and no lock; signals are read at most once a second and take at most a twentieth of the
// time; a wish (pause, cancel, tune) is seen at once, because whoever has it wakes the process; one event is logged per
// change of what holds the job back, not per look. Time: a clock that never jumps; only windows and start_at go by the
// calendar.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "backfill/settings.hpp"
#include "catalog/runs.hpp"
#include "run/feedback.hpp"
#include "run/throttle.hpp"

namespace migration {

class Pace {
 public:
  /// `base`: the settings of the backfill before anything was tuned. Only the leader of several workers writes what
  /// holds the job back into the ledger. `run` and `step` must outlive it.
  Pace(const catalog::RunRecord& run, const catalog::StepRecord& step, long long job_id, unsigned relation,
       backfill::Settings base, bool leader = true);

  /// The defaults with what the run was made with.
  static backfill::Settings base_of(const catalog::RunRecord& run);

  /// Between two batches (and before the first), with no transaction open: comes back when the next batch may start.
  /// False when `wanted_stop` says so; it is asked at least once, and whenever somebody wakes the process.
  bool wait(const std::function<bool()>& wanted_stop);

  /// In the batch's transaction, when its work is done: the size of the next batch, in whatever unit `size` has.
  /// Shrinks when somebody waits for a lock of this transaction, and by WAL as well as by time.
  long long next_size(long long size, double elapsed_ms, long long limit);

  /// Until the time window closes, as far as was seen at the last look; nothing: it does not.
  std::optional<double> closes_in_ms() const;

  /// As they are now: obey them in the next batch.
  const backfill::Settings& settings() const { return settings_; }

 private:
  bool reread_settings(bool now);
  void look(bool now);
  Signals read() const;
  void rest(double ms);
  void show(const std::string& key, const std::string& reason);

  const catalog::RunRecord& run_;
  const catalog::StepRecord& step_;
  long long job_id_;
  unsigned relation_;
  backfill::Settings base_, settings_;
  backfill::Entries tuned_;
  bool leader_;

  Throttle throttle_;
  Feedback feedback_;
  std::optional<Hold> hold_;
  std::vector<LocalTime> local_times_;  ///< of the last look
  double looked_ms_ = 0;
  double settings_read_ms_ = -1e9, next_look_ms_ = -1e9;
  long long wal_before_batch_ = 0;

  std::string shown_key_, shown_reason_;
  double shown_ms_ = 0, shown_since_ms_ = 0, rested_ms_ = 0, last_rest_ms_ = 0;
};

}  // namespace migration
