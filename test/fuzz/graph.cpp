// Whatever is registered: a graph that keeps its promises, or a refusal that says what to type. A line is a revision:
// ID|DOWN DOWN|DEPENDS DEPENDS|LABEL LABEL.
#include <algorithm>
#include <set>

#include "fuzz.hpp"
#include "revision/log_graph.hpp"
#include "revision/target.hpp"
#include "revision/target_text.hpp"

using namespace migration;

namespace {

std::vector<std::string> names(const std::string& text) {
  std::vector<std::string> out = split_words(text);
  if (out.front().empty()) out.clear();
  return out;
}

/// Newest first, nothing twice, children before what they need.
void check_order(const RevisionGraph& graph, const std::vector<std::size_t>& order) {
  std::vector<char> seen(graph.size(), 0);
  for (const std::size_t i : order) {
    CHECK(i < graph.size() && !seen[i]);
    seen[i] = 1;
    for (const std::size_t child : graph.children(i)) CHECK(seen[child]);
    for (const std::size_t child : graph.effective_children(i)) CHECK(seen[child]);
  }
}

void check_edges(const RevisionGraph& graph) {
  for (std::size_t i = 0; i < graph.size(); ++i) {
    const Marks below = ancestors(graph, {i}, Edges::effective);
    for (const std::size_t parent : graph.parents(i))
      CHECK(below[parent] && graph.generation(parent) < graph.generation(i));
    for (const std::size_t other : graph.dependencies(i))
      CHECK(below[other] && graph.generation(other) < graph.generation(i));
    CHECK(graph.is_head(i) == graph.children(i).empty());
  }
  const Marks all(graph.size(), 1);
  CHECK(maximal(graph, all, Edges::effective) == graph.real_heads());
  CHECK(maximal(graph, all, Edges::down) == graph.heads());
  CHECK(ancestors(graph, graph.real_heads(), Edges::effective) == all);
}

/// A name that was accepted is read as this name.
void check_names(const RevisionGraph& graph) {
  const AppliedSet nothing(graph, std::vector<std::size_t>{});
  for (std::size_t i = 0; i < graph.size(); ++i) {
    CHECK(show_one(graph, nothing, graph.id(i)) == i);
    CHECK(select_revisions(graph, graph.id(i), true) == std::vector<std::size_t>{i});
    for (const std::string& label : graph.at(i).labels) {
      CHECK(show_one(graph, nothing, label) == i);
      CHECK(show_one(graph, nothing, label + "@" + graph.id(i)) == i);
      CHECK(select_dependencies(graph, label) == std::vector<std::string>{label});
    }
  }
}

void check_drawing(const RevisionGraph& graph, const std::vector<std::size_t>& order) {
  const std::vector<std::string> cells = draw_log_graph(graph, order);
  CHECK(cells.size() == order.size());
  for (const std::string& cell : cells) {
    const std::string first = cell.substr(0, cell.find('\n'));
    CHECK(std::count(cell.begin(), cell.end(), '*') == 1 && first.find('*') != std::string::npos);
    CHECK(cell.find_first_not_of("*|/\\_ \n") == std::string::npos);
    CHECK(first.size() <= 2 * order.size());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input in(data, size);
  std::vector<Revision> revisions;
  while (!in.empty() && revisions.size() < 40) {
    fuzz::Input line = in.part('\n');
    Revision revision;
    revision.id = line.until('|');
    revision.down = names(line.until('|'));
    revision.depends_on = names(line.until('|'));
    revision.labels = names(line.until('|'));
    revisions.push_back(std::move(revision));
  }
  try {
    const RevisionGraph graph(std::move(revisions));
    const std::vector<std::size_t> order = depth_first_order(graph, Marks(graph.size(), 1));
    CHECK(order.size() == graph.size());
    check_order(graph, order);
    check_edges(graph);
    check_names(graph);
    check_drawing(graph, order);
    CHECK(graph.propagated_labels().size() == graph.size());
  } catch (const GraphError& error) {
    CHECK(std::string(error.state()) == state_of(error.kind()));
    CHECK(!error.message().empty() && error.hint().find("SELECT ") == 0);
  }
  return 0;
}
