// The history as a drawing, the way `git log --graph` does it.
//
// What: one text cell per row, newest first: `*` for the revision, `|` for lines passing by, and below it, in the
// same cell, the lines on which edges fork (`\`), join (`/`, over longer distances with `_`) or move up.
// Why lanes: each open edge owns a column until its parent is drawn; two edges waiting for the same parent are joined
// as soon as that is known, so the width is at most the number of different open parents.
// Invariant: every edge between two rows can be followed from child to parent, and nothing else can.
// Memory: the lanes live during the call; the result is owned text without trailing blanks.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "revision/graph.hpp"

namespace migration {

/// `parents[row]` holds the rows of its parents, each greater than `row`.
std::vector<std::string> draw_log_graph(const std::vector<std::vector<std::size_t>>& parents);

/// The same for revisions in display order, along effective edges; parents that are not displayed are left out.
std::vector<std::string> draw_log_graph(const RevisionGraph& graph, const std::vector<std::size_t>& order);

}  // namespace migration
