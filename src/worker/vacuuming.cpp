// When a backfill vacuums, and how; see vacuuming.hpp.
#include "worker/vacuuming.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "backfill/vacuum.hpp"
#include "catalog/runs.hpp"
#include "pg/deadline.hpp"
#include "pg/giving_way.hpp"
#include "pg/portal.hpp"
#include "pg/process.hpp"
#include "pg/settings.hpp"
#include "pg/sql.hpp"
#include "statement/formatted.hpp"

namespace migration {

namespace {

/// Windows between two VACUUMs, at least; and never more than that in a table.
constexpr int windows_between = 4, least_windows = 100;
/// Not worth the start.
constexpr double least_ms = 1000;
/// From there on nothing would profit from it.
constexpr double almost_all = 0.95;

}  // namespace

void Vacuuming::of(Table table) {
  if (table.oid != table_.oid) {
    passed_ = done_ = 0;
    rows_ = moved_ = 0;
  }
  table_ = std::move(table);
}

int Vacuuming::after() const {
  if (table_.name.empty() || !job_.target.into.empty()) return 0;  // without a name it would be every table
  const double moved = rows_ > 0 ? static_cast<double>(moved_) / static_cast<double>(rows_) : 0;
  return backfill::vacuum_after({job_.settings.vacuum, table_.passes, table_.indexes, table_.blocks, moved});
}

long long Vacuuming::most_of(long long all) const {
  const int percent = after();
  return percent == 0 ? all : std::max(all / least_windows, all * percent / 100 / windows_between);
}

bool Vacuuming::when_due(std::optional<double> within_ms) {
  const int after = this->after();
  // Of several workers one vacuums, for what all of them have passed.
  const int workers = job_.range ? std::max(1, job_.settings.workers) : 1;
  if (after == 0 || passed_ * workers * 100 < after || done_ * workers > almost_all) return false;
  if (within_ms && *within_ms < least_ms) return false;
  passed_ = 0;
  std::optional<pg::PgError> error;
  {
    const pg::GivingWay giving_way;
    try {
      pg::start_transaction();
      pg::set_session("lock_timeout", std::to_string(job_.run.lock_timeout_ms));
      pg::report_activity(
          formatted("migration run {} step {} job {}: vacuum", job_.run.run_id, job_.step.step, job_.record.job_id));
      std::optional<pg::Deadline> deadline;
      if (within_ms) deadline.emplace(static_cast<int>(*within_ms));
      // How many processes a backfill may take is said by `workers`.
      pg::run_statement(formatted("VACUUM (TRUNCATE off, SKIP_LOCKED on, PARALLEL 0) {}", table_.name), true);
      pg::commit_transaction();
    } catch (const pg::PgError& e) {
      error = e;
      pg::abort_transaction();
    }
  }
  if (error && error->state().starts_with("57P")) throw pg::PgError(*error);
  if (error && error->state() == sqlstate::query_canceled) {
    // For the run's sake, or for that of somebody who waited, or because its time was over.
    std::string wish;
    pg::in_transaction([&] { wish = catalog::load_wish(job_.run.run_id).desired; });
    if (wish != "run") throw pg::PgError(*error);
  }
  pg::in_transaction([] { pg::set_session("lock_timeout", "0"); });
  return true;
}

}  // namespace migration
