// Runs and steps; see runs.hpp.
#include "catalog/runs.hpp"

#include "catalog/schedule.hpp"
#include "pg/process.hpp"
#include "pg/settings.hpp"
#include "pg/sql.hpp"
#include "statement/error.hpp"

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

Value id_array(const std::vector<long long>& ids) {
  std::string out = "{";
  for (const long long id : ids) out += (out.size() > 1 ? "," : "") + std::to_string(id);
  return out + "}";
}

RunRecord to_run(const Row& row) {
  RunRecord r;
  r.run_id = pg::to_integer(row[0]);
  r.direction = pg::text_or_empty(row[1]);
  r.target = pg::text_or_empty(row[2]);
  r.state = pg::text_or_empty(row[3]);
  r.desired = pg::text_or_empty(row[4]);
  r.desired_by = pg::text_or_empty(row[5]);
  r.background = pg::to_bool(row[6]);
  r.role_name = pg::text_or_empty(row[7]);
  r.role_oid = static_cast<unsigned>(pg::to_integer(row[8]));
  r.session_name = pg::text_or_empty(row[9]);
  r.session_oid = static_cast<unsigned>(pg::to_integer(row[10]));
  r.steps = static_cast<int>(pg::to_integer(row[11]));
  r.lock_timeout_ms = static_cast<int>(pg::to_integer(row[12], 2000));
  r.lock_retries = static_cast<int>(pg::to_integer(row[13], 30));
  r.batch_target_ms = static_cast<int>(pg::to_integer(row[14], 200));
  r.owner_pid = static_cast<int>(pg::to_integer(row[15]));
  r.owner_epoch = pg::to_integer(row[16]);
  r.system_identifier = pg::text_or_empty(row[17]);
  r.database_oid = static_cast<unsigned>(pg::to_integer(row[18]));
  r.waiting_for = pg::text_or_empty(row[19]);
  r.problem = Problem{pg::text_or_empty(row[20]), pg::text_or_empty(row[21]), pg::text_or_empty(row[22]),
                      pg::text_or_empty(row[23])};
  r.schedule.start_at = pg::text_or_empty(row[24]);
  r.schedule.every_ms = pg::to_integer(row[25]);
  r.schedule.priority = static_cast<int>(pg::to_integer(row[26]));
  for (const std::string& id : pg::parse_array(row[27])) r.schedule.after.push_back(std::stoll(id));
  return r;
}

#define RUN_COLUMNS                                                                                         \
  "run_id, direction, target, state, desired, desired_by, background, role_name, role_oid, session_name, "  \
  "session_oid, steps, settings->>'lock_timeout', settings->>'lock_retries', settings->>'batch_target', "   \
  "owner_pid, owner_epoch, system_identifier, database_oid, waiting_for, sqlstate, message, detail, hint, " \
  "to_char(start_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US+00'), "                                   \
  "(extract(epoch FROM every) * 1000)::bigint, priority, after "                                            \
  "FROM migration_ext.run "

StepRecord to_step(const Row& row) {
  StepRecord s;
  s.step = static_cast<int>(pg::to_integer(row[0]));
  s.revision = pg::text_or_empty(row[1]);
  s.kind = pg::text_or_empty(row[2]);
  s.statements = pg::parse_array(row[3]);
  s.settings = pg::parse_array(row[4]);
  s.script_path = pg::text_or_empty(row[5]);
  s.completes = pg::to_bool(row[6]);
  s.state = pg::text_or_empty(row[7]);
  s.attempts = static_cast<int>(pg::to_integer(row[8]));
  s.crashes = static_cast<int>(pg::to_integer(row[9]));
  s.before_image = pg::parse_array(row[10]);
  if (row[11]) s.job_id = pg::to_integer(row[11]);
  return s;
}

#define STEP_COLUMNS                                                                                             \
  "step, revision, kind, statements, settings, script_path, completes, state, attempts, crashes, before_image, " \
  "job_id FROM migration_ext.step "

