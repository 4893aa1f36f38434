// The schedule of runs; see schedule.hpp.
#include "catalog/schedule.hpp"

#include "catalog/tuning.hpp"
#include "pg/process.hpp"
#include "pg/sql.hpp"
#include "statement/error.hpp"
#include "statement/formatted.hpp"

namespace migration::catalog {

using pg::Rows;
using pg::Scope;
using pg::sql_int;
using pg::Value;

namespace {

// A run that was made elsewhere waits for a decision; one whose role is gone could not log in.
#define MAY_START_HERE                                                                                           \
  "r.background AND r.state = 'queued' AND r.desired = 'run' AND r.system_identifier = $1 AND r.database_oid = " \
  "$2::oid AND EXISTS (SELECT FROM pg_catalog.pg_roles o WHERE o.oid = r.session_oid AND o.rolname = "           \
  "r.session_name) "

void require_runs(const std::vector<long long>& ids, const std::string& hint) {
  for (const long long id : ids) {
    const auto run = load_run(id);
    if (run && run->state != "cancelled") continue;
    throw MigrationError(sqlstate::invalid_parameter,
                         formatted("invalid value for backfill setting \"after\": run {} {}", id,
                                   run ? "was cancelled" : "does not exist"),
                         "It takes the numbers of runs, as migration_backfill returns them.", hint);
  }
}

}  // namespace

void schedule_run(RunRecord& run, backfill::Settings& settings, const std::string& hint) {
  check_with_server(settings, hint);
  require_runs(settings.after, hint);
  run.schedule.start_at = settings.start_at;
  run.schedule.every_ms = settings.every_ms.value_or(0);
  run.schedule.priority = settings.priority;
  run.schedule.after = settings.after;
  if (run.schedule.every_ms == 0 || !run.schedule.start_at.empty()) return;
  // What repeats needs a time to count from.
  Scope scope;
  run.schedule.start_at = *pg::query(
      "SELECT pg_catalog.to_char(pg_catalog.clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || "
      "'+00'")[0][0];
}

void reschedule_run(long long run_id, const backfill::Settings& settings, const backfill::Entries& keys) {
  Scope scope;
  for (const auto& [key, value] : keys) {
    if (key == "start_at") {
      pg::query("UPDATE migration_ext.run SET start_at = $2::timestamptz, by_hand = false WHERE run_id = $1::bigint",
                {sql_int(run_id), settings.start_at.empty() ? Value() : Value(settings.start_at)});
    } else if (key == "every") {
      pg::query(
          "UPDATE migration_ext.run SET every = $2::bigint * interval '1 millisecond', start_at = CASE WHEN $2 IS NULL "
          "THEN start_at ELSE coalesce(start_at, queued_at) END WHERE run_id = $1::bigint",
          {sql_int(run_id), settings.every_ms ? sql_int(*settings.every_ms) : Value()});
    } else if (key == "priority") {
      pg::query("UPDATE migration_ext.run SET priority = $2::integer WHERE run_id = $1::bigint",
                {sql_int(run_id), sql_int(settings.priority)});
    }
  }
}

void start_by_hand(long long run_id) {
  // Kept in start_at itself are the times that repetitions count from.
  store_tuned(run_id, "{\"start_at\": null}");
  Scope scope;
  pg::query("UPDATE migration_ext.run SET by_hand = true WHERE run_id = $1::bigint", {sql_int(run_id)});
}

std::optional<NextRun> next_due_run() {
  Scope scope;
  const Rows rows = pg::query("SELECT r.run_id, r.session_oid FROM migration_ext.run r WHERE " MAY_START_HERE
                              "AND NOT " MIGRATION_WAITS_FOR_ITS_TIME "ORDER BY r.priority DESC, r.run_id LIMIT 1",
                              {std::to_string(pg::system_identifier()), sql_int(pg::database_oid())});
  if (rows.empty()) return std::nullopt;
  return NextRun{pg::to_integer(rows[0][0]), static_cast<unsigned>(pg::to_integer(rows[0][1]))};
}

std::optional<std::string> waits_for(long long run_id) {
  Scope scope;
  const Rows rows = pg::query(
      "SELECT CASE WHEN r.start_at > pg_catalog.clock_timestamp() THEN r.start_at::text ELSE (SELECT 'run ' || a.id || "
      "coalesce(', which is ' || b.state, ', which is gone') FROM pg_catalog.unnest(r.after) a(id) LEFT JOIN "
      "migration_ext.run b ON b.run_id = a.id WHERE b.state IS DISTINCT FROM 'succeeded' ORDER BY a.id LIMIT 1) END "
      "FROM migration_ext.run r WHERE r.run_id = $1::bigint AND " MIGRATION_WAITS_FOR_ITS_TIME,
      {sql_int(run_id)});
  if (rows.empty()) return std::nullopt;
  return pg::text_or_empty(rows[0][0]);
}

std::optional<double> next_look_s(double blocked) {
  Scope scope;
  const Rows rows =
      pg::query("SELECT min(CASE WHEN NOT " MIGRATION_WAITS_FOR_ITS_TIME
                "THEN $3::double precision ELSE greatest(0.05, extract(epoch FROM r.start_at - "
                "pg_catalog.clock_timestamp())) END) "
                "FROM migration_ext.run r WHERE " MAY_START_HERE "AND (NOT " MIGRATION_WAITS_FOR_ITS_TIME
                "OR r.start_at > pg_catalog.clock_timestamp())",
                {std::to_string(pg::system_identifier()), sql_int(pg::database_oid()), std::to_string(blocked)});
  if (rows.empty() || !rows[0][0]) return std::nullopt;
  return std::stod(*rows[0][0]);
}

void queue_next(long long run_id) {
  Scope scope;
  const Rows next = pg::query(
      "INSERT INTO migration_ext.run (direction, target, state, desired, background, role_name, role_oid, "
      "session_name, session_oid, steps, settings, tuned, owner_epoch, system_identifier, database_oid, queued_at, "
      "start_at, every, priority, after) SELECT direction, target, 'queued', 'run', background, role_name, role_oid, "
      "session_name, session_oid, steps, settings, tuned - 'start_at', 0, system_identifier, database_oid, "
      "pg_catalog.clock_timestamp(), start_at + every * (1 + greatest(0, pg_catalog.floor(extract(epoch FROM "
      "pg_catalog.clock_timestamp() - start_at) / extract(epoch FROM every))))::double precision, every, priority, "
      "after FROM migration_ext.run WHERE run_id = $1::bigint AND every > interval '0' AND start_at IS NOT NULL "
      "RETURNING run_id, role_name",
      {sql_int(run_id)});
  if (next.empty()) return;
  const long long next_id = pg::to_integer(next[0][0]);
  pg::query(
      "INSERT INTO migration_ext.step (run_id, step, revision, kind, statements, settings, script_path, completes, "
      "state, attempts, crashes, before_image) SELECT $2::bigint, step, revision, kind, statements, settings, "
      "script_path, completes, 'pending', 0, 0, '{}' FROM migration_ext.step WHERE run_id = $1::bigint",
      {sql_int(run_id), sql_int(next_id)});
  pg::query("UPDATE migration_ext.run SET every = NULL WHERE run_id = $1::bigint", {sql_int(run_id)});
  log_event({next_id, "", 0, "queued", pg::text_or_empty(next[0][1]), -1,
             Problem{"", formatted("repeats run {}", run_id), "", ""}});
}

}  // namespace migration::catalog
