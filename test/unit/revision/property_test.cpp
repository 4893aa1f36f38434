// Random graphs, applied sets and targets against a naive implementation that shares no code with the product.
#include <algorithm>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "revision/log_graph.hpp"
#include "revision/target.hpp"

namespace migration {
namespace {

using Rng = std::mt19937;
using Set = std::set<std::string>;

int pick(Rng& rng, int below) {
  return std::uniform_int_distribution<int>(0, below - 1)(rng);
}

std::vector<Revision> random_revisions(Rng& rng) {
  const int count = 1 + pick(rng, 24);
  std::vector<Revision> out;
  for (int i = 0; i < count; ++i) {
    Revision revision{"r" + std::to_string(1000 + i), {}, {}, {}, ""};
    if (i > 0 && pick(rng, 8) != 0) {
      const int parents = pick(rng, 5) == 0 ? 2 + pick(rng, 2) : 1;
      for (int k = 0; k < parents; ++k) {
        const std::string parent = out[static_cast<std::size_t>(std::max(0, i - 1 - pick(rng, 6)))].id;
        if (std::count(revision.down.begin(), revision.down.end(), parent) == 0) revision.down.push_back(parent);
      }
    }
    if (i > 0 && pick(rng, 5) == 0) {
      const Revision& other = out[static_cast<std::size_t>(pick(rng, i))];
      revision.depends_on.push_back(!other.labels.empty() && pick(rng, 2) ? other.labels[0] : other.id);
    }
    if (pick(rng, 6) == 0) revision.labels.push_back("label" + std::to_string(i));
    out.push_back(revision);
  }
  std::shuffle(out.begin(), out.end(), rng);
  return out;
}

/// Everything by its definition, over strings and sets; quadratic and obvious.
struct Naive {
  explicit Naive(const std::vector<Revision>& list) : revisions(list) {}
  const std::vector<Revision>& revisions;

