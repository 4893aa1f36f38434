// Ten thousand revisions, as a chain, as a hundred branches with merges, and as a star. The bounds are generous
// (sanitizers, busy machines); the measured times are printed.
#include <algorithm>
#include <chrono>
#include <cstdio>

#include <gtest/gtest.h>

#include "revision/log_graph.hpp"
#include "revision/target.hpp"

namespace migration {
namespace {

constexpr int count = 10000;

std::string name(int i) {
  return "rev" + std::to_string(100000 + i) + "abcdef";
}

std::vector<Revision> chain() {
  std::vector<Revision> out;
  for (int i = 0; i < count; ++i) {
    out.push_back({name(i), i ? std::vector<std::string>{name(i - 1)} : std::vector<std::string>{}, {}, {}, ""});
  }
  return out;
}

std::vector<Revision> branches_with_merges() {
  std::vector<Revision> out{{name(0), {}, {}, {"trunk"}, ""}};
  for (int i = 1; i < count; ++i) {
    Revision revision{name(i), {name(std::max(0, i - 100))}, {}, {}, ""};
    if (i > 200 && i % 10 == 0) revision.down.push_back(name(i - 150 + i % 49));
    if (i > 200 && i % 17 == 0) revision.depends_on.push_back(name(i - 133));
    if (i < 100 && i > 0) revision.labels.push_back("branch" + std::to_string(i));
    out.push_back(std::move(revision));
  }
  return out;
}

std::vector<Revision> octopus() {
  std::vector<Revision> out{{name(0), {}, {}, {}, ""}};
  for (int i = 1; i < count - 1; ++i) out.push_back({name(i), {name(std::max(0, i - 100))}, {}, {}, ""});
  Revision merge{name(count - 1), {}, {}, {}, ""};
  for (int i = count - 101; i < count - 1; ++i) merge.down.push_back(name(i));
  out.push_back(std::move(merge));
  return out;
}

std::vector<Revision> star() {
  std::vector<Revision> out{{name(0), {}, {}, {}, ""}};
  for (int i = 1; i < count; ++i) out.push_back({name(i), {name(0)}, {}, {}, ""});
  return out;
}

template <typename F>
auto timed(const char* shape, const char* what, F work) {
  const auto start = std::chrono::steady_clock::now();
  auto result = work();
  const double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  std::printf("%-10s %-16s %8.2f ms\n", shape, what, ms);
  EXPECT_LT(ms, 2000) << shape << " " << what;
  return result;
}

void measure(const char* shape, std::vector<Revision> revisions) {
  const RevisionGraph graph = timed(shape, "build", [&] { return RevisionGraph(std::move(revisions)); });
  const std::vector<std::size_t> nothing;
  const AppliedSet empty(graph, nothing);
  const auto up = timed(shape, "upgrade heads", [&] { return upgrade_path(graph, empty, "heads"); });
  EXPECT_EQ(up.size(), static_cast<std::size_t>(count));
  std::vector<std::string> ids;
  for (std::size_t i : up) ids.push_back(graph.id(i));
  const AppliedSet full = timed(shape, "applied set", [&] { return AppliedSet(graph, ids); });
  EXPECT_EQ(timed(shape, "downgrade base", [&] { return downgrade_path(graph, full, "base"); }).size(), up.size());
  timed(shape, "current heads", [&] { return current_heads(graph, full); });
  timed(shape, "prefix", [&] { return show(graph, full, "rev105000"); });
  timed(shape, "stamp heads", [&] { return stamp(graph, empty, "heads", false); });
  timed(shape, "labels", [&] { return graph.propagated_labels(); });
  const auto rows = timed(shape, "history", [&] { return history(graph, full, ""); });
  EXPECT_EQ(rows.size(), up.size());
  timed(shape, "drawing", [&] { return draw_log_graph(graph, rows); });
}

TEST(Scale, Chain) {
  measure("chain", chain());
}
TEST(Scale, BranchesWithMerges) {
  measure("branches", branches_with_merges());
}
TEST(Scale, Octopus) {
  measure("octopus", octopus());
}
TEST(Scale, Star) {
  const RevisionGraph graph = timed("star", "build", [] { return RevisionGraph(star()); });
  const AppliedSet empty(graph, std::vector<std::size_t>{});
  EXPECT_EQ(timed("star", "upgrade heads", [&] { return upgrade_path(graph, empty, "heads"); }).size(),
            static_cast<std::size_t>(count));
}

}  // namespace
}  // namespace migration
