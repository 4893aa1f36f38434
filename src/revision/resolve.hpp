// From names to revisions.
//
// What: Resolver looks up symbols, ids, prefixes and labels, and walks the graph step by step. Why a class: what is
// applied and what the answer is for (the wording of "multiple heads") travel together through every lookup.
// Invariant: a lookup answers with revisions of the graph or throws a GraphError that names the text it could not
// place; it never guesses. Memory: borrows graph and applied set for the time of one call of the public functions.
#pragma once

#include "revision/target.hpp"
#include "revision/target_text.hpp"

namespace migration {

/// A place a walk can stand on: a revision, or base (below all bases).
using Place = std::optional<std::size_t>;

struct Walk {
  Place place;
  bool overshot = false;            ///< left the graph before taking all steps
  std::vector<std::size_t> passed;  ///< revisions stepped down from
};

enum class Purpose { walk, stamp, parents };
enum class LabelError { no_such_revision, no_such_branch };

class Resolver {
 public:
  Resolver(const RevisionGraph& graph, const AppliedSet& applied, Purpose purpose)
      : graph_(graph), applied_(applied), purpose_(purpose) {}

  /// Absolute part of the target (label and symbol).
  std::vector<std::size_t> all(const Target& target) const;
  /// The same where one is needed; several = multiple heads; base = nullopt.
  Place one(const Target& target) const;
  Place one_without_label(Target target) const;

  std::size_t label(std::string_view label, LabelError error) const;
  /// Marks of everything on the label's line along `down`; empty marks when the target has no label.
  std::optional<Marks> label_lineage(const Target& target, LabelError error) const;

  /// `within` narrows the choice of children to one branch.
  Walk walk_up(Place start, std::int64_t steps, const std::optional<Marks>& within) const;
  Walk walk_down(Place start, std::int64_t steps) const;

  std::string ids(const std::vector<std::size_t>& revisions) const;

 private:
  std::size_t name(const Target& target) const;
  [[noreturn]] void fail_multiple(const Target& target, const std::vector<std::size_t>& heads) const;

  const RevisionGraph& graph_;
  const AppliedSet& applied_;
  Purpose purpose_;
};

}  // namespace migration
