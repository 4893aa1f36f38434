// The run loop; see executor.hpp.
#include "worker/executor.hpp"

#include <time.h>
#include "statement/formatted.hpp"

#include <optional>

#include "catalog/revisions.hpp"
#include "pg/identity.hpp"
#include "pg/lock.hpp"
#include "pg/parse.hpp"
#include "pg/portal.hpp"
#include "pg/process.hpp"
#include "pg/settings.hpp"
#include "pg/snapshot.hpp"
#include "pg/sql.hpp"
#include "pg/table_rights.hpp"
#include "pg/watchdog.hpp"
#include "worker/planning.hpp"
#include "worker/transact.hpp"

extern "C" {
#include "common/pg_prng.h"
}

namespace migration {

using catalog::Problem;
using catalog::StepRecord;

double monotonic_ms() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1000.0 + static_cast<double>(now.tv_nsec) / 1e6;
}

std::vector<Statement> parse_step(const StepRecord& step) {
  std::vector<Statement> out;
  for (const std::string& text : step.statements) {
    for (Statement& s : pg::parse_script(text, formatted("step {} of revision \"{}\"", step.step, step.revision))) {
      out.push_back(std::move(s));
    }
  }
  return out;
}

namespace {

StepText text_of(const StepRecord& step) {
  return StepText{step.step, step.revision, step.settings, step.statements, {}, step.script_path};
}

/// Steps of their own that a transaction can hold all the same: effect and mark then commit together.
bool runs_in_transaction(const StepRecord& step) {
  if (step.kind != "concurrent") return false;
  const std::vector<Statement> statements = parse_step(step);
  return statements.size() == 1 &&
         (statements[0].kind == StatementKind::enum_add_value || statements[0].kind == StatementKind::refresh);
}

Problem problem_of(const pg::PgError& e) {
  return Problem{e.state(), e.message(), e.detail(), e.hint()};
}
Problem problem_of(const MigrationError& e) {
  return Problem{e.state(), e.message(), e.detail(), e.hint()};
}

}  // namespace

void Executor::execute() {
  try {
    loop();
    return;
  } catch (const pg::PgError& e) {
    if (e.state() != "57014") throw;
  }
  // A cancel that came between two attempts, where there was nothing to cancel.
  pg::abort_transaction();
  if (stop_if_wanted()) return;
  stop("paused",
       Problem{"57014", "paused: cancelled by a user", "", formatted("SELECT migration_resume({});", run_.run_id)}, 0,
       "");
}

void Executor::loop() {
  long long epoch = 0;
  pg::in_transaction([&] {
    epoch = catalog::claim_run(run_.run_id, MyProcPid);
    catalog::log_event({run_.run_id, "", 0, "started", run_.role_name, -1, {}});
  });
  if (epoch == 0) return;
  run_.owner_epoch = epoch;
  for (;;) {
    std::vector<StepRecord> open;
    pg::in_transaction([&] { open = catalog::load_open_steps(run_.run_id, 50); });
    if (open.empty()) break;
    for (StepRecord& step : open) {
      if (stop_if_wanted()) return;
      if (run_step(std::move(step)) == StepEnd::stopped) return;
    }
  }
  pg::crash_point("run:before_end", 0);
  pg::in_transaction([&] {
    catalog::set_run_state(run_.run_id, "succeeded", {}, true);
    catalog::log_event({run_.run_id, "", 0, "finished", run_.role_name, -1, {}});
    catalog::prune_log();
  });
  pg::crash_point("run:after_end", 0);
}

bool Executor::stop_if_wanted() {
  catalog::RunWish wish;
  bool owner = true;
  pg::in_transaction([&] {
    owner = pg::keep_run_lock();
    wish = catalog::load_wish(run_.run_id);
  });
  if (!owner) throw MigrationError(sqlstate::admin_shutdown, formatted("run {} has another owner", run_.run_id));
  if (wish.state.empty()) {
    throw MigrationError(sqlstate::not_in_prerequisite_state, formatted("run {} is gone from the ledger", run_.run_id));
  }
  if (wish.desired == "pause") {
    stop("paused",
         Problem{"", formatted("paused by \"{}\"", wish.desired_by), "",
                 formatted("SELECT migration_resume({});", run_.run_id)},
         0, "");
    return true;
  }
  if (wish.desired == "cancel") {
    stop("cancelled",
         Problem{"57014", formatted("cancelled by \"{}\"", wish.desired_by), "", "SELECT * FROM migration_status();"},
         0, "");
    return true;
  }
  return false;
}

