// Targets: what people write to say where to go, and the paths that lead there.
//
// What: the grammar `head heads base current`, an id or its unique prefix, `+N -N rev+N rev-N`, `label@` before any
// of these, lists by comma, `a:b` for history; resolved against a graph and an applied set into revisions to run.
// Why the rules are Alembic's: its users know them, and its corner cases are settled; where Alembic accepts junk,
// crashes or guesses, this refuses (the list is in the tests). Invariant: the applied set is closed downwards, a path
// is computed from the two sets alone, and the heads after each step are the maximal elements of what is applied.
// Memory: results are vectors of dense indexes into the graph; nothing keeps a reference to it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "revision/graph.hpp"
#include "revision/order.hpp"

namespace migration {

/// What the database records as applied. An ancestor of an applied revision counts as applied. Ids the graph does not
/// know are kept apart: looking still works, moving refuses until they are registered again or stamped away.
class AppliedSet {
 public:
  AppliedSet(const RevisionGraph& graph, const std::vector<std::string>& ids);
  /// As if exactly these revisions and all they need were applied.
  AppliedSet(const RevisionGraph& graph, const std::vector<std::size_t>& revisions);

  bool contains(std::size_t revision) const { return marks_[revision] != 0; }
  const Marks& marks() const noexcept { return marks_; }
  const std::vector<std::string>& unknown() const noexcept { return unknown_; }

 private:
  Marks marks_;
  std::vector<std::string> unknown_;
};

/// Revisions to apply, in execution order. Several targets may be given, separated by commas.
std::vector<std::size_t> upgrade_path(const RevisionGraph& graph, const AppliedSet& applied, std::string_view target);
/// Revisions to undo, in execution order.
std::vector<std::size_t> downgrade_path(const RevisionGraph& graph, const AppliedSet& applied, std::string_view target);
/// The same without a database: 'from:to', where an upgrade's 'from' may be left out and is then base.
std::vector<std::size_t> offline_upgrade_path(const RevisionGraph& graph, std::string_view range);
std::vector<std::size_t> offline_downgrade_path(const RevisionGraph& graph, std::string_view range);

/// Maximal applied revisions over effective edges, in registration order. Never throws for unknown ids.
std::vector<std::size_t> current_heads(const RevisionGraph& graph, const AppliedSet& applied);
/// What `current` lists: as above, but a revision that only a dependency covers is shown too. Throws for unknown ids.
std::vector<std::size_t> current_revisions(const RevisionGraph& graph, const AppliedSet& applied);
/// Is every revision of the graph applied?
bool is_up_to_date(const RevisionGraph& graph, const AppliedSet& applied);

struct StampMove {
  std::vector<std::size_t> from;  ///< heads that go
  std::vector<std::size_t> to;    ///< heads that come
};

struct StampResult {
  std::vector<std::size_t> applied;  ///< the whole new applied set, registration order
  std::vector<std::size_t> heads;    ///< its maximal elements
  std::vector<StampMove> moves;
};

/// Targets separated by commas or white space; no relative forms. `purge` forgets everything first, unknown ids too.
StampResult stamp(const RevisionGraph& graph, const AppliedSet& applied, std::string_view targets, bool purge);

/// Newest first. Range '[a]:[b]', both ends included; empty = everything.
std::vector<std::size_t> history(const RevisionGraph& graph, const AppliedSet& applied, std::string_view range);

/// Resolution for read commands: no `+N`; `-N` counts down from the heads. `base` is the empty answer.
std::vector<std::size_t> show(const RevisionGraph& graph, const AppliedSet& applied, std::string_view text);
/// The same where one revision is needed; base = nullopt.
std::optional<std::size_t> show_one(const RevisionGraph& graph, const AppliedSet& applied, std::string_view text);

/// Branch points with their children.
std::vector<std::pair<std::size_t, std::vector<std::size_t>>> branches(const RevisionGraph& graph);

/// Parents for a new revision or a merge: 'heads' or 'a, b'. Refuses repeats, and non-heads unless `splice`.
std::vector<std::size_t> select_revisions(const RevisionGraph& graph, std::string_view text, bool splice = false);
/// depends_on as it should be stored: labels stay labels, prefixes become full ids.
std::vector<std::string> select_dependencies(const RevisionGraph& graph, std::string_view text);

}  // namespace migration
