// migration_tune: settings of a run's backfills, changed while they run.
//
// What: checks the settings, keeps them beside what the run was made with, and wakes the worker. Why kept with the run
// and not sent to the worker: a run that is resumed tomorrow, by another process, must still obey. Invariant: what is
// stored has been read by the same code that the worker reads it with; the change takes effect at the next batch after
// commit.
#include <algorithm>

#include "api/arguments.hpp"
#include "api/control.hpp"
#include "api/schedule.hpp"
#include "catalog/schedule.hpp"
#include "catalog/tuning.hpp"
#include "pg/identity.hpp"
#include "pg/lock.hpp"
#include "pg/process.hpp"
#include "pg/signal.hpp"
#include "statement/formatted.hpp"
#include "worker/backfill_options.hpp"
#include "worker/executor.hpp"
#include "worker/pace.hpp"
#include "worker/user_check.hpp"

namespace migration {

namespace {

std::string settings_argument(FunctionCallInfo fcinfo, const std::string& hint) {
  try {
    return json_argument(fcinfo, 1);
  } catch (const MigrationError& e) {
    throw MigrationError(e.state(), "settings must be a JSON object", e.detail(), hint);
  }
}

/// The settings before anything was tuned: those of the run, and the options of its backfill.
backfill::Settings made_with(const catalog::RunRecord& run, const std::string& example) {
  backfill::Settings base = Pace::base_of(run);
  for (const catalog::StepRecord& step : catalog::load_steps(run.run_id)) {
    // Of several backfills, the one that is at work, or comes next.
    if (step.kind != "backfill" || (run.direction != "backfill" && step.state == "succeeded")) continue;
    for (const Statement& s : parse_step(step)) {
      if (!s.backfill || !s.backfill->options) continue;
      backfill::apply(base, base, catalog::json_entries(*s.backfill->options), backfill::Use::create, example);
    }
    if (run.direction != "backfill") break;
  }
  return base;
}

bool is_schedule(const backfill::Entry& entry) {
  return entry.first == "start_at" || entry.first == "every" || entry.first == "priority";
}

/// The expression will run as the run's role: only who may be that role may give it.
void require_role_of(const catalog::RunRecord& run) {
  const pg::Role me = pg::current_role();
  const unsigned role = pg::role_oid(run.role_name);
  if (me.name == run.role_name || pg::is_superuser(me.oid) || (role != 0 && pg::can_become(me.oid, role))) return;
  throw MigrationError(
      sqlstate::insufficient_privilege, formatted("run {} belongs to role \"{}\"", run.run_id, run.role_name),
      formatted("The expression of \"check\" runs as that role, and role \"{}\" is not a member of it.", me.name),
      "SELECT * FROM migration_runs();");
}

}  // namespace

}  // namespace migration

using namespace migration;

/// migration_tune(run_id, settings) -> jsonb: all settings that may change, as they now are. '{}' changes nothing. A
/// null puts back what the run was made with. Errors: 22023 (naming the setting, its range and units), 42501, 42704,
/// 55000.
MIGRATION_FUNCTION(migration_tune) {
  const catalog::RunRecord run = the_run(fcinfo, "migration_tune");
  if (run.state == "succeeded" || run.state == "cancelled") refuse_ended(run, "tuned");
  const std::string example = formatted("SELECT migration_tune({}, '{{}}');", run.run_id);
  const backfill::Settings base = made_with(run, example);
  backfill::Settings settings = base;
  backfill::apply(settings, base, catalog::load_tuned(run.run_id), backfill::Use::tune, example);
  const backfill::Entries given = catalog::json_entries(settings_argument(fcinfo, example));
  if (given.empty()) return pg::json_result(backfill::to_json(settings, backfill::Use::tune));
  backfill::apply(settings, base, given, backfill::Use::tune, example);
  const std::string look = formatted("SELECT migration_tune({}, '{{}}');", run.run_id);
  catalog::check_with_server(settings, look);
  for (const auto& [key, value] : given) {
    if (key != "check" || settings.check.empty()) continue;
    require_role_of(run);
    require_one_expression(settings.check, look);
  }
  const std::string json = backfill::to_json(settings, given);
  catalog::store_tuned(run.run_id, json);
  catalog::reschedule_run(run.run_id, settings, given);
  if (run.state == "queued" && std::any_of(given.begin(), given.end(), is_schedule)) start_when_due(run);
  catalog::log_event({run.run_id, "", 0, "tuned", pg::current_role().name, -1, catalog::Problem{"", json, "", ""}});
  if (is_owned(run)) {
    if (const int owner = pg::run_lock_owner(); owner != 0) pg::wake_at_commit(owner);
  }
  return pg::json_result(backfill::to_json(settings, backfill::Use::tune));
}
