// Upgrade and downgrade paths.
//
// What: from a target and the applied set to the revisions to run, in execution order. Why sets first: an upgrade is
// "what the target needs, less what is there", a downgrade "what stands on the target's children, as far as it is
// there"; the order is a separate question with one answer (order.hpp). Invariant: a path never leaves an applied
// revision without what it needs. Memory: vectors freed on return.
#include "revision/target.hpp"

#include <algorithm>

#include <fmt/ranges.h>
#include "statement/formatted.hpp"

#include "revision/paths.hpp"

namespace migration {

using K = GraphErrorKind;

AppliedSet::AppliedSet(const RevisionGraph& graph, const std::vector<std::string>& ids) {
  std::vector<std::size_t> known;
  for (const std::string& id : ids) {
    if (const auto index = graph.index_of(id)) {
      known.push_back(*index);
    } else {
      unknown_.push_back(id);
    }
  }
  marks_ = ancestors(graph, known, Edges::effective);
}

AppliedSet::AppliedSet(const RevisionGraph& graph, const std::vector<std::size_t>& revisions)
    : marks_(ancestors(graph, revisions, Edges::effective)) {}

std::vector<std::size_t> current_heads(const RevisionGraph& graph, const AppliedSet& applied) {
  return maximal(graph, applied.marks(), Edges::effective);
}

std::vector<std::size_t> current_revisions(const RevisionGraph& graph, const AppliedSet& applied) {
  require_known(applied);
  return maximal(graph, applied.marks(), Edges::down);
}

bool is_up_to_date(const RevisionGraph& graph, const AppliedSet& applied) {
  return applied.unknown().empty() && current_heads(graph, applied) == graph.real_heads();
}

void require_known(const AppliedSet& applied, GraphErrorKind kind) {
  if (!applied.unknown().empty()) throw unknown_applied(applied.unknown().front(), kind);
}

std::vector<std::size_t> upgrade_targets(const RevisionGraph& graph, const AppliedSet& from, const Target& target,
                                         bool stop_at_end) {
  const Resolver resolver(graph, from, Purpose::walk);
  if (!target.relative) return resolver.all(target);
  const auto& [text, steps] = *target.relative;
  const std::string count = target.relative->count();
  const auto within = resolver.label_lineage(target, LabelError::no_such_revision);
  Walk walk;
  if (steps > 0) {
    Place start;
    if (target.from_current()) {
      std::vector<std::size_t> starts = current_heads(graph, from);
      if (within) {
        starts = filtered(starts, *within);
        // The branch has no head of its own yet: start from the newest applied revision on its line.
        if (starts.empty()) {
          Marks active = from.marks();
          for (std::size_t i = 0; i < active.size(); ++i) active[i] = active[i] && (*within)[i];
          starts = maximal(graph, active, Edges::effective);
        }
      }
      if (starts.size() > 1) {
        throw GraphError(K::ambiguous_upgrade, "Ambiguous upgrade from multiple current revisions",
                         formatted("{} has several starting points: {}.", target.text, resolver.ids(starts)),
                         formatted("SELECT migration_upgrade({});",
                                   sql_literal(graph.id(starts.front()) + "@" + target.relative->text)));
      }
      if (!starts.empty()) start = starts.front();
    } else {
      start = resolver.one_without_label(target);
    }
    walk = resolver.walk_up(start, steps, within);
  } else {
    if (target.from_current()) {
      // An upgrade cannot go down from here; Alembic prints the number, not the text, and so does this.
      throw relative_out_of_range(steps == 0 ? "0" : formatted("{}", steps), count,
                                  "An upgrade relative to the current revision counts upwards, from +1.");
    }
    walk = resolver.walk_down(resolver.one(target), -steps);
  }
  if (walk.overshot && !stop_at_end) {
    throw relative_out_of_range(text, count,
                                formatted("The walk ends at {}.", walk.place ? graph.id(*walk.place) : "base"));
  }
  return walk.place ? std::vector<std::size_t>{*walk.place} : std::vector<std::size_t>{};
}

namespace {

void refuse_range(std::string_view target) {
  if (target.find(':') == std::string_view::npos) return;
  throw GraphError(K::range_not_allowed, "Range revision not allowed",
                   formatted("'{}' is a range; here the database itself says where it stands.", target),
                   formatted("SELECT migration_upgrade({});", sql_literal(target.substr(target.rfind(':') + 1))));
}

void refuse_overlap(const RevisionGraph& graph, const std::vector<std::size_t>& targets) {
  if (targets.size() < 2) return;
  Marks wanted(graph.size(), 0);
  for (std::size_t i : targets) wanted[i] = 1;
  // One closure tells whether any target lies below another; only then is it worth finding out which.
  const Marks strictly_below = [&] {
    std::vector<std::size_t> parents;
    for (std::size_t i : targets) {
      const IndexSpan row = graph.effective_parents(i);
      parents.insert(parents.end(), row.begin(), row.end());
    }
    return ancestors(graph, parents, Edges::effective);
  }();
  if (filtered(targets, strictly_below).empty()) return;
  for (std::size_t i : targets) {
    Marks below = ancestors(graph, {i}, Edges::effective);
    below[i] = 0;
    std::string others;
    for (std::size_t other : targets) {
      if (below[other]) others += (others.empty() ? "" : ", ") + graph.id(other);
    }
    if (others.empty()) continue;
    throw GraphError(K::requested_overlap,
                     formatted("Requested revision {} overlaps with other requested revisions {}", graph.id(i), others),
                     formatted("Going to {} includes {}.", graph.id(i), others),
                     formatted("SELECT migration_upgrade({});", sql_literal(graph.id(i))));
  }
}

void refuse_missing(const RevisionGraph& graph, const Marks& steps) {
  for (const MissingReference& gap : graph.missing()) {
    if (!steps[gap.revision]) continue;
    const Revision& revision = graph.at(gap.revision);
    throw GraphError(K::missing_reference,
                     formatted("Revision {} referenced from {} -> {}{}, {} is not present", gap.missing,
                               revision.down.empty() ? "<base>" : formatted("{}", fmt::join(revision.down, ", ")),
                               revision.id, graph.is_head(gap.revision) ? " (head)" : "", revision.message),
                     formatted("{} names {} as its {}, and nothing of this name is registered.", revision.id,
                               gap.missing, gap.dependency ? "dependency" : "parent"),
                     formatted("SELECT * FROM migration_check();  -- register {}, or register {} again without it",
                               gap.missing, revision.id));
  }
}

}  // namespace

std::vector<std::size_t> upgrade_path(const RevisionGraph& graph, const AppliedSet& applied, std::string_view target) {
  refuse_range(target);
  require_known(applied);
  std::vector<std::size_t> targets;
  for (const std::string& item : split_targets(target)) {
    const auto more = upgrade_targets(graph, applied, parse_target(item, true), false);
    targets.insert(targets.end(), more.begin(), more.end());
  }
  refuse_overlap(graph, targets);
  Marks steps = ancestors(graph, targets, Edges::effective);
  for (std::size_t i = 0; i < steps.size(); ++i) steps[i] = steps[i] && !applied.contains(i);
  refuse_missing(graph, steps);
  std::vector<std::size_t> order = depth_first_order(graph, steps);
  return {order.rbegin(), order.rend()};
}

namespace {

struct DowngradeTarget {
  Place place;
  std::optional<std::size_t> branch;  ///< only children on this revision's line are undone
};

// `label@-N` counts revisions of one branch. Below its branch point the line belongs to its sisters as well; taking
// them along was not asked for, so the walk ends there.
void refuse_shared(const RevisionGraph& graph, const AppliedSet& applied, const Target& target, const Walk& walk) {
  for (std::size_t k = 1; k < walk.passed.size(); ++k) {
    for (std::size_t child : graph.children(walk.passed[k])) {
      if (child == walk.passed[k - 1] || !applied.contains(child)) continue;
      throw relative_out_of_range(
          target.relative->text, target.relative->count(),
          formatted("Below {}, revision {} is shared with {}, which is applied and not asked for.",
                    graph.id(walk.passed[k - 1]), graph.id(walk.passed[k]), graph.id(child)),
          walk.place ? formatted("SELECT migration_downgrade({});", sql_literal(graph.id(*walk.place)))
                     : "SELECT migration_downgrade('base');");
    }
  }
}

DowngradeTarget from_current(const RevisionGraph& graph, const AppliedSet& applied, const Target& target,
                             const Resolver& resolver) {
  const auto& [text, steps] = *target.relative;
  const std::string count = target.relative->count();
  if (steps >= 0) {
    throw relative_out_of_range(text, count, "A downgrade relative to the current revision counts downwards, from -1.");
  }
  const auto within = resolver.label_lineage(target, LabelError::no_such_revision);
  std::vector<std::size_t> starts = current_heads(graph, applied);
  if (within) {
    starts = filtered(starts, *within);
    // The branch may be there only because another one depends on it.
    if (starts.empty()) starts = filtered(maximal(graph, applied.marks(), Edges::down), *within);
  }
  if (starts.empty()) {
    throw relative_out_of_range(
        text, count,
        target.label ? formatted("Nothing of branch '{}' is applied.", *target.label) : "Nothing is applied.");
  }
  if (starts.size() > 1) {
    throw GraphError(K::ambiguous_downgrade, formatted("downgrade {} from multiple heads is ambiguous", target.text),
                     formatted("Applied heads: {}.", resolver.ids(starts)),
                     formatted("SELECT migration_downgrade({});", sql_literal(graph.id(starts.front()) + "@" + text)));
  }
  const Walk walk = resolver.walk_down(starts.front(), -steps);
  if (walk.overshot) {
    throw relative_out_of_range(text, count, formatted("Only {} revision(s) down to base.", walk.passed.size()));
  }
  if (target.label) refuse_shared(graph, applied, target, walk);
  const std::size_t branch = target.label ? resolver.label(*target.label, LabelError::no_such_branch) : starts.front();
  return {walk.place, branch};
}

DowngradeTarget downgrade_target(const RevisionGraph& graph, const AppliedSet& applied, const Target& target) {
  const Resolver resolver(graph, applied, Purpose::walk);
  if (target.from_current()) return from_current(graph, applied, target, resolver);
  DowngradeTarget out;
  if (target.label) out.branch = resolver.label(*target.label, LabelError::no_such_branch);
  if (!target.relative) {
    out.place = resolver.one(target);
    return out;
  }
  const std::int64_t steps = target.relative->steps;
  const Walk walk = steps >= 0 ? resolver.walk_up(resolver.one_without_label(target), steps,
                                                  resolver.label_lineage(target, LabelError::no_such_branch))
                               : resolver.walk_down(resolver.one(target), -steps);
  if (walk.overshot) {
    throw GraphError(
        K::walked_too_far, "Walked too far",
        formatted("'{}' leaves the history at {}.", target.text, walk.place ? graph.id(*walk.place) : "base"),
        look_at_history);
  }
  out.place = walk.place;
  return out;
}

}  // namespace

std::vector<std::size_t> downgrade_path(const RevisionGraph& graph, const AppliedSet& applied, std::string_view text) {
  refuse_range(text);
  const Target target = parse_target(text, true);
  // What a relative downgrade misses is its starting point, a branch; otherwise it is a revision.
  require_known(applied, target.from_current() ? K::no_such_branch : K::no_such_revision);
  const DowngradeTarget to = downgrade_target(graph, applied, target);
  std::vector<std::size_t> roots;
  if (to.place) {
    const IndexSpan children = graph.children(*to.place);
    roots.assign(children.begin(), children.end());
  } else {
    for (std::size_t i = 0; i < graph.size(); ++i) {
      if (graph.parents(i).empty()) roots.push_back(i);
    }
  }
  if (to.branch && roots.size() > 1) roots = filtered(roots, lineage(graph, {*to.branch}, Edges::down));
  Marks steps = descendants(graph, roots, Edges::effective);
  bool any = false;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    steps[i] = steps[i] && applied.contains(i);
    any = any || steps[i];
  }
  if (!any && to.place) {
    const std::vector<std::size_t> heads = current_heads(graph, applied);
    const bool is_current = std::find(heads.begin(), heads.end(), *to.place) != heads.end();
    if (!is_current) {
      const Resolver resolver(graph, applied, Purpose::walk);
      throw GraphError(
          K::range_not_ancestor, formatted("Destination {} is not a valid downgrade target from current head(s)", text),
          formatted("Nothing to undo: {} is {}, and the applied heads are: {}.", graph.id(*to.place),
                    applied.contains(*to.place) ? "applied, but no applied revision follows it" : "not applied",
                    heads.empty() ? "none" : resolver.ids(heads)),
          "SELECT * FROM migration_current();");
    }
  }
  return depth_first_order(graph, steps);
}

namespace {

AppliedSet assumed(const RevisionGraph& graph, std::string_view from) {
  const AppliedSet nothing(graph, std::vector<std::size_t>{});
  return {graph, Resolver(graph, nothing, Purpose::walk).all(parse_target(from, false))};
}

}  // namespace

std::vector<std::size_t> offline_upgrade_path(const RevisionGraph& graph, std::string_view range) {
  const auto ends = split_range(range);
  if (!ends) return upgrade_path(graph, assumed(graph, "base"), range);
  return upgrade_path(graph, assumed(graph, ends->first.empty() ? "base" : ends->first), ends->second);
}

std::vector<std::size_t> offline_downgrade_path(const RevisionGraph& graph, std::string_view range) {
  const auto ends = split_range(range);
  if (!ends) {
    throw GraphError(K::revision_error, "downgrade with --sql requires <fromrev>:<torev>",
                     "Without a database nobody knows where the downgrade starts.",
                     "SELECT migration_sql(target => 'base', from_target => 'heads');");
  }
  return downgrade_path(graph, assumed(graph, ends->first.empty() ? "base" : ends->first), ends->second);
}

}  // namespace migration