void Executor::stop(const std::string& state, const Problem& problem, int step, const std::string& revision) {
  pg::in_transaction([&] {
    if (step > 0 && state == "failed") catalog::fail_step(run_.run_id, step, problem);
    catalog::set_run_state(run_.run_id, state, problem, state != "paused");
    catalog::log_event({run_.run_id, revision, step, state, run_.role_name, -1, problem});
  });
}

void Executor::announce(const StepRecord& step) {
  if (announced_ != step.revision) {
    announced_ = step.revision;
    revision_started_ms_ = monotonic_ms();
    pg::in_transaction([&] {
      if (step.revision.empty()) return;
      auto stored = catalog::load_revision(step.revision);
      if (!stored) return;
      PlannedRevision planned{std::move(*stored), {}};
      planned.parents = planned.stored.node.down;
      pg::report(NOTICE, "00000", running_line(run_.direction != "downgrade", planned));
    });
  }
  std::string what = step.statements.empty() ? std::string("nothing to do") : step.statements.front();
  what = what.substr(0, what.find('\n'));
  if (what.size() > 100) what = what.substr(0, 97) + "...";
  if (step.statements.size() > 1) what += formatted(" (+{} more)", step.statements.size() - 1);
  if (step.kind != "tx") pg::report(NOTICE, "00000", formatted("step {} of {}: {}", step.step, run_.steps, what));
}

void Executor::log(const std::string& event, const StepRecord& step, double took_ms, const Problem& problem) {
  catalog::log_event({run_.run_id, step.revision, step.step, event, run_.role_name, took_ms, problem});
}

void Executor::complete(const StepRecord& step) {
  catalog::finish_step(run_.run_id, step.step);
  const double now = monotonic_ms();
  log("step", step, now - step_started_ms_, {});
  if (!step.completes || step.revision.empty()) return;
  if (run_.direction == "downgrade") {
    catalog::unmark_applied(step.revision);
    log("undone", step, now - revision_started_ms_, {});
  } else {
    auto stored = catalog::load_revision(step.revision);
    catalog::mark_applied(step.revision, stored ? stored->fingerprint : "", run_.role_name, run_.run_id,
                          now - revision_started_ms_);
    log("applied", step, now - revision_started_ms_, {});
  }
}

Executor::StepEnd Executor::run_step(StepRecord step) {
  // A step that is still marked running was under way when the server or its process went down.
  if (step.state == "running") {
    pg::in_transaction([&] { catalog::count_crash(run_.run_id, step.step); });
    if (++step.crashes >= 3) {
      stop("failed",
           Problem{
               sqlstate::suspected_crasher,
               formatted("step {} of revision \"{}\" was interrupted {} times in a row", step.step, step.revision,
                         step.crashes),
               "It is not tried again by itself: it may be what takes the server down. The server log has the cause.",
               formatted("SELECT migration_resume({});", run_.run_id)},
           step.step, step.revision);
      return StepEnd::stopped;
    }
  }
  announce(step);
  step_started_ms_ = monotonic_ms();
  for (int number = 1;; ++number) {
    Problem problem;
    const Outcome outcome = attempt(step, number, problem);
    const Decision decision = decide(outcome);
    if (!decision.first.empty()) problem.detail += (problem.detail.empty() ? "" : " ") + decision.first;
    switch (decision.action) {
      case Action::go_on:
        return outcome.ok && outcome.state == "stop" ? StepEnd::stopped : StepEnd::done;
      case Action::leave:
        throw MigrationError(problem.state, problem.message, problem.detail, problem.hint);
      case Action::fail:
        if (problem.hint.empty()) problem.hint = formatted("SELECT migration_resume({});", run_.run_id);
        stop("failed", problem, step.step, step.revision);
        return StepEnd::stopped;
      case Action::pause:
        // Cancelled, by the one who asked for more than a pause?
        if (stop_if_wanted()) return StepEnd::stopped;
        problem.message = formatted("paused in step {}{}: {}: {}", step.step,
                                    step.revision.empty() ? "" : formatted(" of revision \"{}\"", step.revision),
                                    decision.reason, problem.message);
        if (problem.hint.empty() || !outcome.bad_row) {
          problem.hint = formatted("SELECT migration_resume({});", run_.run_id);
        }
        stop("paused", problem, step.step, step.revision);
        return StepEnd::stopped;
      case Action::retry: {
        pg::in_transaction([&] {
          catalog::set_waiting(run_.run_id, "lock: " + problem.detail);
          catalog::log_event({run_.run_id, step.revision, step.step, "retry", run_.role_name, -1, problem});
        });
        pg::report(NOTICE, "00000",
                   formatted("step {}: {}; try {} of {} in {} ms", step.step, problem.message, number + 1,
                             outcome.retries + 1, decision.delay_ms),
                   problem.detail.empty() ? "" : "In the way: " + problem.detail);
        pg::pause(decision.delay_ms);
        if (stop_if_wanted()) return StepEnd::stopped;
        pg::in_transaction([&] { catalog::set_waiting(run_.run_id, ""); });
        break;
      }
    }
  }
}

