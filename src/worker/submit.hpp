// Making a background run: from a plan to stored steps.
//
// What: turns a plan into a run row and its steps, taking over what an earlier run of the same revision got done.
// Why: a run that failed in the middle of a revision leaves finished steps behind; planning the revision anew must not
// repeat them. Invariant: a step is taken over only when its text is the same and everything before it was.
#pragma once

#include "catalog/runs.hpp"
#include "worker/planning.hpp"

namespace migration {

/// The steps of a plan as they are stored.
std::vector<catalog::StepRecord> step_records(const PlannedRun& planned);

/// Stores the run (state queued) and its steps. Earlier unfinished runs are closed as superseded.
catalog::RunRecord store_run(const PlannedRun& planned, const pg::Role& role, const pg::Role& session,
                             int lock_timeout_ms, int lock_retries, int batch_target_ms);

/// Errors: 55000 when a half-done revision is in the way: one that this path builds on, undoes what it builds on, or
/// meets in the other direction. Half-done revisions elsewhere in the graph are nobody's business.
void require_nothing_half_done(const PlannedRun& planned);
/// Does this path complete a half-done revision?
bool completes_half_done(const PlannedRun& planned);

}  // namespace migration
