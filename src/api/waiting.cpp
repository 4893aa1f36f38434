// The waiting side; see waiting.hpp.
#include "api/waiting.hpp"

#include <cstring>

#include "api/schedule.hpp"
#include "catalog/runs.hpp"
#include "pg/identity.hpp"
#include "pg/lock.hpp"
#include "pg/process.hpp"
#include "pg/settings.hpp"
#include "pg/snapshot.hpp"
#include "run/decision.hpp"
#include "statement/formatted.hpp"
#include "worker/executor.hpp"
#include "worker/planning.hpp"

extern "C" {
#include "datatype/timestamp.h"
#include "utils/timestamp.h"
}

namespace migration {

namespace {

constexpr int poll_ms = 200;
constexpr int look_ms = 1000;

bool live(const std::string& state) {
  return state == "queued" || state == "running";
}

/// Takes a snapshot for the time of one look at the ledger.
template <class F>
auto look(pg::WaitingCall& wait, F&& f) {
  wait.resume_to_look();
  auto result = f();
  wait.release();
  return result;
}

/// What the waiting session tells its user while it waits.
class Narrator {
 public:
  explicit Narrator(long long run_id) : run_id_(run_id) {}

  /// Events since the last look, for those who have no channel to the worker.
  void events() {
    for (const catalog::SeenEvent& e : catalog::events_after(run_id_, last_)) {
      last_ = e.id;
      if (e.event == "step") {
        pg::report(NOTICE, "00000",
                   e.revision.empty()
                       ? formatted("run {}: step {} done", run_id_, e.step)
                       : formatted("run {}: step {} of revision \"{}\" done", run_id_, e.step, e.revision));
      } else if (e.event == "applied" || e.event == "undone") {
        pg::report(NOTICE, "00000", formatted("run {}: revision \"{}\" {}", run_id_, e.revision, e.event));
      }
    }
  }

  /// Names the blockers of the worker, once each time they change; an error when we are one of them.
  void blockers() {
    const int pid = pg::run_lock_owner();
    if (pid == 0) return;
    // Seen twice in a row: a look at the ledger can itself be in the way for a moment.
    mine_ = pg::blocked_by_me(pid) ? mine_ + 1 : 0;
    if (mine_ > 1) {
      throw MigrationError(
          sqlstate::active_transaction, formatted("run {} waits for a lock that this session holds", run_id_),
          "The transaction of this session took it earlier. The run goes on when the transaction ends.",
          formatted("ROLLBACK;  -- then: SELECT migration_wait({});", run_id_));
    }
    const std::string now = pg::describe_blockers(pid);
    if (!now.empty() && now != told_) {
      pg::report(NOTICE, "00000", formatted("run {} waits for {}", run_id_, now));
    }
    told_ = now;
  }

