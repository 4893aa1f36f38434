// Rows set aside; see quarantine.hpp.
#include "catalog/quarantine.hpp"

namespace migration::catalog {

using pg::Row;
using pg::Rows;
using pg::Scope;
using pg::sql_array;
using pg::sql_int;
using pg::Value;

void set_aside(const BadRow& row) {
  Scope scope;
  pg::query(
      "INSERT INTO migration_ext.quarantine (job_id, relation, key, row_id, image, sqlstate, message, at) VALUES "
      "($1::bigint, $2, $3::text[], $4, $5::jsonb, $6, $7, pg_catalog.clock_timestamp()) ON CONFLICT (job_id, "
      "relation, key, row_id) DO UPDATE SET image = excluded.image, sqlstate = excluded.sqlstate, "
      "message = excluded.message, at = excluded.at",
      {sql_int(row.job_id), row.relation, sql_array(row.key), row.row_id, row.image, row.sqlstate, row.message});
}

bool is_quarantined(const BadRow& row) {
  Scope scope;
  return !pg::query(
              "SELECT 1 FROM migration_ext.quarantine WHERE job_id = $1::bigint AND relation = $2 AND key = "
              "$3::text[] AND row_id = $4",
              {sql_int(row.job_id), row.relation, sql_array(row.key), row.row_id})
              .empty();
}

long long count_one_more(long long job_id) {
  Scope scope;
  const Rows rows = pg::query(
      "UPDATE migration_ext.job SET quarantined = quarantined + 1 WHERE job_id = $1::bigint RETURNING quarantined",
      {sql_int(job_id)});
  return rows.empty() ? 0 : pg::to_integer(rows[0][0]);
}

void count_again(long long job_id) {
  Scope scope;
  pg::query(
      "UPDATE migration_ext.job SET quarantined = (SELECT count(*) FROM migration_ext.quarantine q WHERE q.job_id = "
      "$1::bigint) WHERE job_id = $1::bigint",
      {sql_int(job_id)});
}

std::vector<BadRow> load_quarantined(long long job_id) {
  Scope scope;
  std::vector<BadRow> out;
  for (const Row& r : pg::query("SELECT job_id, relation, key, row_id, sqlstate, message FROM migration_ext.quarantine "
                                "WHERE job_id = $1::bigint ORDER BY at, relation, key, row_id",
                                {sql_int(job_id)})) {
    out.push_back(BadRow{pg::to_integer(r[0]), pg::text_or_empty(r[1]), pg::parse_array(r[2]), pg::text_or_empty(r[3]),
                         std::nullopt, pg::text_or_empty(r[4]), pg::text_or_empty(r[5])});
  }
  return out;
}

void release(const BadRow& row) {
  Scope scope;
  pg::query(
      "DELETE FROM migration_ext.quarantine WHERE job_id = $1::bigint AND relation = $2 AND key = $3::text[] AND "
      "row_id = $4",
      {sql_int(row.job_id), row.relation, sql_array(row.key), row.row_id});
}

void release_all(long long job_id) {
  Scope scope;
  pg::query("DELETE FROM migration_ext.quarantine WHERE job_id = $1::bigint", {sql_int(job_id)});
}

Rows quarantine_rows(std::optional<long long> job_id, unsigned reader) {
  Scope scope;
  return pg::query(
      "SELECT q.job_id, q.relation, CASE WHEN m.may THEN q.key END, nullif(q.row_id, ''), CASE WHEN m.may THEN q.image "
      "END, q.sqlstate, CASE WHEN m.may THEN q.message END, q.at FROM migration_ext.quarantine q CROSS JOIN LATERAL "
      "(SELECT coalesce((SELECT pg_catalog.has_table_privilege($2::oid, c.oid, 'SELECT') AND (NOT c.relrowsecurity OR "
      "pg_catalog.pg_has_role($2::oid, c.relowner, 'USAGE') OR (SELECT r.rolbypassrls FROM pg_catalog.pg_roles r WHERE "
      "r.oid = $2::oid)) FROM pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass(q.relation)), false)) m(may) "
      "WHERE $1::bigint IS NULL OR q.job_id = $1::bigint ORDER BY q.at, q.relation, q.key, q.row_id",
      {job_id ? sql_int(*job_id) : Value(), sql_int(reader)});
}

}  // namespace migration::catalog
