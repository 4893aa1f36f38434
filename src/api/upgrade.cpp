// migration_upgrade and migration_downgrade.
//
// What: decides by the shape of the plan who runs it. Every step transactional: this session, inside its own
// transaction, all or nothing. Anything else: a background worker, while this session waits without a snapshot
// (`wait => false`: it starts when this transaction commits). `online => false`: everything as written, here, in plain
// forms. Invariant: whatever has to be refused is refused before any work.
#include <optional>

#include "api/waiting.hpp"
#include "backfill/call_text.hpp"
#include "catalog/leftovers.hpp"
#include "catalog/other_table.hpp"
#include "catalog/runs.hpp"
#include "pg/function.hpp"
#include "pg/identity.hpp"
#include "pg/lock.hpp"
#include "pg/process.hpp"
#include "pg/settings.hpp"
#include "pg/snapshot.hpp"
#include "pg/watchdog.hpp"
#include "statement/formatted.hpp"
#include "worker/executor.hpp"
#include "worker/planning.hpp"
#include "worker/submit.hpp"
#include "worker/transact.hpp"

namespace migration {

namespace {

struct Call {
  bool up = true;
  std::string target;
  bool online = true, wait = true, allow_data_loss = false;
  Oid function = InvalidOid;

  const char* name() const { return up ? "migration_upgrade" : "migration_downgrade"; }
  std::string again(const char* option) const {
    return formatted("SELECT {}({}, {});", name(), literal(target), option);
  }
};

void require_enabled(const Call& call) {
  pg::require_writable(call.name());
  if (pg::settings().enabled) return;
  throw MigrationError(sqlstate::not_in_prerequisite_state, "migration runs are switched off on this server",
                       "The parameter migration_ext.enabled is off.", "ALTER SYSTEM SET migration_ext.enabled = on;");
}

std::vector<RelationUse> uses_of(const Step& step) {
  std::vector<RelationUse> uses;
  for (const PlannedStatement& p : step.statements) {
    uses.insert(uses.end(), p.statement.locks.begin(), p.statement.locks.end());
  }
  return uses;
}

const PlannedRevision& revision_of(const PlannedRun& run, const std::string& id, std::size_t& at) {
  while (run.revisions[at].stored.node.id != id) ++at;
  return run.revisions[at];
}

StepText text_of(const Step& step, const PlannedRevision& r, bool plain_forms) {
  StepText text;
  text.step = step.number;
  text.revision = step.revision;
  text.script_path = r.stored.script_path;
  for (const PlannedStatement& p : step.statements) {
    const Statement& s = p.statement;
    if (plain_forms && s.kind == StatementKind::vacuum && s.tag != "ANALYZE") {
      pg::report(NOTICE, "00000", formatted("left out, because it cannot run inside a transaction: {}", s.text));
      continue;
    }
    if (plain_forms && s.kind == StatementKind::backfill_call) {
      pg::SettingsFrame frame;
      apply_script_path(r.stored.script_path);
      text.statements.push_back(backfill::one_statement(s, catalog::columns_by_name(s)));
      text.plain.push_back(false);
      continue;
    }
    const bool plain = plain_forms && (s.concurrently || s.kind == StatementKind::detach_concurrently);
    if (plain) pg::report(NOTICE, "00000", formatted("runs without CONCURRENTLY: {}", s.text));
    text.statements.push_back(s.text);
    text.plain.push_back(plain);
  }
  return text;
}

/// The locks of the whole plan, before anything has been done: while we wait for one, we hold none.
void take_all_locks(const PlannedRun& run) {
  std::vector<pg::LockTarget> targets;
  std::size_t at = 0;
  std::vector<RelationUse> uses;
  std::string path;
  const auto flush = [&] {
    if (uses.empty()) return;
    StepText text;
    text.script_path = path;
    for (pg::LockTarget& t : locks_of(text, uses)) targets.push_back(std::move(t));
    uses.clear();
  };
  for (const Step& step : run.plan.steps) {
    const PlannedRevision& r = revision_of(run, step.revision, at);
    if (r.stored.script_path != path) flush();
    path = r.stored.script_path;
    const auto more = uses_of(step);
    uses.insert(uses.end(), more.begin(), more.end());
  }
  flush();
  const pg::Settings s = pg::settings();
  LockPatience patience{s.lock_timeout_ms, s.lock_retries, [&](int attempt, const std::string& holders) {
                          pg::report(NOTICE, "00000",
                                     formatted("waiting for locks, try {} of {}", attempt, s.lock_retries + 1),
                                     holders.empty() ? "" : "In the way: " + holders);
                        }};
  try {
    take_locks_patiently(pg::merge_locks(targets), patience);
  } catch (const pg::PgError& e) {
    if (!is_transient(e.state())) throw;
    throw MigrationError(
        e.state(), "could not get the locks of the migration: " + e.message(),
        formatted("{} tries; nothing was changed. In the way: {}", s.lock_retries + 1, pg::describe_holders(targets)),
        formatted("SELECT {}({});", run.up ? "migration_upgrade" : "migration_downgrade", literal(run.target)));
  }
}

/// Runs the plan here, in the caller's transaction.
long long run_here(const Call& call, const PlannedRun& run) {
  const pg::Role role = pg::current_role();
  const pg::Role session = pg::session_role();
  const pg::Settings settings = pg::settings();
  take_all_locks(run);
  catalog::RunRecord record;
  record.direction = call.up ? "upgrade" : "downgrade";
  record.target = call.target;
  record.role_name = role.name;
  record.role_oid = role.oid;
  record.session_name = session.name;
  record.session_oid = session.oid;
  record.steps = static_cast<int>(run.plan.steps.size());
  record.lock_timeout_ms = settings.lock_timeout_ms;
  record.lock_retries = settings.lock_retries;
  record.batch_target_ms = settings.batch_target_ms;
  const long long run_id = catalog::insert_foreground_run(record);
  const std::string hint = formatted("SELECT * FROM migration_plan({});", literal(call.target));
  std::size_t at = 0;
  std::string announced;
  double started = monotonic_ms();
  for (const Step& step : run.plan.steps) {
    const PlannedRevision& r = revision_of(run, step.revision, at);
    if (announced != step.revision) {
      announced = step.revision;
      started = monotonic_ms();
      pg::report(NOTICE, "00000", running_line(call.up, r));
    }
    pg::crash_point("foreground:step", step.number);
    run_step_statements(text_of(step, r, !call.online), settings.lock_timeout_ms,
                        "The whole migration is rolled back with this transaction.", hint);
    if (!step.completes) continue;
    const double took = monotonic_ms() - started;
    if (call.up) {
      catalog::mark_applied(step.revision, r.stored.fingerprint, role.name, run_id, took);
    } else {
      catalog::unmark_applied(step.revision);
    }
    catalog::log_event({run_id, step.revision, step.number, call.up ? "applied" : "undone", role.name, took, {}});
  }
  // An unfinished run was planned from what was applied before.
  catalog::supersede_runs(run_id);
  catalog::finish_foreground_run(run_id);
  pg::crash_point("foreground:end", 0);
  return run_id;
}

void report_at_target(const Call& call) {
  pg::report(NOTICE, "00000", formatted("nothing to do: the database is already at {}", literal(call.target)), "",
             "SELECT * FROM migration_status();");
}

/// Stores the run in this transaction; it starts at COMMIT.
Datum queue_run(FunctionCallInfo fcinfo, const Call& call, const PlannedRun& run) {
  if (pg::run_lock_held_elsewhere()) refuse_other_run(call.target);
  if (const auto active = catalog::active_run(); active && active->state == "queued") refuse_other_run(call.target);
  if (!call.up) require_loss_consent(run, call.allow_data_loss);
  require_nothing_half_done(run);
  if (pg::get_setting("max_worker_processes") == "0") {
    throw MigrationError(sqlstate::insufficient_resources, "background workers are switched off",
                         "max_worker_processes is 0.", call.again("online => false"));
  }
  const pg::Settings s = pg::settings();
  const catalog::RunRecord record =
      store_run(run, pg::current_role(), pg::session_role(), s.lock_timeout_ms, s.lock_retries, s.batch_target_ms);
  pg::launch_at_commit(record.run_id);
  pg::report(NOTICE, "00000",
             formatted("run {} queued: {} revisions, {} steps", record.run_id, run.revisions.size(), record.steps),
             "It starts when this transaction commits.", formatted("SELECT migration_wait({});", record.run_id));
  (void)fcinfo;
  return pg::bigint_result(record.run_id);
}

Datum migrate(FunctionCallInfo fcinfo, const Call& call) {
  require_enabled(call);
  if (call.target.size() > 1000) {
    throw MigrationError(sqlstate::invalid_parameter, "the target is too long",
                         formatted("It has {} bytes.", call.target.size()), "SELECT * FROM migration_history();");
  }
  // Somebody else at work? Then wait for them first; a call for the same target joins their run.
  if (const auto joined = join_active_run(call.function, call.name(), call.up, call.target, call.wait)) {
    return pg::bigint_result(*joined);
  }
  const PlannedRun run = plan_run(call.up, call.target, call.online, pg::current_role(), PlanUse::run);
  if (run.plan.steps.empty()) {
    report_at_target(call);
    return pg::null_result(fcinfo);
  }
  if (call.wait && !run.plan.background()) {
    // The lock lives as long as this transaction: until COMMIT nobody else can tell what is applied.
    if (!pg::try_run_lock(pg::LockLife::transaction)) return migrate(fcinfo, call);
    require_nothing_half_done(run);
    if (call.online && completes_half_done(run))
      return wait_for_worker(fcinfo, call.function, call.name(), call.up, call.target, call.allow_data_loss);
    if (!call.up) require_loss_consent(run, call.allow_data_loss);
    return pg::bigint_result(run_here(call, run));
  }
  if (!call.wait) return queue_run(fcinfo, call, run);
  require_nothing_half_done(run);
  // Data loss is the worker's question: the answer takes locks on the tables, which we would keep while we wait.
  return wait_for_worker(fcinfo, call.function, call.name(), call.up, call.target, call.allow_data_loss);
}

}  // namespace

}  // namespace migration

