// Backfill jobs; see jobs.hpp.
#include "catalog/jobs.hpp"

#include "pg/sql.hpp"

namespace migration::catalog {

using pg::Row;
using pg::Rows;
using pg::Scope;
using pg::sql_array;
using pg::sql_int;
using pg::Value;

namespace {

template <class Number>
Value number_array(const std::vector<Number>& numbers) {
  std::string out = "{";
  for (Number n : numbers) out += (out.size() > 1 ? "," : "") + std::to_string(n);
  return out + "}";
}

template <class Number>
std::vector<Number> to_numbers(const Value& array) {
  std::vector<Number> out;
  for (const std::string& item : pg::parse_array(array)) out.push_back(static_cast<Number>(std::stoll(item)));
  return out;
}

}  // namespace

long long insert_job(const JobRecord& j) {
  Scope scope;
  Rows rows = pg::query(
      "INSERT INTO migration_ext.job (run_id, step, action, relation, alias, relation_oid, assignments, condition, "
      "cursor_kind, key_columns, leaves, leaf_blocks, leaf_files, leaf, next_block, next_key, end_key, batch_size, "
      "batches, rows_done, rows_seen, rows_total, blocks_done, blocks_total, owner_epoch, state, busy, started_at, "
      "into_oid, into_columns) "
      "VALUES "
      "($1::bigint, $2::integer, $3, $4, $5, $6::oid, $7, $8, $9, $10::text[], $11::oid[], $12::bigint[], $13::oid[], "
      "1, "
      "0, NULL, $14::text[], $15::bigint, 0, 0, 0, $16::bigint, 0, $17::bigint, 0, 'pending', interval '0', "
      "pg_catalog.clock_timestamp(), $18::oid, $19::text[]) RETURNING job_id",
      {sql_int(j.run_id), sql_int(j.step), j.action, j.relation, j.alias, sql_int(j.relation_oid), j.assignments,
       j.condition.empty() ? Value() : Value(j.condition), j.cursor_kind, sql_array(j.key_columns),
       number_array(j.leaves), number_array(j.leaf_blocks), number_array(j.leaf_files), sql_array(j.end_key),
       sql_int(j.batch_size), sql_int(j.rows_total), sql_int(j.blocks_total), sql_int(j.into_oid),
       sql_array(j.into_columns)});
  return pg::to_integer(rows.at(0).at(0));
}

std::optional<JobRecord> load_job(long long job_id) {
  Scope scope;
  Rows rows = pg::query(
      "SELECT job_id, run_id, step, action, relation, alias, relation_oid, assignments, condition, cursor_kind, "
      "key_columns, leaves, leaf_blocks, leaf_files, leaf, next_block, next_key, end_key, batch_size, batches, "
      "rows_done, "
      "rows_seen, rows_total, blocks_done, blocks_total, state, wal_bytes, rows_hot, quarantined, window_key, "
      "window_part, into_oid, into_columns, key_order, column_types, into_types, into_files FROM "
      "migration_ext.job "
      "WHERE job_id = $1::bigint",
      {sql_int(job_id)});
  if (rows.empty()) return std::nullopt;
  const Row& r = rows[0];
  JobRecord j;
  j.job_id = pg::to_integer(r[0]);
  j.run_id = pg::to_integer(r[1]);
  j.step = static_cast<int>(pg::to_integer(r[2]));
  j.action = pg::text_or_empty(r[3]);
  j.relation = pg::text_or_empty(r[4]);
  j.alias = pg::text_or_empty(r[5]);
  j.relation_oid = static_cast<unsigned>(pg::to_integer(r[6]));
  j.assignments = pg::text_or_empty(r[7]);
  j.condition = pg::text_or_empty(r[8]);
  j.cursor_kind = pg::text_or_empty(r[9]);
  j.key_columns = pg::parse_array(r[10]);
  j.leaves = to_numbers<unsigned>(r[11]);
  j.leaf_blocks = to_numbers<long long>(r[12]);
  j.leaf_files = to_numbers<unsigned>(r[13]);
  j.leaf = static_cast<int>(pg::to_integer(r[14]));
  j.next_block = pg::to_integer(r[15]);
  j.next_key = pg::parse_array(r[16]);
  j.end_key = pg::parse_array(r[17]);
  j.batch_size = pg::to_integer(r[18]);
  j.batches = pg::to_integer(r[19]);
  j.rows_done = pg::to_integer(r[20]);
  j.rows_seen = pg::to_integer(r[21]);
  j.rows_total = pg::to_integer(r[22]);
  j.blocks_done = pg::to_integer(r[23]);
  j.blocks_total = pg::to_integer(r[24]);
  j.state = pg::text_or_empty(r[25]);
  j.wal_bytes = pg::to_integer(r[26]);
  j.rows_hot = pg::to_integer(r[27]);
  j.quarantined = pg::to_integer(r[28]);
  j.window_key = pg::parse_array(r[29]);
  j.window_part = static_cast<int>(pg::to_integer(r[30]));
  j.into_oid = static_cast<unsigned>(pg::to_integer(r[31]));
  j.into_columns = pg::parse_array(r[32]);
  j.key_order = pg::text_or_empty(r[33]);
  j.column_types = pg::text_or_empty(r[34]);
  j.into_types = pg::text_or_empty(r[35]);
  j.into_files = pg::text_or_empty(r[36]);
  return j;
}

void replace_tables(const JobRecord& j) {
  Scope scope;
  pg::query(
      "UPDATE migration_ext.job SET relation_oid = $2::oid, leaves = $3::oid[], leaf_blocks = $4::bigint[], leaf_files "
      "= "
      "$5::oid[], leaf = $6::integer, next_block = $7::bigint, blocks_done = $8::bigint, blocks_total = $9::bigint, "
      "owner_epoch = 0 WHERE job_id = $1::bigint",
      {sql_int(j.job_id), sql_int(j.relation_oid), number_array(j.leaves), number_array(j.leaf_blocks),
       number_array(j.leaf_files), sql_int(j.leaf), sql_int(j.next_block), sql_int(j.blocks_done),
       sql_int(j.blocks_total)});
}

void use_keys(const JobRecord& j) {
  Scope scope;
  pg::query(
      "UPDATE migration_ext.job SET cursor_kind = 'keyset', key_columns = $2::text[], end_key = $3::text[], next_key = "
      "NULL, leaf = 1, next_block = 0, window_key = NULL, window_part = 0, batch_size = $4::bigint WHERE job_id = "
      "$1::bigint",
      {sql_int(j.job_id), sql_array(j.key_columns), sql_array(j.end_key), sql_int(j.batch_size)});
}

void replace_into(const JobRecord& j) {
  Scope scope;
  pg::query("UPDATE migration_ext.job SET into_oid = $2::oid WHERE job_id = $1::bigint",
            {sql_int(j.job_id), sql_int(j.into_oid)});
}

void keep_shape(const JobRecord& j) {
  Scope scope;
  pg::query(
      "UPDATE migration_ext.job SET key_order = nullif($2, ''), column_types = nullif($3, ''), into_types = nullif($4, "
      "''), into_files = nullif($5, '') WHERE job_id = $1::bigint",
      {sql_int(j.job_id), j.key_order, j.column_types, j.into_types, j.into_files});
}

void accept_shape(long long run_id) {
  Scope scope;
  pg::query(
      "UPDATE migration_ext.job SET column_types = NULL, into_types = NULL, into_files = NULL WHERE run_id = "
      "$1::bigint",
      {sql_int(run_id)});
}

void claim_job(long long job_id, long long epoch) {
  Scope scope;
  pg::query(
      "UPDATE migration_ext.job SET owner_epoch = $2::bigint, state = 'running' WHERE job_id = $1::bigint "
      "AND owner_epoch <= $2::bigint",
      {sql_int(job_id), sql_int(epoch)});
}

bool advance_job(const JobRecord& j, long long epoch, double busy_ms) {
  Scope scope;
  pg::query(
      "UPDATE migration_ext.job SET leaf = $3::integer, next_block = $4::bigint, next_key = $5::text[], "
      "batch_size = $6::bigint, batches = $7::bigint, rows_done = $8::bigint, rows_seen = $9::bigint, "
      "blocks_done = $10::bigint, leaf_files = $11::oid[], leaf_blocks = $12::bigint[], "
      "busy = busy + $13::double precision * interval '1 millisecond', wal_bytes = $14::bigint, rows_hot = "
      "$15::bigint, window_key = $16::text[], window_part = $17::integer "
      "WHERE job_id = $1::bigint AND owner_epoch = $2::bigint",
      {sql_int(j.job_id), sql_int(epoch), sql_int(j.leaf), sql_int(j.next_block),
       j.next_key.empty() ? Value() : sql_array(j.next_key), sql_int(j.batch_size), sql_int(j.batches),
       sql_int(j.rows_done), sql_int(j.rows_seen), sql_int(j.blocks_done), number_array(j.leaf_files),
       number_array(j.leaf_blocks), std::to_string(busy_ms), sql_int(j.wal_bytes), sql_int(j.rows_hot),
       j.window_key.empty() ? Value() : sql_array(j.window_key), sql_int(j.window_part)});
  return pg::rows_processed() == 1;
}

void finish_job(long long job_id) {
  Scope scope;
  pg::query(
      "UPDATE migration_ext.job SET state = 'done', ended_at = pg_catalog.clock_timestamp() WHERE job_id = $1::bigint",
      {sql_int(job_id)});
}

std::vector<Leaf> leaves_of(unsigned relation) {
  Scope scope;
  std::vector<Leaf> out;
  for (const Row& row : pg::query(
           "SELECT c.oid, pg_catalog.pg_relation_filenode(c.oid), pg_catalog.pg_relation_size(c.oid) / "
           "pg_catalog.current_setting('block_size')::bigint FROM pg_catalog.pg_class c WHERE c.relkind = 'r' AND "
           "(c.oid = $1::oid OR c.oid IN (SELECT t.relid FROM pg_catalog.pg_partition_tree($1::oid::regclass) t) OR "
           "c.oid "
           "IN (WITH RECURSIVE below(oid) AS (SELECT i.inhrelid FROM pg_catalog.pg_inherits i WHERE i.inhparent = "
           "$1::oid "
           "UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN below b ON i.inhparent = b.oid) SELECT b.oid "
           "FROM "
           "below b)) ORDER BY c.oid",
           {sql_int(relation)})) {
    out.push_back(Leaf{static_cast<unsigned>(pg::to_integer(row[0])), static_cast<unsigned>(pg::to_integer(row[1])),
                       pg::to_integer(row[2])});
  }
  return out;
}

unsigned leaf_file(unsigned leaf) {
  Scope scope;
  Rows rows = pg::query("SELECT pg_catalog.pg_relation_filenode($1::oid)", {sql_int(leaf)});
  return rows.empty() || !rows[0][0] ? 0 : static_cast<unsigned>(pg::to_integer(rows[0][0]));
}

}  // namespace migration::catalog
