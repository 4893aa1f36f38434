// Starting, watching and ending workers; see team.hpp.
#include "worker/team.hpp"

#include <algorithm>

#include "pg/identity.hpp"
#include "pg/process.hpp"
#include "pg/settings.hpp"
#include "pg/snapshot.hpp"
#include "statement/formatted.hpp"
#include "worker/executor.hpp"

namespace migration {

namespace {

constexpr double look_again_ms = 500;     ///< whether there is work for one more
constexpr double without_slot_ms = 5000;  ///< slots are configured, not released by the second
constexpr double longest_backoff_ms = 30000;
constexpr double patience_ms = 5000;  ///< until those that do not leave are made to
constexpr double ending_ms = 60000;   ///< a process that does not even end: its ranges stay fenced
constexpr long nap_ms = 20;

}  // namespace

Team::~Team() {
  for (const auto& [number, helper] : helpers_) {
    try {
      helper->terminate();
    } catch (const pg::PgError&) {
      // It finds out by itself that nobody leads it any more.
    }
  }
}

void Team::start(int number) {
  pg::WorkerStart start{};
  start.database = pg::database_oid();
  pg::in_transaction([&] { start.session_user = pg::session_role().oid; });
  start.run_id = job_.run.run_id;
  start.worker = number;
  start.step = job_.step.step;
  start.epoch = job_.run.owner_epoch;
  auto helper = pg::Helper::start(start);
  if (helper) {
    helpers_.emplace(number, std::move(helper));
    return;
  }
  next_start_ms_ = monotonic_ms() + without_slot_ms;
  if (told_) return;
  told_ = true;
  pg::in_transaction([&] {
    const std::string slots = pg::get_setting("max_worker_processes");
    const catalog::Problem problem{
        sqlstate::insufficient_resources,
        formatted("the backfill of {} goes on with fewer workers: no background worker slot is free",
                  job_.target.relation),
        formatted("All of max_worker_processes ({}) are in use.", slots),
        "ALTER SYSTEM SET max_worker_processes = 16;  -- then restart the server"};
    pg::report(NOTICE, problem.state.c_str(), problem.message, problem.detail, problem.hint);
    catalog::log_event(
        {job_.run.run_id, job_.step.revision, job_.step.step, "workers", job_.run.role_name, -1, problem});
  });
}

void Team::keep(int wanted, const std::function<bool()>& work_left) {
  if (static_cast<int>(helpers_.size()) >= wanted || monotonic_ms() < next_start_ms_) return;
  next_start_ms_ = monotonic_ms() + look_again_ms;
  if (!work_left()) return;
  for (int number = 1; number <= wanted; ++number) {
    if (helpers_.count(number) == 0) start(number);
  }
}

std::optional<catalog::WorkerProblem> Team::reap() {
  std::optional<catalog::WorkerProblem> problem;
  for (auto it = helpers_.begin(); it != helpers_.end();) {
    if (!it->second->stopped()) {
      ++it;
      continue;
    }
    const int number = it->first;
    it = helpers_.erase(it);
    pg::in_transaction([&] {
      if (!problem) problem = catalog::problem_of(job_.record.job_id, number);
      catalog::free_ranges(job_.record.job_id, number, number);
    });
    // Ended by a signal, or before it did anything: not at once again.
    const double pause = std::min(longest_backoff_ms, look_again_ms * (1 << std::min(ended_early_++, 6)));
    next_start_ms_ = std::max(next_start_ms_, monotonic_ms() + pause);
  }
  return problem;
}

bool Team::all_stopped() const {
  return std::all_of(helpers_.begin(), helpers_.end(), [](const auto& h) { return h.second->stopped(); });
}

void Team::wait_until_stopped(double limit_ms) {
  const double until = monotonic_ms() + limit_ms;
  while (!all_stopped() && monotonic_ms() < until) pg::wait_latch(nap_ms);
}

void Team::join() {
  if (helpers_.empty()) return;
  for (const auto& [number, helper] : helpers_) helper->wake();
  wait_until_stopped(patience_ms + 2.0 * job_.settings.batch_target_ms);
  stop();
}

void Team::stop() {
  if (helpers_.empty()) return;
  for (const auto& [number, helper] : helpers_) helper->terminate();
  wait_until_stopped(ending_ms);
  helpers_.clear();
  pg::in_transaction([&] { catalog::free_ranges(job_.record.job_id, 1); });
}

}  // namespace migration
