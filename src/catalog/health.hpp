// Reading the signals that throttles judge.
//
// What: read_signals() looks at replication, slots, archiver, sessions, locks, vacuums, snapshots, table size and the
// time in the zones of the windows, in one fixed statement under the ledger owner's rights; only what some setting asks
// about is looked at. What the owner may not see is listed as unreadable, with the grant that would help: the server
// shows NULLs instead, and a NULL must not pass for health. What may wait for a lock (the size) or needs a privilege of
// its own (the archive) has a statement of its own. The user's expression is not asked here: it never runs with these
// rights.
#pragma once

#include "run/throttle.hpp"

namespace migration::catalog {

/// Inside a transaction without a snapshot of its own. `relation` may be gone by now.
Signals read_signals(const backfill::Settings& settings, unsigned relation);

}  // namespace migration::catalog
