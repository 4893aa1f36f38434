// migration_status, migration_progress, migration_runs, migration_log.
//
// What: where the database stands, in one row; what is going on; what has been. Why states are derived: a run that the
// ledger calls running while nobody holds the run lock was interrupted; one that was made in another cluster or
// database is orphaned. Nothing has to be written for that to be seen, also on a standby. Invariant: reads only.
#include "api/schedule.hpp"
#include "backfill/batch.hpp"
#include "catalog/facts.hpp"
#include "catalog/leftovers.hpp"
#include "catalog/reports.hpp"
#include "catalog/revisions.hpp"
#include "catalog/runs.hpp"
#include "catalog/schedule.hpp"
#include "pg/function.hpp"
#include "pg/launcher.hpp"
#include "pg/lock.hpp"
#include "pg/process.hpp"
#include "pg/settings.hpp"
#include "revision/target.hpp"
#include "statement/formatted.hpp"
#include "worker/planning.hpp"

namespace migration {

namespace {

struct Liveness {
  std::string state;
  int pid = 0;
};

bool foreign(const std::string& system_identifier, unsigned database) {
  return system_identifier != std::to_string(pg::system_identifier()) || database != pg::database_oid();
}

/// The state a user sees of a run.
std::string seen_state(const std::string& stored, bool background, bool owned, bool is_foreign, long long epoch) {
  if (!background) return stored;
  if ((stored == "running" || stored == "queued" || stored == "scheduled" || stored == "paused" ||
       stored == "failed") &&
      is_foreign) {
    return "orphaned";
  }
  if (stored == "running" && !owned) return "interrupted";
  (void)epoch;
  return stored;
}

struct Standing {
  std::string state, waiting_for, hint;
  std::vector<std::string> current, heads;
  int pending = 0;
  std::optional<catalog::RunRecord> run;
  pg::Value step, percent, eta;
};

void describe_run(Standing& now, const catalog::RunRecord& run, const std::string& state) {
  const std::string id = std::to_string(run.run_id);
  now.state = state;
  if (state == "interrupted") {
    now.hint = formatted("SELECT migration_resume({});{}", id,
                         pg::launcher_registered() ? ""
                                                   : "  -- it does not resume by itself: shared_preload_libraries "
                                                     "does not have migration_ext");
  } else if (state == "orphaned") {
    now.hint = formatted("SELECT migration_cancel({});  -- or, to go on here: SELECT migration_resume({});", id, id);
    now.waiting_for = "a decision: the run was started in another cluster or database";
  } else if (state == "failed" || state == "paused") {
    now.hint = run.problem.hint.empty() ? formatted("SELECT migration_resume({});", id) : run.problem.hint;
    now.waiting_for = run.problem.message;
  } else if (state == "queued") {
    now.hint = formatted("SELECT migration_resume({});{}", id,
                         not_by_itself().empty() ? "  -- when it does not start" : not_by_itself());
    now.waiting_for = "a worker";
  } else {
    now.hint = "SELECT * FROM migration_progress();";
    now.waiting_for = run.waiting_for;
  }
}

Standing standing() {
  Standing now;
  const RevisionGraph graph = catalog::load_graph();
  const auto ids = catalog::load_applied();
  const AppliedSet applied(graph, std::vector<std::string>(ids.begin(), ids.end()));
  for (std::size_t i : current_heads(graph, applied)) now.current.push_back(graph.id(i));
  for (const std::string& unknown : applied.unknown()) now.current.push_back(unknown);
  for (std::size_t i : graph.heads()) now.heads.push_back(graph.id(i));
  for (std::size_t i = 0; i < graph.size(); ++i) now.pending += applied.contains(i) ? 0 : 1;

  const bool owned = !pg::in_recovery() && pg::run_lock_held_elsewhere();
  now.run = catalog::latest_unfinished_run();
  std::string scheduled;
  if (now.run && now.run->state == "queued" && !foreign(now.run->system_identifier, now.run->database_oid)) {
    // A run that waits for its time is not what this database is busy with.
    if (const auto wait = catalog::waits_for(now.run->run_id)) {
      scheduled = formatted("run {} is due at {}", now.run->run_id, *wait);
      if (wait->starts_with("run ")) scheduled = formatted("run {} waits for {}", now.run->run_id, *wait);
      if (!pg::launcher_registered()) scheduled += "; then: SELECT migration_resume();";
      now.waiting_for = scheduled;
      now.run.reset();
    }
  }
  if (now.run) {
    const catalog::RunRecord& run = *now.run;
    const std::string state =
        seen_state(run.state, true, owned || pg::in_recovery(), foreign(run.system_identifier, run.database_oid), 0);
    describe_run(now, run, state);
    const pg::Rows progress = catalog::progress_rows(run.run_id, run.owner_pid);
    if (!progress.empty()) {
      now.step = progress[0][3];
      now.percent = progress[0][12];
      now.eta = progress[0][13];
    }
    if (state == "running" && owned) {
      const std::string blockers = pg::describe_blockers(run.owner_pid);
      if (!blockers.empty()) now.waiting_for = blockers;
    }
    return now;
  }
  if (owned) {
    now.state = "running";
    now.waiting_for = formatted("process {}, which migrates in its own transaction", pg::run_lock_owner());
    now.hint = "SELECT * FROM pg_stat_activity;";
    return now;
  }
  if (!catalog::half_done_revisions().empty()) {
    const catalog::HalfDone half = catalog::half_done_revisions().back();
    now.state = "half done";
    now.waiting_for =
        formatted("revision \"{}\" to be completed: run {} stopped inside it", half.revision, half.run_id);
    now.hint = catalog::completion_of(half);
    return now;
  }
  if (ids.empty() && !catalog::any_run() && catalog::has_user_tables()) {
    now.state = "unstamped";
    now.waiting_for = "a word on what this database already has";
    now.hint =
        graph.size() == 0
            ? "SELECT migration_stamp('heads');  -- after registering your revisions"
            : "SELECT migration_stamp('heads');  -- or, if nothing is applied: SELECT migration_upgrade('heads');";
    return now;
  }
  if (!graph.missing().empty()) {
    now.state = "incomplete";
    now.waiting_for = formatted("revision \"{}\", which \"{}\" refers to", graph.missing()[0].missing,
                                graph.id(graph.missing()[0].revision));
    now.hint = "SELECT * FROM migration_check();";
    return now;
  }
  if (now.pending == 0) {
    now.state = graph.size() == 0 ? "empty" : "up to date";
    now.hint = graph.size() == 0 ? "SELECT migration_register('a1', 'first revision', NULL, 'CREATE TABLE ...');" : "";
    if (graph.size() == 0)
      now.hint = "SELECT migration_register('a1', 'first revision', NULL, 'CREATE TABLE t (id int)');";
    return now;
  }
  now.state = "pending";
  now.hint = now.heads.size() > 1 ? "SELECT migration_upgrade('heads');" : "SELECT migration_upgrade('head');";
  return now;
}

}  // namespace

}  // namespace migration

