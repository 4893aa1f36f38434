// migration_backfill: a backfill outside revisions.
//
// What: checks table, texts and options as far as that is possible without running anything, and queues a run of one
// backfill with the steps that its options ask for. Why so much is checked here: the work is done by another process,
// later, and an error that a user could have had at once would wait in a log. Invariants: nothing of the user's text
// runs here; the run starts when this transaction commits, when its time has come. Locks: those of looking.
#include <algorithm>
#include <iterator>
#include <optional>

#include "api/arguments.hpp"
#include "api/control.hpp"
#include "api/schedule.hpp"
#include "backfill/call_text.hpp"
#include "backfill/knobs.hpp"
#include "catalog/facts.hpp"
#include "catalog/other_table.hpp"
#include "catalog/runs.hpp"
#include "catalog/schedule.hpp"
#include "catalog/tuning.hpp"
#include "pg/analysis.hpp"
#include "pg/function.hpp"
#include "pg/identity.hpp"
#include "pg/json.hpp"
#include "pg/parse.hpp"
#include "pg/settings.hpp"
#include "statement/formatted.hpp"
#include "worker/backfill_options.hpp"
#include "worker/owner_rights.hpp"
#include "worker/pace.hpp"
#include "worker/planning.hpp"
#include "worker/standalone.hpp"

namespace migration {

namespace {

std::string call_text(const std::string& relation, const std::string& assignments,
                      const std::optional<std::string>& condition, const std::string& options) {
  return formatted("SELECT migration_backfill({}, {}, {}, {})", literal(relation),
                   assignments.empty() ? "NULL" : literal(assignments), condition ? literal(*condition) : "NULL",
                   literal(options));
}

/// Options with which a backfill is more than an UPDATE or DELETE of one table.
constexpr const char* of_other_tables[] = {"from", "into", "columns", "on_conflict"};

Statement only(std::vector<Statement> parsed, const std::string& form) {
  if (parsed.size() == 1 && parsed[0].change && parsed[0].change->simple) return std::move(parsed[0]);
  throw MigrationError(sqlstate::feature_not_supported, "a backfill takes one table, a SET list and one condition",
                       "Sub-selects and several statements are not possible here, nor is FROM but as an option.", form);
}

/// The call as a script would have it; a plain UPDATE or DELETE as that, so that errors show where in it they are.
Statement parse_call(const std::string& relation, const std::string& assignments,
                     const std::optional<std::string>& condition, const std::string& options, const std::string& form) {
  const auto action = pg::json_member(options, "action");
  const bool other = (action && *action != "update" && *action != "delete") ||
                     std::any_of(std::begin(of_other_tables), std::end(of_other_tables),
                                 [&](const char* name) { return pg::json_member(options, name).has_value(); });
  if (other)
    return only(pg::parse_script(call_text(relation, assignments, condition, options), "backfill", form), form);
  BackfillCall call;
  call.relation = relation;
  call.assignments = assignments;
  // No parentheses of ours: the condition must be one expression by itself.
  call.condition = condition;
  const std::string text = backfill::text_to_parse(call);
  Statement out = only(pg::parse_script(text, "backfill", form), form);
  if (!out.change->from.empty()) return only({}, form);
  out.text = text;
  return out;
}

std::string options_argument(FunctionCallInfo fcinfo, const std::string& hint) {
  try {
    return json_argument(fcinfo, 3);
  } catch (const MigrationError& e) {
    throw MigrationError(e.state(), e.message(), e.detail(), hint);
  }
}

/// What names nothing, or does not fit, is told to whoever calls, not to a log hours later. Texts may still fail when
/// they run. Errors: as the server has them.
void require_meaning(const backfill::Target& target, const std::string& form) {
  std::optional<pg::PgError> error;
  try {
    pg::SettingsFrame frame;
    pg::set_local("lock_timeout", "1s");
    pg::require_analyzable(backfill::whole(target));
  } catch (const pg::PgError& e) {
    error = e;
  }
  if (!error || error->state() == "55P03") return;
  if (error->state().starts_with("57")) throw pg::PgError(*error);
  throw MigrationError(error->state(), error->message(), error->detail(), form);
}

}  // namespace

}  // namespace migration

using namespace migration;

