// What unfinished runs left half done.
//
// What: the steps of the last run that worked on a revision without completing it. Invariant: reads only.
#pragma once

#include <string>
#include <vector>

#include "catalog/runs.hpp"

namespace migration::catalog {

struct HalfDone {
  long long run_id = 0;
  bool closed = false;  ///< the run was cancelled or superseded and cannot be resumed
  std::string revision, direction;
  std::vector<StepRecord> steps;  ///< all steps of that revision in that run
};

/// Revisions whose last background run did some of their steps but not the last.
std::vector<HalfDone> half_done_revisions();
/// The statement that completes it in a new run, whatever has become of its own.
std::string completion_of(const HalfDone& half);
/// Takes a step's progress over into another run.
void adopt_step(long long run_id, int step, const StepRecord& from, long long from_run);
/// Closes the unfinished runs: they will not be resumed.
void supersede_runs(long long by_run);

}  // namespace migration::catalog
