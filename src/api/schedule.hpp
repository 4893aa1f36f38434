// Starting runs in their order, from a session.
//
// What: sees to it that a run just queued starts: at commit, behind others, or at its time, and says which. Why one
// place: whatever queues a run must leave it with somebody who starts it, or say that nobody does.
#pragma once

#include <optional>
#include <string>

#include "catalog/runs.hpp"

namespace migration {

/// When a run that waits for its time starts, as a sentence, and the statement to type next.
struct Due {
  std::string when, hint;
};
/// Nothing: this run does not wait for its time.
std::optional<Due> not_due(long long run_id);

/// For a run in state queued. When it starts, as a sentence for the user.
std::string start_when_due(const catalog::RunRecord& run);

/// Where runs do not start by themselves: a remark behind a statement of a HINT, else nothing.
std::string not_by_itself();

}  // namespace migration
