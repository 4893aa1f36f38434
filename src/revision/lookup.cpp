// Read commands: history, show, branches, and the choice of parents.
//
// What: resolution that changes nothing. Why the range's ends may be relative to each other: `-3:current` means the
// last three, `current:+2` the next two, as Alembic's manual has it. Invariant: history is newest first in the order
// of all paths. Memory: vectors freed on return.
#include <algorithm>

#include "revision/paths.hpp"
#include "statement/formatted.hpp"

namespace migration {

using K = GraphErrorKind;

namespace {

GraphError not_a_line(std::string_view range) {
  return {K::range_not_ancestor,
          formatted("Requested range {} does not refer to ancestor/descendant revisions along the same branch", range),
          "The first revision of a range must be an ancestor of the last one.", look_at_history};
}

// The lower end. Relative without a symbol, it counts down from the upper end and stops at base.
std::vector<std::size_t> lower_end(const RevisionGraph& graph, const AppliedSet& applied, const Target& lower,
                                   const std::vector<std::size_t>& upper) {
  const Resolver resolver(graph, applied, Purpose::walk);
  if (!lower.relative || !lower.symbol.empty()) return upgrade_targets(graph, applied, lower, true);
  if (lower.relative->steps >= 0) {
    throw relative_out_of_range(lower.relative->text, lower.relative->count(),
                                "The lower end of a range counts downwards, from -1.");
  }
  std::vector<std::size_t> starts = upper;
  if (const auto within = resolver.label_lineage(lower, LabelError::no_such_revision)) {
    starts = filtered(starts, *within);
  }
  std::vector<std::size_t> out;
  for (std::size_t start : starts) {
    const Walk walk = resolver.walk_down(start, -lower.relative->steps);
    if (!walk.place) return {};
    if (std::find(out.begin(), out.end(), *walk.place) == out.end()) out.push_back(*walk.place);
  }
  return out;
}

// `current-1` in a range is a place like any other, and `current` may have several heads only without a walk.
Target anchored(const RevisionGraph& graph, const AppliedSet& applied, Target target) {
  if (!target.relative || target.symbol != "current" || target.relative->steps > 0) return target;
  const auto heads = current_heads(graph, applied);
  if (heads.size() == 1) target.symbol = graph.id(heads.front());
  if (heads.empty()) target.symbol = "base";
  return target;
}

}  // namespace

std::vector<std::size_t> history(const RevisionGraph& graph, const AppliedSet& applied, std::string_view range) {
  std::pair<std::string, std::string> ends;
  if (range.find_first_not_of(" \t\r\n\f\v") != std::string_view::npos) {
    const auto given = split_range(range);
    if (!given) {
      throw GraphError(
          K::bad_history_range, "History range requires [start]:[end], [start]:, or :[end]",
          formatted("'{}' is not a range.", range),
          formatted("SELECT * FROM migration_history({});",
                    range.find(':') == std::string_view::npos ? sql_literal(formatted("{}:", range)) : "'base:heads'"));
    }
    ends = *given;
  }
  if (ends.first.empty()) ends.first = "base";
  if (ends.second.empty()) ends.second = "heads";
  const Target low = anchored(graph, applied, parse_target(ends.first, true));
  const Target high = anchored(graph, applied, parse_target(ends.second, true));
  if (low.symbol == "current" || high.symbol == "current") require_known(applied);

  std::vector<std::size_t> lower, upper;
  const bool upper_counts_from_lower = high.relative && high.symbol.empty() && !(low.relative && low.symbol.empty());
  if (upper_counts_from_lower) {
    lower = lower_end(graph, applied, low, {});
    upper = upgrade_targets(graph, AppliedSet(graph, lower), high, true);
  } else {
    upper = upgrade_targets(graph, applied, high, true);
    lower = lower_end(graph, applied, low, upper);
  }
  if (low.label) {
    const Resolver resolver(graph, applied, Purpose::walk);
    upper = filtered(upper, *resolver.label_lineage(low, LabelError::no_such_revision));
  }

  Marks rows = ancestors(graph, upper, Edges::effective);
  for (std::size_t i : lower) {
    if (!rows[i]) throw not_a_line(range);
  }
  if (!lower.empty()) {
    const Marks known = ancestors(graph, lower, Edges::effective);
    const Marks above = descendants(graph, lower, Edges::down);
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = rows[i] && !known[i] && above[i];
    for (std::size_t i : lower) rows[i] = 1;
  }
  return depth_first_order(graph, rows);
}

std::vector<std::size_t> show(const RevisionGraph& graph, const AppliedSet& applied, std::string_view text) {
  const Resolver resolver(graph, applied, Purpose::walk);
  std::vector<std::size_t> out;
  for (const std::string& item : split_targets(text)) {
    const Target target = parse_target(item, false);
    const bool down = target.symbol.size() > 1 && target.symbol[0] == '-' &&
                      target.symbol.find_first_not_of("0123456789", 1) == std::string::npos;
    if (target.symbol == "current") require_known(applied);
    if (!down) {
      const auto more = resolver.all(target);
      out.insert(out.end(), more.begin(), more.end());
      continue;
    }
    const Target counted = parse_target(item, true);
    std::vector<std::size_t> heads = graph.real_heads();
    if (const auto within = resolver.label_lineage(target, LabelError::no_such_revision)) {
      heads = filtered(heads, *within);
    }
    for (std::size_t head : heads) {
      const Walk walk = resolver.walk_down(head, -counted.relative->steps);
      if (walk.overshot) {
        throw relative_out_of_range(
            counted.relative->text, counted.relative->count(),
            formatted("There are only {} revision(s) from {} down to base.", walk.passed.size(), graph.id(head)));
      }
      if (walk.place) out.push_back(*walk.place);
    }
  }
  return out;
}

std::optional<std::size_t> show_one(const RevisionGraph& graph, const AppliedSet& applied, std::string_view text) {
  if (text == "current") require_known(applied);
  return Resolver(graph, applied, Purpose::walk).one(parse_target(text, false));
}

std::vector<std::pair<std::size_t, std::vector<std::size_t>>> branches(const RevisionGraph& graph) {
  std::vector<std::pair<std::size_t, std::vector<std::size_t>>> out;
  for (std::size_t point : graph.branch_points()) {
    const IndexSpan children = graph.children(point);
    out.emplace_back(point, std::vector<std::size_t>(children.begin(), children.end()));
  }
  return out;
}

std::vector<std::size_t> select_revisions(const RevisionGraph& graph, std::string_view text, bool splice) {
  const AppliedSet nothing(graph, std::vector<std::size_t>{});
  const Resolver resolver(graph, nothing, Purpose::parents);
  std::vector<std::size_t> out;
  for (const std::string& word : split_words(text)) {
    const auto more = resolver.all(parse_target(word, false));
    out.insert(out.end(), more.begin(), more.end());
  }
  std::vector<char> seen(graph.size(), 0);
  for (std::size_t i : out) {
    if (seen[i]) {
      throw GraphError(K::duplicate_heads, "Duplicate head revisions specified",
                       formatted("{} is named more than once.", graph.id(i)), "SELECT * FROM migration_heads();");
    }
    seen[i] = 1;
  }
  for (std::size_t i : out) {
    if (splice || graph.is_head(i)) continue;
    throw GraphError(
        K::not_a_head,
        formatted(
            "Revision {} is not a head revision; please specify --splice to create a new branch from this revision",
            graph.id(i)),
        formatted("{} already has a child: {}.", graph.id(i), graph.id(graph.children(i).front())),
        "SELECT * FROM migration_heads();");
  }
  return out;
}

std::vector<std::string> select_dependencies(const RevisionGraph& graph, std::string_view text) {
  const AppliedSet nothing(graph, std::vector<std::size_t>{});
  const Resolver resolver(graph, nothing, Purpose::parents);
  std::vector<std::string> out;
  for (const std::string& word : split_words(text)) {
    if (graph.find(word)) {
      out.push_back(word);  // exact, and a label stays the label it is
      continue;
    }
    for (std::size_t i : resolver.all(parse_target(word, false))) out.push_back(graph.id(i));
  }
  return out;
}

}  // namespace migration
