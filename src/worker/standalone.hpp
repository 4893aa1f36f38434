// The steps of a backfill outside revisions.
//
// What: plans a call of migration_backfill() as if it were the only statement of a revision, so that its fill trigger
// and its proofs are steps before and after the batches, made and dropped by the run itself. Invariant: what was asked
// for by name (a trigger, a proof by constraint) is in the plan, or the call is refused with the reason. Memory: plain
// values.
#pragma once

#include <string>
#include <vector>

#include "backfill/settings.hpp"
#include "catalog/runs.hpp"
#include "pg/identity.hpp"

namespace migration {

/// `sql` is the call or the UPDATE or DELETE that it stands for; `hint` shows how to call it otherwise.
/// Errors: 0A000 (no fill trigger, no proof by constraint is possible).
std::vector<catalog::StepRecord> standalone_steps(const std::string& sql, const backfill::Settings& settings,
                                                  const std::string& script_path, const pg::Role& executor,
                                                  const std::string& hint);

}  // namespace migration
