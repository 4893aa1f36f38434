// Waiting for runs: the caller's side of a background run.
//
// What: joins a run that is under way, starts a worker and waits for it, or waits for a stored run. Invariants: no
// snapshot is held while waiting (pg/snapshot.hpp), or the wait is refused before any work; losing the waiting session
// loses nothing of the run; a run blocked by a lock of the waiting session itself is told at once.
#pragma once

#include <optional>
#include <string>

#include "pg/function.hpp"

namespace migration {

/// Waits while somebody else runs. The run's id when it had the same target and succeeded; nothing when nobody is (any
/// more) at work. Errors: MX040 for another target, the run's own error when it failed.
std::optional<long long> join_active_run(unsigned function, const char* name, bool up, const std::string& target,
                                         bool wait);

/// Starts a worker for the target and waits for the end of its run.
Datum wait_for_worker(FunctionCallInfo fcinfo, unsigned function, const char* name, bool up, const std::string& target,
                      bool allow_data_loss);

[[noreturn]] void refuse_other_run(const std::string& target);

}  // namespace migration
