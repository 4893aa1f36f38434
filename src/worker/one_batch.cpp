// One batch; see one_batch.hpp.
#include "worker/one_batch.hpp"

#include <algorithm>

#include "catalog/jobs.hpp"
#include "catalog/runs.hpp"
#include "pg/lock.hpp"
#include "pg/portal.hpp"
#include "pg/process.hpp"
#include "pg/settings.hpp"
#include "pg/sql.hpp"
#include "pg/usage.hpp"
#include "pg/wal_files.hpp"
#include "pg/watchdog.hpp"
#include "run/decision.hpp"
#include "statement/formatted.hpp"
#include "worker/executor.hpp"

namespace migration {

namespace {

/// WAL that the next batch may write: more than the last one, as batches grow and others write, too.
constexpr long long least_wal = 1 << 20, growing = 4;

}  // namespace

void OneBatch::await_durability() {
  const std::string& wanted = job_.settings.synchronous_commit;
  if (wanted == "off" || !cursor_.moved()) return;
  pg::in_transaction([&] {
    pg::set_local("synchronous_commit", wanted);
    job_.advance(0);
  });
}

void OneBatch::make_wal_files() const {
  pg::make_wal_files(std::max(least_wal, growing * wal_));
}

OneBatch::End OneBatch::run(Pace& pace) {
  const catalog::JobRecord before = job_.record;
  bool more = false, transient = false;
  std::exception_ptr error;
  try {
    pg::in_transaction([&] { more = batch(pace, false); });
    return more ? End::more : End::done;
  } catch (const MigrationError& e) {
    if (!job_.met_again && !is_row_error(e.state())) throw;
    error = std::current_exception();
  } catch (const pg::PgError& e) {
    transient = is_transient(e.state());
    error = std::current_exception();
    if (!transient && !is_row_error(e.state())) throw;  // raised at commit, by a deferred constraint
  }
  if (job_.met_again) {
    job_.record = before;
    why_ = error;
    return End::met_again;
  }
  if (transient) {
    // Whoever won the lock or the deadlock would win it again over as many rows.
    job_.record = before;
    job_.record.batch_size = std::max(1LL, before.batch_size / 2);
    cursor_.forget();
    pg::in_transaction([&] { job_.advance(0); });
    std::rethrow_exception(error);
  }
  job_.record = before;
  pg::in_transaction([&] { more = batch(pace, true); });
  return more ? End::more : End::done;
}

bool OneBatch::batch(Pace& pace, bool careful) {
  const double started = monotonic_ms();
  const long long wal_before = pg::own_wal_bytes();
  catalog::JobRecord& record = job_.record;
  pg::report_activity(formatted("migration run {} step {} job {}", job_.run.run_id, job_.step.step, record.job_id));
  pg::lock_extension(pg::extension_oid());
  job_.hold_table();
  proof_.check();
  // Nobody has to wait for a row while this process waits for a disk or a standby: that comes after the commit, in
  // await_durability(). What a crash takes of a batch it takes of the cursor, too.
  pg::set_local("synchronous_commit", "off");
  // Of the leaf in work, or of the table: a batch by key over partitions is not worth asking all of them.
  const bool by_blocks = cursor_.by_blocks();
  const std::size_t at = by_blocks ? static_cast<std::size_t>(record.leaf) - 1 : 0;
  const unsigned counted =
      at < record.leaves.size() && (by_blocks || record.leaves.size() == 1) ? record.leaves[at] : 0;
  const long long hot_before = counted != 0 ? pg::own_hot_updates(counted) : 0;
  const bool more = cursor_.batch(careful);
  if (cursor_.waits()) return true;  // nothing to write down
  ++record.batches;
  if (counted != 0) record.rows_hot += std::max(0LL, pg::own_hot_updates(counted) - hot_before);
  const double elapsed = monotonic_ms() - started;
  cursor_.measured(pace.next_size(record.batch_size, elapsed, cursor_.limit()));
  const long long wal = pg::own_wal_bytes() - wal_before;
  record.wal_bytes += wal;
  wal_ = std::max(wal, wal_ - wal_ / 8);
  job_.advance(elapsed);
  if (!more) job_.finish_range();
  // It gets on between the crashes, so it is not what brings the server down. At its end it gets nowhere any more,
  // and what comes after the last batch may be what does.
  if (more && worker_ == 0 && job_.step.crashes > 0) {
    catalog::reset_crashes(job_.run.run_id);
    job_.step.crashes = 0;
  }
  return more;
}

}  // namespace migration
