// Ranges of backfills; see ranges.hpp.
#include "catalog/ranges.hpp"

#include <algorithm>

#include "pg/sql.hpp"

namespace migration::catalog {

using pg::Row;
using pg::Rows;
using pg::Scope;
using pg::sql_array;
using pg::sql_int;
using pg::Value;

namespace {

Value or_null(const std::string& s) {
  return s.empty() ? Value() : Value(s);
}

Value key_or_null(const std::vector<std::string>& key) {
  return key.empty() ? Value() : sql_array(key);
}

}  // namespace

std::optional<JobRecord> lock_job(long long job_id, long long epoch) {
  {
    Scope scope;
    if (pg::query("SELECT FROM migration_ext.job WHERE job_id = $1::bigint AND owner_epoch = $2::bigint FOR UPDATE",
                  {sql_int(job_id), sql_int(epoch)})
            .empty()) {
      return std::nullopt;
    }
  }
  return load_job(job_id);
}

void move_frontier(const JobRecord& j) {
  Scope scope;
  pg::query(
      "UPDATE migration_ext.job SET leaf = $2::integer, next_block = $3::bigint, next_key = $4::text[] WHERE job_id = "
      "$1::bigint",
      {sql_int(j.job_id), sql_int(j.leaf), sql_int(j.next_block), key_or_null(j.next_key)});
}

std::optional<Claim> take_free_range(JobRecord& j, int worker) {
  Scope scope;
  const Rows rows = pg::query(
      "UPDATE migration_ext.range SET worker = $2::integer, claim = claim + 1 WHERE job_id = $1::bigint AND range = "
      "(SELECT g.range FROM migration_ext.range g WHERE g.job_id = $1::bigint AND g.worker IS NULL ORDER BY g.range "
      "LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING range, claim, leaf, next_block, end_block, next_key, end_key, "
      "batch_size, batches, rows_done, rows_seen, rows_total, blocks_done, wal_bytes, rows_hot, window_key, "
      "window_part",
      {sql_int(j.job_id), sql_int(worker)});
  if (rows.empty()) return std::nullopt;
  const Row& r = rows[0];
  const Claim claim{static_cast<int>(pg::to_integer(r[0])), pg::to_integer(r[1]),
                    static_cast<int>(pg::to_integer(r[2]))};
  j.leaf = claim.leaf;
  j.next_block = pg::to_integer(r[3]);
  j.end_block = pg::to_integer(r[4]);
  j.next_key = pg::parse_array(r[5]);
  j.end_key = pg::parse_array(r[6]);
  j.batch_size = pg::to_integer(r[7]);
  j.batches = pg::to_integer(r[8]);
  j.rows_done = pg::to_integer(r[9]);
  j.rows_seen = pg::to_integer(r[10]);
  j.rows_total = pg::to_integer(r[11]);
  j.blocks_done = pg::to_integer(r[12]);
  j.wal_bytes = pg::to_integer(r[13]);
  j.rows_hot = pg::to_integer(r[14]);
  j.window_key = pg::parse_array(r[15]);
  j.window_part = static_cast<int>(pg::to_integer(r[16]));
  return claim;
}

Claim insert_range(const JobRecord& j, int worker) {
  Scope scope;
  // Numbers go on: two ranges of a job never have had the same.
  const Rows rows = pg::query(
      "WITH n AS (UPDATE migration_ext.job SET ranges = ranges + 1 WHERE job_id = $1::bigint RETURNING ranges) "
      "INSERT INTO migration_ext.range (job_id, range, worker, claim, leaf, next_block, end_block, next_key, end_key, "
      "batch_size, rows_total) SELECT $1::bigint, n.ranges, nullif($2::integer, -1), 1, $3::integer, $4::bigint, "
      "$5::bigint, $6::text[], $7::text[], $8::bigint, $9::bigint FROM n RETURNING range",
      {sql_int(j.job_id), sql_int(worker), sql_int(j.leaf), sql_int(j.next_block), sql_int(j.end_block),
       key_or_null(j.next_key), key_or_null(j.end_key), sql_int(j.batch_size), sql_int(j.rows_total)});
  return Claim{static_cast<int>(pg::to_integer(rows.at(0).at(0))), 1, j.leaf};
}

bool advance_range(const JobRecord& j, const Claim& claim, double busy_ms) {
  Scope scope;
  // What several workers do at the same time counts once: busy is time, not work.
  pg::query(
      "UPDATE migration_ext.range SET next_block = $4::bigint, next_key = $5::text[], batch_size = $6::bigint, batches "
      "= $7::bigint, rows_done = $8::bigint, rows_seen = $9::bigint, blocks_done = $10::bigint, wal_bytes = "
      "$11::bigint, rows_hot = $12::bigint, window_key = $14::text[], window_part = $15::integer, busy "
      "= busy + $13::double precision * interval '1 millisecond' / "
      "greatest(1, (SELECT count(*) FROM migration_ext.range g WHERE g.job_id = $1::bigint AND g.worker IS NOT NULL)) "
      "WHERE job_id = $1::bigint AND range = $2::integer AND claim = $3::bigint",
      {sql_int(j.job_id), sql_int(claim.range), sql_int(claim.claim), sql_int(j.next_block), key_or_null(j.next_key),
       sql_int(j.batch_size), sql_int(j.batches), sql_int(j.rows_done), sql_int(j.rows_seen), sql_int(j.blocks_done),
       sql_int(j.wal_bytes), sql_int(j.rows_hot), std::to_string(busy_ms), key_or_null(j.window_key),
       sql_int(j.window_part)});
  return pg::rows_processed() == 1;
}

namespace {

/// Adds the counts of a range (0: of all) to the job and takes it away.
void fold(long long job_id, int range) {
  Scope scope;
  pg::query(
      "WITH d AS (DELETE FROM migration_ext.range WHERE job_id = $1::bigint AND ($2::integer = 0 OR range = "
      "$2::integer) RETURNING *) UPDATE migration_ext.job j SET batches = j.batches + s.batches, rows_done = "
      "j.rows_done + s.rows_done, rows_seen = j.rows_seen + s.rows_seen, blocks_done = j.blocks_done + s.blocks_done, "
      "wal_bytes = j.wal_bytes + s.wal_bytes, rows_hot = j.rows_hot + s.rows_hot, busy = j.busy + s.busy, batch_size = "
      "coalesce(s.batch_size, j.batch_size) FROM (SELECT coalesce(sum(batches), 0)::bigint AS batches, "
      "coalesce(sum(rows_done), 0)::bigint AS rows_done, coalesce(sum(rows_seen), 0)::bigint AS rows_seen, "
      "coalesce(sum(blocks_done), 0)::bigint AS blocks_done, coalesce(sum(wal_bytes), 0)::bigint AS wal_bytes, "
      "coalesce(sum(rows_hot), 0)::bigint AS rows_hot, coalesce(sum(busy), interval '0') AS busy, max(batch_size) AS "
      "batch_size FROM d) s WHERE j.job_id = $1::bigint",
      {sql_int(job_id), sql_int(range)});
}

}  // namespace

void finish_range(const JobRecord& j, const Claim& claim) {
  fold(j.job_id, claim.range);
}

void drop_ranges(long long job_id) {
  fold(job_id, 0);
}

void leave_range(long long job_id, const Claim& claim) {
  Scope scope;
  pg::query(
      "UPDATE migration_ext.range SET worker = NULL, claim = claim + 1 WHERE job_id = $1::bigint AND range = "
      "$2::integer AND claim = $3::bigint",
      {sql_int(job_id), sql_int(claim.range), sql_int(claim.claim)});
}

void free_ranges(long long job_id, int first, int last) {
  Scope scope;
  pg::query(
      "UPDATE migration_ext.range SET worker = NULL, claim = claim + 1, sqlstate = NULL, message = NULL, detail = "
      "NULL, "
      "hint = NULL, met_again = false WHERE job_id = $1::bigint AND worker BETWEEN $2::integer AND $3::integer",
      {sql_int(job_id), sql_int(first), sql_int(last)});
}

bool has_ranges(long long job_id) {
  Scope scope;
  return !pg::query("SELECT FROM migration_ext.range WHERE job_id = $1::bigint LIMIT 1", {sql_int(job_id)}).empty();
}

long long rows_handed_out(long long job_id) {
  Scope scope;
  return pg::to_integer(pg::query("SELECT coalesce(sum(rows_total), 0)::bigint FROM migration_ext.range WHERE job_id = "
                                  "$1::bigint",
                                  {sql_int(job_id)})
                            .at(0)
                            .at(0));
}

bool has_free_range(long long job_id) {
  Scope scope;
  return !pg::query("SELECT FROM migration_ext.range WHERE job_id = $1::bigint AND worker IS NULL LIMIT 1",
                    {sql_int(job_id)})
              .empty();
}

bool restart_leaf(long long job_id, long long epoch, int leaf, unsigned file, long long blocks) {
  auto job = lock_job(job_id, epoch);
  if (!job) return false;
  const std::size_t i = static_cast<std::size_t>(leaf) - 1;
  if (i >= job->leaves.size() || job->leaf_files[i] == file) return true;  // another worker has seen it, too
  const long long handed_out = job->leaf == leaf ? job->next_block : job->leaf_blocks[i];
  long long open = 0;
  {
    Scope scope;
    const Rows rows = pg::query(
        "DELETE FROM migration_ext.range WHERE job_id = $1::bigint AND leaf = $2::integer RETURNING end_block - "
        "next_block + blocks_done",
        {sql_int(job_id), sql_int(leaf)});
    for (const Row& row : rows) open += pg::to_integer(row[0]);
  }
  job->blocks_done -= std::max(0LL, handed_out - open);
  job->leaf_files[i] = file;
  job->leaf_blocks[i] = blocks;
  if (job->leaf == leaf) job->next_block = 0;
  advance_job(*job, epoch, 0);
  if (job->leaf == leaf || blocks == 0) return true;
  JobRecord again = *job;
  again.leaf = leaf;
  again.next_block = 0;
  again.end_block = blocks;
  again.next_key.clear();
  again.end_key.clear();
  insert_range(again, -1);
  return true;
}

void report_problem(long long job_id, const Claim& claim, const WorkerProblem& p) {
  Scope scope;
  pg::query(
      "UPDATE migration_ext.range SET sqlstate = $4, message = $5, detail = $6, hint = $7, met_again = $8::boolean "
      "WHERE job_id = $1::bigint AND range = $2::integer AND claim = $3::bigint",
      {sql_int(job_id), sql_int(claim.range), sql_int(claim.claim), or_null(p.problem.state),
       or_null(p.problem.message), or_null(p.problem.detail), or_null(p.problem.hint), pg::sql_bool(p.met_again)});
}

std::optional<WorkerProblem> problem_of(long long job_id, int worker) {
  Scope scope;
  const Rows rows = pg::query(
      "SELECT sqlstate, message, detail, hint, met_again FROM migration_ext.range WHERE job_id = $1::bigint AND worker "
      "= $2::integer AND sqlstate IS NOT NULL LIMIT 1",
      {sql_int(job_id), sql_int(worker)});
  if (rows.empty()) return std::nullopt;
  const Row& r = rows[0];
  return WorkerProblem{
      Problem{pg::text_or_empty(r[0]), pg::text_or_empty(r[1]), pg::text_or_empty(r[2]), pg::text_or_empty(r[3])},
      pg::to_bool(r[4])};
}

}  // namespace migration::catalog
