// Rows for runs, log and progress; see reports.hpp.
#include "catalog/reports.hpp"

#include <algorithm>

#include "catalog/schedule.hpp"

namespace migration::catalog {

using pg::Rows;
using pg::Scope;
using pg::sql_int;
using pg::Value;

Rows run_rows() {
  Scope scope;
  return pg::query(
      "SELECT r.run_id, r.direction, r.target, r.state, r.desired, r.role_name, r.background, r.steps, "
      "CASE WHEN r.background THEN (SELECT count(*) FROM migration_ext.step s WHERE s.run_id = r.run_id AND s.state = "
      "'succeeded') WHEN r.state = 'succeeded' THEN r.steps ELSE 0 END, r.queued_at, r.started_at, r.ended_at, "
      "greatest(interval '0', coalesce(r.ended_at, pg_catalog.clock_timestamp()) - r.started_at), r.waiting_for, "
      "r.sqlstate, r.message, "
      "r.detail, "
      "r.hint, r.owner_epoch, r.system_identifier, r.database_oid, r.start_at, r.every, r.priority, "
      "r.after, " MIGRATION_WAITS_FOR_ITS_TIME "FROM migration_ext.run r ORDER BY r.run_id DESC");
}

Rows log_rows(std::optional<long long> run_id) {
  Scope scope;
  return pg::query(
      "SELECT event_id, at, run_id, revision, step, event, role, took, sqlstate, message, detail, hint "
      "FROM migration_ext.log WHERE $1 IS NULL OR run_id = $1::bigint ORDER BY event_id",
      {run_id ? sql_int(*run_id) : Value()});
}

Rows progress_rows(long long run_id, int owner_pid) {
  Scope scope;
  // Backfills: blocks (or keys) passed, rate over the time spent in batches. Index builds: the server's own progress
  // view; the two table scans of a concurrent build and its sort count as equal thirds would lie, so blocks and tuples
  // of the present phase are given as they are and percent is that of the phase.
  return pg::query(
      "SELECT r.run_id, j.job_id, s.revision, s.step, $2::integer, "
      "coalesce(j.relation, p.relid::pg_catalog.regclass::text, v.relid::pg_catalog.regclass::text), "
      "coalesce(CASE WHEN j.job_id IS NOT NULL THEN 'backfill (' || j.cursor_kind || ')' END, p.command || ': ' || "
      "p.phase, "
      "'VACUUM: ' || v.phase, s.kind), "
      "CASE WHEN j.job_id IS NOT NULL THEN j.rows_done ELSE p.tuples_done END, "
      "CASE WHEN j.job_id IS NOT NULL THEN j.rows_total ELSE nullif(p.tuples_total, 0) END, "
      "coalesce(CASE WHEN j.cursor_kind = 'ctid' THEN j.blocks_done END, p.blocks_done, v.heap_blks_scanned), "
      "coalesce(CASE WHEN j.cursor_kind = 'ctid' THEN j.blocks_total END, nullif(p.blocks_total, 0), "
      "v.heap_blks_total), "
      "b.rate, b.percent, CASE WHEN b.percent > 0 AND b.percent < 100 THEN "
      "(extract(epoch FROM j.busy) * (100 - b.percent) / b.percent) * interval '1 second' END, h.throttled_by, "
      // The same with the time held back counted in, at the ratio there has been.
      "coalesce(nullif(p.current_locker_pid, 0)::text, r.waiting_for), CASE WHEN h.held > interval '1 second' AND "
      "b.percent > 0 AND b.percent < 100 THEN pg_catalog.date_trunc('second', (extract(epoch FROM j.busy + h.held) * "
      "(100 "
      "- b.percent) / b.percent) * interval '1 second') END, b.percent, CASE WHEN j.rows_done > 0 AND j.rows_hot > 0 "
      "THEN pg_catalog.round(least(1, j.rows_hot::numeric / j.rows_done), 3) END, nullif(j.wal_bytes, 0), h.held, "
      "CASE WHEN j.job_id IS NOT NULL AND r.state = 'running' THEN greatest(1, j.workers) END "
      "FROM migration_ext.run r JOIN migration_ext.step s ON s.run_id = r.run_id AND s.state = 'running' "
      // The job and what its workers have done of the ranges they are in.
      "LEFT JOIN LATERAL (SELECT q.job_id, q.relation, q.cursor_kind, q.state, q.rows_total, q.blocks_total, "
      "q.throttled, q.throttled_at, q.throttled_by, q.rows_done + g.rows_done AS rows_done, q.rows_seen + g.rows_seen "
      "AS rows_seen, q.rows_hot + g.rows_hot AS rows_hot, q.blocks_done + g.blocks_done AS blocks_done, q.wal_bytes + "
      "g.wal_bytes AS wal_bytes, q.busy + g.busy AS busy, g.workers FROM migration_ext.job q CROSS JOIN (SELECT "
      "coalesce(sum(o.rows_done), 0)::bigint AS rows_done, coalesce(sum(o.rows_seen), 0)::bigint AS rows_seen, "
      "coalesce(sum(o.rows_hot), 0)::bigint AS rows_hot, coalesce(sum(o.blocks_done), 0)::bigint AS blocks_done, "
      "coalesce(sum(o.wal_bytes), 0)::bigint AS wal_bytes, coalesce(sum(o.busy), interval '0') AS busy, "
      "(count(DISTINCT o.worker))::integer AS workers FROM migration_ext.range o WHERE o.job_id = s.job_id) g WHERE "
      "q.job_id = "
      "s.job_id) j ON true "
      "LEFT JOIN pg_catalog.pg_stat_progress_create_index p ON p.pid = $2::integer "
      "LEFT JOIN pg_catalog.pg_stat_progress_vacuum v ON v.pid = $2::integer "
      // The owner adds what it has rested every ten seconds; the calendar, which may jump, fills in the rest.
      "CROSS JOIN LATERAL (SELECT j.throttled + coalesce(greatest(interval '0', least(interval '20 seconds', "
      "pg_catalog.clock_timestamp() - j.throttled_at)), interval '0') AS held, CASE WHEN j.state = 'running' AND "
      "r.state = 'running' THEN "
      "j.throttled_by "
      "END AS throttled_by) h "
      "CROSS JOIN LATERAL (SELECT pg_catalog.round((CASE WHEN j.cursor_kind = 'ctid' THEN least(100.0, 100.0 * "
      "j.blocks_done / "
      "nullif(j.blocks_total, 0)) WHEN j.cursor_kind = 'keyset' THEN least(100.0, 100.0 * j.rows_seen / "
      "nullif(j.rows_total, "
      "0)) WHEN p.blocks_total > 0 THEN least(100.0, 100.0 * p.blocks_done / p.blocks_total) WHEN p.tuples_total > 0 "
      "THEN "
      "least(100.0, 100.0 * p.tuples_done / p.tuples_total) WHEN v.heap_blks_total > 0 THEN least(100.0, 100.0 * "
      "v.heap_blks_scanned / v.heap_blks_total) END)::numeric, 1) AS percent, "
      "pg_catalog.round((j.rows_done / nullif(extract(epoch FROM j.busy), 0))::numeric, 0) AS rate) b "
      "WHERE r.run_id = $1::bigint ORDER BY s.step LIMIT 1",
      {sql_int(run_id), sql_int(owner_pid)});
}

bool is_vacuuming(long long run_id, int owner_pid) {
  Scope scope;
  return !pg::query(
              "SELECT 1 FROM pg_catalog.pg_stat_progress_vacuum v JOIN migration_ext.step s ON s.run_id = $1::bigint "
              "AND s.state = 'running' AND s.kind = 'backfill' WHERE v.pid = $2::integer",
              {sql_int(run_id), sql_int(owner_pid)})
              .empty();
}

std::vector<std::string> functions_of_level(const std::string& level) {
  // Each level holds the ones before it, except that operators need not be authors.
  static const std::vector<std::string> reader = {"migration_export",    "migration_plan", "migration_sql",
                                                  "migration_show",      "migration_runs", "migration_log",
                                                  "migration_quarantine"};
  static const std::vector<std::string> author = {"migration_register", "migration_unregister", "migration_merge"};
  static const std::vector<std::string> operator_ = {
      "migration_upgrade", "migration_downgrade", "migration_pause", "migration_resume",
      "migration_cancel",  "migration_backfill",  "migration_tune",  "migration_retry_quarantine"};
  static const std::vector<std::string> admin = {"migration_stamp", "migration_approve"};
  std::vector<std::string> names = reader;
  const auto add = [&](const std::vector<std::string>& more) { names.insert(names.end(), more.begin(), more.end()); };
  if (level == "author" || level == "admin" || level == "all") add(author);
  if (level == "operator" || level == "admin" || level == "all") add(operator_);
  if (level == "admin" || level == "all") add(admin);
  Scope scope;
  Rows rows = pg::query(
      "SELECT p.oid::pg_catalog.regprocedure::text FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_depend d ON d.classid "
      "= "
      "'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e' JOIN pg_catalog.pg_extension "
      "e ON "
      "e.oid = d.refobjid AND e.extname = 'migration_ext' WHERE p.proname::text = ANY ($1::text[]) ORDER BY 1",
      {pg::sql_array(names)});
  std::vector<std::string> out;
  for (const pg::Row& row : rows) out.push_back(*row[0]);
  return out;
}

}  // namespace migration::catalog
