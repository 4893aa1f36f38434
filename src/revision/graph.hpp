// The revision graph: who follows whom.
//
// What: RevisionGraph turns registered revisions into dense indexes (0 = registered first) with adjacency in both
// directions, and answers what can be said about the graph without knowing what is applied: heads, bases, branch and
// merge points, labels, missing references. Why dense indexes: every query is then a walk over integer arrays, linear
// in edges, so ten thousand revisions cost about a millisecond. Why two kinds of edges: `down` says where a revision
// stands in the history, `depends_on` only what must be there first; "head" and walking by +1 follow `down` alone,
// while what gets applied follows the *effective* edges, which are both.
// Invariant: the graph is acyclic over all edges (the constructor refuses anything else), every stored edge joins two
// present revisions, and registration order decides every tie. A reference to an absent revision is no edge: it is
// listed in missing(), because registration is order-free and the parent may still come.
// Memory: owns the revisions; the name index points into them, hence movable and not copyable.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "revision/graph_error.hpp"

namespace migration {

struct Revision {
  std::string id;
  std::vector<std::string> down;
  std::vector<std::string> depends_on;  ///< ids or labels
  std::vector<std::string> labels;
  std::string message;
};

using IndexSpan = std::span<const std::size_t>;

/// Rows of indexes in one block of memory: row i holds the neighbours of revision i.
class Adjacency {
 public:
  void append(IndexSpan row);
  std::size_t size() const noexcept { return offsets_.size() - 1; }
  IndexSpan operator[](std::size_t row) const noexcept {
    return {edges_.data() + offsets_[row], offsets_[row + 1] - offsets_[row]};
  }
  /// The same edges seen from the other end; neighbours ascending.
  Adjacency reversed() const;

 private:
  std::vector<std::size_t> offsets_{0};
  std::vector<std::size_t> edges_;
};

struct MissingReference {
  std::size_t revision;     ///< who refers
  std::string missing;      ///< to what
  bool dependency = false;  ///< by depends_on rather than by down
};

class RevisionGraph {
 public:
  /// Registration order is the tie-break everywhere. Throws GraphError on an illegal or repeated id or label, a loop
  /// or a cycle; tolerates references to absent revisions.
  explicit RevisionGraph(std::vector<Revision> revisions);
  RevisionGraph(RevisionGraph&&) = default;
  RevisionGraph& operator=(RevisionGraph&&) = default;
  RevisionGraph(const RevisionGraph&) = delete;
  RevisionGraph& operator=(const RevisionGraph&) = delete;

  std::size_t size() const noexcept { return revisions_.size(); }
  const Revision& at(std::size_t i) const { return revisions_.at(i); }
  const std::string& id(std::size_t i) const { return revisions_[i].id; }

  std::optional<std::size_t> index_of(std::string_view id) const;  ///< exact id
  std::optional<std::size_t> find(std::string_view name) const;    ///< exact id or label
  /// Ids (registration order), then labels, that start with the text; names of up to three characters never match.
  std::vector<std::string_view> names_with_prefix(std::string_view prefix) const;

  IndexSpan parents(std::size_t i) const { return parents_[i]; }            ///< present `down`
  IndexSpan children(std::size_t i) const { return children_[i]; }          ///< revisions whose `down` names i
  IndexSpan dependencies(std::size_t i) const { return dependencies_[i]; }  ///< present depends_on, labels resolved
  IndexSpan effective_parents(std::size_t i) const { return effective_parents_[i]; }
  IndexSpan effective_children(std::size_t i) const { return effective_children_[i]; }
  /// Longest distance to a revision without effective parents; a parent's is always smaller.
  std::size_t generation(std::size_t i) const { return generation_[i]; }

  const std::vector<std::size_t>& heads() const noexcept { return heads_; }            ///< along `down` only
  const std::vector<std::size_t>& real_heads() const noexcept { return real_heads_; }  ///< dependencies count
  const std::vector<std::size_t>& bases() const noexcept { return bases_; }            ///< no `down` declared
  std::vector<std::size_t> branch_points() const;
  std::vector<std::size_t> merge_points() const;
  bool is_head(std::size_t i) const { return children_[i].empty(); }
  bool is_branch_point(std::size_t i) const { return children_[i].size() > 1; }
  bool is_merge_point(std::size_t i) const { return revisions_[i].down.size() > 1; }

  const std::vector<MissingReference>& missing() const noexcept { return missing_; }

  /// For each revision the labels that reach it: down to all descendants, and back to the nearest branch or merge
  /// point. Made on demand, because labels times revisions may be much and only displays need it.
  std::vector<std::vector<std::string>> propagated_labels() const;

 private:
  void index_names();
  void link_parents();
  void link_dependencies();
  void refuse_cycles();
  void link_effective();
  bool depends_below(std::size_t revision, std::size_t dependency) const;

  std::vector<Revision> revisions_;
  std::unordered_map<std::string_view, std::size_t> names_;
  std::size_t label_count_ = 0;
  Adjacency parents_, children_, dependencies_, dependents_, effective_parents_, effective_children_;
  std::vector<std::size_t> generation_, heads_, real_heads_, bases_;
  std::vector<MissingReference> missing_;
};

/// Refuse what could not be told from the target grammar: @ - + : , white space, reserved words, over-long names.
void validate_revision_id(std::string_view id);
void validate_label(std::string_view label);
bool is_reserved_name(std::string_view name) noexcept;  ///< head heads base current

}  // namespace migration
