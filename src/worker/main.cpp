// Entry points of the background processes: the executor of one run, and the launcher.
//
// What: migration_worker_main connects as the session user of the caller, becomes the caller's role, takes the run lock
// and carries out one run; when that has ended it starts the next one that is due. Started as a helper it works on one
// backfill beside the process that has the lock, for as long as that one has it. migration_launcher_main (only with
// shared_preload_libraries) asks, once after each start of the server, every database for runs to resume, and later
// those where a run becomes due. Process model: the launcher knows shared catalogs only and resolves
// nothing that belongs to a user; what fails in a database fails there. Ownership is the run lock: no clocks, no flags.
// An exit code of 0 keeps the postmaster from restarting an executor.
#include <cstring>
#include <optional>

#include "catalog/runs.hpp"
#include "catalog/schedule.hpp"
#include "pg/alarm.hpp"
#include "pg/identity.hpp"
#include "pg/launcher.hpp"
#include "pg/lock.hpp"
#include "pg/process.hpp"
#include "pg/settings.hpp"
#include "pg/snapshot.hpp"
#include "pg/sql.hpp"
#include "pg/watchdog.hpp"
#include "statement/formatted.hpp"
#include "worker/executor.hpp"
#include "worker/submit.hpp"

extern "C" {
#include "postmaster/bgworker.h"
}

