// A backfill: one UPDATE or DELETE, many transactions.
//
// What: makes or continues the job of a backfill step and works through its batches. Exactness: rows and cursor commit
// in one transaction, fenced by the owner's epoch, so a batch happens once or not at all, whatever dies. Block ranges
// serve fills that are harmless to repeat; everything else goes by ranges of an immutable unique key, each row once.
// The end is fixed when the job is made (blocks, or the greatest key): rows that come later were never part of the
// statement. A rewritten table (other file) starts over by blocks, because its rows have moved; a key cursor does not
// care. Locks: each batch runs under lock_timeout. Between batches nothing is held, no snapshot either.
#include <fmt/format.h>

#include <optional>

#include "backfill/batch.hpp"
#include "catalog/jobs.hpp"
#include "pg/lock.hpp"
#include "pg/process.hpp"
#include "pg/snapshot.hpp"
#include "pg/sql.hpp"
#include "pg/usage.hpp"
#include "pg/watchdog.hpp"
#include "worker/backfill_job.hpp"
#include "worker/block_windows.hpp"
#include "worker/executor.hpp"
#include "worker/key_ranges.hpp"
#include "worker/pace.hpp"

namespace migration {

using catalog::StepRecord;

namespace {

/// How often the wish of a user is looked up while batches are shorter than that.
constexpr double wish_interval_ms = 100;

class Backfill {
 public:
  Backfill(const catalog::RunRecord& run, StepRecord& step) : job_(run, step), blocks_(job_), keys_(job_) {}

  bool work(const std::function<bool()>& wanted_stop, const std::function<void()>& complete) {
    pg::in_transaction([&] {
      job_.prepare();
      catalog::start_step(job_.run.run_id, job_.step.step, {});
    });
    if (job_.whole) {
      // Effect and mark in one transaction: a repeated statement might not be harmless.
      pg::in_transaction([&] {
        run_whole();
        complete();
      });
      return true;
    }
    pg::crash_point("backfill:start", job_.step.step);
    pace_.emplace(job_.run, job_.step, job_.record.job_id, job_.record.relation_oid, job_.settings);
    double asked = -wish_interval_ms;
    const auto stop = [&] {
      if (monotonic_ms() - asked < wish_interval_ms) return false;
      const bool wanted = wanted_stop();
      asked = monotonic_ms();
      return wanted;
    };
    for (bool more = true; more;) {
      if (!pace_->wait(stop)) return false;
      job_.settings = pace_->settings();
      pg::in_transaction([&] { more = batch(); });
      pg::crash_point("backfill:batch", job_.step.step);
      if (const int wait_ms = by_blocks() ? blocks_.pause_ms() : 0; wait_ms > 0) pg::pause(wait_ms);
    }
    pg::in_transaction([&] {
      if (by_blocks()) sweep();
      catalog::finish_job(job_.record.job_id);
      complete();
    });
    pg::report_idle();
    return true;
  }

 private:
  bool by_blocks() const { return job_.record.cursor_kind == "ctid"; }

  void run_whole() {
    job_.as_script([&] {
      pg::query_text(backfill::whole(job_.target));
      job_.record.rows_done += static_cast<long long>(pg::rows_processed());
    });
  }

  bool batch() {
    const double started = monotonic_ms();
    const long long wal_before = pg::own_wal_bytes();
    catalog::JobRecord& record = job_.record;
    pg::report_activity(
        fmt::format("migration run {} step {} job {}", job_.run.run_id, job_.step.step, record.job_id));
    pg::lock_extension(pg::extension_oid());
    const bool more = by_blocks() ? blocks_.batch() : keys_.batch();
    ++record.batches;
    const double elapsed = monotonic_ms() - started;
    const long long size =
        pace_->next_size(record.batch_size, elapsed, by_blocks() ? blocks_.limit() : job_.settings.max_batch_rows);
    if (by_blocks()) {
      blocks_.measured(size);
    } else {
      record.batch_size = size;
    }
    record.wal_bytes += pg::own_wal_bytes() - wal_before;
    job_.advance(elapsed);
    // It gets on between the crashes, so it is not what brings the server down. At its end it gets nowhere any more,
    // and what comes after the last batch may be what does.
    if (more && job_.step.crashes > 0) {
      catalog::reset_crashes(job_.run.run_id);
      job_.step.crashes = 0;
    }
    return more;
  }

  /// What an application updates while the blocks are gone through can move to blocks already passed, or behind the
  /// last one, before it was filled. One statement over the whole table sees every such row: few are left to change,
  /// and the scan for them blocks nobody.
  void sweep() {
    pg::report_activity(
        fmt::format("migration run {} step {} job {}: last look", job_.run.run_id, job_.step.step, job_.record.job_id));
    pg::lock_extension(pg::extension_oid());
    run_whole();
    job_.advance(0);
  }

  BackfillJob job_;
  BlockWindows blocks_;
  KeyRanges keys_;
  std::optional<Pace> pace_;
};

}  // namespace

bool run_batches(const catalog::RunRecord& run, StepRecord& step, const std::function<bool()>& wanted_stop,
                 const std::function<void()>& complete) {
  return Backfill(run, step).work(wanted_stop, complete);
}

}  // namespace migration