Outcome Executor::attempt(StepRecord& step, int number, Problem& problem) {
  Outcome outcome;
  outcome.attempt = number;
  outcome.retries = run_.lock_retries;
  outcome.lock_timeout_ms = run_.lock_timeout_ms;
  outcome.jitter = pg_prng_uint32(&pg_global_prng_state);
  try {
    if (step.kind == "tx" || step.kind == "validate" || runs_in_transaction(step)) {
      try_transaction(step);
    } else if (step.kind == "concurrent") {
      try_concurrent(step);
    } else if (!try_backfill(step)) {
      outcome.ok = true;
      outcome.state = "stop";
      return outcome;
    }
    outcome.ok = true;
    return outcome;
  } catch (const pg::PgError& e) {
    problem = problem_of(e);
  } catch (const MigrationError& e) {
    problem = problem_of(e);
  }
  outcome.state = problem.state;
  outcome.bad_row = step.kind == "backfill" && is_row_error(problem.state);
  const Action action = decide(outcome).action;
  if (action == Action::leave) return outcome;
  // Who was in the way? Asked after the fact: the holders are mostly still there.
  if (action == Action::retry || is_transient(outcome.state)) {
    try {
      pg::in_transaction([&] {
        std::vector<RelationUse> uses;
        for (const Statement& s : parse_step(step)) uses.insert(uses.end(), s.locks.begin(), s.locks.end());
        const std::string holders = pg::describe_holders(locks_of(text_of(step), uses));
        if (action == Action::retry) {
          problem.detail = holders;
        } else {
          problem.detail += formatted(" {} tries; in the way: {}.", number, holders.empty() ? "nobody now" : holders);
        }
      });
    } catch (const pg::PgError&) {
      // Naming the blockers is a courtesy; the run goes on without it.
    }
  }
  return outcome;
}

void Executor::try_transaction(const StepRecord& step) {
  pg::in_transaction([&] {
    // Intent before effect, on disk: a step that takes the server down at once would otherwise never be counted.
    // Set for the transaction: a frame would end before the commit.
    pg::set_local("synchronous_commit", "on");
    catalog::start_step(run_.run_id, step.step, {});
  });
  pg::crash_point("step:before", step.step);
  pg::in_transaction([&] {
    pg::report_activity(formatted("migration run {} step {}", run_.run_id, step.step));
    pg::lock_extension(pg::extension_oid());
    {
      pg::SettingsFrame frame;
      pg::set_local("lock_timeout", std::to_string(run_.lock_timeout_ms));
      std::vector<RelationUse> uses;
      for (const Statement& s : parse_step(step)) uses.insert(uses.end(), s.locks.begin(), s.locks.end());
      pg::take_locks(locks_of(text_of(step), uses));
    }
    run_step_statements(text_of(step), run_.lock_timeout_ms, "The step was rolled back; the steps before it are done.",
                        formatted("SELECT migration_resume({});", run_.run_id));
    {
      // At the commit, outside the script's frame, a deferred trigger could become the role that logged in.
      pg::ScriptRights rights;
      pg::fire_deferred();
    }
    complete(step);
    pg::crash_point("step:before_commit", step.step);
  });
  pg::report_idle();
  pg::crash_point("step:after", step.step);
}

void Executor::try_concurrent(StepRecord& step) {
  run_concurrent(run_, step);
  pg::crash_point("step:before_mark", step.step);
  pg::in_transaction([&] { complete(step); });
  pg::crash_point("step:after", step.step);
}

bool Executor::try_backfill(StepRecord& step) {
  const auto wanted_stop = [this] { return stop_if_wanted(); };
  if (!run_batches(run_, step, wanted_stop, [&] { complete(step); })) return false;
  pg::crash_point("step:after", step.step);
  return true;
}

}  // namespace migration
