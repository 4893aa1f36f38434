// Making and finding backfill jobs; see backfill_job.hpp.
#include "worker/backfill_job.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "catalog/facts.hpp"
#include "catalog/tuning.hpp"
#include "pg/parse.hpp"
#include "pg/portal.hpp"
#include "pg/prepared.hpp"
#include "pg/settings.hpp"
#include "pg/sql.hpp"
#include "run/decision.hpp"
#include "worker/executor.hpp"
#include "worker/pace.hpp"
#include "worker/planning.hpp"
#include "worker/transact.hpp"

namespace migration {

namespace {

RowChange change_of(const Statement& s) {
  if (s.change) return *s.change;
  // SELECT migration_backfill(...): put together as the UPDATE it stands for and parsed as that, so that the texts can
  // be nothing but a SET list and a condition.
  const BackfillCall& call = *s.backfill;
  std::string sql = fmt::format("UPDATE {} SET {}\n", call.relation, call.assignments);
  if (call.condition) sql += fmt::format("WHERE (\n{}\n)", *call.condition);
  std::vector<Statement> parsed = pg::parse_script(sql, "backfill");
  if (parsed.size() != 1 || !parsed[0].change || !parsed[0].change->simple) {
    throw MigrationError(sqlstate::feature_not_supported, "a backfill takes one table, a SET list and one condition",
                         "Sub-selects, FROM and several statements are not possible here.");
  }
  return *parsed[0].change;
}

std::string bare_name(const std::string& quoted) {
  bool inside = false;
  std::size_t start = 0;
  for (std::size_t i = 0; i < quoted.size(); ++i) {
    if (quoted[i] == '"') inside = !inside;
    if (quoted[i] == '.' && !inside) start = i + 1;
  }
  return quoted.substr(start);
}

std::string unquoted(const std::string& name) {
  if (name.size() < 2 || name.front() != '"') return name;
  std::string out;
  for (std::size_t i = 1; i + 1 < name.size(); ++i) {
    out += name[i];
    if (name[i] == '"') ++i;
  }
  return out;
}

void set_leaves(catalog::JobRecord& job, unsigned relation) {
  job.leaves.clear();
  job.leaf_blocks.clear();
  job.leaf_files.clear();
  job.blocks_total = 0;
  for (const catalog::Leaf& leaf : catalog::leaves_of(relation)) {
    job.leaves.push_back(leaf.oid);
    job.leaf_blocks.push_back(leaf.blocks);
    job.leaf_files.push_back(leaf.file);
    job.blocks_total += leaf.blocks;
  }
}

}  // namespace

void BackfillJob::prepare() {
  std::vector<Statement> statements = parse_step(step);
  if (statements.size() != 1) throw MigrationError(sqlstate::data_corrupted, "a backfill step holds one statement");
  const RowChange change = change_of(statements[0]);
  settings = Pace::base_of(run);
  const std::optional<std::string> options = statements[0].backfill ? statements[0].backfill->options : std::nullopt;
  if (options) {
    backfill::apply(settings, settings, catalog::json_entries(*options), backfill::Use::create,
                    fmt::format("SELECT migration_backfill({}, 'c = 1', 'c IS NULL', '{{}}');",
                                backfill::literal(change.relation)));
    // The schedule of a run has been obeyed before it started; whoever starts it by hand wants it now.
    if (run.direction == "backfill") settings.start_at.clear();
  }
  for (const std::string& column : change.set_columns) set_columns.push_back(unquoted(column));
  if (step.job_id) {
    auto stored = catalog::load_job(*step.job_id);
    if (!stored) throw MigrationError(sqlstate::data_corrupted, fmt::format("job {} is gone", *step.job_id));
    record = std::move(*stored);
    if (record.relation_oid == 0) find_tables_again();
  } else {
    create(change);
  }
  target = backfill::Target{record.action == "delete", catalog::relation_name(record.relation_oid), record.alias,
                            record.assignments, record.condition};
  if (target.relation.empty()) {
    throw MigrationError(
        sqlstate::undefined_table, fmt::format("table {} of backfill job {} is gone", record.relation, record.job_id),
        "It was dropped while the backfill was under way.", fmt::format("SELECT migration_cancel({});", run.run_id));
  }
  if (!record.key_columns.empty()) key = catalog::key_of(record.relation_oid, record.key_columns);
  if (!whole) catalog::claim_job(record.job_id, run.owner_epoch);
}

void BackfillJob::enter_script() {
  apply_script_path(step.script_path);
  for (const std::string& setting : step.settings) pg::run_statement(setting, false);
}

/// The table is the one of that name here. A key cursor goes on where it was; blocks have other contents now, so a
/// cursor over blocks starts over, which is harmless.
void BackfillJob::find_tables_again() {
  pg::SettingsFrame frame;
  enter_script();
  record.relation_oid = catalog::resolve_relation(record.relation);
  if (record.relation_oid == 0) return;
  set_leaves(record, record.relation_oid);
  record.leaf = 1;
  record.next_block = record.blocks_done = 0;
  catalog::replace_tables(record);
}

void BackfillJob::create(const RowChange& change) {
  RelationFacts facts;
  unsigned relation = 0;
  {
    pg::SettingsFrame frame;
    enter_script();
    relation = catalog::resolve_relation(change.relation);
    facts = catalog::relation_facts(change.relation);
  }
  if (relation == 0) {
    throw MigrationError(sqlstate::undefined_table, fmt::format("table {} does not exist", change.relation));
  }
  const CursorDecision decision = choose_cursor(change, facts);
  record.run_id = run.run_id;
  record.step = step.step;
  record.action = change.set_columns.empty() ? "delete" : "update";
  record.relation = change.relation;
  record.alias = change.alias.empty() ? bare_name(change.relation) : change.alias;
  record.assignments = change.assignments;
  record.condition = change.condition;
  record.relation_oid = relation;
  record.cursor_kind = decision.choice == CursorChoice::keyset ? "keyset" : "ctid";
  whole = decision.choice == CursorChoice::none;
  if (whole) return;
  record.rows_total = std::max(0LL, facts.rows);
  set_leaves(record, relation);
  if (decision.choice == CursorChoice::keyset) {
    record.key_columns = facts.key_columns;
    record.batch_size = 1000;
    const backfill::Target named{false, catalog::relation_name(relation), record.alias, "", ""};
    pg::Prepared last(backfill::last_key(named, catalog::key_of(relation, record.key_columns)));
    std::vector<std::vector<std::string>> rows;
    as_script([&] {
      plain_keys();
      last.run({}, rows);
    });
    if (!rows.empty()) record.end_key = rows[0];
  } else {
    record.batch_size = 64;
  }
  record.job_id = catalog::insert_job(record);
  record.leaf = 1;
  catalog::set_step_job(run.run_id, step.step, record.job_id);
  step.job_id = record.job_id;
}

void BackfillJob::plain_keys() {
  pg::set_local("datestyle", "ISO, YMD");
  pg::set_local("intervalstyle", "iso_8601");
  pg::set_local("extra_float_digits", "1");
  pg::set_local("bytea_output", "hex");
}

void BackfillJob::as_script(const std::function<void()>& f) {
  std::optional<pg::PgError> error;
  {
    pg::SettingsFrame frame;
    enter_script();
    pg::set_local("lock_timeout", std::to_string(run.lock_timeout_ms));
    // The texts of batches are planned once, and their ranges are always few rows of many.
    pg::set_local("plan_cache_mode", "force_generic_plan");
    pg::set_local("enable_tidscan", "on");
    pg::set_local("jit", "off");
    pg::ScriptRights rights;
    try {
      f();
      return;
    } catch (const pg::PgError& e) {
      error = e;
    }
  }
  if (error->state() == "57P01" || error->state() == "57014" || is_transient(error->state())) throw *error;
  const StepText text{step.step, step.revision, step.settings, step.statements, {}, step.script_path};
  throw step_error(text, 1, step.statements.front(), *error,
                   "The batch was rolled back; the batches before it are done.",
                   fmt::format("SELECT migration_resume({});", run.run_id));
}

void BackfillJob::advance(double busy_ms) {
  if (!catalog::advance_job(record, run.owner_epoch, busy_ms)) {
    throw MigrationError(sqlstate::admin_shutdown, fmt::format("job {} has another owner", record.job_id));
  }
}

}  // namespace migration
