// Sets of revisions and the order in which they run.
//
// What: closures over the graph and depth_first_order, the one order in which every plan and every history is laid
// out. Why one function: upgrade reads it backwards and downgrade forwards, so a downgrade undoes exactly what an
// upgrade did. Invariant: in the order no revision comes before another of the set that needs it (newest first); a
// branch is finished before its branch point; ties go by registration. Memory: results by value, scratch freed.
#pragma once

#include <vector>

#include "revision/graph.hpp"

namespace migration {

/// One mark per revision of a graph.
using Marks = std::vector<char>;

enum class Edges { down, effective };

/// The seeds and everything below (ancestors) or above (descendants) them.
Marks ancestors(const RevisionGraph& graph, const std::vector<std::size_t>& seeds, Edges edges);
Marks descendants(const RevisionGraph& graph, const std::vector<std::size_t>& seeds, Edges edges);
/// Both: what shares a line of history with a seed.
Marks lineage(const RevisionGraph& graph, const std::vector<std::size_t>& seeds, Edges edges);

std::vector<std::size_t> members(const Marks& marks);
/// Those of the list that are marked, in the list's order.
std::vector<std::size_t> filtered(const std::vector<std::size_t>& list, const Marks& marks);
/// Members without an effective (or `down`) child among the members.
std::vector<std::size_t> maximal(const RevisionGraph& graph, const Marks& set, Edges edges);

/// Newest first: depth-first from the heads of the set in registration order.
std::vector<std::size_t> depth_first_order(const RevisionGraph& graph, const Marks& set);

}  // namespace migration
