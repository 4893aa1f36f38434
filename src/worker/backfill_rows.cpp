// Rows that a backfill has changed, and those that it could not change; see backfill_job.hpp.
//
// Where rows are watched, a batch after which one of them still meets the condition is refused: met again, it would be
// changed twice. A row that fails goes to the quarantine with its image, as many as max_errors allows.
#include "catalog/facts.hpp"
#include "catalog/quarantine.hpp"
#include "pg/prepared.hpp"
#include "statement/formatted.hpp"
#include "worker/backfill_job.hpp"

namespace migration {

template <class Statement, class Rows>
long long BackfillJob::run_watched(Statement& statement, Rows& rows) {
  if (!watched) return static_cast<long long>(statement.run(rows));
  std::uint64_t marked = 0;
  const std::uint64_t changed = statement.run(rows, marked);
  require_unmet(changed, marked);
  return static_cast<long long>(changed);
}

long long BackfillJob::change(pg::Prepared& statement, const std::vector<pg::Parameter>& parameters) {
  return run_watched(statement, parameters);
}

long long BackfillJob::change(pg::RowUpdate& statement, const std::vector<pg::RowId>& ids) {
  return run_watched(statement, ids);
}

long long BackfillJob::change(pg::RowUpdate& statement, pg::RowSource& source) {
  return run_watched(statement, source);
}

void BackfillJob::require_unmet(std::uint64_t rows, std::uint64_t marked) {
  if (marked == 0) return;
  met_again = true;
  throw MigrationError(sqlstate::feature_not_supported,
                       formatted("changed rows of table {} still meet the condition", target.relation),
                       formatted("{} of {} rows of the batch: met again, they would be changed twice. The batch was "
                                 "rolled back; the batches before it are done. The change has to go by a unique key "
                                 "(option \"cursor\": \"keyset\") or as one statement.",
                                 marked, rows),
                       formatted("SELECT migration_cancel({});", run.run_id));
}

std::optional<std::string> BackfillJob::image_of(const std::string& relation, const std::vector<std::string>& values,
                                                 const std::string& row_id) {
  pg::Prepared row(values.empty() ? backfill::row_image(relation) : backfill::key_image(target, key));
  std::vector<pg::Parameter> given;
  given.reserve(values.size());
  for (const std::string& value : values) given.emplace_back(pg::Value(value));
  if (values.empty()) given.emplace_back(pg::Value(row_id));
  std::vector<std::vector<std::string>> rows;
  const unsigned table = values.empty() ? catalog::resolve_relation(relation) : 0;
  try {
    pg::in_subtransaction([&] { as_script_raw([&] { row.run(given, rows); }, table); });
  } catch (const pg::PgError&) {
    return std::nullopt;  // a type that has no JSON form: the row is named all the same
  }
  return rows.empty() ? std::nullopt : std::optional(rows[0][0]);
}

void BackfillJob::set_aside(const std::string& relation, const std::vector<std::string>& values,
                            const std::string& row_id, const pg::PgError& error) {
  std::string name = formatted("(row at ctid {} of table {})", row_id, relation);
  if (!values.empty()) {
    std::string columns, texts;
    for (std::size_t i = 0; i < values.size(); ++i) {
      columns += (i == 0 ? "" : ", ") + key[i].name;
      texts += (i == 0 ? "" : ", ") + values[i];
    }
    name = formatted("(row with key ({}) = ({}) of table {})", columns, texts, relation);
  }
  catalog::BadRow bad{record.job_id, relation,       values, row_id, image_of(relation, values, row_id),
                      error.state(), error.message()};
  const bool known = catalog::is_quarantined(bad);
  if (!known) record.quarantined = catalog::count_one_more(record.job_id);
  if (!known && record.quarantined > settings.max_errors) {
    const std::string more =
        settings.max_errors == 0
            ? std::string()
            : formatted("{} rows have been set aside, max_errors allows no more. ", record.quarantined - 1);
    const MigrationError told = failure(error, more + "The batch was rolled back; the batches before it are done.", "");
    throw MigrationError(told.state(), formatted("{} {}", told.message(), name), told.detail(),
                         formatted("SELECT migration_resume({});\nSELECT migration_tune({}, '{{\"max_errors\": {}}}');",
                                   run.run_id, run.run_id, std::max(100LL, settings.max_errors * 10)));
  }
  catalog::set_aside(bad);
  if (known) return;
  catalog::log_event({run.run_id, step.revision, step.step, "quarantined", run.role_name, -1,
                      catalog::Problem{error.state(), error.message(), name,
                                       formatted("SELECT * FROM migration_quarantine({});", record.job_id)}});
}

}  // namespace migration