std::optional<RunRecord> first_run(const Rows& rows) {
  if (rows.empty()) return std::nullopt;
  return to_run(rows[0]);
}

long long insert_run_row(const RunRecord& run, const char* state) {
  Rows rows = pg::query(
      "INSERT INTO migration_ext.run (direction, target, state, desired, background, role_name, role_oid, "
      "session_name, "
      "session_oid, steps, settings, owner_epoch, system_identifier, database_oid, queued_at, started_at, owner_pid, "
      "start_at, every, priority, after) "
      "VALUES "
      "($1, $2, $3, 'run', $4::boolean, $5, $6::oid, $7, $8::oid, $9::integer, pg_catalog.jsonb_build_object("
      "'lock_timeout', $10::integer, 'lock_retries', $11::integer, 'batch_target', $12::integer), 0, $13, $14::oid, "
      "pg_catalog.clock_timestamp(), CASE WHEN $4::boolean THEN NULL ELSE pg_catalog.clock_timestamp() END, "
      "CASE WHEN $4::boolean THEN NULL ELSE pg_catalog.pg_backend_pid() END, $15::timestamptz, "
      "nullif($16::bigint, 0) * interval '1 millisecond', $17::integer, $18::bigint[]) RETURNING run_id",
      {run.direction, run.target, std::string(state), pg::sql_bool(run.background), run.role_name,
       sql_int(run.role_oid), run.session_name, sql_int(run.session_oid), sql_int(run.steps),
       sql_int(run.lock_timeout_ms), sql_int(run.lock_retries), sql_int(run.batch_target_ms),
       std::to_string(pg::system_identifier()), sql_int(pg::database_oid()), or_null(run.schedule.start_at),
       sql_int(run.schedule.every_ms), sql_int(run.schedule.priority), id_array(run.schedule.after)});
  return pg::to_integer(rows.at(0).at(0));
}

}  // namespace

void insert_run(RunRecord& run, const std::vector<StepRecord>& steps) {
  Scope scope;
  run.steps = static_cast<int>(steps.size());
  run.run_id = insert_run_row(run, "queued");
  for (const StepRecord& s : steps) {
    pg::query(
        "INSERT INTO migration_ext.step (run_id, step, revision, kind, statements, settings, script_path, completes, "
        "state, attempts, crashes, before_image) VALUES ($1::bigint, $2::integer, $3, $4, $5::text[], $6::text[], $7, "
        "$8::boolean, 'pending', 0, 0, '{}')",
        {sql_int(run.run_id), sql_int(s.step), or_null(s.revision), s.kind, sql_array(s.statements),
         sql_array(s.settings), s.script_path, pg::sql_bool(s.completes)});
  }
}

long long insert_foreground_run(const RunRecord& run) {
  Scope scope;
  return insert_run_row(run, "running");
}

void finish_foreground_run(long long run_id) {
  Scope scope;
  pg::query(
      "UPDATE migration_ext.run SET state = 'succeeded', ended_at = pg_catalog.clock_timestamp() "
      "WHERE run_id = $1::bigint",
      {sql_int(run_id)});
}

std::optional<RunRecord> load_run(long long run_id) {
  Scope scope;
  return first_run(pg::query("SELECT " RUN_COLUMNS "WHERE run_id = $1::bigint", {sql_int(run_id)}));
}

std::optional<RunRecord> latest_unfinished_run() {
  Scope scope;
  // A run that failed or was paused is "the run" until a later one of either direction has succeeded.
  return first_run(pg::query(
      "SELECT " RUN_COLUMNS
      "r WHERE background AND (state IN ('queued', 'running') OR state IN ('paused', 'failed') AND NOT EXISTS "
      "(SELECT FROM migration_ext.run n WHERE n.run_id > r.run_id AND n.state = 'succeeded')) "
      "ORDER BY state = 'running' DESC, " MIGRATION_WAITS_FOR_ITS_TIME ", run_id DESC LIMIT 1"));
}

