// migration_quarantine and migration_retry_quarantine: rows that a backfill set aside.
//
// What: shows them, and tries them again once the cause is gone (the data mended, the constraint changed). Why in the
// caller's transaction: they are few, and whoever mended them wants to see at once what is left. Invariants: the change
// runs as the caller, who must be the role of the run; a row leaves the list in the transaction that changed it, so a
// change that must happen once happens once. Locks: rows, under lock_timeout.
#include "catalog/quarantine.hpp"
#include "api/control.hpp"
#include "catalog/jobs.hpp"
#include "pg/function.hpp"
#include "pg/identity.hpp"
#include "pg/parse.hpp"
#include "statement/formatted.hpp"
#include "worker/quarantine_retry.hpp"

using namespace migration;

/// migration_quarantine(job_id) -> rows set aside, oldest first; of all jobs without an id. Key, image and
/// message are NULL for who may not read the table.
MIGRATION_FUNCTION(migration_quarantine) {
  pg::ResultRows out(fcinfo);
  for (const pg::Row& row : catalog::quarantine_rows(pg::bigint_argument(fcinfo, 0), pg::current_role().oid))
    out.add(row);
  return out.done();
}

/// migration_retry_quarantine(job_id) -> bigint: rows that still fail. Errors: 22004, 42704 (no such job), 42501 (the
/// job's run belongs to another role), 42P01 (the table is gone), 55000 (it goes by blocks and is not at its end).
MIGRATION_FUNCTION(migration_retry_quarantine) {
  pg::require_writable("migration_retry_quarantine");
  const auto job_id = pg::bigint_argument(fcinfo, 0);
  if (!job_id) pg::refuse_null("job_id", "SELECT DISTINCT job FROM migration_quarantine();");
  const auto job = catalog::load_job(*job_id);
  const auto run = job ? catalog::load_run(job->run_id) : std::nullopt;
  if (!run) {
    throw MigrationError(sqlstate::undefined_object, formatted("there is no backfill job {}", *job_id), {},
                         "SELECT DISTINCT job FROM migration_quarantine();");
  }
  const pg::Role me = pg::current_role();
  if (me.name != run->role_name) {
    throw MigrationError(
        sqlstate::insufficient_privilege, formatted("job {} belongs to role \"{}\"", *job_id, run->role_name),
        "Its statement runs as that role only.", formatted("SET ROLE {};", pg::quote_identifier(run->role_name)));
  }
  return pg::bigint_result(retry_quarantine(*run, *job));
}