namespace migration {

namespace {

/// A run that is due and cannot start now is looked after again.
constexpr double due_again_s = 30;

enum Answer { nothing_yet = 0, started = 1, nothing_to_do = 2, somebody_else = 3, failed_early = 4 };

void copy_text(char* to, std::size_t size, const std::string& from) {
  std::size_t n = std::min(size - 1, from.size());
  while (n > 0 && n < from.size() && (static_cast<unsigned char>(from[n]) & 0xC0) == 0x80) --n;
  std::memcpy(to, from.data(), n);
  to[n] = '\0';
}

void answer(pg::WorkerRequest* request, Answer a) {
  pg::memory_barrier();
  request->answer = a;
  pg::wake_waiter();
}

void answer_failure(pg::WorkerRequest* request, const catalog::Problem& p) {
  copy_text(request->state, sizeof request->state, p.state);
  copy_text(request->message, sizeof request->message, p.message);
  copy_text(request->detail, sizeof request->detail, p.detail);
  copy_text(request->hint, sizeof request->hint, p.hint);
  answer(request, failed_early);
}

/// The run lock, tried for a second: a looker's short probe must not look like an owner.
bool become_owner() {
  const double until = monotonic_ms() + 1000;
  for (;;) {
    bool got = false;
    pg::in_transaction([&] { got = pg::try_run_lock(pg::LockLife::session); });
    if (got) return true;
    if (monotonic_ms() > until) return false;
    pg::wait_latch(20);
  }
}

void become_role_of(const std::string& name, unsigned oid) {
  if (pg::role_oid(name) == 0 || (oid != 0 && pg::role_oid(name) != oid)) {
    throw MigrationError(sqlstate::undefined_object, formatted("role \"{}\" of the run does not exist any more", name),
                         {}, "SELECT migration_status();");
  }
  if (pg::current_role().name != name) pg::become_role(name);
}

/// Plans and stores what a waiting caller asked for. Nothing when there is nothing to do.
std::optional<catalog::RunRecord> make_run(const pg::WorkerRequest& request) {
  std::optional<catalog::RunRecord> run;
  pg::in_transaction([&] {
    const pg::Role role = pg::current_role();
    PlannedRun planned = plan_run(request.direction == 0, request.target, true, role, PlanUse::run);
    require_nothing_half_done(planned);
    if (planned.plan.steps.empty()) return;
    if (!planned.up) require_loss_consent(planned, request.allow_data_loss);
    run = store_run(planned, role, pg::session_role(), request.lock_timeout_ms, request.lock_retries,
                    request.batch_target_ms);
  });
  return run;
}

/// A stored run, checked against where and for whom it was made. Nothing when it needs no work.
std::optional<catalog::RunRecord> take_run(long long run_id) {
  std::optional<catalog::RunRecord> run;
  pg::in_transaction([&] {
    run = catalog::load_run(run_id);
    if (!run) return;
    // A run that is at rest was put to rest after this process was asked for: two may have been started for it, by
    // whoever queued it and by the run before it, and the other one has been here. Resuming makes it queued first.
    if (run->state != "queued" && run->state != "running") {
      run.reset();
      return;
    }
    if (run->system_identifier != std::to_string(pg::system_identifier()) || run->database_oid != pg::database_oid()) {
      run.reset();
      return;
    }
    become_role_of(run->role_name, run->role_oid);
  });
  return run;
}

void record_failure(long long run_id, const catalog::Problem& p) {
  if (run_id == 0) return;
  pg::in_transaction([&] {
    catalog::Problem problem = p;
    if (problem.hint.empty()) problem.hint = formatted("SELECT migration_resume({});", run_id);
    // A cancel may come before there is anything to cancel.
    const catalog::RunWish wish = catalog::load_wish(run_id);
    const bool cancel = p.state == "57014" && wish.desired == "cancel";
    const char* const state = cancel ? "cancelled" : p.state == "57014" ? "paused" : "failed";
    catalog::set_run_state(run_id, state, problem, p.state != "57014" || cancel);
    catalog::log_event({run_id, "", 0, state, pg::current_role().name, -1, problem});
  });
}

/// Starts whichever run is due and goes first, as whoever asked for it. False when none is.
bool start_next() {
  if (!pg::settings().enabled || pg::run_lock_held_elsewhere()) return false;
  const auto next = catalog::next_due_run();
  if (!next) return false;
  // A login as somebody else is given only on the word of a ledger that nobody but its owner can have written.
  if (next->session_oid != pg::session_role().oid && !pg::is_trustworthy_installation()) return false;
  pg::launch_at_commit_as(next->run_id, next->session_oid);
  return true;
}

/// After a run: the one that waited behind it. Whatever goes wrong here is not the run's: the launcher, or a call of
/// migration_resume(), will look again.
void hand_over() {
  try {
    pg::in_transaction([] {
      start_next();
      if (const auto s = catalog::next_look_s(due_again_s)) pg::set_alarm_at_commit(*s);
    });
  } catch (const pg::PgError& e) {
    if (e.state().starts_with("57P")) throw;
    pg::abort_transaction();
  }
}

/// Given back before the process ends, so that whoever waited finds nobody at work; and whatever was queued meanwhile
/// has found somebody, so it is looked for.
void let_go() {
  pg::in_transaction([] {
    if (pg::keep_run_lock()) pg::release_run_lock(pg::LockLife::session);
  });
  hand_over();
}

void work(const pg::WorkerStart& start, pg::WorkerRequest* request) {
  long long run_id = start.run_id;
  catalog::Problem problem;
  try {
    if (start.segment != 0 && request == nullptr) return;
    if (request != nullptr) {
      pg::in_transaction([&] {
        if (request->crash_at[0] != '\0') pg::pin_setting("migration_ext.crash_at", request->crash_at);
        become_role_of(pg::role_name(request->role), request->role);
      });
    }
    if (!become_owner()) {
      if (request != nullptr) answer(request, somebody_else);
      return;
    }
    std::optional<catalog::RunRecord> run = request != nullptr ? make_run(*request) : take_run(run_id);
    if (!run) {
      if (request != nullptr) answer(request, nothing_to_do);
      let_go();
      return;
    }
    run_id = run->run_id;
    if (request != nullptr) {
      request->run_id = run_id;
      answer(request, started);
      request = nullptr;
    }
    Executor(std::move(*run)).execute();
    let_go();
    return;
  } catch (const pg::PgError& e) {
    problem = catalog::Problem{e.state(), e.message(), e.detail(), e.hint()};
  } catch (const MigrationError& e) {
    problem = catalog::Problem{e.state(), e.message(), e.detail(), e.hint()};
  }
  // Told to die, or fenced out: the ledger already says what is true.
  if (problem.state == "57P01" || problem.state == "57P02" || problem.state == "57P03") return;
  pg::abort_transaction();
  if (request != nullptr) {
    answer_failure(request, problem);
  } else {
    record_failure(run_id, problem);
  }
  let_go();
}

/// One of several workers of a backfill. It has no run lock and changes nothing of the run: what it cannot cope with is
/// left for the one that has it.
void help(const pg::WorkerStart& start) {
  std::optional<catalog::RunRecord> run;
  std::optional<catalog::StepRecord> step;
  const auto wanted = [&](const std::optional<catalog::RunRecord>& now) {
    return now && now->state == "running" && now->desired == "run" && now->owner_epoch == start.epoch &&
           pg::run_lock_held_elsewhere();
  };
  try {
    pg::in_transaction([&] {
      run = catalog::load_run(start.run_id);
      if (!wanted(run)) {
        run.reset();
        return;
      }
      become_role_of(run->role_name, run->role_oid);
      for (catalog::StepRecord& s : catalog::load_steps(start.run_id)) {
        if (s.step == start.step && s.job_id) step = std::move(s);
      }
    });
    if (!run || !step) return;
    help_with_batches(*run, *step, start.worker, [&] {
      bool stop = true;
      pg::in_transaction([&] { stop = !wanted(catalog::load_run(start.run_id)); });
      return stop;
    });
  } catch (const pg::PgError&) {
    pg::abort_transaction();
  } catch (const MigrationError&) {
    pg::abort_transaction();
  }
}

/// Hands a run that was cut off to an executor of its own role. False when there is none.
bool resume_cut_off() {
  if (pg::run_lock_held_elsewhere()) return false;
  const auto run = catalog::active_run();
  if (!run || run->state != "running" || run->system_identifier != std::to_string(pg::system_identifier()) ||
      run->database_oid != pg::database_oid() || run->desired != "run") {
    return false;
  }
  const unsigned session = pg::role_oid(run->session_name);
  if (session == 0 || session != run->session_oid) return false;
  catalog::log_event({run->run_id, "", 0, "resumed", "launcher", -1, {}});
  pg::launch_at_commit_as(run->run_id, session);
  return true;
}

/// Sent into a database by the launcher, or by a session that queued a run behind others.
void probe(pg::Probe kind) {
  pg::in_transaction([&] {
    if (!pg::is_trustworthy_installation() || !pg::settings().enabled) return;
    if (kind != pg::Probe::resume || !resume_cut_off()) start_next();
    if (const auto s = catalog::next_look_s(due_again_s)) pg::set_alarm_at_commit(*s);
  });
}

}  // namespace

}  // namespace migration

extern "C" {

PGDLLEXPORT void migration_worker_main(Datum);
PGDLLEXPORT void migration_launcher_main(Datum);

void migration_worker_main(Datum) {
  migration::pg::boundary([] {
    migration::pg::WorkerStart start;
    std::memcpy(&start, MyBgworkerEntry->bgw_extra, sizeof start);
    migration::pg::WorkerRequest* request = migration::pg::begin_worker(start);
    if (start.worker > 0) {
      migration::help(start);
    } else if (start.probe != 0) {
      migration::probe(static_cast<migration::pg::Probe>(start.probe));
    } else {
      migration::work(start, request);
    }
  });
}

void migration_launcher_main(Datum) {
  migration::pg::boundary([] { migration::pg::run_launcher(); });
}
}
