// The ledger's ranges: parts of a backfill that its workers have taken, typed.
//
// What: reads and writes of migration_ext.range. A job's own cursor says up to where its table has been handed out; a
// range is one part of that, with a cursor of its own, until it is done. Why a count of claims and not only the epoch
// of the owner: a range changes hands also within a run, when a worker dies or leaves, and whoever had it before may
// still be in the middle of a batch. Invariants: ranges of a job never overlap; the cursor of a range moves in the
// transaction of its batch, fenced by the claim; a range that is done goes, in that transaction, and its counts are
// added to the job's. Locks: whoever takes or cuts a range locks the row of the job first.
#pragma once

#include <optional>
#include <string>

#include "catalog/jobs.hpp"
#include "catalog/runs.hpp"

namespace migration::catalog {

/// A range as the worker has it that took it.
struct Claim {
  int range = 0;
  long long claim = 0;
  int leaf = 0;  ///< from 1; 0: a range of keys
};

/// The job, its row locked to the end of the transaction. Nothing when another owner has the job.
std::optional<JobRecord> lock_job(long long job_id, long long epoch);
/// Writes where the next range begins (leaf, next_block, next_key).
void move_frontier(const JobRecord& job);

/// Takes a range that nobody has, if there is one: `job` gets its cursor and counts.
std::optional<Claim> take_free_range(JobRecord& job, int worker);
/// Makes a range of the cursor in `job` (leaf, next_block to end_block, or next_key to end_key); worker -1: for nobody.
Claim insert_range(const JobRecord& job, int worker);
/// Moves the cursor of the range. False when somebody else has it, or it is gone.
bool advance_range(const JobRecord& job, const Claim& claim, double busy_ms);
/// In the transaction of its last batch: adds its counts to the job and takes it away.
void finish_range(const JobRecord& job, const Claim& claim);
/// Anybody may go on with it. Without effect when somebody else has it already.
void leave_range(long long job_id, const Claim& claim);
/// The same for all ranges of the workers with these numbers: they are gone.
void free_ranges(long long job_id, int first, int last = 1 << 30);
bool has_ranges(long long job_id);
/// Rows of a keyset job that are in ranges now, as far as has been estimated.
long long rows_handed_out(long long job_id);
/// One that nobody has.
bool has_free_range(long long job_id);

/// A leaf was rewritten: its rows are elsewhere, so all of it is to be done again, `blocks` blocks in `file`. Called by
/// several workers, done by the first; nobody has a range of that leaf afterwards. False when the job has another
/// owner.
bool restart_leaf(long long job_id, long long epoch, int leaf, unsigned file, long long blocks);
/// Ends all ranges, adding their counts to the job: its cursor is about to be made anew.
void drop_ranges(long long job_id);

/// What ended a worker, for the one that leads.
struct WorkerProblem {
  Problem problem;
  bool met_again = false;  ///< changed rows still met the condition
};
void report_problem(long long job_id, const Claim& claim, const WorkerProblem& problem);
std::optional<WorkerProblem> problem_of(long long job_id, int worker);

}  // namespace migration::catalog