 private:
  long long run_id_, last_ = 0;
  int mine_ = 0;
  std::string told_;
};

[[noreturn]] void raise_ending(const catalog::RunRecord& run, bool interrupted) {
  const std::string resume = formatted("SELECT migration_resume({});", run.run_id);
  if (interrupted) {
    throw MigrationError(sqlstate::run_not_finished, formatted("run {} was interrupted", run.run_id),
                         "Its worker process has ended. Finished steps stay done.", resume);
  }
  // Paused because of a row: the row's own error says more than that it is paused.
  if (run.state == "failed" || (run.state == "paused" && is_row_error(run.problem.state))) {
    const std::string state = run.problem.state.size() == 5 ? run.problem.state : std::string(sqlstate::step_failed);
    throw MigrationError(state, run.problem.message, run.problem.detail,
                         run.problem.hint.empty() ? resume : run.problem.hint);
  }
  // A cancelled run cannot be resumed.
  const std::string cure = run.state == "cancelled" ? "SELECT * FROM migration_status();" : resume;
  std::string detail = run.problem.message;
  if (!run.problem.detail.empty()) detail += ". " + run.problem.detail;
  throw MigrationError(sqlstate::run_not_finished, formatted("run {} is {}", run.run_id, run.state), detail,
                       run.problem.hint.empty() ? cure : run.problem.hint);
}

/// Waits until the run is no longer live. Returns its last record.
catalog::RunRecord wait_until_over(pg::WaitingCall& wait, long long run_id, double deadline,
                                   pg::WorkerChannel* channel) {
  Narrator narrator(run_id);
  double next_look = monotonic_ms() + look_ms;
  int quiet = 0;
  for (;;) {
    const bool over_there = channel != nullptr && channel->stopped();
    if (channel != nullptr) channel->relay_notices();
    const bool due = channel == nullptr || over_there || monotonic_ms() >= next_look;
    if (due) {
      struct Seen {
        std::optional<catalog::RunRecord> run;
        bool owned;
      };
      const Seen seen = look(wait, [&] {
        Seen s{catalog::load_run(run_id), pg::run_lock_held_elsewhere()};
        if (channel == nullptr) narrator.events();
        if (monotonic_ms() >= next_look && s.owned) narrator.blockers();
        return s;
      });
      if (monotonic_ms() >= next_look) next_look = monotonic_ms() + look_ms;
      if (!seen.run) {
        throw MigrationError(sqlstate::undefined_object, formatted("run {} does not exist", run_id), {},
                             "SELECT * FROM migration_runs();");
      }
      if (!live(seen.run->state)) {
        // The owner gives the run lock back a moment after it has said how the run ended.
        for (int i = 0; i < 100 && look(wait, [&] { return pg::run_lock_owner() == seen.run->owner_pid; }); ++i) {
          pg::wait_latch(10);
        }
        return *seen.run;
      }
      // Running, but nobody owns it: the owner is gone. Twice in a row, because a new owner writes before it is seen.
      const bool orphan = over_there || (seen.run->state == "running" && !seen.owned);
      quiet = orphan ? quiet + 1 : 0;
      if (quiet >= 3) raise_ending(*seen.run, true);
    }
    if (deadline > 0 && monotonic_ms() > deadline) {
      const auto due = look(wait, [&] { return not_due(run_id); });
      if (due) {
        throw MigrationError(sqlstate::query_canceled, formatted("run {} has not started", run_id),
                             due->when + " The timeout of the wait has passed; the run is not affected.", due->hint);
      }
      throw MigrationError(sqlstate::query_canceled, formatted("run {} is still going on", run_id),
                           "The timeout of the wait has passed; the run is not affected.",
                           formatted("SELECT migration_wait({});", run_id));
    }
    pg::wait_latch(poll_ms);
  }
}

}  // namespace

void refuse_other_run(const std::string& target) {
  const auto active = catalog::active_run();
  const int owner = pg::run_lock_owner();
  if (active) {
    throw MigrationError(
        sqlstate::run_active,
        formatted("run {} is active: {} to {}", active->run_id, active->direction, literal(active->target)),
        formatted("Asked for was {}. It belongs to role \"{}\", process {}.", literal(target), active->role_name,
                  owner != 0 ? owner : active->owner_pid),
        formatted("SELECT migration_wait({});", active->run_id));
  }
  throw MigrationError(sqlstate::run_active, "another session is running a migration in its own transaction",
                       owner != 0 ? formatted("It is process {}.", owner) : "", "SELECT * FROM migration_status();");
}

std::optional<long long> join_active_run(unsigned function, const char* name, bool up, const std::string& target,
                                         bool wait_wanted) {
  if (!pg::run_lock_held_elsewhere()) return std::nullopt;
  if (!wait_wanted) refuse_other_run(target);
  const auto same = [&](const catalog::RunRecord& run) {
    return run.target == target && run.direction == (up ? "upgrade" : "downgrade");
  };
  auto active = catalog::active_run();
  if (active && active->state == "running" && !same(*active)) refuse_other_run(target);
  const std::string hint = "SELECT * FROM migration_status();";
  pg::WaitingCall wait(function, name, hint.c_str());
  bool told = false;
  for (;;) {
    active = look(wait, [] { return catalog::active_run(); });
    if (active && active->state == "running") {
      if (!same(*active)) {
        wait.resume();
        refuse_other_run(target);
      }
      pg::report(NOTICE, "00000", formatted("joining run {} to {}", active->run_id, literal(target)));
      const catalog::RunRecord over = wait_until_over(wait, active->run_id, 0, nullptr);
      wait.resume();
      if (over.state == "succeeded") return over.run_id;
      raise_ending(over, false);
    }
    if (!look(wait, [] { return pg::run_lock_held_elsewhere(); })) break;
    if (!told) {
      told = true;
      const int owner = look(wait, [] { return pg::run_lock_owner(); });
      if (owner != 0) pg::report(NOTICE, "00000", formatted("waiting for the migration of process {}", owner));
    }
    pg::wait_latch(50);
  }
  wait.resume();
  return std::nullopt;
}

namespace {

pg::WorkerRequest request_for(bool up, const std::string& target, bool allow_data_loss) {
  pg::WorkerRequest request;
  std::memset(&request, 0, sizeof request);
  const pg::Settings s = pg::settings();
  request.direction = up ? 0 : 1;
  request.allow_data_loss = allow_data_loss;
  request.role = pg::current_role().oid;
  request.lock_timeout_ms = s.lock_timeout_ms;
  request.lock_retries = s.lock_retries;
  request.batch_target_ms = s.batch_target_ms;
  std::strncpy(request.target, target.c_str(), sizeof request.target - 1);
  std::strncpy(request.crash_at, s.crash_at.c_str(), sizeof request.crash_at - 1);
  return request;
}

/// Held from the start of a worker until it owns the run lock (or is gone), so that only one is started at a time.
class SubmitLock {
 public:
  explicit SubmitLock(pg::WaitingCall& wait) {
    while (!look(wait, [] { return pg::try_submit_lock(); })) pg::wait_latch(20);
    held_ = true;
  }
  ~SubmitLock() {
    if (held_) pg::release_submit_lock_quietly();
  }
  SubmitLock(const SubmitLock&) = delete;
  SubmitLock& operator=(const SubmitLock&) = delete;
  void release() {
    if (held_) pg::release_submit_lock();
    held_ = false;
  }

