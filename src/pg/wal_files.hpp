// The files that write-ahead log goes to.
//
// What: make_wal_files() sees to it that the files for the next WAL are there before it is written. Why: the log grows
// by whole files, and a new one is filled with zeros by whichever session comes to its end first, while every other
// session that wants to commit waits: tens of milliseconds for each 16 MB that a backfill writes, until checkpoints
// leave old files to use again. And a disk that becomes full in that moment takes the server down (PANIC); here it is
// an error of ours, between two batches. Invariants: nothing is written into the log; files that are there are left
// alone; a file that is made too early is used by whoever gets there, as those are that the checkpointer makes
// ahead. Locks: none while a file is filled; ControlFileLock for its renaming. Source: PreallocXlogFiles() and
// XLogFileInit() in xlog.c.
#pragma once

namespace migration::pg {

/// Files for the next `bytes` of WAL, at most eight of them. Outside a transaction, so that nobody waits for what it
/// holds. Errors: 53100 and those of the file system.
void make_wal_files(long long bytes);

}  // namespace migration::pg
