// A backfill: one UPDATE or DELETE, many transactions.
//
// What: makes or continues the job of a backfill step and works through its batches. Exactness: rows and cursor commit
// in one transaction, fenced by the owner's epoch, so a batch happens once or not at all, whatever dies. Block ranges
// serve fills that are harmless to repeat; everything else goes by ranges of an immutable unique key, each row once.
// The end is fixed when the job is made (blocks, or the greatest key): rows that come later were never part of the
// statement. A rewritten table (other file) starts over by blocks, because its rows have moved; a key cursor does not
// care. Locks: each batch runs under lock_timeout. Between batches nothing is held, no snapshot either.
#include <fmt/format.h>

#include <algorithm>

#include "backfill/batch.hpp"
#include "catalog/facts.hpp"
#include "catalog/jobs.hpp"
#include "pg/lock.hpp"
#include "pg/parse.hpp"
#include "pg/portal.hpp"
#include "pg/process.hpp"
#include "pg/settings.hpp"
#include "pg/sql.hpp"
#include "pg/watchdog.hpp"
#include "worker/executor.hpp"
#include "worker/pace.hpp"
#include "worker/planning.hpp"
#include "worker/transact.hpp"

namespace migration {

using catalog::JobRecord;
using catalog::StepRecord;

namespace {

constexpr long long max_blocks = 8192;
constexpr long long max_rows = 1000000;

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

/// Test seam and tuning: options of migration_backfill.
class Backfill {
 public:
  Backfill(const catalog::RunRecord& run, StepRecord& step) : run_(run), step_(step) {}

  bool work(const std::function<bool()>& wanted_stop, const std::function<void()>& complete) {
    pg::in_transaction([&] {
      prepare();
      catalog::start_step(run_.run_id, step_.step, {});
    });
    if (whole_) {
      // Effect and mark in one transaction: a repeated statement might not be harmless.
      pg::in_transaction([&] {
        script_sql(backfill::whole(target_));
        complete();
      });
      return true;
    }
    pg::crash_point("backfill:start", step_.step);
    pace_.emplace(run_, step_, job_.job_id, job_.relation_oid, Pace::base_of(run_));
    for (;;) {
      if (!pace_->wait(wanted_stop)) return false;
      const double before = monotonic_ms();
      bool more = false;
      pg::in_transaction([&] { more = batch(before); });
      pg::crash_point("backfill:batch", step_.step);
      if (!more) break;
    }
    pg::in_transaction([&] {
      if (job_.cursor_kind == "ctid") sweep();
      catalog::finish_job(job_.job_id);
      complete();
    });
    pg::report_idle();
    return true;
  }

 private:
  void prepare() {
    std::vector<Statement> statements = parse_step(step_);
    if (statements.size() != 1) throw MigrationError(sqlstate::data_corrupted, "a backfill step holds one statement");
    const RowChange change = change_of(statements[0]);
    if (step_.job_id) {
      auto stored = catalog::load_job(*step_.job_id);
      if (!stored) throw MigrationError(sqlstate::data_corrupted, fmt::format("job {} is gone", *step_.job_id));
      job_ = std::move(*stored);
      if (job_.relation_oid == 0) find_tables_again();
    } else {
      create_job(change);
    }
    target_ = backfill::Target{job_.action == "delete", catalog::relation_name(job_.relation_oid), job_.alias,
                               job_.assignments, job_.condition};
    target_.core_keys = catalog::has_core_types(job_.relation_oid, job_.key_columns);
    if (target_.relation.empty()) {
      throw MigrationError(
          sqlstate::undefined_table, fmt::format("table {} of backfill job {} is gone", job_.relation, job_.job_id),
          "It was dropped while the backfill was under way.", fmt::format("SELECT migration_cancel({});", run_.run_id));
    }
    if (!whole_) catalog::claim_job(job_.job_id, run_.owner_epoch);
  }

  /// A job from another database (restored, cloned): the table is the one of that name here. A key cursor goes on where
  /// it was; blocks have other contents now, so a cursor over blocks starts over, which is harmless.
  void find_tables_again() {
    pg::SettingsFrame frame;
    apply_script_path(step_.script_path);
    for (const std::string& setting : step_.settings) pg::run_statement(setting, false);
    job_.relation_oid = catalog::resolve_relation(job_.relation);
    if (job_.relation_oid == 0) return;
    const std::vector<catalog::Leaf> leaves = catalog::leaves_of(job_.relation_oid);
    job_.leaves.clear();
    job_.leaf_blocks.clear();
    job_.leaf_files.clear();
    job_.blocks_total = 0;
    for (const catalog::Leaf& leaf : leaves) {
      job_.leaves.push_back(leaf.oid);
      job_.leaf_blocks.push_back(leaf.blocks);
      job_.leaf_files.push_back(leaf.file);
      job_.blocks_total += leaf.blocks;
    }
    job_.leaf = 1;
    job_.next_block = job_.blocks_done = 0;
    catalog::replace_tables(job_);
  }

