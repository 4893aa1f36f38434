// Half-done revisions; see leftovers.hpp.
#include "catalog/leftovers.hpp"

#include "pg/parse.hpp"
#include "pg/sql.hpp"

namespace migration::catalog {

using pg::Row;
using pg::Scope;
using pg::sql_int;
using pg::Value;

std::vector<HalfDone> half_done_revisions() {
  std::vector<HalfDone> out;
  pg::Rows rows;
  {
    Scope scope;
    rows = pg::query(
        "SELECT r.run_id, r.direction, l.revision, r.state = 'cancelled' FROM (SELECT s.revision, max(s.run_id) AS "
        "run_id FROM "
        "migration_ext.step s WHERE s.revision IS NOT NULL AND s.attempts > 0 GROUP BY s.revision) l JOIN "
        "migration_ext.run r ON r.run_id = l.run_id WHERE EXISTS (SELECT FROM migration_ext.step s WHERE s.run_id = "
        "l.run_id "
        "AND s.revision = l.revision AND (s.state = 'succeeded' OR s.job_id IS NOT NULL OR (s.attempts > 0 AND s.kind "
        "= "
        "'concurrent'))) AND NOT EXISTS (SELECT FROM migration_ext.step s WHERE s.run_id = l.run_id AND s.revision = "
        "l.revision AND s.completes AND s.state = 'succeeded') ORDER BY r.run_id");
  }
  for (const Row& row : rows) {
    HalfDone half;
    half.run_id = pg::to_integer(row[0]);
    half.direction = pg::text_or_empty(row[1]);
    half.revision = pg::text_or_empty(row[2]);
    half.closed = pg::to_bool(row[3]);
    for (StepRecord& step : load_steps(half.run_id)) {
      if (step.revision == half.revision) half.steps.push_back(std::move(step));
    }
    out.push_back(std::move(half));
  }
  return out;
}

std::string completion_of(const HalfDone& half) {
  const bool down = half.direction == "downgrade";
  return std::string("SELECT migration_") + (down ? "downgrade(" : "upgrade(") +
         pg::quote_literal(half.revision + (down ? "@-1" : "")) + ");";
}

void adopt_step(long long run_id, int step, const StepRecord& from, long long from_run) {
  Scope scope;
  pg::query(
      "UPDATE migration_ext.step t SET state = CASE WHEN f.state = 'succeeded' THEN 'succeeded' ELSE 'pending' END, "
      "attempts = f.attempts, before_image = f.before_image, job_id = f.job_id, started_at = f.started_at, "
      "ended_at = f.ended_at FROM migration_ext.step f WHERE t.run_id = $1::bigint AND t.step = $2::integer "
      "AND f.run_id = $3::bigint AND f.step = $4::integer",
      {sql_int(run_id), sql_int(step), sql_int(from_run), sql_int(from.step)});
  if (from.job_id) {
    pg::query(
        "UPDATE migration_ext.job SET run_id = $2::bigint, step = $3::integer, owner_epoch = 0 WHERE job_id = "
        "$1::bigint",
        {sql_int(*from.job_id), sql_int(run_id), sql_int(step)});
  }
}

void supersede_runs(long long by_run) {
  Scope scope;
  pg::query(
      "UPDATE migration_ext.run SET state = 'cancelled', ended_at = coalesce(ended_at, pg_catalog.clock_timestamp()), "
      "hint = NULL, detail = 'Superseded by run ' || $1 || '.' WHERE run_id <> $1::bigint AND background AND "
      "direction IN ('upgrade', 'downgrade') AND state IN ('queued', 'running', 'paused', 'failed')",
      {sql_int(by_run)});
}

}  // namespace migration::catalog
