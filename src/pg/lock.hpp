// Locks: the one that says who runs, and the ones a step needs.
//
// What: RunLock is the ownership of the database's one run; lock_relations() takes the locks of a step first, in one
// fixed order. Why an object lock of our own (relation migration_ext.run, sub-object 1) and not an advisory key: no
// role can take it by SQL, so nobody can squat it; it is visible in pg_locks with its owner; it is freed by the death
// of the process, so there is no stale owner. Invariant: it is only ever tried, never waited for.
#pragma once

#include <string>
#include <vector>

#include "statement/statement.hpp"

namespace migration::pg {

enum class LockLife { transaction, session };

/// Tries to become the runner of this database. False when somebody else is.
bool try_run_lock(LockLife life);
void release_run_lock(LockLife life);
/// For the owner, before each step: still the owner? Takes the lock again when a script released it
/// (pg_advisory_unlock_all). False when somebody else has it now.
bool keep_run_lock();
/// Is there a live runner other than this session?
bool run_lock_held_elsewhere();
/// PID of the live runner, 0 when unknown or none.
int run_lock_owner();

/// Serialises the moment between "nobody runs" and "the worker has the run lock".
bool try_submit_lock();
void release_submit_lock();
/// For destructors: never raises; with an error in flight the lock must go all the same, because it is a session's.
void release_submit_lock_quietly() noexcept;

/// Keeps DROP EXTENSION out until the end of this transaction (workers, each transaction that runs a step).
void lock_extension(unsigned extension_oid);

struct LockTarget {
  unsigned relation = 0;
  int mode = 0;
  std::string name;
};

/// The relations among `uses` that exist now, each with its strongest mode, in OID order.
std::vector<LockTarget> resolve_locks(const std::vector<RelationUse>& uses);
/// One entry per relation with its strongest mode, in OID order.
std::vector<LockTarget> merge_locks(const std::vector<LockTarget>& targets);
/// Takes them under the current lock_timeout. Errors: 55P03, 40P01 as PgError.
void take_locks(const std::vector<LockTarget>& targets);
/// Number of a pg_locks mode name; 0 when unknown.
int lock_mode_number(const std::string& name);

/// "pid 8123 (app_user, psql, idle in transaction, AccessShareLock, 00:14:02)", for those who block `pid`.
std::string describe_blockers(int pid);
/// The same for those who hold a lock that conflicts with one of `targets`.
std::string describe_holders(const std::vector<LockTarget>& targets);
/// Does this session block `pid`?
bool blocked_by_me(int pid);

}  // namespace migration::pg
