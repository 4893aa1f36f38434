// Background workers: starting them, talking to them, being one.
//
// What: launch() starts the executor of one run; Channel is the shared memory between a waiting caller and its worker
// (the request in, the run id and live notices out); begin_worker() turns a fresh process into a database session with
// pinned settings. Why shared memory for the request: the caller waits inside its own uncommitted transaction, so a
// worker could not read a row it wrote. Invariant: notices are dropped rather than waited for, so a client that reads
// slowly, or has gone, never stops the worker. The segment is unpinned and lives as long as one side is attached.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "pg/guard.hpp"

namespace migration::pg {

/// What a caller asks a worker to do. Plain data in shared memory.
struct WorkerRequest {
  std::uint32_t magic;
  std::int32_t direction;  ///< 0 upgrade, 1 downgrade
  bool allow_data_loss;
  unsigned role;  ///< current_user of the caller
  int lock_timeout_ms, lock_retries, batch_target_ms;
  char target[1024];
  char crash_at[128];
  volatile std::int64_t run_id;  ///< set by the worker once the run exists and it owns the run lock
  volatile std::int32_t
      answer;  ///< 0 nothing yet, 1 run started, 2 nothing to do, 3 somebody else runs, 4 failed early
  char state[6];
  char message[1024], detail[1024], hint[512];
};

/// What a worker without a run is for.
enum class Probe : std::int32_t {
  none = 0,
  resume = 1,  ///< hand on what was cut off by a restart, then what is due
  due = 2      ///< only what is due
};

struct WorkerStart {
  unsigned database, session_user;
  std::int64_t run_id;      ///< 0: the request is in the segment
  std::uint32_t segment;    ///< dsm handle, 0 when none
  std::int32_t probe;       ///< a Probe
  std::int32_t worker = 0;  ///< of a backfill with several workers: 1 and more help the one that has the run
  std::int32_t step = 0;    ///< what they help with
  std::int64_t epoch = 0;   ///< of the owner whom they help
};

enum class Launch { started, no_slot };

/// Starts a worker for a stored run. `notify` asks for a latch signal to this process at start and end.
Launch launch(const WorkerStart& start, bool notify);

/// A worker with a channel; owned by the waiting caller.
class WorkerChannel {
 public:
  /// Sets up the segment and starts the worker. Errors: 53000 when there is no worker slot.
  WorkerChannel(unsigned database, unsigned session_user, const WorkerRequest& request);
  ~WorkerChannel();
  WorkerChannel(const WorkerChannel&) = delete;
  WorkerChannel& operator=(const WorkerChannel&) = delete;

  WorkerRequest* request() const noexcept { return request_; }
  /// Has the process ended (or could never start)?
  bool stopped() const;
  int pid() const;
  /// Re-raises the notices that have arrived, to this session's client.
  void relay_notices();

 private:
  void* segment_ = nullptr;
  WorkerRequest* request_ = nullptr;
  void* queue_ = nullptr;
  void* handle_ = nullptr;
  int exceptions_;
};

/// Remembers to start the executor of `run_id` when this transaction commits.
void launch_at_commit(std::int64_t run_id);
/// The same for another session user (the launcher's probe resumes a run for whoever asked for it).
void launch_at_commit_as(std::int64_t run_id, unsigned session_user);

/// Remembers to start, when this transaction commits, whichever run is due then: another one may come first.
void launch_due_at_commit();

/// Wakes the session that started this worker. Full memory barrier, for the answer in shared memory.
void wake_waiter();
void memory_barrier();

// ---- inside a worker ----

/// Connects to the database as `session_user`, pins the settings, attaches to the channel when there is one.
/// Returns the request or nullptr.
WorkerRequest* begin_worker(const WorkerStart& start);
/// Becomes `role` for the rest of the session (SET ROLE by the session user's own right).
void become_role(const std::string& role);
/// Runs `f` in a transaction of its own: snapshot-free at start, committed at the end, aborted on any exception.
void in_transaction(const std::function<void()>& f);
void start_transaction();
void commit_transaction();
void abort_transaction();
/// Tells the server what this process does, for pg_stat_activity.
void report_activity(const std::string& text);
void report_idle();
/// Current epoch identifying facts.
std::uint64_t system_identifier();
bool in_recovery();
unsigned database_oid();
std::string database_name();

}  // namespace migration::pg