  Set needs(const Revision& r) const {
    Set out(r.down.begin(), r.down.end());
    for (const std::string& name : r.depends_on) {
      for (const Revision& other : revisions) {
        if (other.id == name || std::count(other.labels.begin(), other.labels.end(), name)) out.insert(other.id);
      }
    }
    return out;
  }
  Set closure(Set set) const {
    for (bool grown = true; grown;) {
      grown = false;
      for (const Revision& r : revisions) {
        if (!set.count(r.id)) continue;
        for (const std::string& need : needs(r)) grown |= set.insert(need).second;
      }
    }
    return set;
  }
  Set above(Set set) const {
    for (bool grown = true; grown;) {
      grown = false;
      for (const Revision& r : revisions) {
        if (set.count(r.id)) continue;
        for (const std::string& need : needs(r)) {
          if (set.count(need)) grown |= set.insert(r.id).second;
        }
      }
    }
    return set;
  }
  Set maxima(const Set& set) const {
    Set out = set;
    for (const Revision& r : revisions) {
      if (!set.count(r.id)) continue;
      for (const std::string& need : needs(r)) out.erase(need);
    }
    return out;
  }
  const Revision& at(const std::string& id) const {
    return *std::find_if(revisions.begin(), revisions.end(), [&](const Revision& r) { return r.id == id; });
  }
};

Set ids(const RevisionGraph& graph, const std::vector<std::size_t>& list) {
  Set out;
  for (std::size_t i : list) out.insert(graph.id(i));
  return out;
}

std::vector<std::string> strings(const Set& set) {
  return {set.begin(), set.end()};
}

class RandomGraphs : public ::testing::TestWithParam<unsigned> {};

TEST_P(RandomGraphs, PathsAndStampsKeepTheirPromises) {
  Rng rng(GetParam());
  for (int round = 0; round < 100; ++round) {
    const std::vector<Revision> list = random_revisions(rng);
    const Naive naive(list);
    const RevisionGraph graph(list);
    Set seeds;
    for (int k = pick(rng, 4); k > 0; --k)
      seeds.insert(list[static_cast<std::size_t>(pick(rng, static_cast<int>(list.size())))].id);
    const Set applied = naive.closure(seeds);
    const AppliedSet start(graph, strings(applied));
    ASSERT_EQ(ids(graph, current_heads(graph, start)), naive.maxima(applied));
    const std::string target = list[static_cast<std::size_t>(pick(rng, static_cast<int>(list.size())))].id;

    // Upgrade: exactly closure(target) minus applied, parents first.
    for (const std::string& to : {target, std::string("heads")}) {
      Set wanted;
      const Set all = naive.closure(to == "heads" ? naive.maxima(naive.above(ids(graph, graph.bases()))) : Set{to});
      std::set_difference(all.begin(), all.end(), applied.begin(), applied.end(), std::inserter(wanted, wanted.end()));
      Set done = applied;
      const auto path = upgrade_path(graph, start, to);
      for (std::size_t i : path) {
        for (const std::string& need : naive.needs(naive.at(graph.id(i)))) ASSERT_TRUE(done.count(need));
        ASSERT_TRUE(done.insert(graph.id(i)).second);
      }
      ASSERT_EQ(ids(graph, path), wanted);
    }

    // All the way up, then all the way down, leaves nothing, and no step pulls the floor from under another.
    Set everything;
    for (const Revision& r : list) everything.insert(r.id);
    Set left = everything;
    const AppliedSet full(graph, strings(everything));
    ASSERT_TRUE(is_up_to_date(graph, full));
    ASSERT_TRUE(upgrade_path(graph, full, "heads").empty());
    for (std::size_t i : downgrade_path(graph, full, "base")) {
      left.erase(graph.id(i));
      ASSERT_EQ(naive.closure(left), left);
    }
    ASSERT_TRUE(left.empty());

    // Partial downgrade: applied revisions that stand on the target's children.
    if (applied.count(target)) {
      Set children, wanted;
      for (const Revision& r : list) {
        if (std::count(r.down.begin(), r.down.end(), target)) children.insert(r.id);
      }
      const Set stands = naive.above(children);
      std::set_intersection(stands.begin(), stands.end(), applied.begin(), applied.end(),
                            std::inserter(wanted, wanted.end()));
      if (!wanted.empty() || naive.maxima(applied).count(target)) {
        ASSERT_EQ(ids(graph, downgrade_path(graph, start, target)), wanted);
      } else {
        ASSERT_THROW(downgrade_path(graph, start, target), GraphError);
      }
    } else {
      ASSERT_THROW(downgrade_path(graph, start, target), GraphError);
    }

    // Stamp: by the rule, and a second time changes nothing.
    const StampResult stamped = stamp(graph, start, target, false);
    Set heads{target};
    const Set line_up = naive.above({target}), line_down = naive.closure({target});
    for (const std::string& head : naive.maxima(applied)) {
      if (!line_up.count(head) && !line_down.count(head)) heads.insert(head);
    }
    ASSERT_EQ(ids(graph, stamped.heads), heads);
    ASSERT_EQ(ids(graph, stamped.applied), naive.closure(heads));
    const StampResult again = stamp(graph, AppliedSet(graph, stamped.applied), target, false);
    ASSERT_EQ(again.applied, stamped.applied);
    ASSERT_TRUE(again.moves.empty());

    // History: everything once, children before parents.
    Set shown;
    for (std::size_t i : history(graph, start, "")) {
      for (const std::string& need : naive.needs(naive.at(graph.id(i)))) ASSERT_FALSE(shown.count(need));
      shown.insert(graph.id(i));
    }
    ASSERT_EQ(shown, everything);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomGraphs, ::testing::Range(1u, 21u));

TEST(RandomTargets, NeverCrash) {
  Rng rng(7);
  const std::vector<std::string> pieces = {"head",
                                           "heads",
                                           "base",
                                           "current",
                                           "@",
                                           "+",
                                           "-",
                                           ":",
                                           ",",
                                           " ",
                                           "r1000",
                                           "r100",
                                           "r",
                                           "1",
                                           "99999999999999999999",
                                           "0",
                                           "label1",
                                           "label",
                                           "'",
                                           "\\",
                                           "\xff",
                                           "\n",
                                           "x",
                                           "+1",
                                           "-1",
                                           std::string(1, '\0'),
                                           std::string(300, 'z')};
  std::vector<std::vector<Revision>> lists;
  std::vector<RevisionGraph> graphs;
  std::vector<AppliedSet> starts;
  for (int k = 0; k < 20; ++k) {
    lists.push_back(random_revisions(rng));
    graphs.emplace_back(lists.back());
    std::vector<std::size_t> seeds;
    for (std::size_t i = 0; i < graphs.back().size(); ++i) {
      if (pick(rng, 4) == 0) seeds.push_back(i);
    }
    starts.emplace_back(graphs.back(), seeds);
  }
  int errors = 0, answers = 0;
  for (int round = 0; round < 100000; ++round) {
    std::string text;
    for (int n = pick(rng, 6); n >= 0; --n)
      text += pieces[static_cast<std::size_t>(pick(rng, static_cast<int>(pieces.size())))];
    const std::size_t k = static_cast<std::size_t>(round % 20);
    const RevisionGraph& graph = graphs[k];
    const AppliedSet& start = starts[k];
    try {
      switch (round / 20 % 8) {
        case 0:
          upgrade_path(graph, start, text);
          break;
        case 1:
          downgrade_path(graph, start, text);
          break;
        case 2:
          stamp(graph, start, text, pick(rng, 2) == 0);
          break;
        case 3:
          history(graph, start, text);
          break;
        case 4:
          show(graph, start, text);
          break;
        case 5:
          select_revisions(graph, text, true);
          break;
        case 6:
          offline_upgrade_path(graph, text);
          break;
        default:
          offline_downgrade_path(graph, text);
          break;
      }
      ++answers;
    } catch (const GraphError& error) {
      ++errors;
      ASSERT_FALSE(error.message().empty());
      ASSERT_EQ(error.hint().rfind("SELECT ", 0), 0u) << error.message();
      ASSERT_EQ(error.state(), state_of(error.kind()));
    }
  }
  EXPECT_GT(answers, 1000);
  EXPECT_GT(errors, 1000);
}

}  // namespace
}  // namespace migration
