// Whatever somebody gives as a target over a small history: an answer that keeps its promises, or a refusal that says
// what to type. Input: how many revisions; of each its name, its parents and what it depends on, as bits; what is
// applied, as bits; the rest is the target.
#include "revision/target.hpp"

#include <algorithm>
#include <functional>

#include "fuzz.hpp"

using namespace migration;
using Indexes = std::vector<std::size_t>;

namespace {

constexpr const char* pool[] = {"aaaa1", "aaaa2", "aaaab", "a", "bb", "bbbb", "1234567890ab", "c_c_c", "main", "Head"};
constexpr std::size_t pool_size = std::size(pool);

RevisionGraph make_graph(fuzz::Input& in) {
  std::vector<Revision> revisions;
  const std::uint64_t shape = in.number(1);
  const std::size_t count = shape % 9, first = in.number(1) % pool_size;
  const auto name = [&](std::size_t i) { return std::string(pool[(first + i) % pool_size]); };
  for (std::size_t i = 0; i < count; ++i) {
    Revision revision;
    revision.id = name(i);
    const std::uint64_t down = in.number(1), depends = in.number(1);
    for (std::size_t k = 0; k < i; ++k) {
      if (down >> k & 1) revision.down.push_back(name(k));
      if (depends >> k & 1) revision.depends_on.push_back(name(k));
    }
    if (depends >> 7) revision.labels.push_back(revision.id + "_label");
    if (down >> 7 && depends >> 7) revision.down.push_back("absent");
    revisions.push_back(std::move(revision));
  }
  // What comes first decides ties only.
  if (shape & 0x80) std::reverse(revisions.begin(), revisions.end());
  return RevisionGraph(std::move(revisions));
}

/// No answer; else one that cannot be.
bool refused(const std::function<void()>& ask) {
  try {
    ask();
    return false;
  } catch (const GraphError& error) {
    CHECK(error.state() == state_of(error.kind()));
    CHECK(!error.message().empty() && error.hint().find("SELECT ") == 0);
    return true;
  }
}

void check_distinct(const RevisionGraph& graph, const Indexes& list) {
  Marks seen(graph.size(), 0);
  for (const std::size_t i : list) CHECK(i < graph.size() && !seen[i]++);
}

bool closed(const RevisionGraph& graph, const Marks& marks) {
  for (std::size_t i = 0; i < graph.size(); ++i) {
    if (!marks[i]) continue;
    for (const std::size_t parent : graph.parents(i))
      if (!marks[parent]) return false;
    for (const std::size_t other : graph.dependencies(i))
      if (!marks[other]) return false;
  }
  return true;
}

bool incomplete(const RevisionGraph& graph, std::size_t i) {
  const auto& missing = graph.missing();
  return std::any_of(missing.begin(), missing.end(), [&](const MissingReference& m) { return m.revision == i; });
}

/// Nothing applied already, and each revision when all it needs is there.
Marks check_upgrade(const RevisionGraph& graph, Marks now, const Indexes& steps) {
  for (const std::size_t i : steps) {
    CHECK(i < graph.size() && !now[i] && !incomplete(graph, i));
    now[i] = 1;
    CHECK(closed(graph, now));
  }
  return now;
}

/// Nothing that is not applied, and no revision while another one needs it.
Marks check_downgrade(const RevisionGraph& graph, Marks now, const Indexes& steps) {
  for (const std::size_t i : steps) {
    CHECK(i < graph.size() && now[i]);
    now[i] = 0;
    CHECK(closed(graph, now));
  }
  return now;
}

Indexes reversed(const Indexes& list) {
  return {list.rbegin(), list.rend()};
}

void check_paths(const RevisionGraph& graph, const AppliedSet& applied, const std::string& text) {
  refused([&] {
    const Indexes steps = upgrade_path(graph, applied, text);
    const AppliedSet after(graph, members(check_upgrade(graph, applied.marks(), steps)));
    CHECK(depth_first_order(graph, [&] {
            Marks done(graph.size(), 0);
            for (const std::size_t i : steps) done[i] = 1;
            return done;
          }()) == reversed(steps));
    // A target that does not count from where the database stands is reached once and for all.
    if (text.find_first_of("+-") != std::string::npos || text.find("current") != std::string::npos) return;
    CHECK(upgrade_path(graph, after, text).empty());
  });
  refused([&] { check_downgrade(graph, applied.marks(), downgrade_path(graph, applied, text)); });
  refused([&] { check_distinct(graph, offline_upgrade_path(graph, text)); });
  refused([&] { check_distinct(graph, offline_downgrade_path(graph, text)); });
}

void check_stamp(const RevisionGraph& graph, const AppliedSet& applied, const std::string& text, bool purge) {
  refused([&] {
    const StampResult once = stamp(graph, applied, text, purge);
    const AppliedSet after(graph, once.applied);
    CHECK(closed(graph, after.marks()) && members(after.marks()) == once.applied);
    CHECK(current_heads(graph, after) == once.heads);
    for (const StampMove& move : once.moves) check_distinct(graph, move.from), check_distinct(graph, move.to);
    if (text.find("current") != std::string::npos) return;
    const StampResult twice = stamp(graph, after, text, purge);
    CHECK(twice.applied == once.applied && twice.heads == once.heads);
    if (!purge) CHECK(twice.moves.empty());
  });
}

void check_reading(const RevisionGraph& graph, const AppliedSet& applied, const std::string& text) {
  refused([&] {
    const Indexes rows = history(graph, applied, text);
    check_distinct(graph, rows);
    Marks seen(graph.size(), 0);
    for (const std::size_t i : reversed(rows)) {
      for (const std::size_t child : graph.effective_children(i)) CHECK(!seen[child]);
      seen[i] = 1;
    }
  });
  refused([&] {
    for (const std::size_t i : show(graph, applied, text)) CHECK(i < graph.size());
  });
  refused([&] {
    if (const auto one = show_one(graph, applied, text)) CHECK(*one < graph.size());
  });
  refused([&] {
    for (const std::size_t i : select_revisions(graph, text)) CHECK(graph.is_head(i));
  });
  refused([&] { check_distinct(graph, select_revisions(graph, text, true)); });
  refused([&] {
    for (const std::string& name : select_dependencies(graph, text)) CHECK(graph.find(name).has_value());
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input in(data, size);
  const RevisionGraph graph = make_graph(in);
  const std::uint64_t bits = in.number(2);
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < graph.size(); ++i) {
    // What cannot be applied is not.
    const Marks below = ancestors(graph, {i}, Edges::effective);
    const Indexes needed = members(below);
    const bool can = std::none_of(needed.begin(), needed.end(), [&](std::size_t k) { return incomplete(graph, k); });
    if (can && bits >> i & 1) ids.push_back(graph.id(i));
  }
  const std::string text = in.rest();
  const AppliedSet applied(graph, ids);
  CHECK(closed(graph, applied.marks()));
  check_paths(graph, applied, text);
  check_stamp(graph, applied, text, bits >> 15);
  check_reading(graph, applied, text);

  // From nothing to everything and back: the same way.
  const AppliedSet nothing(graph, Indexes{});
  refused([&] {
    const Indexes up = upgrade_path(graph, nothing, "heads");
    CHECK(up.size() == graph.size());
    CHECK(downgrade_path(graph, AppliedSet(graph, up), "base") == reversed(up));
  });
  // Without what is recorded and unknown, nothing moves.
  ids.emplace_back("gone");
  const AppliedSet unknown(graph, ids);
  CHECK(refused([&] { upgrade_path(graph, unknown, text); }));
  CHECK(refused([&] { downgrade_path(graph, unknown, text); }));
  return 0;
}
