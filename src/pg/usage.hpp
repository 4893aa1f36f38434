// What this process has cost so far, and whom it keeps waiting.
//
// What: WAL written by this process, exact and without a lock; whether anybody waits for a lock that this process
// holds. Why not pg_blocking_pids: that locks the whole lock table; here each partition is looked at for a moment,
// shared, and only our own locks are walked, so it may be asked at the end of every batch.
#pragma once

namespace migration::pg {

/// Bytes of WAL this process has written since it started.
long long own_wal_bytes();

/// Updates of this table by this process that were HOT, counted since its last report to the statistics; grows within a
/// transaction.
long long own_hot_updates(unsigned relation);

/// Does another session wait for a lock that this one holds (rows, tables, anything)?
bool somebody_waits();

}  // namespace migration::pg
