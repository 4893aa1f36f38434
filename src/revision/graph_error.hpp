// Errors of the revision graph, with a kind a program can compare.
//
// What: GraphError is a MigrationError that also knows which rule was broken. Why: one rule may be met on several
// ways (upgrade, stamp, merge), and callers and tests should compare a kind, never a text. The texts keep the
// sentences people already search for; the cause goes to DETAIL and the cure, a runnable statement, opens the HINT.
// Invariant: the SQLSTATE follows from the kind alone. Memory: plain values, no server memory.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "statement/error.hpp"

namespace migration {

enum class GraphErrorKind {
  ambiguous_downgrade,
  ambiguous_prefix,
  ambiguous_upgrade,
  ambiguous_walk,
  bad_history_range,
  cycle,
  dependency_cycle,
  dependency_self_loop,
  duplicate_heads,
  duplicate_label,
  duplicate_revision,
  illegal_rev_id,
  missing_reference,
  multiple_heads,
  no_such_branch,
  no_such_revision,
  not_a_head,
  not_member_of_branch,
  range_not_allowed,
  range_not_ancestor,
  relative_out_of_range,
  requested_overlap,
  revision_error,
  self_loop,
  walked_too_far,
};

/// The kind's name, e.g. "no_such_revision".
std::string_view to_text(GraphErrorKind kind) noexcept;

/// The SQLSTATE every error of this kind carries.
const char* state_of(GraphErrorKind kind) noexcept;

class GraphError : public MigrationError {
 public:
  GraphError(GraphErrorKind kind, std::string message, std::string detail, std::string hint)
      : MigrationError(state_of(kind), std::move(message), std::move(detail), std::move(hint)), kind_(kind) {}

  GraphErrorKind kind() const noexcept { return kind_; }

 private:
  GraphErrorKind kind_;
};

/// 'text' as an SQL literal, for hints.
std::string sql_literal(std::string_view text);

// The errors with more than one thrower; the argument `name` is what could not be located.
GraphError no_such_revision(std::string_view name);
GraphError no_such_branch(std::string_view label);
GraphError ambiguous_prefix(std::string_view prefix, const std::vector<std::string_view>& matches);
GraphError unknown_applied(std::string_view id, GraphErrorKind kind);
GraphError relative_out_of_range(std::string_view relative, std::string_view count, std::string detail,
                                 std::string hint = {});

/// The hint that fits whenever the reader has to pick another revision.
inline constexpr const char* look_at_history = "SELECT * FROM migration_history();";

}  // namespace migration
