// Alarms in shared memory; see alarm.hpp.
#include "pg/alarm.hpp"

#include <algorithm>
#include <chrono>

#include "pg/guard.hpp"

extern "C" {
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "storage/spin.h"
#include "utils/timestamp.h"
}

namespace migration::pg {

namespace {

constexpr int room = 128;

/// Due when either clock says so: the calendar may be set forward, and what was meant as half a minute is none by a
/// calendar that was set back. Too early does no harm.
struct Moment {
  TimestampTz at;
  double monotonic_s;
};

struct Alarm {
  Oid database;
  Moment when;
};

struct Table {
  slock_t mutex;
  Latch* launcher;
  int used;
  Alarm alarms[room];
};

Table* g_table = nullptr;
shmem_request_hook_type g_previous_request = nullptr;
shmem_startup_hook_type g_previous_startup = nullptr;
bool g_at_commit = false;
Moment g_moment_at_commit;

extern "C" void migration_request_shmem() {
  if (g_previous_request != nullptr) g_previous_request();
  RequestAddinShmemSpace(MAXALIGN(sizeof(Table)));
}

extern "C" void migration_startup_shmem() {
  if (g_previous_startup != nullptr) g_previous_startup();
  bool found = false;
  LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
  g_table = static_cast<Table*>(ShmemInitStruct("migration_ext alarms", sizeof(Table), &found));
  if (!found) {
    g_table->launcher = nullptr;
    g_table->used = 0;
    SpinLockInit(&g_table->mutex);
  }
  LWLockRelease(AddinShmemInitLock);
}

double monotonic_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Moment earlier(const Moment& a, const Moment& b) {
  return {std::min(a.at, b.at), std::min(a.monotonic_s, b.monotonic_s)};
}

/// Only plain memory is touched while the spinlock is held.
void put(Oid database, const Moment& when) {
  Table* t = g_table;
  SpinLockAcquire(&t->mutex);
  int i = 0;
  while (i < t->used && t->alarms[i].database != database) ++i;
  if (i == room) {
    i = 0;
    t->alarms[0].database = InvalidOid;
  } else if (i == t->used) {
    t->alarms[t->used++] = Alarm{database, when};
  }
  t->alarms[i].when = earlier(t->alarms[i].when, when);
  Latch* launcher = t->launcher;
  SpinLockRelease(&t->mutex);
  if (launcher != nullptr) SetLatch(launcher);
}

Moment in_seconds(double seconds) {
  return {GetCurrentTimestamp() + static_cast<TimestampTz>(seconds * static_cast<double>(USECS_PER_SEC)),
          monotonic_s() + seconds};
}

void on_transaction_end(XactEvent event, void*) {
  if (!g_at_commit || (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)) {
    return;
  }
  if (event == XACT_EVENT_COMMIT) put(MyDatabaseId, g_moment_at_commit);
  g_at_commit = false;
}

}  // namespace

void reserve_alarms() {
  g_previous_request = shmem_request_hook;
  shmem_request_hook = migration_request_shmem;
  g_previous_startup = shmem_startup_hook;
  shmem_startup_hook = migration_startup_shmem;
}

void set_alarm(double seconds) {
  if (g_table != nullptr) put(MyDatabaseId, in_seconds(seconds));
}

void set_alarm_at_commit(double seconds) {
  if (g_table == nullptr) return;
  static bool registered = false;
  if (!registered) {
    pg_call([] { RegisterXactCallback(on_transaction_end, nullptr); });
    registered = true;
  }
  const Moment when = in_seconds(seconds);
  g_moment_at_commit = g_at_commit ? earlier(g_moment_at_commit, when) : when;
  g_at_commit = true;
}

void receive_alarms() {
  if (g_table == nullptr) return;
  SpinLockAcquire(&g_table->mutex);
  g_table->launcher = MyLatch;
  SpinLockRelease(&g_table->mutex);
}

Alarms take_alarms() {
  Alarms out;
  if (g_table == nullptr) return out;
  Alarm due[room];
  int n = 0;
  bool more = false;
  Moment next{};
  const TimestampTz now = GetCurrentTimestamp();
  const double now_s = monotonic_s();
  SpinLockAcquire(&g_table->mutex);
  for (int i = 0; i < g_table->used;) {
    Alarm& alarm = g_table->alarms[i];
    if (alarm.when.at <= now || alarm.when.monotonic_s <= now_s) {
      due[n++] = alarm;
      alarm = g_table->alarms[--g_table->used];
      continue;
    }
    next = more ? earlier(next, alarm.when) : alarm.when;
    more = true;
    ++i;
  }
  SpinLockRelease(&g_table->mutex);
  for (int i = 0; i < n; ++i) out.databases.push_back(due[i].database);
  if (more) {
    const double wait_ms = std::min(static_cast<double>(next.at - now) / 1000.0, (next.monotonic_s - now_s) * 1000.0);
    out.next_ms = static_cast<long>(std::clamp(wait_ms, 0.0, 1e9)) + 1;
  }
  return out;
}

}  // namespace migration::pg
