// Sharing a job among workers; see backfill_job.hpp.
//
// What: the job's own cursor becomes the place up to which its table has been handed out; each worker works on a range
// in front of that. Ranges are cut when they are taken, so how many workers there are may change at any time.
// Invariant: the job's row is locked while a range is taken or cut, so no two workers get the same blocks or keys.
// Locks: that one, to the end of the transaction.
#include <algorithm>

#include "backfill/share.hpp"
#include "pg/portal.hpp"
#include "pg/prepared.hpp"
#include "statement/formatted.hpp"
#include "worker/backfill_job.hpp"

namespace migration {

namespace {

bool by_blocks(const catalog::JobRecord& job) {
  return job.cursor_kind == "ctid";
}

/// Steps over leaves of which nothing is left.
void skip_done_leaves(catalog::JobRecord& job) {
  while (job.leaf <= static_cast<int>(job.leaves.size()) &&
         job.next_block >= job.leaf_blocks[static_cast<std::size_t>(job.leaf) - 1]) {
    ++job.leaf;
    job.next_block = 0;
  }
}

long long units_left(const catalog::JobRecord& job) {
  if (!by_blocks(job)) {
    if (job.end_key.empty() || job.next_key == job.end_key) return 0;
    return std::max(1LL, job.rows_total - job.rows_seen - catalog::rows_handed_out(job.job_id));  // estimated
  }
  long long left = 0;
  for (std::size_t i = static_cast<std::size_t>(job.leaf) - 1; i < job.leaves.size(); ++i) left += job.leaf_blocks[i];
  return left - job.next_block;
}

backfill::ShareLimits limits_of(const catalog::JobRecord& job) {
  return by_blocks(job) ? backfill::block_shares(job.blocks_total) : backfill::row_shares(job.rows_total);
}

}  // namespace

long long BackfillJob::end_of_leaf() const {
  return range ? record.end_block : record.leaf_blocks[static_cast<std::size_t>(record.leaf) - 1];
}

bool BackfillJob::worth_sharing() {
  return backfill::worth_sharing(units_left(record), limits_of(record));
}

bool BackfillJob::work_left() {
  const auto job = catalog::lock_job(record.job_id, run.owner_epoch);
  if (!job) return false;
  return units_left(*job) > 0 || catalog::has_free_range(record.job_id);
}

void BackfillJob::load_whole() {
  range.reset();
  range_gone = false;
  auto stored = catalog::load_job(record.job_id);
  if (!stored) throw MigrationError(sqlstate::data_corrupted, formatted("job {} is gone", record.job_id));
  record = std::move(*stored);
}

bool BackfillJob::take_range(int worker, int workers) {
  auto job = catalog::lock_job(record.job_id, run.owner_epoch);
  if (!job) {
    throw MigrationError(sqlstate::admin_shutdown, formatted("job {} has another owner", record.job_id));
  }
  record = std::move(*job);
  range_gone = false;
  range = catalog::take_free_range(record, worker);
  if (range) return true;
  catalog::JobRecord frontier = record;
  catalog::JobRecord& part = record;
  // The size that the batches of this worker have grown to stays.
  if (usual_size_ > 0) part.batch_size = usual_size_;
  part.batches = part.rows_done = part.rows_seen = part.blocks_done = part.wal_bytes = part.rows_hot = 0;
  if (by_blocks(part)) {
    skip_done_leaves(frontier);
    if (frontier.leaf > static_cast<int>(frontier.leaves.size())) return false;
    const long long left = frontier.leaf_blocks[static_cast<std::size_t>(frontier.leaf) - 1] - frontier.next_block;
    part.leaf = frontier.leaf;
    part.next_block = frontier.next_block;
    part.end_block = part.next_block + backfill::next_share(left, workers, limits_of(frontier));
    part.rows_total = 0;
    frontier.next_block = part.end_block;
    skip_done_leaves(frontier);
  } else {
    const long long left = units_left(frontier);
    if (left == 0) return false;
    const backfill::ShareLimits limits = limits_of(frontier);
    const long long rows = std::max(limits.least, backfill::next_share(left, workers, limits));
    pg::Prepared bound(backfill::key_bound(target, key, frontier.next_key.empty()));
    std::vector<pg::Parameter> given;
    for (const std::string& value : frontier.next_key) given.emplace_back(pg::Value(value));
    for (const std::string& value : frontier.end_key) given.emplace_back(pg::Value(value));
    given.emplace_back(pg::sql_int(rows - 1));
    std::vector<std::vector<std::string>> found;
    as_script([&] {
      plain_keys();
      bound.run(given, found);
    });
    part.leaf = 0;
    if (!found.empty()) part.end_key = found[0];
    part.rows_total = rows;
    frontier.next_key = part.end_key;
  }
  range = catalog::insert_range(part, worker);
  catalog::move_frontier(frontier);
  return true;
}

void BackfillJob::finish_range() {
  if (range && !range_gone) catalog::finish_range(record, *range);
}

void BackfillJob::restart_leaf(int leaf, unsigned file, long long blocks) {
  range_gone = true;
  if (catalog::restart_leaf(record.job_id, run.owner_epoch, leaf, file, blocks)) return;
  throw MigrationError(sqlstate::admin_shutdown, formatted("job {} has another owner", record.job_id));
}

}  // namespace migration
