// Running statements of a step inside one transaction.
//
// What: takes the locks of the statements first, in one fixed order and under migration_ext.lock_timeout, then runs the
// statements one by one with the script's search_path and without any right to change roles. Who opens and ends the
// transaction is the caller's business: the session's own in the foreground, one per step in a worker.
// Invariant: while we wait for a lock, no application statement waits behind us longer than lock_timeout: the wait is
// given up, everything is released, and only then do we pause and try again.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "pg/guard.hpp"
#include "pg/lock.hpp"
#include "pg/portal.hpp"

namespace migration {

struct StepText {
  int step = 0;
  std::string revision;
  std::vector<std::string> settings, statements;
  std::vector<bool> plain;  ///< per statement: run without CONCURRENTLY
  std::string script_path;
};

/// What a failed statement says, with its place in the plan. Keeps the SQLSTATE of the cause.
MigrationError step_error(const StepText& step, int statement, const std::string& text, const pg::PgError& cause,
                          const std::string& more_detail, const std::string& hint);

/// The locks of all statements that exist now. Names are resolved under the step's search_path.
std::vector<pg::LockTarget> locks_of(const StepText& step, const std::vector<RelationUse>& uses);

struct LockPatience {
  int lock_timeout_ms = 2000, retries = 30;
  /// Called before each pause with the try's number and those who are in the way.
  std::function<void(int attempt, const std::string& holders)> waiting;
};
/// Takes all locks or none, in a subtransaction; backs off holding nothing of them. Errors: 55P03 after the last try.
void take_locks_patiently(const std::vector<pg::LockTarget>& targets, const LockPatience& patience);

/// Runs the statements in the current transaction. Errors: MigrationError by step_error.
void run_step_statements(const StepText& step, int lock_timeout_ms, const std::string& failure_detail,
                         const std::string& failure_hint);

}  // namespace migration
