// When the launcher has to look into which database.
//
// What: a small table in shared memory (only with shared_preload_libraries): database and time. Whoever schedules a run
// sets an alarm; the launcher sleeps until the earliest and sends a probe there. Why: the launcher is in no database
// and cannot read a ledger, and a process that waits inside a database would keep it from being dropped. Invariants: an
// alarm is a hint, the ledger decides; setting one twice keeps the earlier; when the table is full, the alarm stands
// for all databases; a crash empties it, and the launcher then looks everywhere once.
#pragma once

#include <vector>

namespace migration::pg {

/// From _PG_init while shared_preload_libraries is processed.
void reserve_alarms();
/// Asks for a look into this database in `seconds`. Nothing without preload.
void set_alarm(double seconds);
/// The same when this transaction commits.
void set_alarm_at_commit(double seconds);

/// For the launcher: its latch is set from now on when an alarm is set.
void receive_alarms();
struct Alarms {
  std::vector<unsigned> databases;  ///< due, taken out of the table; 0 stands for all
  long next_ms = -1;                ///< until the next one; -1: none
};
Alarms take_alarms();

}  // namespace migration::pg
