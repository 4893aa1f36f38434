// Tuned settings and throttle columns; see tuning.hpp.
#include "catalog/tuning.hpp"

#include <memory>

#include "pg/sql.hpp"
#include "statement/formatted.hpp"

namespace migration::catalog {

using backfill::Entries;
using pg::Row;
using pg::Rows;
using pg::Scope;
using pg::sql_int;
using pg::Value;

namespace {

Entries to_entries(const Rows& rows) {
  Entries out;
  for (const Row& row : rows) out.emplace_back(*row[0], row[1]);
  return out;
}

}  // namespace

Entries load_tuned(long long run_id) {
  Scope scope;
  return to_entries(pg::query(
      "SELECT e.key, e.value FROM migration_ext.run r, pg_catalog.jsonb_each_text(r.tuned) e WHERE r.run_id = "
      "$1::bigint",
      {sql_int(run_id)}));
}

Entries json_entries(const std::string& json) {
  Scope scope;
  const Rows nested = pg::query(
      "SELECT e.key FROM pg_catalog.jsonb_each($1::jsonb) e WHERE pg_catalog.jsonb_typeof(e.value) = 'object' LIMIT 1",
      {json});
  if (!nested.empty()) {
    throw MigrationError(sqlstate::invalid_parameter,
                         formatted("invalid value for backfill setting \"{}\": an object", *nested[0][0]),
                         "Values are numbers, texts, booleans, arrays or null.",
                         "SELECT migration_tune(NULL, '{\"batch_target\": \"200ms\"}');");
  }
  return to_entries(pg::query("SELECT e.key, e.value FROM pg_catalog.jsonb_each_text($1::jsonb) e", {json}));
}

void store_tuned(long long run_id, const std::string& json) {
  Scope scope;
  pg::query(
      "UPDATE migration_ext.run SET tuned = pg_catalog.jsonb_strip_nulls(tuned || $2::jsonb) WHERE run_id = $1::bigint",
      {sql_int(run_id), json});
}

void check_with_server(backfill::Settings& settings, const std::string& hint) {
  Scope scope;
  for (const backfill::Window& window : settings.windows) {
    if (!pg::query("SELECT 1 FROM pg_catalog.pg_timezone_names WHERE pg_catalog.lower(name) = pg_catalog.lower($1)",
                   {window.zone})
             .empty()) {
      continue;
    }
    throw MigrationError(
        sqlstate::invalid_parameter,
        formatted("invalid value for backfill setting \"window\": there is no time zone \"{}\"", window.zone),
        "It takes names of the time zone database, as in pg_timezone_names.", hint);
  }
  if (settings.start_at.empty()) return;
  bool finite = false;
  std::unique_ptr<pg::PgError> error;
  try {
    pg::in_subtransaction([&] {
      const Rows rows = pg::query(
          "SELECT pg_catalog.to_char($1::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || '+00' WHERE "
          "pg_catalog.isfinite($1::timestamptz)",
          {settings.start_at});
      finite = !rows.empty();
      if (finite) settings.start_at = *rows[0][0];
    });
    if (finite) return;
  } catch (const pg::PgError& e) {
    error = std::make_unique<pg::PgError>(e);
  }
  if (error && error->state().starts_with("57")) throw pg::PgError(*error);
  throw MigrationError(
      sqlstate::invalid_parameter,
      formatted("invalid value for backfill setting \"start_at\": {}", error ? error->message() : "infinity"),
      "It takes a timestamp with time zone, or 'off'.", hint);
}

void set_throttle(long long job_id, const std::string& reason, double add_ms) {
  Scope scope;
  pg::query(
      "UPDATE migration_ext.job SET throttled_by = $2, throttled = throttled + $3::double precision * interval '1 "
      "millisecond', throttled_at = CASE WHEN $2 IS NOT NULL THEN pg_catalog.clock_timestamp() END WHERE job_id = "
      "$1::bigint",
      {sql_int(job_id), reason.empty() ? Value() : Value(reason), std::to_string(add_ms)});
}

}  // namespace migration::catalog
