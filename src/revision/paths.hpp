// What the path functions share with the read commands.
//
// What: the resolution of an upgrade's target, which a history range needs too, and the check for unknown applied
// ids. Why internal: callers outside this room want paths, not half-resolved targets. Invariant and memory: as in
// target.hpp.
#pragma once

#include "revision/resolve.hpp"

namespace migration {

/// Throws unless every applied id is registered; `kind` chooses between the two sentences people know.
void require_known(const AppliedSet& applied, GraphErrorKind kind = GraphErrorKind::no_such_revision);

/// Where an upgrade goes. With `stop_at_end` a walk beyond the last revision ends there instead of failing.
std::vector<std::size_t> upgrade_targets(const RevisionGraph& graph, const AppliedSet& from, const Target& target,
                                         bool stop_at_end);

}  // namespace migration
