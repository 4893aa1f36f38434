// Trying rows again; see quarantine_retry.hpp.
#include "worker/quarantine_retry.hpp"

#include <limits>
#include <optional>

#include "catalog/quarantine.hpp"
#include "pg/portal.hpp"
#include "pg/prepared.hpp"
#include "run/decision.hpp"
#include "statement/formatted.hpp"
#include "worker/block_windows.hpp"

namespace migration {

namespace {

catalog::StepRecord step_of(const catalog::RunRecord& run, int number) {
  for (catalog::StepRecord& step : catalog::load_steps(run.run_id)) {
    if (step.step == number) return std::move(step);
  }
  throw MigrationError(sqlstate::data_corrupted, formatted("run {} has no step {}", run.run_id, number));
}

void retry_keys(BackfillJob& job) {
  pg::Prepared change(backfill::key_exact(job.target, job.key));
  for (catalog::BadRow& row : catalog::load_quarantined(job.record.job_id)) {
    std::vector<pg::Parameter> key;
    for (const std::string& value : row.key) key.emplace_back(pg::Value(value));
    std::optional<pg::PgError> error;
    try {
      pg::in_subtransaction([&] {
        job.as_script_raw([&] {
          pg::run_statement("SET CONSTRAINTS ALL IMMEDIATE", false);
          change.run(key);
        });
      });
      catalog::release(row);
      continue;
    } catch (const pg::PgError& e) {
      error = e;
    }
    if (!is_row_error(error->state())) throw pg::PgError(*error);
    job.set_aside(row.relation, row.key, "", *error);
  }
}

}  // namespace

long long retry_quarantine(const catalog::RunRecord& run, const catalog::JobRecord& stored) {
  catalog::StepRecord step = step_of(run, stored.step);
  BackfillJob job(run, step);
  // By blocks they are looked for by their condition, and what the job has not come to yet meets that as well.
  if (stored.cursor_kind != "keyset" && stored.state != "done") {
    throw MigrationError(
        sqlstate::not_in_prerequisite_state, formatted("backfill job {} has not come to its end", stored.job_id),
        formatted("It goes by blocks, and has rows before it that were never tried. Its run is {}.", run.state),
        run.state == "cancelled" ? formatted("SELECT * FROM migration_quarantine({});", stored.job_id)
        : run.state == "running" || run.state == "queued" ? formatted("SELECT migration_wait({});", run.run_id)
                                                          : formatted("SELECT migration_resume({});", run.run_id));
  }
  job.prepare_again();
  job.settings.max_errors = std::numeric_limits<long long>::max();
  if (job.record.cursor_kind == "keyset") {
    retry_keys(job);
  } else {
    catalog::release_all(job.record.job_id);
    BlockWindows(job).careful_sweep();
  }
  catalog::count_again(job.record.job_id);
  return static_cast<long long>(catalog::load_quarantined(job.record.job_id).size());
}

}  // namespace migration
