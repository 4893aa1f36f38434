// The other workers of one backfill.
//
// What: the process that has the run leads; keep() starts others for its job, which take ranges of their own and work
// through them (see batches.cpp); reap() looks after those that have ended. Why they talk through the ledger alone: a
// range, what became of it and what went wrong have to survive any of them. Invariants: a worker that has ended has no
// range any more once reap() has returned; when join() or stop() has returned, nobody but this process works on the
// job. Locks: none; a transaction of its own for each look.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "catalog/ranges.hpp"
#include "pg/helper.hpp"
#include "worker/backfill_job.hpp"

namespace migration {

class Team {
 public:
  explicit Team(BackfillJob& job) : job_(job) {}
  /// Ends them without waiting.
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  /// Between two transactions: starts workers until there are `wanted` besides this one, as long as `work_left` says
  /// that there is something for them to do. Those that are too many leave by themselves.
  void keep(int wanted, const std::function<bool()>& work_left);
  /// Looks after those that have ended: what they had may be taken by others. What ended one of them is returned once.
  std::optional<catalog::WorkerProblem> reap();
  bool at_work() const { return !helpers_.empty(); }
  /// Waits until all have ended by themselves, which they do when the run is no longer wanted; in the end, makes them.
  void join();
  /// Ends them: what they are in the middle of is rolled back.
  void stop();

 private:
  void start(int number);
  bool all_stopped() const;
  void wait_until_stopped(double limit_ms);

  BackfillJob& job_;
  std::map<int, std::unique_ptr<pg::Helper>> helpers_;  ///< by number, from 1
  double next_start_ms_ = 0;
  int ended_early_ = 0;
  bool told_ = false;
};

}  // namespace migration