using namespace migration;

/// migration_upgrade(target, online, wait) -> bigint: the run, NULL when there is nothing to do.
/// Errors: 42704/MX001/MX003/MX004 (target), 42501 (trust), 25001 (cannot wait here), 25006 (standby), 53000 (no worker
/// slot), 55P03 (locks), MX040 (another run), and the SQLSTATE of a step that failed.
MIGRATION_FUNCTION(migration_upgrade) {
  Call call;
  call.target = pg::required_text(fcinfo, 0, "target", "SELECT migration_upgrade('head');");
  call.online = pg::bool_argument(fcinfo, 1, true);
  call.wait = pg::bool_argument(fcinfo, 2, true);
  call.function = fcinfo->flinfo->fn_oid;
  return migrate(fcinfo, call);
}

/// migration_downgrade(target, online, wait, allow_data_loss) -> bigint. As above; MX030 when there is no way back or
/// it would lose data.
MIGRATION_FUNCTION(migration_downgrade) {
  Call call;
  call.up = false;
  call.target = pg::required_text(fcinfo, 0, "target", "SELECT migration_downgrade('-1');");
  call.online = pg::bool_argument(fcinfo, 1, true);
  call.wait = pg::bool_argument(fcinfo, 2, true);
  call.allow_data_loss = pg::bool_argument(fcinfo, 3, false);
  call.function = fcinfo->flinfo->fn_oid;
  return migrate(fcinfo, call);
}
