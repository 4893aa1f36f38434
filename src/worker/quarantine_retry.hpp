// Trying rows again that a backfill had set aside.
#pragma once

#include "catalog/jobs.hpp"
#include "catalog/runs.hpp"

namespace migration {

/// In the current transaction. Rows of a job by key: each by its key, once. Rows of a job by blocks: all rows that
/// still need the change, because they may have moved. Returns how many still fail.
long long retry_quarantine(const catalog::RunRecord& run, const catalog::JobRecord& job);

}  // namespace migration