  void create_job(const RowChange& change) {
    RelationFacts facts;
    unsigned relation = 0;
    {
      pg::SettingsFrame frame;
      apply_script_path(step_.script_path);
      for (const std::string& setting : step_.settings) pg::run_statement(setting, false);
      relation = catalog::resolve_relation(change.relation);
      facts = catalog::relation_facts(change.relation);
    }
    if (relation == 0) {
      throw MigrationError(sqlstate::undefined_table, fmt::format("table {} does not exist", change.relation));
    }
    const CursorDecision decision = choose_cursor(change, facts);
    job_.run_id = run_.run_id;
    job_.step = step_.step;
    job_.action = change.set_columns.empty() ? "delete" : "update";
    job_.relation = change.relation;
    job_.alias = change.alias.empty() ? bare_name(change.relation) : change.alias;
    job_.assignments = change.assignments;
    job_.condition = change.condition;
    job_.relation_oid = relation;
    job_.cursor_kind = decision.choice == CursorChoice::keyset ? "keyset" : "ctid";
    whole_ = decision.choice == CursorChoice::none;
    if (whole_) return;
    job_.rows_total = std::max(0LL, facts.rows);
    for (const catalog::Leaf& leaf : catalog::leaves_of(relation)) {
      job_.leaves.push_back(leaf.oid);
      job_.leaf_blocks.push_back(leaf.blocks);
      job_.leaf_files.push_back(leaf.file);
      job_.blocks_total += leaf.blocks;
    }
    if (decision.choice == CursorChoice::keyset) {
      job_.key_columns = facts.key_columns;
      job_.batch_size = 1000;
      const backfill::Target target{false, catalog::relation_name(relation), job_.alias, "", ""};
      pg::ScriptRights rights;
      pg::Rows last = pg::query_text(backfill::last_key(target, job_.key_columns));
      if (!last.empty()) {
        for (const pg::Value& value : last[0]) job_.end_key.push_back(pg::text_or_empty(value));
      }
    } else {
      job_.batch_size = 64;
    }
    job_.job_id = catalog::insert_job(job_);
    job_.leaf = 1;
    catalog::set_step_job(run_.run_id, step_.step, job_.job_id);
    step_.job_id = job_.job_id;
  }

  static std::string bare_name(const std::string& quoted) {
    bool inside = false;
    std::size_t start = 0;
    for (std::size_t i = 0; i < quoted.size(); ++i) {
      if (quoted[i] == '"') inside = !inside;
      if (quoted[i] == '.' && !inside) start = i + 1;
    }
    return quoted.substr(start);
  }

  /// Runs a statement of the batch under the script's path, without rights to change roles. Returns rows changed.
  pg::Rows script_sql(const std::string& sql) {
    pg::SettingsFrame frame;
    apply_script_path(step_.script_path);
    for (const std::string& setting : step_.settings) pg::run_statement(setting, false);
    pg::set_local("lock_timeout", std::to_string(run_.lock_timeout_ms));
    pg::ScriptRights rights;
    try {
      pg::Rows rows = pg::query_text(sql);
      changed_ = static_cast<long long>(pg::rows_processed());
      return rows;
    } catch (const pg::PgError& e) {
      error_ = std::make_unique<pg::PgError>(e);
    }
    const pg::PgError e = *error_;
    if (e.state() == "57P01" || e.state() == "57014" || is_transient(e.state())) throw e;
    const StepText text{step_.step, step_.revision, step_.settings, step_.statements, {}, step_.script_path};
    throw step_error(text, 1, step_.statements.front(), e, "The batch was rolled back; the batches before it are done.",
                     fmt::format("SELECT migration_resume({});", run_.run_id));
  }

