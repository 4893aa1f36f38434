// Closures and the depth-first order.
//
// What and why: see the header. The order keeps a list of open heads. It emits the current one unless it is still
// needed by another open head, in which case it goes on with the first such head; after emitting it continues with
// the first parent and appends the others as new open heads; when a line is exhausted it steps back to the previous
// open head. Invariant: every revision not yet emitted lies at or below an open head, hence "needed by another open
// head" is the same as "has a child not yet emitted", a counter; only finding *which* head takes a search, and
// generations keep that search above the blocked revision. Memory: vectors of the graph's size, freed on return.
#include "revision/order.hpp"

namespace migration {

namespace {

IndexSpan below(const RevisionGraph& graph, std::size_t i, Edges edges) {
  return edges == Edges::down ? graph.parents(i) : graph.effective_parents(i);
}

IndexSpan above(const RevisionGraph& graph, std::size_t i, Edges edges) {
  return edges == Edges::down ? graph.children(i) : graph.effective_children(i);
}

template <typename Neighbours>
Marks closure(const RevisionGraph& graph, const std::vector<std::size_t>& seeds, Neighbours neighbours) {
  Marks marks(graph.size(), 0);
  std::vector<std::size_t> todo;
  auto reach = [&](std::size_t i) {
    if (marks[i]) return;
    marks[i] = 1;
    todo.push_back(i);
  };
  for (std::size_t seed : seeds) reach(seed);
  while (!todo.empty()) {
    const std::size_t i = todo.back();
    todo.pop_back();
    for (std::size_t next : neighbours(i)) reach(next);
  }
  return marks;
}

constexpr std::size_t none = static_cast<std::size_t>(-1);

/// The list of open heads: linked slots, because heads leave from the middle.
class OpenHeads {
 public:
  std::size_t append(std::size_t revision) {
    const std::size_t slot = slots_.size();
    slots_.push_back({revision, last_, none});
    (last_ == none ? first_ : slots_[last_].next) = slot;
    return last_ = slot;
  }
  /// Remove; the answer is the slot to go on with: the previous one, or the new first.
  std::size_t remove(std::size_t slot) {
    const auto [revision, previous, next] = slots_[slot];
    (previous == none ? first_ : slots_[previous].next) = next;
    (next == none ? last_ : slots_[next].previous) = previous;
    return previous == none ? first_ : previous;
  }
  std::size_t first() const { return first_; }
  std::size_t next(std::size_t slot) const { return slots_[slot].next; }
  std::size_t& revision(std::size_t slot) { return slots_[slot].revision; }

 private:
  struct Slot {
    std::size_t revision, previous, next;
  };
  std::vector<Slot> slots_;
  std::size_t first_ = none, last_ = none;
};

class Orderer {
 public:
  Orderer(const RevisionGraph& graph, const Marks& set)
      : graph_(graph), todo_(set), open_(set.size(), 0), waiting_(set.size(), 0), visited_(set.size(), 0) {}

  std::vector<std::size_t> run() {
    for (std::size_t i = 0; i < todo_.size(); ++i) {
      if (!todo_[i]) continue;
      for (std::size_t child : graph_.effective_children(i)) waiting_[i] += todo_[child] ? 1 : 0;
      if (waiting_[i] == 0) open(i);
    }
    std::size_t slot = heads_.first();
    while (slot != none) {
      const std::size_t candidate = heads_.revision(slot);
      slot = waiting_[candidate] > 0 ? first_head_above(candidate, slot) : emit(candidate, slot);
    }
    return std::move(order_);
  }

 private:
  std::size_t open(std::size_t revision) {
    open_[revision] = 1;
    return heads_.append(revision);
  }

  std::size_t emit(std::size_t revision, std::size_t slot) {
    order_.push_back(revision);
    todo_[revision] = 0;
    bool moved = false;
    for (std::size_t parent : graph_.effective_parents(revision)) {
      if (!todo_[parent]) continue;
      --waiting_[parent];
      if (open_[parent]) continue;
      if (moved) {
        open(parent);
      } else {
        open_[parent] = 1;
        heads_.revision(slot) = parent;
        moved = true;
      }
    }
    return moved ? slot : heads_.remove(slot);
  }

  std::size_t first_head_above(std::size_t blocked, std::size_t own_slot) {
    ++search_;
    for (std::size_t slot = heads_.first(); slot != none; slot = heads_.next(slot)) {
      if (slot != own_slot && reaches(heads_.revision(slot), blocked)) return slot;
    }
    return none;  // impossible by the invariant
  }

  // Marks are shared by all searches for one blocked revision: what one head has passed in vain need not be passed
  // again for the next head.
  bool reaches(std::size_t from, std::size_t blocked) {
    stack_.assign(1, from);
    while (!stack_.empty()) {
      const std::size_t i = stack_.back();
      stack_.pop_back();
      if (i == blocked) return true;
      if (visited_[i] == search_ || graph_.generation(i) <= graph_.generation(blocked)) continue;
      visited_[i] = search_;
      for (std::size_t parent : graph_.effective_parents(i)) {
        if (todo_[parent]) stack_.push_back(parent);
      }
    }
    return false;
  }

  const RevisionGraph& graph_;
  Marks todo_, open_;
  std::vector<std::size_t> waiting_, visited_, stack_, order_;
  std::size_t search_ = 0;
  OpenHeads heads_;
};

}  // namespace

Marks ancestors(const RevisionGraph& graph, const std::vector<std::size_t>& seeds, Edges edges) {
  return closure(graph, seeds, [&](std::size_t i) { return below(graph, i, edges); });
}

Marks descendants(const RevisionGraph& graph, const std::vector<std::size_t>& seeds, Edges edges) {
  return closure(graph, seeds, [&](std::size_t i) { return above(graph, i, edges); });
}

Marks lineage(const RevisionGraph& graph, const std::vector<std::size_t>& seeds, Edges edges) {
  Marks marks = ancestors(graph, seeds, edges);
  const Marks up = descendants(graph, seeds, edges);
  for (std::size_t i = 0; i < marks.size(); ++i) marks[i] = marks[i] || up[i];
  return marks;
}

std::vector<std::size_t> members(const Marks& marks) {
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < marks.size(); ++i) {
    if (marks[i]) out.push_back(i);
  }
  return out;
}

std::vector<std::size_t> filtered(const std::vector<std::size_t>& list, const Marks& marks) {
  std::vector<std::size_t> out;
  for (std::size_t i : list) {
    if (marks[i]) out.push_back(i);
  }
  return out;
}

std::vector<std::size_t> maximal(const RevisionGraph& graph, const Marks& set, Edges edges) {
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < set.size(); ++i) {
    if (!set[i]) continue;
    bool covered = false;
    for (std::size_t child : above(graph, i, edges)) covered = covered || set[child];
    if (!covered) out.push_back(i);
  }
  return out;
}

std::vector<std::size_t> depth_first_order(const RevisionGraph& graph, const Marks& set) {
  return Orderer(graph, set).run();
}

}  // namespace migration
