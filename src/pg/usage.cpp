// Counters and own locks; see usage.hpp.
#include "pg/usage.hpp"

#include "pg/compat.hpp"
#include "pg/guard.hpp"

extern "C" {
#include "executor/instrument.h"
#include "storage/lock.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
}

namespace migration::pg {

namespace {

bool kept_waiting(const PROCLOCK* held) {
  const LOCK* lock = held->tag.myLock;
  if (lock->waitMask == 0) return false;
  LockMethod method = GetLocksMethodTable(lock);
  for (int mode = 1; mode <= method->numLockModes; ++mode) {
    if ((held->holdMask & LOCKBIT_ON(mode)) != 0 && (method->conflictTab[mode] & lock->waitMask) != 0) return true;
  }
  return false;
}

bool waited_for_in(int partition) {
#if PG_VERSION_NUM >= 160000
  // The list macros of the server are C only.
  const dlist_head* list = &MyProc->myProcLocks[partition];
  for (const dlist_node* at = list->head.next; at != nullptr && at != &list->head; at = at->next) {
    const char* held = reinterpret_cast<const char*>(at) - offsetof(PROCLOCK, procLink);
    if (kept_waiting(reinterpret_cast<const PROCLOCK*>(held))) return true;
  }
#else
  SHM_QUEUE* list = &MyProc->myProcLocks[partition];
  for (auto* held = reinterpret_cast<PROCLOCK*>(SHMQueueNext(list, list, offsetof(PROCLOCK, procLink)));
       held != nullptr;
       held = reinterpret_cast<PROCLOCK*>(SHMQueueNext(list, &held->procLink, offsetof(PROCLOCK, procLink)))) {
    if (kept_waiting(held)) return true;
  }
#endif
  return false;
}

}  // namespace

long long own_wal_bytes() {
  return static_cast<long long>(pgWalUsage.wal_bytes);
}

long long own_hot_updates(unsigned relation) {
  return pg_call([&] { return compat_hot_updates(relation); });
}

bool somebody_waits() {
  return pg_call([] {
    bool found = false;
    for (int partition = 0; partition < NUM_LOCK_PARTITIONS && !found; ++partition) {
      LWLock* guard = LockHashPartitionLockByIndex(partition);
      LWLockAcquire(guard, LW_SHARED);
      found = waited_for_in(partition);
      LWLockRelease(guard);
    }
    return found;
  });
}

}  // namespace migration::pg
