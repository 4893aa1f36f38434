// Helping processes; see helper.hpp.
#include "pg/helper.hpp"

#include "pg/guard.hpp"
#include "pg/worker_slot.hpp"

extern "C" {
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/memutils.h"
}

namespace migration::pg {

std::unique_ptr<Helper> Helper::start(const WorkerStart& start) {
  BackgroundWorker worker;
  fill_worker(worker, start, true);
  BackgroundWorkerHandle* handle = nullptr;
  const bool registered = pg_call([&] {
    MemoryContext before = MemoryContextSwitchTo(TopMemoryContext);
    const bool done = RegisterDynamicBackgroundWorker(&worker, &handle);
    MemoryContextSwitchTo(before);
    return done;
  });
  if (!registered) return nullptr;
  return std::unique_ptr<Helper>(new Helper(handle));
}

Helper::~Helper() {
  pfree(handle_);
}

bool Helper::stopped() const {
  pid_t pid = 0;
  auto* handle = static_cast<BackgroundWorkerHandle*>(handle_);
  const BgwHandleStatus status = pg_call([&] { return GetBackgroundWorkerPid(handle, &pid); });
  return status == BGWH_STOPPED || status == BGWH_POSTMASTER_DIED;
}

void Helper::wake() const {
  pg_call([&] {
    pid_t pid = 0;
    if (GetBackgroundWorkerPid(static_cast<BackgroundWorkerHandle*>(handle_), &pid) != BGWH_STARTED) return;
    PGPROC* process = BackendPidGetProc(pid);
    if (process != nullptr) SetLatch(&process->procLatch);
  });
}

void Helper::terminate() const {
  pg_call([&] { TerminateBackgroundWorker(static_cast<BackgroundWorkerHandle*>(handle_)); });
}

}  // namespace migration::pg
