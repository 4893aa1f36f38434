// The part of a backfill job that copies rows; see backfill_job.hpp.
//
// What: the table that receives the rows, found when the job is made and held with every batch. Why its columns are
// kept in the ledger: a copy that is resumed goes on with those it has begun with, also where both tables have got
// another of the same name. Invariants: rows and cursor commit together, as for any batch; when the table of the rows
// copied so far is not the same any more, or emptied, that is an error and not a gap. Locks: RowExclusiveLock on it,
// under lock_timeout, with the transaction of each batch.
#include <algorithm>

#include "backfill/call_text.hpp"
#include "catalog/facts.hpp"
#include "catalog/other_table.hpp"
#include "pg/lock.hpp"
#include "pg/settings.hpp"
#include "plan/words.hpp"
#include "statement/formatted.hpp"
#include "worker/backfill_job.hpp"

namespace migration {

void BackfillJob::create_copy(const RowChange& change) {
  pg::SettingsFrame frame;
  enter_script();
  const catalog::CopyTarget target =
      catalog::copy_target(change, formatted("SELECT migration_cancel({});", run.run_id));
  record.into_oid = target.oid;
  record.into_columns = target.columns;
  record.action = "copy";
  record.assignments = change.copy->values;
}

void BackfillJob::refuse_into_gone(const std::string& name) const {
  throw MigrationError(sqlstate::undefined_table,
                       formatted("table {}, into which backfill job {} copies, is gone", name, record.job_id),
                       "It was dropped while the backfill was under way, and the rows copied so far with it.",
                       formatted("SELECT migration_cancel({});", run.run_id));
}

std::string BackfillJob::find_into(const RowChange& change) {
  if (record.into_oid == 0) {
    // The job came from another database: the table is the one of that name here.
    pg::SettingsFrame frame;
    enter_script();
    record.into_oid = catalog::resolve_relation(change.copy->into);
    if (record.into_oid != 0 && record.job_id != 0) catalog::replace_into(record);
  }
  std::string name = record.into_oid == 0 ? std::string() : catalog::relation_name(record.into_oid);
  if (name.empty()) refuse_into_gone(change.copy->into);
  return name;
}

namespace {

/// Has each table that was there the file that it had? New partitions hold nothing that was copied before.
bool still_there(const std::string& then, const std::string& now) {
  for (std::size_t at = 0; at < then.size();) {
    const std::size_t end = std::min(then.find(' ', at), then.size());
    if ((" " + now).find(" " + then.substr(at, end - at) + " ") == std::string::npos) return false;
    at = end + 1;
  }
  return true;
}

}  // namespace

BackfillJob::IntoShape BackfillJob::into_shape_now() const {
  IntoShape now;
  std::vector<std::string> columns;
  for (const std::string& column : record.into_columns) columns.push_back(unquoted(column));
  now.table = catalog::table_identity(record.into_oid, columns);
  for (const catalog::Leaf& leaf : catalog::leaves_of(record.into_oid)) {
    now.files += formatted("{}:{} ", leaf.oid, leaf.file);
  }
  return now;
}

void BackfillJob::hold_into() {
  if (record.into_oid == 0) return;
  {
    pg::SettingsFrame frame;
    pg::set_local("lock_timeout", std::to_string(run.lock_timeout_ms));
    pg::take_locks({pg::LockTarget{record.into_oid, pg::lock_mode_number("RowExclusiveLock"), into_name_}});
  }
  const auto [now, files] = into_shape_now();
  if (now.name.empty()) refuse_into_gone(into_name_);
  if (record.into_types.empty()) record.into_types = now.column_types;
  if (record.into_files.empty()) record.into_files = files;
  const std::string hint =
      formatted("SELECT migration_resume({});\nSELECT migration_cancel({});", run.run_id, run.run_id);
  if (now.column_types != record.into_types) {
    throw MigrationError(sqlstate::not_in_prerequisite_state,
                         formatted("columns of table {} have changed while rows were being copied into it", now.name),
                         formatted("It started with {}; now there is {}.", record.into_types, now.column_types), hint);
  }
  if (!still_there(record.into_files, files)) {
    throw MigrationError(
        sqlstate::not_in_prerequisite_state,
        formatted("table {} was rewritten or truncated while rows were being copied into it", now.name),
        "If it was truncated, the rows copied so far are gone: then cancel, and copy again. Resuming goes on behind "
        "them.",
        hint);
  }
  if (now.name == into_name_) return;
  into_name_ = now.name;
  retarget();
  ++generation;
}

void BackfillJob::retarget() {
  const std::string relation = target.relation;
  target = backfill::target_of(change_, relation, into_name_, record.into_columns);
  target.alias = record.alias;
}

}  // namespace migration
