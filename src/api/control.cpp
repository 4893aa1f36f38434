// migration_pause, migration_resume, migration_cancel.
//
// What: users say what they want of a run (the desired state); only its owner, or anybody when it has none, changes
// what it is. Why apart: a run whose worker has died can still be cancelled, and nothing hangs in 'pausing'. Invariant:
// a wish takes effect when this transaction commits.
#include <optional>

#include "api/arguments.hpp"
#include "api/control.hpp"
#include "api/schedule.hpp"
#include "catalog/jobs.hpp"
#include "catalog/reports.hpp"
#include "catalog/runs.hpp"
#include "catalog/schedule.hpp"
#include "catalog/tuning.hpp"
#include "pg/function.hpp"
#include "pg/identity.hpp"
#include "pg/lock.hpp"
#include "pg/process.hpp"
#include "pg/settings.hpp"
#include "pg/signal.hpp"
#include "statement/formatted.hpp"

namespace migration {

catalog::RunRecord the_run(FunctionCallInfo fcinfo, const char* function) {
  return the_run(pg::bigint_argument(fcinfo, 0), function);
}

catalog::RunRecord the_run(std::optional<long long> given, const char* function) {
  pg::require_writable(function);
  const auto run = given ? catalog::load_run(*given) : catalog::latest_unfinished_run();
  if (!run) {
    throw MigrationError(sqlstate::undefined_object,
                         given ? formatted("run {} does not exist", *given) : "there is no unfinished run", {},
                         "SELECT * FROM migration_runs();");
  }
  const pg::Role me = pg::current_role();
  if (me.name != run->role_name && !pg::is_superuser(me.oid) &&
      !(pg::role_oid(run->role_name) != 0 && pg::can_become(me.oid, pg::role_oid(run->role_name))) &&
      !pg::owns_ledger(me.oid)) {
    throw MigrationError(sqlstate::insufficient_privilege,
                         formatted("run {} belongs to role \"{}\"", run->run_id, run->role_name),
                         formatted("Role \"{}\" is not a member of it.", me.name), "SELECT * FROM migration_runs();");
  }
  return *run;
}

void refuse_ended(const catalog::RunRecord& run, const char* verb) {
  throw MigrationError(sqlstate::not_in_prerequisite_state,
                       formatted("run {} cannot be {}: it is {}", run.run_id, verb, run.state), {},
                       "SELECT * FROM migration_runs();");
}

bool is_owned(const catalog::RunRecord& run) {
  return run.state == "running" && pg::run_lock_held_elsewhere();
}

namespace {

/// What migration_resume() without a number means. What somebody paused, or what failed, and belongs to a schedule is
/// left alone: it may be a schedule that calls.
std::optional<long long> run_to_resume() {
  const auto latest = catalog::latest_unfinished_run();
  if (!latest || latest->state == "running") return latest ? std::optional(latest->run_id) : std::nullopt;
  if (const auto due = catalog::next_due_run()) return due->run_id;
  if (catalog::waits_for(latest->run_id)) return std::nullopt;
  const catalog::Schedule& s = latest->schedule;
  if (latest->state != "queued" && (!s.start_at.empty() || !s.after.empty())) return std::nullopt;
  return latest->run_id;
}

}  // namespace

}  // namespace migration

using namespace migration;

/// migration_pause(run_id) -> text: 'pausing' when a worker will stop at its next boundary, 'paused' when it has none.
MIGRATION_FUNCTION(migration_pause) {
  const catalog::RunRecord run = the_run(fcinfo, "migration_pause");
  if (run.state != "queued" && run.state != "running" && run.state != "paused") refuse_ended(run, "paused");
  const std::string me = pg::current_role().name;
  catalog::set_desired(run.run_id, "pause", me);
  if (is_owned(run)) {
    catalog::log_event({run.run_id, "", 0, "pausing", me, -1, {}});
    if (const int owner = pg::run_lock_owner(); owner != 0) {
      // One that rests between two batches need not sleep on, and a VACUUM between them need not be ended.
      pg::wake_at_commit(owner);
      if (catalog::is_vacuuming(run.run_id, owner)) pg::cancel_at_commit(owner);
    }
    return pg::text_result(fcinfo, "pausing");
  }
  catalog::set_run_state(
      run.run_id, "paused",
      {"", formatted("paused by \"{}\"", me), "", formatted("SELECT migration_resume({});", run.run_id)}, false);
  catalog::log_event({run.run_id, "", 0, "paused", me, -1, {}});
  return pg::text_result(fcinfo, "paused");
}

