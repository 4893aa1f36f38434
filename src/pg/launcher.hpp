// The static launcher's server side.
//
// What: registration at preload, its loop over databases, and the check that an installation is the real one. Facts:
// a static worker with BgWorkerStart_RecoveryFinished starts on a promoted standby too; one that exits with 0 is
// forgotten by the postmaster, so it only ever waits. It looks into each database once per start, because only a
// restart leaves runs without a process, and later into those with an alarm (pg/alarm.hpp), for runs that are due.
#pragma once

namespace migration::pg {

/// From _PG_init while shared_preload_libraries is processed.
void register_launcher();
/// The launcher's whole life.
void run_launcher();
/// Is migration_ext installed here, owned by a superuser, with a ledger that belongs to it?
bool is_trustworthy_installation();
bool launcher_registered();

}  // namespace migration::pg
