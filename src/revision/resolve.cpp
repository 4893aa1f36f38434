// Looking up names and walking.
//
// What and why: see the header. The order of lookups is: symbol, exact id or label, prefix. A prefix given with a
// label is looked for on that label's branch only, so that short prefixes stay useful in many-branch histories.
// Invariant: loops end with the graph, however large the number of steps asked for. Memory: none kept.
#include "revision/resolve.hpp"

#include <algorithm>

#include "statement/formatted.hpp"

namespace migration {

using K = GraphErrorKind;

std::string Resolver::ids(const std::vector<std::size_t>& revisions) const {
  std::string out;
  for (std::size_t i : revisions) out += (out.empty() ? "" : ", ") + graph_.id(i);
  return out;
}

void Resolver::fail_multiple(const Target& target, const std::vector<std::size_t>& heads) const {
  const std::string asked = target.label && target.symbol == "head" ? *target.label + "@head" : target.symbol;
  const std::string detail = formatted("Multiple heads are present for given argument '{}'; {}", asked, ids(heads));
  const std::string merge = "SELECT migration_merge('merge heads');";
  switch (purpose_) {
    case Purpose::stamp:
      throw GraphError(K::multiple_heads, "Multiple heads are present; please specify a single target revision", detail,
                       "SELECT migration_stamp('heads');");
    case Purpose::parents:
      throw GraphError(K::multiple_heads,
                       "Multiple heads are present; please specify the head revision on which the new revision should "
                       "be based, or perform a merge.",
                       detail, merge);
    case Purpose::walk:
      break;
  }
  throw GraphError(K::multiple_heads,
                   formatted("Multiple head revisions are present for given argument '{0}'; please specify a "
                             "specific target revision, '<branchname>@{0}' to narrow to a specific head, or 'heads' "
                             "for all heads",
                             target.text),
                   detail, merge + "\nSELECT migration_upgrade('heads');");
}

std::size_t Resolver::label(std::string_view label, LabelError error) const {
  if (const auto exact = graph_.find(label)) return *exact;
  std::vector<std::string_view> matches;
  if (!label.empty() && !is_reserved_name(label)) matches = graph_.names_with_prefix(label);
  if (matches.size() > 1) throw ambiguous_prefix(label, matches);
  if (matches.size() == 1) return *graph_.find(matches.front());
  if (error == LabelError::no_such_branch) throw no_such_branch(label);
  throw no_such_revision(label);
}

std::optional<Marks> Resolver::label_lineage(const Target& target, LabelError error) const {
  if (!target.label) return std::nullopt;
  return lineage(graph_, {label(*target.label, error)}, Edges::down);
}

std::size_t Resolver::name(const Target& target) const {
  const auto branch = label_lineage(target, LabelError::no_such_branch);
  auto found = graph_.find(target.symbol);
  if (!found) {
    std::vector<std::string_view> matches;
    if (!target.symbol.empty()) matches = graph_.names_with_prefix(target.symbol);
    if (branch) std::erase_if(matches, [&](std::string_view match) { return !(*branch)[*graph_.find(match)]; });
    if (matches.empty()) throw no_such_revision(target.symbol);
    if (matches.size() > 1) throw ambiguous_prefix(target.symbol, matches);
    found = graph_.find(matches.front());
  }
  if (branch && !(*branch)[*found]) {
    throw GraphError(K::not_member_of_branch, formatted("Can't locate revision identified by '{}'", target.symbol),
                     formatted("Revision {} is not a member of branch '{}'", graph_.id(*found), *target.label),
                     "SELECT * FROM migration_branches();");
  }
  return *found;
}

std::vector<std::size_t> Resolver::all(const Target& target) const {
  if (!is_reserved_name(target.symbol)) return {name(target)};
  const auto branch = label_lineage(target, LabelError::no_such_revision);
  auto on_branch = [&](const std::vector<std::size_t>& list) { return branch ? filtered(list, *branch) : list; };
  if (target.symbol == "base") return {};
  if (target.symbol == "current") return on_branch(current_heads(graph_, applied_));
  if (target.symbol == "heads") return branch ? on_branch(graph_.heads()) : graph_.real_heads();
  std::vector<std::size_t> heads = on_branch(graph_.heads());
  if (heads.size() > 1) fail_multiple(target, heads);
  return heads;
}

Place Resolver::one(const Target& target) const {
  const std::vector<std::size_t> found = all(target);
  if (found.size() > 1) fail_multiple(target, found);
  return found.empty() ? Place{} : Place{found.front()};
}

Place Resolver::one_without_label(Target target) const {
  target.label.reset();
  return one(target);
}

namespace {

GraphError ambiguous_walk(std::string_view where, std::string_view choices, std::string_view first, bool up) {
  return {K::ambiguous_walk, "Ambiguous walk",
          formatted("The next revision {} {} is not unique: {}.", up ? "above" : "below", where, choices),
          formatted("SELECT migration_{}({});", up ? "upgrade" : "downgrade", sql_literal(first))};
}

}  // namespace

Walk Resolver::walk_up(Place start, std::int64_t steps, const std::optional<Marks>& within) const {
  Walk walk{start, false, {}};
  for (std::int64_t k = 0; k < steps; ++k) {
    std::vector<std::size_t> next = graph_.bases();
    if (walk.place) {
      const IndexSpan children = graph_.children(*walk.place);
      next.assign(children.begin(), children.end());
    }
    if (within) next = filtered(next, *within);
    if (next.empty()) {
      walk.overshot = true;
      return walk;
    }
    if (next.size() > 1) {
      throw ambiguous_walk(walk.place ? graph_.id(*walk.place) : "base", ids(next), graph_.id(next.front()), true);
    }
    walk.place = next.front();
  }
  return walk;
}

Walk Resolver::walk_down(Place start, std::int64_t steps) const {
  Walk walk{start, false, {}};
  for (std::int64_t k = 0; k < steps; ++k) {
    if (!walk.place) {
      walk.overshot = true;
      return walk;
    }
    const IndexSpan parents = graph_.parents(*walk.place);
    if (parents.size() > 1) {
      throw ambiguous_walk(graph_.id(*walk.place), ids({parents.begin(), parents.end()}), graph_.id(parents.front()),
                           false);
    }
    walk.passed.push_back(*walk.place);
    walk.place = parents.empty() ? Place{} : Place{parents.front()};
  }
  return walk;
}

}  // namespace migration