/// migration_cancel(run_id) -> text: 'cancelling' (its worker is interrupted when this transaction commits) or
/// 'cancelled'. Finished steps stay done; status names what is half done.
MIGRATION_FUNCTION(migration_cancel) {
  const catalog::RunRecord run = the_run(fcinfo, "migration_cancel");
  if (run.state == "succeeded" || run.state == "cancelled") refuse_ended(run, "cancelled");
  const std::string me = pg::current_role().name;
  catalog::set_desired(run.run_id, "cancel", me);
  if (is_owned(run)) {
    catalog::log_event({run.run_id, "", 0, "cancelling", me, -1, {}});
    // A worker in its own transaction looks for wishes at boundaries only, and an index build can be far from one.
    if (const int owner = pg::run_lock_owner(); owner != 0) pg::cancel_at_commit(owner);
    return pg::text_result(fcinfo, "cancelling");
  }
  catalog::set_run_state(run.run_id, "cancelled",
                         {"57014", formatted("cancelled by \"{}\"", me), "", "SELECT * FROM migration_status();"},
                         true);
  catalog::log_event({run.run_id, "", 0, "cancelled", me, -1, {}});
  return pg::text_result(fcinfo, "cancelled");
}

/// migration_resume(run_id) -> text: 'resuming' (a worker starts when this transaction commits), 'running' (a live
/// worker has it) or 'scheduled' (it was paused before its time). Without an id: what was interrupted, else what is
/// due, else what was paused or failed and has no schedule, else 'nothing to resume'. By its number a run starts before
/// its time. A run restored from elsewhere is adopted by naming it. Errors: 42704, 42501, 55000 (ended), MX040 (another
/// run is active).
MIGRATION_FUNCTION(migration_resume) {
  pg::require_writable("migration_resume");
  const auto chosen = PG_ARGISNULL(0) ? run_to_resume() : pg::bigint_argument(fcinfo, 0);
  if (!chosen) return pg::text_result(fcinfo, "nothing to resume");
  const catalog::RunRecord run = the_run(chosen, "migration_resume");
  const pg::Role me = pg::current_role();
  if (run.state == "succeeded") refuse_ended(run, "resumed");
  if (run.state == "cancelled") refuse_ended(run, "resumed");
  if (!pg::settings().enabled) {
    throw MigrationError(sqlstate::not_in_prerequisite_state, "migration runs are switched off on this server",
                         "The parameter migration_ext.enabled is off.", "ALTER SYSTEM SET migration_ext.enabled = on;");
  }
  const bool foreign =
      run.system_identifier != std::to_string(pg::system_identifier()) || run.database_oid != pg::database_oid();
  if (foreign && PG_ARGISNULL(0)) {
    throw MigrationError(
        sqlstate::foreign_origin, formatted("run {} was started in another cluster or database", run.run_id),
        "This database is a copy. What the run has done there may not be what it did here.",
        formatted("SELECT migration_resume({});  -- or: SELECT migration_cancel({});", run.run_id, run.run_id));
  }
  if (is_owned(run)) {
    catalog::set_desired(run.run_id, "run", me.name);
    return pg::text_result(fcinfo, "running");
  }
  if (pg::run_lock_held_elsewhere()) {
    throw MigrationError(sqlstate::run_active, "another run is active", {}, "SELECT * FROM migration_status();");
  }
  if (pg::role_oid(run.role_name) == 0) {
    throw MigrationError(sqlstate::undefined_object,
                         formatted("role \"{}\" of run {} does not exist", run.role_name, run.run_id), {},
                         formatted("SELECT migration_cancel({});", run.run_id));
  }
  if (foreign || pg::role_oid(run.role_name) != run.role_oid) catalog::adopt_run(run.run_id, me.name, me.oid);
  catalog::set_desired(run.run_id, "run", me.name);
  // Who resumes it after having been told that its tables have changed goes on with them as they are.
  if (run.problem.state == sqlstate::not_in_prerequisite_state) catalog::accept_shape(run.run_id);
  catalog::set_run_state(run.run_id, "queued", {}, false);
  catalog::reset_crashes(run.run_id);
  catalog::log_event({run.run_id, "", 0, "resumed", me.name, -1, {}});
  if (catalog::waits_for(run.run_id)) {
    if (run.state == "paused") {
      start_when_due(run);
      return pg::text_result(fcinfo, "scheduled");
    }
    catalog::start_by_hand(run.run_id);
  }
  // The run keeps its role: the worker logs in as whoever resumes and becomes that role by their own right.
  pg::launch_at_commit(run.run_id);
  return pg::text_result(fcinfo, "resuming");
}
