// The part of a backfill job that looks whether its table is still the one it was made for; see backfill_job.hpp.
//
// What: names, types of the columns it assigns or goes by, and what its key is sorted by. Why in the ledger: a change
// under a backfill that is paused, or whose process has died, must be noticed as one under a live one; who resumes
// after having been told goes on (migration_resume forgets the types), but never with a key of another order, because
// its cursor says nothing any more. Locks: the one that a batch takes anyway, under lock_timeout.
#include "catalog/facts.hpp"
#include "pg/catalog_changes.hpp"
#include "pg/lock.hpp"
#include "pg/settings.hpp"
#include "plan/words.hpp"
#include "statement/formatted.hpp"
#include "worker/backfill_job.hpp"

namespace migration {

catalog::TableIdentity BackfillJob::shape_now() const {
  std::vector<std::string> columns = set_columns;
  for (const std::string& name : record.key_columns) columns.push_back(unquoted(name));
  return catalog::table_identity(record.relation_oid, columns);
}

std::string BackfillJob::order_now() const {
  std::string order;
  for (const backfill::KeyColumn& column : key) {
    order += formatted("{}{} by {}", order.empty() ? "" : ", ", column.name, column.order);
  }
  return order;
}

void BackfillJob::remember_shape() {
  const std::string order = order_now();
  if (!record.key_order.empty() && order != record.key_order) {
    throw MigrationError(
        sqlstate::not_in_prerequisite_state,
        formatted("the key of table {} has another order than when the backfill began", target.relation),
        formatted(
            "It was {}, and is {} now: which rows lie before its position is not known any more. {} rows are done.",
            record.key_order, order, record.rows_done),
        formatted("SELECT migration_cancel({});", run.run_id));
  }
  record.key_order = order;
  if (record.column_types.empty()) record.column_types = shape_now().column_types;
  if (record.into_oid != 0) {
    const IntoShape into = into_shape_now();
    if (record.into_types.empty()) record.into_types = into.table.column_types;
    if (record.into_files.empty()) record.into_files = into.files;
  }
  catalog::keep_shape(record);
}

void BackfillJob::refuse_gone() const {
  throw MigrationError(
      sqlstate::undefined_table, formatted("table {} of backfill job {} is gone", record.relation, record.job_id),
      "It was dropped while the backfill was under way.", formatted("SELECT migration_cancel({});", run.run_id));
}

void BackfillJob::hold_table() {
  hold_into();
  {
    pg::SettingsFrame frame;
    pg::set_local("lock_timeout", std::to_string(run.lock_timeout_ms));
    pg::take_locks(
        {pg::LockTarget{record.relation_oid,
                        pg::lock_mode_number(change_.copy ? "AccessShareLock" : "RowExclusiveLock"), target.relation}});
  }
  const std::uint64_t changes = pg::catalog_changes();
  if (changes == known_changes_) return;
  const catalog::TableIdentity now = shape_now();
  if (now.name.empty()) refuse_gone();
  if (record.column_types.empty()) record.column_types = now.column_types;
  if (now.column_types != record.column_types) {
    throw MigrationError(
        sqlstate::not_in_prerequisite_state,
        formatted("columns of table {} have changed while the backfill was under way", now.name),
        formatted("It started with {}; now there is {}.", record.column_types, now.column_types),
        formatted("SELECT migration_resume({});\nSELECT migration_cancel({});", run.run_id, run.run_id));
  }
  if (now.name != target.relation) {
    target.relation = now.name;
    ++generation;
  }
  known_changes_ = changes;
}

}  // namespace migration
