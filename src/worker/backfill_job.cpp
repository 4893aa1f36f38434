// Making and finding backfill jobs; see backfill_job.hpp.
#include "worker/backfill_job.hpp"

#include <algorithm>

#include "backfill/call_text.hpp"
#include "catalog/facts.hpp"
#include "catalog/other_table.hpp"
#include "pg/parse.hpp"
#include "pg/portal.hpp"
#include "pg/prepared.hpp"
#include "pg/settings.hpp"
#include "pg/sql.hpp"
#include "pg/table_rights.hpp"
#include "plan/fill_trigger.hpp"
#include "plan/words.hpp"
#include "run/decision.hpp"
#include "statement/formatted.hpp"
#include "worker/backfill_options.hpp"
#include "worker/executor.hpp"
#include "worker/owner_rights.hpp"
#include "worker/pace.hpp"
#include "worker/planning.hpp"
#include "worker/transact.hpp"

namespace migration {

namespace {

/// Rows on which is tried whether a fill extinguishes itself.
constexpr long long sample_rows = 100;
/// First batches: small, because what a row costs is not known yet; they double from there.
constexpr long long first_rows = 100, first_blocks = 8;

RowChange change_of(const Statement& s) {
  if (s.change) return *s.change;
  // SELECT migration_backfill(...): put together as the UPDATE it stands for and parsed as that, so that the texts can
  // be nothing but a SET list and a condition.
  const BackfillCall& call = *s.backfill;
  std::string sql = call.assignments.empty() ? formatted("DELETE FROM {}\n", call.relation)
                                             : formatted("UPDATE {} SET {}\n", call.relation, call.assignments);
  if (call.condition) sql += formatted("WHERE (\n{}\n)", *call.condition);
  std::vector<Statement> parsed = pg::parse_script(sql, "backfill");
  if (parsed.size() != 1 || !parsed[0].change || !parsed[0].change->simple) {
    throw MigrationError(sqlstate::feature_not_supported, "a backfill takes one table, a SET list and one condition",
                         "Sub-selects, FROM and several statements are not possible here.",
                         "SELECT migration_backfill('my_table', 'c = 1', 'c IS NULL');");
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
  load();
  if (whole) return;
  catalog::claim_job(record.job_id, run.owner_epoch);
  remember_shape();
  // Whoever had them has gone, or is fenced out by this.
  catalog::free_ranges(record.job_id, 0);
}

void BackfillJob::prepare_again() {
  load();
}

void BackfillJob::load() {
  // Looking at a table's size takes a lock, and an ALTER TABLE may be queued before us.
  pg::SettingsFrame frame;
  pg::set_local("lock_timeout", std::to_string(run.lock_timeout_ms));
  std::vector<Statement> statements = parse_step(step);
  if (statements.size() != 1) throw MigrationError(sqlstate::data_corrupted, "a backfill step holds one statement");
  change_ = change_of(statements[0]);
  const RowChange& change = change_;
  settings = Pace::base_of(run);
  if (const auto& call = statements[0].backfill) {
    settings = read_options(settings, change.relation, call->options, call->assignments.empty());
    lookup_wanted_ = !call->from.empty();
    // The schedule of a run has been obeyed before it started; whoever starts it by hand wants it now.
    if (run.direction == "backfill") settings.start_at.clear();
  }
  for (const std::string& column : change.set_columns) set_columns.push_back(unquoted(column));
  for (catalog::StepRecord& before : catalog::load_steps(run.run_id)) {
    if (before.step == step.step - 1) step_before = std::move(before.statements);
  }
  own_trigger = unquoted(fill_trigger_made_by(step_before));
  if (step.job_id) {
    auto stored = catalog::load_job(*step.job_id);
    if (!stored) throw MigrationError(sqlstate::data_corrupted, formatted("job {} is gone", *step.job_id));
    record = std::move(*stored);
    if (record.relation_oid == 0) find_tables_again();
  } else {
    create(change);
  }
  target.relation = catalog::relation_name(record.relation_oid);
  if (target.relation.empty()) refuse_gone();
  rows_in_all = record.rows_total;
  if (change.copy) into_name_ = find_into(change);
  retarget();
  // What blocks may meet twice is watched, unless a second time is harmless by its form.
  const bool harmless = !change.reads_own && fills_null(change);
  watched = !whole && record.action == "update" && record.cursor_kind == "ctid" && !harmless;
  sweeps_keys = !whole && record.cursor_kind == "keyset" && harmless;
  if (!record.key_columns.empty()) key = catalog::key_of(record.relation_oid, record.key_columns);
}

void BackfillJob::tell(const std::string& text, const std::string& detail) const {
  pg::report(NOTICE, "00000", text, detail);
  catalog::log_event(
      {run.run_id, step.revision, step.step, "note", run.role_name, -1, catalog::Problem{"", text, detail, ""}});
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
  if (record.cursor_kind == "ctid") catalog::drop_ranges(record.job_id);
  catalog::replace_tables(record);
}

void BackfillJob::create(const RowChange& change) {
  RelationFacts facts;
  OtherTable other;
  unsigned relation = 0;
  {
    pg::SettingsFrame frame;
    enter_script();
    relation = catalog::resolve_relation(change.relation);
    facts = catalog::relation_facts(change.relation);
    if (relation != 0) other = catalog::other_table(change);
  }
  if (relation == 0) {
    throw MigrationError(sqlstate::undefined_table, formatted("table {} does not exist", change.relation), {},
                         formatted("SELECT migration_resume({});", run.run_id));
  }
  if (!settings.key.empty()) {
    facts.key_columns = catalog::unique_key(relation, settings.key);
    if (facts.key_columns.empty()) {
      throw MigrationError(sqlstate::feature_not_supported, "the columns of option \"key\" are no unique key",
                           "It takes the columns of a valid unique btree index, all of them NOT NULL.",
                           formatted("SELECT migration_cancel({});", run.run_id));
    }
  }
  record.alias = change.alias.empty() ? bare_name(change.relation) : change.alias;
  if (change.copy) create_copy(change);
  CursorDecision decision = choose_cursor(change, facts, settings.cursor, other);
  if (lookup_wanted_ && !finds_one(change, other)) {
    refuse_lookup(change, other, formatted("SELECT migration_cancel({});", run.run_id));
  }
  if (decision.to_prove && !proven(relation, change)) {
    if (settings.cursor == "ctid") {
      throw MigrationError(sqlstate::feature_not_supported, "cursor ctid is not possible here",
                           "A changed row still meets the condition, so a row met twice would be changed twice.",
                           formatted("SELECT migration_cancel({});", run.run_id));
    }
    RowChange plain = change;
    plain.tests_own = false;
    plain.null_tests.clear();
    decision = choose_cursor(plain, facts, settings.cursor, other);
  }
  record.run_id = run.run_id;
  record.step = step.step;
  if (!change.copy) record.action = change.set_columns.empty() ? "delete" : "update";
  record.relation = change.relation;
  if (!change.copy) record.assignments = change.assignments;
  record.condition = change.condition;
  record.relation_oid = relation;
  record.cursor_kind = decision.choice == CursorChoice::keyset ? "keyset" : "ctid";
  whole = decision.choice == CursorChoice::none;
  if (whole) return;
  record.rows_total = std::max(0LL, facts.rows);
  set_leaves(record, relation);
  if (decision.choice == CursorChoice::keyset) {
    use_keys(facts.key_columns);
  } else {
    record.batch_size = first_blocks;
  }
  record.job_id = catalog::insert_job(record);
  record.leaf = 1;
  catalog::set_step_job(run.run_id, step.step, record.job_id);
  step.job_id = record.job_id;
}

void BackfillJob::use_keys(const std::vector<std::string>& columns) {
  record.cursor_kind = "keyset";
  record.key_columns = columns;
  record.batch_size = first_rows;
  record.next_key.clear();
  record.end_key.clear();
  const backfill::Target named{false, catalog::relation_name(record.relation_oid), record.alias, "", ""};
  pg::Prepared last(backfill::last_key(named, catalog::key_of(record.relation_oid, columns)));
  std::vector<std::vector<std::string>> rows;
  as_script([&] {
    plain_keys();
    last.run({}, rows);
  });
  if (!rows.empty()) record.end_key = rows[0];
}

bool BackfillJob::switch_to_keys() {
  if (settings.cursor == "ctid") return false;
  RelationFacts facts;
  facts = catalog::relation_facts(target.relation);
  RowChange plain = change_of(parse_step(step)[0]);
  plain.tests_own = false;
  plain.null_tests.clear();
  OtherTable other;
  other.known = true;  // the lookup was looked at when the job was made
  if (choose_cursor(plain, facts, "auto", other).choice != CursorChoice::keyset) return false;
  use_keys(facts.key_columns);
  key = catalog::key_of(record.relation_oid, record.key_columns);
  watched = false;
  known_changes_ = 0;
  record.column_types.clear();  // from now on the columns of the key count, too
  catalog::use_keys(record);
  remember_shape();
  tell(formatted("table {}: changed rows still meet the condition, going on by key", target.relation));
  return true;
}

/// Changes a few rows and takes that back: does none of them meet the condition any more?
bool BackfillJob::proven(unsigned relation, const RowChange& change) {
  backfill::Target sample = backfill::target_of(change, catalog::relation_name(relation), "", {});
  sample.alias = record.alias;
  struct Undo {};
  std::uint64_t marked = 1;
  try {
    pg::in_subtransaction([&] {
      pg::Prepared statement(backfill::sample(sample, sample_rows));
      as_script_raw([&] { statement.run({}, marked); }, relation);
      throw Undo();
    });
  } catch (const Undo&) {
    return marked == 0;
  } catch (const pg::PgError& e) {
    if (!is_row_error(e.state())) throw;
  }
  return false;  // a row of the sample fails; by key it is found and told
}

void BackfillJob::plain_keys() {
  pg::set_local("datestyle", "ISO, YMD");
  pg::set_local("intervalstyle", "iso_8601");
  pg::set_local("extra_float_digits", "1");
  pg::set_local("bytea_output", "hex");
}

void BackfillJob::as_script_raw(const std::function<void()>& f, unsigned table) {
  pg::SettingsFrame frame;
  enter_script();
  pg::set_local("lock_timeout", std::to_string(run.lock_timeout_ms));
  // The texts of batches are planned once, and their ranges are always few rows of many.
  pg::set_local("plan_cache_mode", "force_generic_plan");
  pg::set_local("enable_tidscan", "on");
  pg::set_local("jit", "off");
  // Of a copy, the table that receives the rows: its triggers are what a stranger may have written.
  const unsigned of = record.into_oid != 0 ? record.into_oid : table != 0 ? table : record.relation_oid;
  const unsigned owner = acting_owner(of, run.role_name, run.run_id);
  pg::fire_deferred();
  pg::OwnerRights rights(owner);
  f();
}

void BackfillJob::as_script(const std::function<void()>& f, unsigned table) {
  turn_errors([&] { as_script_raw(f, table); });
}

void BackfillJob::as_run(const std::function<void()>& f) {
  turn_errors([&] {
    pg::SettingsFrame frame;
    enter_script();
    pg::set_local("lock_timeout", std::to_string(run.lock_timeout_ms));
    pg::ScriptRights rights;
    f();
  });
}

void BackfillJob::turn_errors(const std::function<void()>& f) {
  std::optional<pg::PgError> error;
  try {
    f();
    return;
  } catch (const pg::PgError& e) {
    error = e;
  }
  if (error->state() == "57P01" || error->state() == "57014" || is_transient(error->state())) {
    throw pg::PgError(*error);
  }
  throw failure(*error, "The batch was rolled back; the batches before it are done.",
                formatted("SELECT migration_resume({});", run.run_id));
}

MigrationError BackfillJob::failure(const pg::PgError& error, const std::string& detail,
                                    const std::string& hint) const {
  const StepText text{step.step, step.revision, step.settings, step.statements, {}, step.script_path};
  return step_error(text, 1, step.statements.front(), error, detail, hint);
}

void BackfillJob::advance(double busy_ms) {
  if (range_gone) return;
  if (range) {
    usual_size_ = record.batch_size;
    if (catalog::advance_range(record, *range, busy_ms)) return;
    throw MigrationError("40001", formatted("range {} of job {} has another worker", range->range, record.job_id), "",
                         formatted("SELECT migration_resume({});", run.run_id));
  }
  if (!catalog::advance_job(record, run.owner_epoch, busy_ms)) {
    throw MigrationError(sqlstate::admin_shutdown, formatted("job {} has another owner", record.job_id));
  }
}

}  // namespace migration
