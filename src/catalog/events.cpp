// The event log and its notifications; declared in runs.hpp.
//
// Why a row and a NOTIFY: the notification is a wake-up that may be lost (poolers drop LISTEN), the row is the truth.
// The payload stays far below the limit of 8000 bytes: it carries ids and states, never SQL text.

#include "catalog/runs.hpp"
#include "pg/settings.hpp"
#include "pg/sql.hpp"

namespace migration::catalog {

using pg::Row;
using pg::Scope;
using pg::sql_int;
using pg::Value;

namespace {

Value or_null(const std::string& s) {
  return s.empty() ? Value() : Value(s);
}

}  // namespace

void log_event(const Event& e) {
  const bool notify = pg::settings().notify;
  Scope scope;
  pg::query(
      "INSERT INTO migration_ext.log (at, run_id, revision, step, event, role, took, sqlstate, message, detail, hint) "
      "VALUES (pg_catalog.clock_timestamp(), $1::bigint, $2, $3::integer, $4, $5, "
      "$6::double precision * interval '1 millisecond', $7, $8, $9, $10)",
      {e.run_id ? sql_int(*e.run_id) : Value(), or_null(e.revision), e.step > 0 ? sql_int(e.step) : Value(), e.event,
       e.role, e.took_ms < 0 ? Value() : Value(std::to_string(e.took_ms)), or_null(e.problem.state),
       or_null(e.problem.message), or_null(e.problem.detail), or_null(e.problem.hint)});
  if (!notify) return;
  pg::query(
      "SELECT pg_catalog.pg_notify('migration_ext', pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object("
      "'run', $1::bigint, 'event', $2, 'revision', $3, 'step', $4::integer, 'sqlstate', $5))::text)",
      {e.run_id ? sql_int(*e.run_id) : Value(), e.event, or_null(e.revision), e.step > 0 ? sql_int(e.step) : Value(),
       or_null(e.problem.state)});
}

std::vector<SeenEvent> events_after(long long run_id, long long after) {
  Scope scope;
  std::vector<SeenEvent> out;
  for (const Row& row : pg::query("SELECT event_id, revision, step, event, message FROM migration_ext.log "
                                  "WHERE run_id = $1::bigint AND event_id > $2::bigint ORDER BY event_id LIMIT 100",
                                  {sql_int(run_id), sql_int(after)})) {
    SeenEvent e;
    e.id = pg::to_integer(row[0]);
    e.revision = pg::text_or_empty(row[1]);
    e.step = static_cast<int>(pg::to_integer(row[2]));
    e.event = pg::text_or_empty(row[3]);
    e.message = pg::text_or_empty(row[4]);
    out.push_back(std::move(e));
  }
  return out;
}

void prune_log() {
  const int days = pg::settings().log_retention_days;
  if (days == 0) return;
  Scope scope;
  pg::query(
      "DELETE FROM migration_ext.log WHERE at < pg_catalog.now() - $1::integer * interval '1 day' AND "
      "(run_id IS NULL OR run_id NOT IN (SELECT r.run_id FROM migration_ext.run r WHERE r.state IN "
      "('queued', 'running', 'paused', 'failed')))",
      {sql_int(days)});
}

}  // namespace migration::catalog
