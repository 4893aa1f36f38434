// Starting and being a background worker; see process.hpp.
#include "pg/process.hpp"

#include <atomic>
#include <cstring>
#include <vector>

#include "pg/settings.hpp"
#include "pg/worker_slot.hpp"

extern "C" {
#include "access/xact.h"
#include "access/xlog.h"
#include "commands/dbcommands.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/shm_mq.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"
}

namespace migration::pg {

namespace {

constexpr std::uint32_t request_magic = 0x4d494752;
constexpr std::size_t queue_size = 65536;
constexpr std::size_t queue_offset = MAXALIGN(sizeof(WorkerRequest));

}  // namespace

void fill_worker(BackgroundWorker& worker, const WorkerStart& start, bool notify) {
  const char* const name = start.worker > 0 ? "migration_ext backfill worker" : "migration_ext executor";
  std::memset(&worker, 0, sizeof worker);
  worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
  worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
  worker.bgw_restart_time = BGW_NEVER_RESTART;
  worker.bgw_notify_pid = notify ? MyProcPid : 0;
  std::strncpy(worker.bgw_library_name, "migration_ext", BGW_MAXLEN - 1);
  std::strncpy(worker.bgw_function_name, "migration_worker_main", BGW_MAXLEN - 1);
  std::strncpy(worker.bgw_name, name, BGW_MAXLEN - 1);
  std::strncpy(worker.bgw_type, name, BGW_MAXLEN - 1);
  static_assert(sizeof(WorkerStart) <= BGW_EXTRALEN);
  std::memcpy(worker.bgw_extra, &start, sizeof start);
}

Launch launch(const WorkerStart& start, bool notify) {
  BackgroundWorker worker;
  fill_worker(worker, start, notify);
  return pg_call([&] { return RegisterDynamicBackgroundWorker(&worker, nullptr); }) ? Launch::started : Launch::no_slot;
}

WorkerChannel::WorkerChannel(unsigned database, unsigned session_user, const WorkerRequest& request)
    : exceptions_(std::uncaught_exceptions()) {
  BackgroundWorker worker;
  dsm_segment* segment = pg_call([&] { return dsm_create(queue_offset + queue_size, 0); });
  segment_ = segment;
  auto* base = static_cast<char*>(dsm_segment_address(segment));
  request_ = reinterpret_cast<WorkerRequest*>(base);
  std::memcpy(request_, &request, sizeof request);
  request_->magic = request_magic;
  request_->run_id = 0;
  request_->answer = 0;
  queue_ = pg_call([&] {
    shm_mq* queue = shm_mq_create(base + queue_offset, queue_size);
    shm_mq_set_receiver(queue, MyProc);
    return shm_mq_attach(queue, segment, nullptr);
  });
  const WorkerStart start{database, session_user, 0, dsm_segment_handle(segment), 0};
  fill_worker(worker, start, true);
  BackgroundWorkerHandle* handle = nullptr;
  const bool registered = pg_call([&] { return RegisterDynamicBackgroundWorker(&worker, &handle); });
  if (!registered) {
    pg_call([&] { dsm_detach(segment); });
    throw MigrationError(sqlstate::insufficient_resources, "no background worker slot is free for the run",
                         "All of max_worker_processes (" + get_setting("max_worker_processes") + ") are in use.",
                         "ALTER SYSTEM SET max_worker_processes = 16;  -- then restart the server");
  }
  handle_ = handle;
}

WorkerChannel::~WorkerChannel() {
  if (std::uncaught_exceptions() > exceptions_) return;  // the abort detaches by resource owner
  dsm_detach(static_cast<dsm_segment*>(segment_));
}

bool WorkerChannel::stopped() const {
  pid_t pid = 0;
  auto* handle = static_cast<BackgroundWorkerHandle*>(handle_);
  return pg_call([&] { return GetBackgroundWorkerPid(handle, &pid); }) == BGWH_STOPPED;
}

int WorkerChannel::pid() const {
  pid_t pid = 0;
  auto* handle = static_cast<BackgroundWorkerHandle*>(handle_);
  return pg_call([&] { return GetBackgroundWorkerPid(handle, &pid); }) == BGWH_STARTED ? pid : 0;
}

namespace {

/// A notice in the queue: level and state, then three zero-terminated texts.
struct NoticeHead {
  std::int32_t level;
  char state[6];
};

shm_mq_handle* g_notice_queue = nullptr;
int g_log_level = WARNING;
emit_log_hook_type g_previous_hook = nullptr;
bool g_in_hook = false;

void forward_notice(ErrorData* e) {
  if (g_previous_hook != nullptr) g_previous_hook(e);
  if (g_in_hook || g_notice_queue == nullptr || e->elevel >= ERROR) return;
  const bool for_client =
      e->elevel == INFO || (e->elevel >= NOTICE && e->elevel != LOG_SERVER_ONLY && e->elevel != LOG);
  if (for_client) {
    g_in_hook = true;
    NoticeHead head{e->elevel, {}};
    std::memcpy(head.state, unpack_sql_state(e->sqlerrcode), 6);
    const char* texts[3] = {e->message, e->detail, e->hint};
    shm_mq_iovec parts[4];
    parts[0].data = reinterpret_cast<const char*>(&head);
    parts[0].len = sizeof head;
    for (int i = 0; i < 3; ++i) {
      parts[i + 1].data = texts[i] == nullptr ? "" : texts[i];
      parts[i + 1].len = std::strlen(parts[i + 1].data) + 1;
      if (parts[i + 1].len > 4096) parts[i + 1].len = 4096;
    }
    // A message that does not fit is dropped. A half-written one must be finished with the same arguments later, so
    // anything but success or "queue empty enough" ends the relay for good.
    const shm_mq_result result = shm_mq_sendv(g_notice_queue, parts, 4, true, true);
    if (result != SHM_MQ_SUCCESS) g_notice_queue = nullptr;
    g_in_hook = false;
  }
  // The hook sees a message only when it would go to the server log too; give the log back its own level.
  if (e->elevel < g_log_level && e->elevel != LOG) e->output_to_server = false;
}

}  // namespace

void WorkerChannel::relay_notices() {
  auto* queue = static_cast<shm_mq_handle*>(queue_);
  for (;;) {
    Size size = 0;
    void* data = nullptr;
    const shm_mq_result result = pg_call([&] { return shm_mq_receive(queue, &size, &data, true); });
    if (result != SHM_MQ_SUCCESS) return;
    const char* at = static_cast<const char*>(data);
    const char* end = at + size;
    if (size < sizeof(NoticeHead)) continue;
    NoticeHead head;
    std::memcpy(&head, at, sizeof head);
    at += sizeof head;
    std::string texts[3];
    for (std::string& text : texts) {
      const std::size_t length = strnlen(at, static_cast<std::size_t>(end - at));
      text.assign(at, length);
      at += length + 1;
      if (at > end) at = end;
    }
    report(head.level, head.state, texts[0], texts[1], texts[2]);
  }
}

namespace {

// Runs to launch at commit. A vector that is never destroyed; emptied at the end of each transaction.
struct PendingLaunch {
  std::int64_t run_id;
  Oid session_user;
};

std::vector<PendingLaunch>& pending_launches() {
  static auto* list = new std::vector<PendingLaunch>();
  return *list;
}

void launch_pending() noexcept {
  auto& list = pending_launches();
  for (const PendingLaunch& pending : list) {
    const std::int64_t run = pending.run_id;
    const Probe probe = run == 0 ? Probe::due : Probe::none;
    const WorkerStart start{MyDatabaseId, pending.session_user, run, 0, static_cast<std::int32_t>(probe)};
    BackgroundWorker worker;
    fill_worker(worker, start, false);
    if (!RegisterDynamicBackgroundWorker(&worker, nullptr) && run != 0) {
      ereport(WARNING, (errcode(ERRCODE_INSUFFICIENT_RESOURCES),
                        errmsg("run %lld stays queued: no background worker slot is free", static_cast<long long>(run)),
                        errhint("SELECT migration_resume(%lld);", static_cast<long long>(run))));
    }
  }
  list.clear();
}

void on_transaction_end(XactEvent event, void*) {
  if (pending_launches().empty()) return;
  switch (event) {
    case XACT_EVENT_COMMIT:
      launch_pending();
      break;
    case XACT_EVENT_ABORT:
    case XACT_EVENT_PREPARE:
      pending_launches().clear();
      break;
    default:
      break;
  }
}

}  // namespace

void launch_at_commit(std::int64_t run_id) {
  launch_at_commit_as(run_id, GetSessionUserId());
}

void launch_at_commit_as(std::int64_t run_id, unsigned session_user) {
  static bool registered = false;
  if (!registered) {
    pg_call([] { RegisterXactCallback(on_transaction_end, nullptr); });
    registered = true;
  }
  pending_launches().push_back(PendingLaunch{run_id, session_user});
}

void launch_due_at_commit() {
  launch_at_commit_as(0, InvalidOid);
}

namespace {

void pin_worker_settings() {
  static const char* const pins[][2] = {{"search_path", "pg_catalog, pg_temp"},
                                        {"statement_timeout", "0"},
                                        {"lock_timeout", "0"},
                                        {"idle_in_transaction_session_timeout", "0"},
                                        {"default_transaction_isolation", "read committed"},
                                        {"default_transaction_read_only", "off"},
                                        {"default_transaction_deferrable", "off"},
                                        {"session_replication_role", "origin"},
                                        {"row_security", "off"},
                                        {"standard_conforming_strings", "on"},
                                        {"application_name", "migration_ext"},
                                        {"client_min_messages", "notice"}};
  for (const auto& pin : pins) pin_setting(pin[0], pin[1]);
  // 17+ only.
  if (!get_setting("transaction_timeout").empty()) pin_setting("transaction_timeout", "0");
}

}  // namespace

WorkerRequest* begin_worker(const WorkerStart& start) {
  pg_call([&] {
    pqsignal(SIGTERM, die);
    pqsignal(SIGHUP, SignalHandlerForConfigReload);
    BackgroundWorkerUnblockSignals();
    // No flags: a role that lost LOGIN or CONNECT since starts nothing, on every major.
    BackgroundWorkerInitializeConnectionByOid(start.database, start.session_user, 0);
  });
  WorkerRequest* request = nullptr;
  if (start.segment != 0) {
    char* base = nullptr;
    dsm_segment* segment = pg_call([&]() -> dsm_segment* {
      // No resource owner exists yet; the mapping must outlive every transaction anyway.
      ResourceOwner before = CurrentResourceOwner;
      CurrentResourceOwner = nullptr;
      dsm_segment* found = dsm_attach(start.segment);
      CurrentResourceOwner = before;
      return found;
    });
    if (segment == nullptr) return nullptr;  // the caller has gone before we came up: nothing was asked for
    base = static_cast<char*>(dsm_segment_address(segment));
    request = reinterpret_cast<WorkerRequest*>(base);
    if (request->magic != request_magic) return nullptr;
    pg_call([&] {
      auto* queue = reinterpret_cast<shm_mq*>(base + queue_offset);
      shm_mq_set_sender(queue, MyProc);
      MemoryContext before = MemoryContextSwitchTo(TopMemoryContext);
      g_notice_queue = shm_mq_attach(queue, segment, nullptr);
      MemoryContextSwitchTo(before);
    });
    g_log_level = log_min_messages;
    g_previous_hook = emit_log_hook;
    emit_log_hook = forward_notice;
    start_transaction();
    pin_setting("log_min_messages", "notice");
    commit_transaction();
  }
  in_transaction(pin_worker_settings);
  return request;
}

void memory_barrier() {
  pg_memory_barrier();
}

void wake_waiter() {
  if (g_notice_queue == nullptr) return;
  PGPROC* waiter = shm_mq_get_receiver(shm_mq_get_queue(g_notice_queue));
  if (waiter != nullptr) SetLatch(&waiter->procLatch);
}

void become_role(const std::string& role) {
  const char* name = role.c_str();
  pg_call([&] { SetConfigOption("role", name, PGC_USERSET, PGC_S_SESSION); });
}

void start_transaction() {
  pg_call([] {
    SetCurrentStatementStartTimestamp();
    StartTransactionCommand();
  });
}

void commit_transaction() {
  pg_call([] {
    CommitTransactionCommand();
    pgstat_report_stat(true);
  });
}

void abort_transaction() {
  pg_call([] {
    disable_all_timeouts(false);
    AbortOutOfAnyTransaction();
    MemoryContextSwitchTo(TopMemoryContext);
  });
}

void in_transaction(const std::function<void()>& f) {
  start_transaction();
  std::exception_ptr error;
  try {
    f();
    commit_transaction();
  } catch (...) {
    error = std::current_exception();
  }
  if (error) {
    abort_transaction();
    std::rethrow_exception(error);
  }
}

void report_activity(const std::string& text) {
  const char* t = text.c_str();
  pg_call([&] { pgstat_report_activity(STATE_RUNNING, t); });
}

void report_idle() {
  pg_call([] { pgstat_report_activity(STATE_IDLE, nullptr); });
}

std::uint64_t system_identifier() {
  return GetSystemIdentifier();
}
bool in_recovery() {
  return RecoveryInProgress();
}
unsigned database_oid() {
  return MyDatabaseId;
}
std::string database_name() {
  const char* name = pg_call([] { return get_database_name(MyDatabaseId); });
  return name == nullptr ? std::string() : std::string(name);
}

}  // namespace migration::pg
