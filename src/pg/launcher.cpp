// The launcher; see launcher.hpp.
#include "pg/launcher.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "pg/alarm.hpp"
#include "pg/process.hpp"
#include "pg/settings.hpp"
#include "pg/snapshot.hpp"
#include "pg/sql.hpp"

extern "C" {
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"
#include "utils/varlena.h"
}

namespace migration::pg {

namespace {

struct Database {
  Oid oid;
  char name[NAMEDATALEN];
};

bool wanted(const char* name) {
  const std::string list = settings().databases;
  std::size_t at = 0;
  while (at <= list.size()) {
    std::size_t comma = list.find(',', at);
    if (comma == std::string::npos) comma = list.size();
    std::size_t first = at, last = comma;
    while (first < last && list[first] == ' ') ++first;
    while (last > first && list[last - 1] == ' ') --last;
    const std::string item = list.substr(first, last - first);
    if (item == "*" || item == name) return true;
    at = comma + 1;
  }
  return false;
}

std::vector<Database> databases() {
  Database* found = nullptr;
  int n = 0;
  start_transaction();
  pg_call([&] {
    PushActiveSnapshot(GetTransactionSnapshot());
    Relation rel = table_open(DatabaseRelationId, AccessShareLock);
    TableScanDesc scan = table_beginscan_catalog(rel, 0, nullptr);
    HeapTuple tuple;
    int room = 16;
    found = static_cast<Database*>(palloc(sizeof(Database) * room));
    while ((tuple = heap_getnext(scan, ForwardScanDirection)) != nullptr) {
      auto* form = reinterpret_cast<Form_pg_database>(GETSTRUCT(tuple));
      if (form->datistemplate || !form->datallowconn || form->datconnlimit == -2) continue;
      if (n == room) found = static_cast<Database*>(repalloc(found, sizeof(Database) * (room *= 2)));
      found[n].oid = form->oid;
      std::memcpy(found[n].name, NameStr(form->datname), NAMEDATALEN);
      ++n;
    }
    table_endscan(scan);
    table_close(rel, AccessShareLock);
    PopActiveSnapshot();
  });
  std::vector<Database> out(found, found + n);
  commit_transaction();
  return out;
}

constexpr long longest_sleep_ms = 60000;

/// Sends a probe into this database; 0: into each.
void probe(Oid only, Probe kind) {
  if (!settings().enabled) return;
  for (const Database& database : databases()) {
    if ((only != InvalidOid && database.oid != only) || !wanted(database.name)) continue;
    const WorkerStart start{database.oid, InvalidOid, 0, 0, static_cast<std::int32_t>(kind)};
    // One probe at a time, and patiently: slots may be short right after a start.
    while (launch(start, true) == Launch::no_slot) wait_latch(1000);
    if (only == InvalidOid) wait_latch(100);
  }
}

bool g_registered = false;

}  // namespace

bool launcher_registered() {
  return g_registered;
}

void register_launcher() {
  BackgroundWorker worker;
  std::memset(&worker, 0, sizeof worker);
  worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
  worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
  worker.bgw_restart_time = 10;
  std::strncpy(worker.bgw_library_name, "migration_ext", BGW_MAXLEN - 1);
  std::strncpy(worker.bgw_function_name, "migration_launcher_main", BGW_MAXLEN - 1);
  std::strncpy(worker.bgw_name, "migration_ext launcher", BGW_MAXLEN - 1);
  std::strncpy(worker.bgw_type, "migration_ext launcher", BGW_MAXLEN - 1);
  RegisterBackgroundWorker(&worker);
  g_registered = true;
}

void run_launcher() {
  pg_call([] {
    pqsignal(SIGTERM, die);
    pqsignal(SIGHUP, SignalHandlerForConfigReload);
    BackgroundWorkerUnblockSignals();
    BackgroundWorkerInitializeConnection(nullptr, nullptr, 0);
  });
  receive_alarms();
  probe(0, settings().auto_resume ? Probe::resume : Probe::due);
  pg_call([] { pgstat_report_activity(STATE_IDLE, nullptr); });
  for (;;) {
    const Alarms alarms = take_alarms();
    for (const unsigned database : alarms.databases) probe(database, Probe::due);
    wait_latch(alarms.next_ms < 0 ? longest_sleep_ms : std::min(alarms.next_ms, longest_sleep_ms));
    if (ConfigReloadPending) {
      ConfigReloadPending = false;
      const bool was_enabled = settings().enabled;
      pg_call([] { ProcessConfigFile(PGC_SIGHUP); });
      if (!was_enabled) probe(InvalidOid, Probe::due);
    }
  }
}

bool is_trustworthy_installation() {
  if (!OidIsValid(extension_oid())) return false;
  return !query_text(
              "SELECT 1 FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_roles r ON r.oid = e.extowner JOIN "
              "pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.refobjid "
              "= "
              "e.oid AND d.deptype = 'e' AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass JOIN "
              "pg_catalog.pg_class c ON c.oid = d.objid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE "
              "e.extname = 'migration_ext' AND r.rolsuper AND n.nspname = 'migration_ext' AND c.relname = 'run' AND "
              "c.relowner = e.extowner")
              .empty();
}

}  // namespace migration::pg
