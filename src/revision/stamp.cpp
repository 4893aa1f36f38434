// Stamping: saying where the database stands without running anything.
//
// What: the rule "new heads = the maximal destinations, and the current heads that share no line of history with any
// destination or given label, dependencies included". Why a rule instead of Alembic's step-wise row changes: those
// leave redundant rows, crash on several destinations of one line, and `stamp heads` may drop an applied head.
// Invariant: stamping the same targets twice changes nothing the second time. Memory: vectors freed on return.
#include <algorithm>

#include "revision/paths.hpp"

namespace migration {

namespace {

struct Destination {
  std::vector<std::size_t> revisions;
  std::optional<std::size_t> label;
  bool everything = false;  ///< plain `base`
};

bool contains(const std::vector<std::size_t>& list, std::size_t value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

}  // namespace

StampResult stamp(const RevisionGraph& graph, const AppliedSet& applied, std::string_view text, bool purge) {
  if (!purge) require_known(applied);
  const std::vector<std::size_t> current = purge ? std::vector<std::size_t>{} : current_heads(graph, applied);
  const Resolver resolver(graph, applied, Purpose::stamp);

  std::vector<Destination> destinations;
  std::vector<std::size_t> seeds, wanted;  // what the fate of the current heads depends on; what shall be head
  bool everything = false;
  for (const std::string& word : split_words(text)) {
    const Target target = parse_target(word, false);
    Destination to{resolver.all(target), std::nullopt, target.symbol == "base" && !target.label};
    if (target.label) {
      to.label = resolver.label(*target.label, LabelError::no_such_branch);
      seeds.push_back(*to.label);
    }
    seeds.insert(seeds.end(), to.revisions.begin(), to.revisions.end());
    wanted.insert(wanted.end(), to.revisions.begin(), to.revisions.end());
    everything = everything || to.everything;
    destinations.push_back(std::move(to));
  }

  const Marks touched = lineage(graph, seeds, Edges::effective);
  Marks keep(graph.size(), 0);
  std::vector<std::size_t> leaving;
  for (std::size_t head : current) {
    if (contains(wanted, head)) continue;
    if (everything || touched[head]) {
      leaving.push_back(head);
    } else {
      keep[head] = 1;
    }
  }
  for (std::size_t i : wanted) keep[i] = 1;

  StampResult result;
  const AppliedSet now(graph, members(keep));
  result.applied = members(now.marks());
  result.heads = current_heads(graph, now);

  std::vector<char> told(graph.size(), 0);
  auto leave_alone = [&](std::size_t head) {
    if (!told[head]) result.moves.push_back({{head}, {}});
    told[head] = 1;
  };
  std::vector<char> arrived(graph.size(), 0);
  for (const Destination& to : destinations) {
    for (std::size_t i : to.revisions) {
      if (arrived[i] || contains(current, i) || !contains(result.heads, i)) continue;
      arrived[i] = 1;
      StampMove move{{}, {i}};
      if (!leaving.empty()) {
        std::vector<std::size_t> own{i};
        if (to.label) own.push_back(*to.label);
        move.from = filtered(leaving, lineage(graph, own, Edges::effective));
      }
      for (std::size_t head : move.from) told[head] = 1;
      result.moves.push_back(std::move(move));
    }
  }
  for (std::size_t head : leaving) leave_alone(head);
  return result;
}

}  // namespace migration