/// migration_backfill(relation, assignments, condition, options) -> bigint: the run, which starts when this transaction
/// commits, when the runs before it are done, or when its options say. Errors: 22004, 22023 (options), 42601 with the
/// texts' own position, 0A000 (sub-selects, several tables), 42P01.
MIGRATION_FUNCTION(migration_backfill) {
  pg::require_writable("migration_backfill");
  if (PG_ARGISNULL(0)) pg::refuse_null("relation", "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p');");
  const std::string relation = catalog::relation_name(PG_GETARG_OID(0));
  if (relation.empty()) {
    throw MigrationError(sqlstate::undefined_table, "the table of the backfill does not exist", {},
                         "SELECT relname FROM pg_class WHERE relkind = 'r';");
  }
  const std::string form = formatted("SELECT migration_backfill({}, 'c = 1', 'c IS NULL');", literal(relation));
  const std::string assignments = pg::text_argument(fcinfo, 1).value_or("");
  const auto condition = pg::text_argument(fcinfo, 2);
  const std::string example =
      formatted("SELECT migration_backfill({}, 'c = 1', 'c IS NULL', '{{}}');", literal(relation));
  const std::string options = options_argument(fcinfo, example);
  const Statement asked = parse_call(relation, assignments, condition, options, form);
  const RowChange& change = *asked.change;
  const RelationFacts facts = catalog::relation_facts(relation);
  if (facts.kind != 'r' && facts.kind != 'p') {
    throw MigrationError("42809", formatted("{} is not a table", relation),
                         "A backfill changes rows where they are stored.",
                         "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p');");
  }
  if (relation.starts_with("pg_temp_")) {
    throw MigrationError(sqlstate::feature_not_supported, formatted("{} is a temporary table", relation),
                         "A backfill is run by a background worker, which cannot see it.",
                         "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relpersistence <> 't';");
  }
  if (relation.starts_with("pg_catalog.") || relation.starts_with("pg_toast.") ||
      relation.starts_with("migration_ext.")) {
    throw MigrationError(sqlstate::feature_not_supported, formatted("{} is a table of the system", relation),
                         "Neither the server's catalogs nor the ledger can be changed in batches.",
                         "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND oid >= 16384;");
  }
  const pg::Role role = pg::current_role();
  const pg::Role session = pg::session_role();
  const pg::Settings s = pg::settings();
  catalog::RunRecord run;
  run.direction = "backfill";
  run.target = relation;
  run.background = true;
  run.role_name = role.name;
  run.role_oid = role.oid;
  run.session_name = session.name;
  run.session_oid = session.oid;
  run.lock_timeout_ms = s.lock_timeout_ms;
  run.lock_retries = s.lock_retries;
  run.batch_target_ms = s.batch_target_ms;
  backfill::Settings settings = read_options(Pace::base_of(run), relation, options, assignments.empty());
  if (!settings.key.empty() && catalog::unique_key(PG_GETARG_OID(0), settings.key).empty()) {
    throw MigrationError(sqlstate::feature_not_supported, "the columns of option \"key\" are no unique key",
                         "It takes the columns of a valid unique btree index, all of them NOT NULL.", form);
  }
  if (!change.copy) require_meaning(backfill::target_of(change, relation, "", {}), form);
  const OtherTable other = catalog::other_table(change);
  if (change.copy) {
    catalog::copy_target(change, formatted("SELECT migration_backfill({}, NULL, NULL, {});", literal(relation),
                                           literal(formatted("{{\"action\": \"copy\", \"into\": {}, \"columns\": "
                                                             "[\"id\"]}}",
                                                             backfill::quote(change.copy->into)))));
  }
  const CursorDecision decision = choose_cursor(change, facts, settings.cursor, other);
  if (!change.from.empty() && !finds_one(change, other)) refuse_lookup(change, other, example);
  if (change.copy) {
    require_owner_rights(catalog::resolve_relation(change.copy->into), false, role, "");
  } else {
    require_owner_rights(PG_GETARG_OID(0), decision.choice == CursorChoice::ctid, role, "");
  }
  catalog::schedule_run(run, settings, example);
  std::string sql = asked.text;
  // With options it is kept as a script would have it, the options as they were understood here.
  if (options != "{}")
    sql = call_text(relation, assignments, condition, to_json(settings, catalog::json_entries(options)));
  const std::string plain =
      formatted("SELECT migration_backfill({}, 'c = 1', 'c IS NULL', '{{\"verify\": \"scan\"}}');", literal(relation));
  catalog::insert_run(run, standalone_steps(sql, settings, pg::get_setting("search_path"), role, plain));
  catalog::log_event({run.run_id, "", 0, "queued", role.name, -1, {}});
  const std::string when = start_when_due(run);
  const auto due = not_due(run.run_id);
  const std::string owner = owner_note(PG_GETARG_OID(0), role);
  pg::report(NOTICE, "00000",
             formatted("run {} queued: {}{}{}", run.run_id, decision.reason, owner.empty() ? "" : "; ", owner), when,
             due ? due->hint : formatted("SELECT migration_wait({});", run.run_id));
  return pg::bigint_result(run.run_id);
}