bool any_run() {
  Scope scope;
  return !pg::query("SELECT 1 FROM migration_ext.run LIMIT 1").empty();
}

std::optional<RunRecord> latest_run() {
  Scope scope;
  return first_run(pg::query("SELECT " RUN_COLUMNS "r ORDER BY " MIGRATION_WAITS_FOR_ITS_TIME ", run_id DESC LIMIT 1"));
}

std::optional<RunRecord> active_run() {
  Scope scope;
  return first_run(pg::query("SELECT " RUN_COLUMNS "r WHERE background AND state IN ('queued', 'running') AND "
                             "NOT " MIGRATION_WAITS_FOR_ITS_TIME
                             " ORDER BY state DESC, priority DESC, run_id LIMIT 1"));
}

std::vector<StepRecord> load_steps(long long run_id) {
  Scope scope;
  std::vector<StepRecord> out;
  for (const Row& row :
       pg::query("SELECT " STEP_COLUMNS "WHERE run_id = $1::bigint ORDER BY step", {sql_int(run_id)})) {
    out.push_back(to_step(row));
  }
  return out;
}

std::vector<StepRecord> load_open_steps(long long run_id, int limit) {
  Scope scope;
  std::vector<StepRecord> out;
  for (const Row& row : pg::query("SELECT " STEP_COLUMNS
                                  "WHERE run_id = $1::bigint AND state <> 'succeeded' ORDER BY step LIMIT $2::integer",
                                  {sql_int(run_id), sql_int(limit)})) {
    out.push_back(to_step(row));
  }
  return out;
}

long long claim_run(long long run_id, int pid) {
  Scope scope;
  Rows rows = pg::query(
      "UPDATE migration_ext.run SET state = 'running', owner_pid = $2::integer, owner_epoch = owner_epoch + 1, "
      "started_at = coalesce(started_at, pg_catalog.clock_timestamp()), ended_at = NULL, waiting_for = NULL, "
      "sqlstate = NULL, message = NULL, detail = NULL, hint = NULL WHERE run_id = $1::bigint RETURNING owner_epoch",
      {sql_int(run_id), sql_int(pid)});
  return rows.empty() ? 0 : pg::to_integer(rows[0][0]);
}

void set_run_state(long long run_id, const std::string& state, const Problem& p, bool ended) {
  Scope scope;
  pg::query(
      "UPDATE migration_ext.run SET state = $2, waiting_for = NULL, sqlstate = $3, message = $4, detail = $5, hint = "
      "$6, "
      "ended_at = CASE WHEN $7::boolean THEN pg_catalog.clock_timestamp() ELSE ended_at END WHERE run_id = $1::bigint",
      {sql_int(run_id), state, or_null(p.state), or_null(p.message), or_null(p.detail), or_null(p.hint),
       pg::sql_bool(ended)});
  if (state == "succeeded" || (state == "failed" && p.state != sqlstate::suspected_crasher)) queue_next(run_id);
}

void forget_oids(long long run_id) {
  Scope scope;
  pg::query(
      "UPDATE migration_ext.step SET before_image = ARRAY(SELECT b FROM pg_catalog.unnest(before_image) b WHERE b IN "
      "('present', 'absent')) WHERE run_id = $1::bigint AND state <> 'succeeded'",
      {sql_int(run_id)});
  pg::query(
      "UPDATE migration_ext.job SET relation_oid = 0, into_oid = 0, into_files = NULL, column_types = NULL, "
      "into_types = NULL WHERE run_id = $1::bigint AND "
      "state <> 'done'",
      {sql_int(run_id)});
}

void adopt_run(long long run_id, const std::string& role, unsigned role_oid) {
  Scope scope;
  pg::query(
      "UPDATE migration_ext.run SET system_identifier = $2, database_oid = $3::oid, role_name = $4, role_oid = $5::oid "
      "WHERE run_id = $1::bigint",
      {sql_int(run_id), std::to_string(pg::system_identifier()), sql_int(pg::database_oid()), role, sql_int(role_oid)});
  forget_oids(run_id);
}