  bool batch(double started) {
    pg::report_activity(fmt::format("migration run {} step {} job {}", run_.run_id, step_.step, job_.job_id));
    pg::lock_extension(pg::extension_oid());
    const bool more = job_.cursor_kind == "keyset" ? key_batch() : block_batch();
    ++job_.batches;
    const double elapsed = monotonic_ms() - started;
    job_.batch_size = pace_->next_size(job_.batch_size, elapsed, job_.cursor_kind == "keyset" ? max_rows : max_blocks);
    if (!catalog::advance_job(job_, run_.owner_epoch, elapsed)) {
      throw MigrationError(sqlstate::admin_shutdown, fmt::format("job {} has another owner", job_.job_id));
    }
    // It gets on between the crashes, so it is not what brings the server down. At its end it gets nowhere any more,
    // and what comes after the last batch may be what does.
    if (more && step_.crashes > 0) {
      catalog::reset_crashes(run_.run_id);
      step_.crashes = 0;
    }
    return more;
  }

  /// What an application updates while the blocks are gone through can move to blocks already passed, or behind the
  /// last one, before it was filled. One statement over the whole table sees every such row: few are left to change,
  /// and the scan for them blocks nobody.
  void sweep() {
    pg::report_activity(
        fmt::format("migration run {} step {} job {}: last look", run_.run_id, step_.step, job_.job_id));
    pg::lock_extension(pg::extension_oid());
    script_sql(backfill::whole(target_));
    job_.rows_done += changed_;
    if (!catalog::advance_job(job_, run_.owner_epoch, 0)) {
      throw MigrationError(sqlstate::admin_shutdown, fmt::format("job {} has another owner", job_.job_id));
    }
  }

  bool block_batch() {
    if (job_.leaf > static_cast<int>(job_.leaves.size())) return false;
    const std::size_t i = static_cast<std::size_t>(job_.leaf) - 1;
    const std::string leaf = catalog::relation_name(job_.leaves[i]);
    const unsigned file = leaf.empty() ? 0 : catalog::leaf_file(job_.leaves[i]);
    if (leaf.empty()) {
      next_leaf(i);  // the partition was dropped: its rows are gone with it
      return job_.leaf <= static_cast<int>(job_.leaves.size());
    }
    if (file != job_.leaf_files[i]) {
      // Rewritten or truncated meanwhile: its rows have moved, so the leaf starts over with its present size.
      pg::report(NOTICE, "00000", fmt::format("table {} was rewritten, its backfill starts over", leaf));
      job_.leaf_files[i] = file;
      job_.blocks_done -= job_.next_block;
      job_.next_block = 0;
      for (const catalog::Leaf& now : catalog::leaves_of(job_.leaves[i])) {
        if (now.oid == job_.leaves[i]) job_.leaf_blocks[i] = now.blocks;
      }
    }
    const long long end = job_.leaf_blocks[i];
    const long long to = std::min(end, job_.next_block + job_.batch_size);
    if (to > job_.next_block) {
      script_sql(backfill::block_batch(target_, leaf, job_.next_block, to));
      job_.rows_done += changed_;
      job_.blocks_done += to - job_.next_block;
      job_.next_block = to;
    }
    if (job_.next_block >= end) next_leaf(i);
    return job_.leaf <= static_cast<int>(job_.leaves.size());
  }

  void next_leaf(std::size_t i) {
    job_.blocks_done += std::max(0LL, job_.leaf_blocks[i] - job_.next_block);
    job_.next_block = 0;
    ++job_.leaf;
  }

  bool key_batch() {
    if (job_.end_key.empty()) return false;  // the table was empty
    pg::Rows bound =
        script_sql(backfill::key_bound(target_, job_.key_columns, job_.next_key, job_.end_key, job_.batch_size));
    const bool last = bound.empty();
    std::vector<std::string> high;
    if (last) {
      high = job_.end_key;
    } else {
      for (const pg::Value& value : bound[0]) high.push_back(pg::text_or_empty(value));
      job_.rows_seen += job_.batch_size;
    }
    script_sql(backfill::key_batch(target_, job_.key_columns, job_.next_key, high));
    job_.rows_done += changed_;
    job_.next_key = high;
    if (last) job_.rows_seen = std::max(job_.rows_seen, job_.rows_total);
    return !last && high != job_.end_key;
  }

  const catalog::RunRecord& run_;
  StepRecord& step_;
  JobRecord job_;
  backfill::Target target_;
  std::optional<Pace> pace_;
  std::unique_ptr<pg::PgError> error_;
  long long changed_ = 0;
  bool whole_ = false;
};

}  // namespace

bool run_batches(const catalog::RunRecord& run, StepRecord& step, const std::function<bool()>& wanted_stop,
                 const std::function<void()>& complete) {
  return Backfill(run, step).work(wanted_stop, complete);
}

}  // namespace migration
