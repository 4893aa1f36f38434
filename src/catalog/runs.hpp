// The ledger's runs, steps and events, typed.
//
// What: reads and writes of migration_ext.run, .step and .log. Persistence rules: intent before effect; a transactional
// step and its "succeeded" commit together; every write by an owner is fenced by its epoch. Invariant: every call opens
// its own pg::Scope.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace migration::catalog {

struct Problem {
  std::string state, message, detail, hint;
};

/// When a queued run may start.
struct Schedule {
  std::string start_at;  ///< timestamptz that reads the same everywhere; empty: at once
  long long every_ms = 0;
  int priority = 0;
  std::vector<long long> after;  ///< runs that must have succeeded
};

struct RunRecord {
  long long run_id = 0;
  std::string direction, target, state, desired;
  std::string desired_by;
  bool background = false;
  std::string role_name, session_name;
  unsigned role_oid = 0, session_oid = 0;
  int steps = 0;
  int lock_timeout_ms = 2000, lock_retries = 30, batch_target_ms = 200;
  int owner_pid = 0;
  long long owner_epoch = 0;
  std::string system_identifier;
  unsigned database_oid = 0;
  std::string waiting_for;
  Problem problem;
  Schedule schedule;
};

struct StepRecord {
  int step = 0;
  std::string revision, kind;
  std::vector<std::string> statements, settings;
  std::string script_path;
  bool completes = false;
  std::string state = "pending";
  int attempts = 0, crashes = 0;
  std::vector<std::string> before_image;
  std::optional<long long> job_id;
};

/// Inserts a run with its steps; fills run_id.
void insert_run(RunRecord& run, const std::vector<StepRecord>& steps);
/// A run done in the caller's own transaction: one row, already succeeded.
long long insert_foreground_run(const RunRecord& run);
void finish_foreground_run(long long run_id);

std::optional<RunRecord> load_run(long long run_id);
/// What "the run" means without an id: one that runs, else the newest that is queued, paused or failed, those that wait
/// for their time last.
std::optional<RunRecord> latest_unfinished_run();
/// Has anything ever been run here?
bool any_run();
/// The newest run of all.
std::optional<RunRecord> latest_run();
/// A background run that is running, or queued and not waiting for its time.
std::optional<RunRecord> active_run();
std::vector<StepRecord> load_steps(long long run_id);
/// Only the steps after `after`, at most `limit`.
std::vector<StepRecord> load_open_steps(long long run_id, int limit);

/// Becomes owner: state running, epoch + 1. Returns the epoch.
long long claim_run(long long run_id, int pid);
/// An ended run that repeats queues the next one here, in the same transaction.
void set_run_state(long long run_id, const std::string& state, const Problem& problem, bool ended);
/// Makes a run from elsewhere this database's own, for this role.
void adopt_run(long long run_id, const std::string& role, unsigned role_oid);
/// A run that came from elsewhere: OIDs in its unfinished steps and jobs mean nothing here and are looked up anew.
void forget_oids(long long run_id);
void set_waiting(long long run_id, const std::string& waiting_for);
void set_desired(long long run_id, const std::string& desired, const std::string& role);
/// {state, desired} of a run; empty strings when it is gone.
struct RunWish {
  std::string state, desired, desired_by;
};
RunWish load_wish(long long run_id);

/// Intent: attempts + 1, state running, and what was there before.
void start_step(long long run_id, int step, const std::vector<std::string>& before_image);
/// The step left nothing behind: as if it had never been tried.
void forget_attempts(long long run_id, int step);
void count_crash(long long run_id, int step);
void reset_crashes(long long run_id);
void finish_step(long long run_id, int step);
void fail_step(long long run_id, int step, const Problem& problem);
void set_step_job(long long run_id, int step, long long job_id);
int steps_done(long long run_id);

struct Event {
  std::optional<long long> run_id;
  std::string revision;
  int step = 0;
  std::string event, role;
  double took_ms = -1;
  Problem problem;
};
/// Adds a row to the log and, when migration_ext.notify is on, sends it on channel migration_ext.
void log_event(const Event& e);
/// Events of a run newer than `after`: {event_id, revision, step, event, message}.
struct SeenEvent {
  long long id = 0;
  std::string revision, event, message;
  int step = 0;
};
std::vector<SeenEvent> events_after(long long run_id, long long after);
/// Removes events of ended runs older than migration_ext.log_retention.
void prune_log();

}  // namespace migration::catalog
