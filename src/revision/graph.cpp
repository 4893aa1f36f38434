// Building the graph and answering what needs no applied set.
//
// What: names to indexes, edges in both directions, refusal of cycles, the reduction of depends_on to effective
// edges, label propagation. Why the order of steps matters: generations come out of the cycle check and bound every
// later search. Invariant: no recursion (a chain of any length is legal input), each step linear in edges; only the
// depends_on reduction may look further, and only where several revisions share a dependency. Memory: see graph.hpp.
#include "revision/graph.hpp"

#include <algorithm>

#include <fmt/ranges.h>
#include "statement/formatted.hpp"

namespace migration {

void Adjacency::append(IndexSpan row) {
  edges_.insert(edges_.end(), row.begin(), row.end());
  offsets_.push_back(edges_.size());
}

Adjacency Adjacency::reversed() const {
  Adjacency out;
  out.offsets_.assign(offsets_.size(), 0);
  out.edges_.resize(edges_.size());
  for (std::size_t to : edges_) ++out.offsets_[to + 1];
  for (std::size_t i = 1; i < out.offsets_.size(); ++i) out.offsets_[i] += out.offsets_[i - 1];
  std::vector<std::size_t> fill(out.offsets_.begin(), out.offsets_.end() - 1);
  for (std::size_t from = 0; from < size(); ++from) {
    for (std::size_t to : (*this)[from]) out.edges_[fill[to]++] = from;
  }
  return out;
}

RevisionGraph::RevisionGraph(std::vector<Revision> revisions) : revisions_(std::move(revisions)) {
  index_names();
  link_parents();
  link_dependencies();
  refuse_cycles();
  link_effective();
  for (std::size_t i = 0; i < size(); ++i) {
    if (children_[i].empty()) heads_.push_back(i);
    if (effective_children_[i].empty()) real_heads_.push_back(i);
    if (revisions_[i].down.empty()) bases_.push_back(i);
  }
}

void RevisionGraph::index_names() {
  names_.reserve(revisions_.size() * 2);
  for (std::size_t i = 0; i < size(); ++i) {
    validate_revision_id(revisions_[i].id);
    if (!names_.emplace(revisions_[i].id, i).second) {
      throw GraphError(GraphErrorKind::duplicate_revision,
                       formatted("Revision {} is present more than once", revisions_[i].id), "",
                       formatted("SELECT * FROM migration_show({});", sql_literal(revisions_[i].id)));
    }
  }
  for (std::size_t i = 0; i < size(); ++i) {
    for (const std::string& label : revisions_[i].labels) {
      validate_label(label);
      const auto [place, fresh] = names_.emplace(label, i);
      if (!fresh) {
        throw GraphError(GraphErrorKind::duplicate_label,
                         formatted("Branch name '{}' in revision {} already used by revision {}", label,
                                   revisions_[i].id, revisions_[place->second].id),
                         "Revision ids and branch labels share one set of names.",
                         formatted("SELECT * FROM migration_show({});", sql_literal(label)));
      }
      ++label_count_;
    }
  }
}

namespace {

void append_once(std::vector<std::size_t>& row, std::size_t index) {
  if (std::find(row.begin(), row.end(), index) == row.end()) row.push_back(index);
}

GraphError loop_error(GraphErrorKind kind, std::string_view what, const std::vector<std::string>& ids,
                      std::string detail) {
  return {kind, formatted("{} is detected in revisions ({})", what, fmt::join(ids, ", ")), std::move(detail),
          formatted("SELECT migration_unregister({});", sql_literal(ids.front()))};
}

}  // namespace

void RevisionGraph::link_parents() {
  std::vector<std::size_t> row;
  for (std::size_t i = 0; i < size(); ++i) {
    row.clear();
    for (const std::string& name : revisions_[i].down) {
      const auto parent = index_of(name);
      if (!parent) {
        missing_.push_back({i, name, false});
      } else if (*parent == i) {
        throw loop_error(GraphErrorKind::self_loop, "Self-loop", {name}, "A revision cannot be its own parent.");
      } else {
        append_once(row, *parent);
      }
    }
    parents_.append(row);
  }
  children_ = parents_.reversed();
}

void RevisionGraph::link_dependencies() {
  std::vector<std::size_t> row;
  for (std::size_t i = 0; i < size(); ++i) {
    row.clear();
    for (const std::string& name : revisions_[i].depends_on) {
      const auto target = find(name);
      if (!target) {
        missing_.push_back({i, name, true});
      } else if (*target == i) {
        throw loop_error(GraphErrorKind::dependency_self_loop, "Dependency self-loop", {revisions_[i].id},
                         "A revision cannot depend on itself.");
      } else {
        append_once(row, *target);
      }
    }
    dependencies_.append(row);
  }
  dependents_ = dependencies_.reversed();
}

namespace {

// Kahn's algorithm. Fills generations; returns the revisions it could not place, i.e. on or above a cycle.
std::vector<std::size_t> unplaced(const Adjacency& parents, const Adjacency& children, const Adjacency* dependencies,
                                  const Adjacency* dependents, std::vector<std::size_t>& generation) {
  const std::size_t count = parents.size();
  std::vector<std::size_t> waiting(count), ready;
  generation.assign(count, 0);
  for (std::size_t i = 0; i < count; ++i) {
    waiting[i] = parents[i].size() + (dependencies ? (*dependencies)[i].size() : 0);
    if (waiting[i] == 0) ready.push_back(i);
  }
  for (std::size_t next = 0; next < ready.size(); ++next) {
    const std::size_t i = ready[next];
    auto release = [&](IndexSpan row) {
      for (std::size_t child : row) {
        generation[child] = std::max(generation[child], generation[i] + 1);
        if (--waiting[child] == 0) ready.push_back(child);
      }
    };
    release(children[i]);
    if (dependents) release((*dependents)[i]);
  }
  std::vector<std::size_t> rest;
  for (std::size_t i = 0; i < count; ++i) {
    if (waiting[i] > 0) rest.push_back(i);
  }
  return rest;
}

void flood(std::vector<char>& marks, const Adjacency& edges, const Adjacency* more) {
  std::vector<std::size_t> todo;
  for (std::size_t i = 0; i < marks.size(); ++i) {
    if (marks[i]) todo.push_back(i);
  }
  while (!todo.empty()) {
    const std::size_t i = todo.back();
    todo.pop_back();
    auto spread = [&](IndexSpan row) {
      for (std::size_t next : row) {
        if (!marks[next]) {
          marks[next] = 1;
          todo.push_back(next);
        }
      }
    };
    spread(edges[i]);
    if (more) spread((*more)[i]);
  }
}

}  // namespace

void RevisionGraph::refuse_cycles() {
  if (unplaced(parents_, children_, &dependencies_, &dependents_, generation_).empty()) return;
  std::vector<std::size_t> scratch;
  std::vector<std::size_t> stuck = unplaced(parents_, children_, nullptr, nullptr, scratch);
  const bool by_down = !stuck.empty();
  if (!by_down) stuck = unplaced(parents_, children_, &dependencies_, &dependents_, scratch);
  const Adjacency* more_parents = by_down ? nullptr : &dependencies_;
  const Adjacency* more_children = by_down ? nullptr : &dependents_;

  // Named are, as people know it from Alembic, all revisions not between some base and some head.
  std::vector<char> below(size(), 0), above(size(), 0);
  bool any_head = false, any_base = false;
  for (std::size_t i = 0; i < size(); ++i) {
    below[i] = children_[i].empty() && (by_down || dependents_[i].empty());
    above[i] = parents_[i].empty() && (by_down || dependencies_[i].empty());
    any_head |= below[i] != 0;
    any_base |= above[i] != 0;
  }
  flood(below, parents_, more_parents);
  flood(above, children_, more_children);
  std::vector<std::string> named;
  for (std::size_t i = 0; i < size(); ++i) {
    if (!any_head || !any_base || !below[i] || !above[i]) named.push_back(revisions_[i].id);
  }
  if (any_head && any_base) std::sort(named.begin(), named.end());

  // One concrete cycle for the DETAIL: from a stuck revision, a stuck parent always exists, so the walk must repeat.
  std::vector<char> is_stuck(size(), 0);
  for (std::size_t i : stuck) is_stuck[i] = 1;
  std::vector<std::size_t> seen_at(size(), 0), path;
  std::size_t here = stuck.front();
  while (seen_at[here] == 0) {
    path.push_back(here);
    seen_at[here] = path.size();
    std::size_t next = here;
    for (std::size_t parent : parents_[here]) {
      if (is_stuck[parent]) next = parent;
    }
    if (!by_down && next == here) {
      for (std::size_t parent : dependencies_[here]) {
        if (is_stuck[parent]) next = parent;
      }
    }
    here = next;
  }
  std::string round;
  for (std::size_t k = seen_at[here] - 1; k < path.size(); ++k) round += revisions_[path[k]].id + " needs ";
  round += revisions_[here].id;
  // A cycle through a dependency can lie between a base and a head all the same.
  if (named.empty()) {
    for (std::size_t k = seen_at[here] - 1; k < path.size(); ++k) named.push_back(revisions_[path[k]].id);
    std::sort(named.begin(), named.end());
  }
  if (by_down) throw loop_error(GraphErrorKind::cycle, "Cycle", named, round);
  throw loop_error(GraphErrorKind::dependency_cycle, "Dependency cycle", named, round);
}

// True when an ancestor along `down` already depends directly on `dependency`: then the edge is implied.
bool RevisionGraph::depends_below(std::size_t revision, std::size_t dependency) const {
  const IndexSpan rivals = dependents_[dependency];
  if (rivals.size() < 2) return false;
  std::size_t lowest = generation_[revision];
  for (std::size_t rival : rivals) lowest = std::min(lowest, generation_[rival]);
  std::unordered_map<std::size_t, bool> seen;
  std::vector<std::size_t> todo(parents_[revision].begin(), parents_[revision].end());
  while (!todo.empty()) {
    const std::size_t i = todo.back();
    todo.pop_back();
    if (generation_[i] < lowest || !seen.emplace(i, true).second) continue;
    const IndexSpan row = dependencies_[i];
    if (std::find(row.begin(), row.end(), dependency) != row.end()) return true;
    todo.insert(todo.end(), parents_[i].begin(), parents_[i].end());
  }
  return false;
}

void RevisionGraph::link_effective() {
  std::vector<std::size_t> row;
  for (std::size_t i = 0; i < size(); ++i) {
    row.assign(parents_[i].begin(), parents_[i].end());
    for (std::size_t dependency : dependencies_[i]) {
      if (!depends_below(i, dependency)) append_once(row, dependency);
    }
    effective_parents_.append(row);
  }
  effective_children_ = effective_parents_.reversed();
}

std::optional<std::size_t> RevisionGraph::find(std::string_view name) const {
  const auto place = names_.find(name);
  if (place == names_.end()) return std::nullopt;
  return place->second;
}

std::optional<std::size_t> RevisionGraph::index_of(std::string_view id) const {
  const auto index = find(id);
  if (index && revisions_[*index].id != id) return std::nullopt;  // a label
  return index;
}

std::vector<std::string_view> RevisionGraph::names_with_prefix(std::string_view prefix) const {
  std::vector<std::string_view> matches;
  auto consider = [&](std::string_view name) {
    if (name.size() > 3 && name.substr(0, prefix.size()) == prefix) matches.push_back(name);
  };
  for (const Revision& revision : revisions_) consider(revision.id);
  if (label_count_ > 0) {
    for (const Revision& revision : revisions_) {
      for (const std::string& label : revision.labels) consider(label);
    }
  }
  return matches;
}

std::vector<std::size_t> RevisionGraph::branch_points() const {
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < size(); ++i) {
    if (is_branch_point(i)) out.push_back(i);
  }
  return out;
}

std::vector<std::size_t> RevisionGraph::merge_points() const {
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < size(); ++i) {
    if (is_merge_point(i)) out.push_back(i);
  }
  return out;
}

std::vector<std::vector<std::string>> RevisionGraph::propagated_labels() const {
  std::vector<std::vector<std::string>> out(size());
  if (label_count_ == 0) return out;
  for (std::size_t i = 0; i < size(); ++i) {
    if (revisions_[i].labels.empty()) continue;
    std::vector<char> reached(size(), 0);
    reached[i] = 1;
    flood(reached, children_, nullptr);
    // Back towards the base as long as the line is this branch's own.
    auto shared = [&](std::size_t k) { return children_[k].size() + dependents_[k].size() > 1 || is_merge_point(k); };
    for (std::size_t k = i; !shared(k) && parents_[k].size() == 1 && !shared(parents_[k][0]);) {
      k = parents_[k][0];
      reached[k] = 1;
    }
    for (std::size_t k = 0; k < size(); ++k) {
      if (reached[k]) out[k].insert(out[k].end(), revisions_[i].labels.begin(), revisions_[i].labels.end());
    }
  }
  return out;
}

}  // namespace migration