void set_waiting(long long run_id, const std::string& waiting_for) {
  Scope scope;
  pg::query(
      "UPDATE migration_ext.run SET waiting_for = $2 WHERE run_id = $1::bigint AND waiting_for IS DISTINCT FROM $2",
      {sql_int(run_id), or_null(waiting_for)});
}

void set_desired(long long run_id, const std::string& desired, const std::string& role) {
  Scope scope;
  pg::query("UPDATE migration_ext.run SET desired = $2, desired_by = $3 WHERE run_id = $1::bigint",
            {sql_int(run_id), desired, role});
}

RunWish load_wish(long long run_id) {
  Scope scope;
  Rows rows = pg::query("SELECT state, desired, desired_by FROM migration_ext.run WHERE run_id = $1::bigint",
                        {sql_int(run_id)});
  if (rows.empty()) return {};
  return RunWish{*rows[0][0], *rows[0][1], pg::text_or_empty(rows[0][2])};
}

void start_step(long long run_id, int step, const std::vector<std::string>& before_image) {
  Scope scope;
  pg::query(
      "UPDATE migration_ext.step SET state = 'running', attempts = attempts + 1, before_image = CASE WHEN attempts = 0 "
      "THEN $3::text[] ELSE before_image END, started_at = coalesce(started_at, pg_catalog.clock_timestamp()), "
      "sqlstate = NULL, message = NULL WHERE run_id = $1::bigint AND step = $2::integer",
      {sql_int(run_id), sql_int(step), sql_array(before_image)});
}

void forget_attempts(long long run_id, int step) {
  Scope scope;
  pg::query(
      "UPDATE migration_ext.step SET state = 'pending', attempts = 0, before_image = '{}' WHERE run_id = $1::bigint "
      "AND "
      "step = $2::integer",
      {sql_int(run_id), sql_int(step)});
}

void count_crash(long long run_id, int step) {
  Scope scope;
  pg::query("UPDATE migration_ext.step SET crashes = crashes + 1 WHERE run_id = $1::bigint AND step = $2::integer",
            {sql_int(run_id), sql_int(step)});
}

void reset_crashes(long long run_id) {
  Scope scope;
  pg::query("UPDATE migration_ext.step SET crashes = 0 WHERE run_id = $1::bigint AND crashes <> 0", {sql_int(run_id)});
}

void finish_step(long long run_id, int step) {
  Scope scope;
  pg::query(
      "UPDATE migration_ext.step SET state = 'succeeded', crashes = 0, sqlstate = NULL, message = NULL, "
      "ended_at = pg_catalog.clock_timestamp() WHERE run_id = $1::bigint AND step = $2::integer",
      {sql_int(run_id), sql_int(step)});
}

void fail_step(long long run_id, int step, const Problem& p) {
  Scope scope;
  pg::query(
      "UPDATE migration_ext.step SET state = 'failed', sqlstate = $3, message = $4 "
      "WHERE run_id = $1::bigint AND step = $2::integer",
      {sql_int(run_id), sql_int(step), or_null(p.state), or_null(p.message)});
}

void set_step_job(long long run_id, int step, long long job_id) {
  Scope scope;
  pg::query("UPDATE migration_ext.step SET job_id = $3::bigint WHERE run_id = $1::bigint AND step = $2::integer",
            {sql_int(run_id), sql_int(step), sql_int(job_id)});
}

int steps_done(long long run_id) {
  Scope scope;
  Rows rows = pg::query("SELECT count(*) FROM migration_ext.step WHERE run_id = $1::bigint AND state = 'succeeded'",
                        {sql_int(run_id)});
  return static_cast<int>(pg::to_integer(rows[0][0]));
}

}  // namespace migration::catalog