 private:
  bool held_ = false;
};

}  // namespace

Datum wait_for_worker(FunctionCallInfo fcinfo, unsigned function, const char* name, bool up, const std::string& target,
                      bool allow_data_loss) {
  const std::string nowait = formatted("SELECT {}({}, wait => false);", name, literal(target));
  const std::string offline = formatted("SELECT {}({}, online => false);", name, literal(target));
  if (pg::get_setting("max_worker_processes") == "0") {
    throw MigrationError(sqlstate::insufficient_resources, "background workers are switched off",
                         "max_worker_processes is 0.", offline);
  }
  long long run_id = 0;
  {
    const unsigned session = pg::session_role().oid;
    const pg::WorkerRequest request = request_for(up, target, allow_data_loss);
    const std::string hint = nowait + "  -- or, in a test: " + offline;
    pg::WaitingCall wait(function, name, hint.c_str());
    SubmitLock submit(wait);
    if (look(wait, [] { return pg::run_lock_held_elsewhere(); })) {
      submit.release();
      wait.resume();
      if (const auto joined = join_active_run(function, name, up, target, true)) return pg::bigint_result(*joined);
      return wait_for_worker(fcinfo, function, name, up, target, allow_data_loss);
    }
    pg::WorkerChannel channel(pg::database_oid(), session, request);
    while (channel.request()->answer == 0 && !channel.stopped()) {
      channel.relay_notices();
      pg::wait_latch(poll_ms);
    }
    channel.relay_notices();
    submit.release();
    pg::memory_barrier();
    const pg::WorkerRequest& told = *channel.request();
    switch (told.answer) {
      case 1:
        run_id = told.run_id;
        break;
      case 2:
        pg::report(NOTICE, "00000", formatted("nothing to do: the database is already at {}", literal(target)));
        wait.resume();
        return pg::null_result(fcinfo);
      case 3:
        wait.resume();
        refuse_other_run(target);
      case 4:
        throw MigrationError(told.state, told.message, told.detail, told.hint);
      default:
        throw MigrationError(sqlstate::invalid_authorization, "the background worker could not start",
                             "It ended before it could say why: the server log has the reason. The role that logged in "
                             "needs LOGIN and CONNECT.",
                             offline);
    }
    const catalog::RunRecord over = wait_until_over(wait, run_id, 0, &channel);
    channel.relay_notices();
    wait.resume();
    if (over.state != "succeeded") raise_ending(over, false);
  }
  return pg::bigint_result(run_id);
}

}  // namespace migration

using namespace migration;

/// migration_wait(run_id, timeout) -> text: 'succeeded'. Errors: 42704 (no such run), 57014 (timeout; the run goes on),
/// MX011 (paused, cancelled, interrupted), the run's own error when it failed, 25001 (cannot wait here).
MIGRATION_FUNCTION(migration_wait) {
  pg::require_writable("migration_wait");
  auto run_id = pg::bigint_argument(fcinfo, 0);
  double deadline = 0;
  if (!PG_ARGISNULL(1)) {
    const Interval* interval = PG_GETARG_INTERVAL_P(1);
    const double ms =
        (static_cast<double>(interval->time) / USECS_PER_SEC + static_cast<double>(interval->day) * SECS_PER_DAY +
         static_cast<double>(interval->month) * DAYS_PER_MONTH * SECS_PER_DAY) *
        1000.0;
    if (ms < 0) {
      throw MigrationError(sqlstate::invalid_parameter, "the timeout must not be negative", {},
                           "SELECT migration_wait(timeout => interval '1 minute');");
    }
    deadline = monotonic_ms() + std::max(ms, 0.001);
  }
  if (!run_id) {
    auto run = catalog::active_run();
    if (!run) run = catalog::latest_run();
    if (!run) {
      throw MigrationError(sqlstate::undefined_object, "there is no run to wait for", {},
                           "SELECT * FROM migration_runs();");
    }
    run_id = run->run_id;
  }
  const auto known = catalog::load_run(*run_id);
  if (!known) {
    throw MigrationError(sqlstate::undefined_object, formatted("run {} does not exist", *run_id), {},
                         "SELECT * FROM migration_runs();");
  }
  catalog::RunRecord over = *known;
  if (live(known->state)) {
    if (const auto due = not_due(*run_id)) {
      pg::report(NOTICE, "00000", formatted("run {} has not started", *run_id), due->when, due->hint);
    }
    pg::WaitingCall wait(fcinfo->flinfo->fn_oid, "migration_wait", "SELECT * FROM migration_status();");
    over = wait_until_over(wait, *run_id, deadline, nullptr);
    wait.resume();
  }
  if (over.state != "succeeded") raise_ending(over, false);
  return pg::text_result(fcinfo, over.state);
}