using namespace migration;

/// migration_status(): one row. States: empty, unstamped, incomplete, pending, up to date, half done; with a run:
/// queued, running, paused, failed, interrupted, orphaned.
MIGRATION_FUNCTION(migration_status) {
  const Standing now = standing();
  const pg::Row row = {now.state,
                       pg::sql_array(now.current),
                       pg::sql_array(now.heads),
                       std::to_string(now.pending),
                       now.run ? pg::sql_int(now.run->run_id) : pg::Value(),
                       now.step,
                       now.percent,
                       now.eta,
                       now.waiting_for.empty() ? pg::Value() : pg::Value(now.waiting_for),
                       now.hint.empty() ? pg::Value() : pg::Value(now.hint)};
  return pg::row_result(fcinfo, row);
}

/// migration_progress(): the step that the active run is in; no row when nothing runs. `bar` is for people.
MIGRATION_FUNCTION(migration_progress) {
  pg::ResultRows out(fcinfo);
  const auto run = catalog::latest_unfinished_run();
  if (!run || run->state != "running") return out.done();
  for (pg::Row& row : catalog::progress_rows(run->run_id, run->owner_pid)) {
    // ... waiting_for, rest of the time, percent; then the columns behind bar.
    const pg::Value with_rests = row[16], percent = row[17], hot = row[18];
    std::string bar = percent ? backfill::bar(std::stod(*percent)) : std::string();
    if (hot) bar += formatted(", {:.0f} % in place", 100 * std::stod(*hot));
    if (with_rests) bar += formatted(", {} left with throttling", *with_rests);
    row.erase(row.begin() + 16);
    row[16] = bar.empty() ? pg::Value() : pg::Value(bar);
    out.add(row);
  }
  return out.done();
}

/// migration_runs(): all runs, newest first.
MIGRATION_FUNCTION(migration_runs) {
  pg::ResultRows out(fcinfo);
  const bool owned = !pg::in_recovery() && pg::run_lock_held_elsewhere();
  for (pg::Row& row : catalog::run_rows()) {
    const bool is_foreign = foreign(pg::text_or_empty(row[19]), static_cast<unsigned>(pg::to_integer(row[20])));
    if (pg::to_bool(row.back())) row[3] = "scheduled";
    row[3] = seen_state(*row[3], pg::to_bool(row[6]), owned || pg::in_recovery(), is_foreign, pg::to_integer(row[18]));
    row.erase(row.begin() + 18, row.begin() + 21);
    row.pop_back();
    out.add(row);
  }
  return out.done();
}

/// migration_log(run_id): events, oldest first; of all runs without an id.
MIGRATION_FUNCTION(migration_log) {
  pg::ResultRows out(fcinfo);
  for (const pg::Row& row : catalog::log_rows(pg::bigint_argument(fcinfo, 0))) out.add(row);
  return out.done();
}
