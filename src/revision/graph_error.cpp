// The sentences of GraphError.
//
// What: kind names, their SQLSTATEs and the builders of errors thrown in several places. Why here: one table, so that
// the code, the documentation and the tests cannot drift apart. Invariant: every line of a hint is a
// statement that runs as it stands, maybe with a remark behind `  -- `. Memory: results are owned strings.
#include "revision/graph_error.hpp"

#include "statement/formatted.hpp"

namespace migration {

namespace {

struct KindRow {
  GraphErrorKind kind;
  std::string_view name;
  const char* state;
};

using K = GraphErrorKind;

constexpr KindRow kinds[] = {
    {K::ambiguous_downgrade, "ambiguous_downgrade", sqlstate::multiple_heads},
    {K::ambiguous_prefix, "ambiguous_prefix", sqlstate::undefined_object},
    {K::ambiguous_upgrade, "ambiguous_upgrade", sqlstate::multiple_heads},
    {K::ambiguous_walk, "ambiguous_walk", sqlstate::bad_target},
    {K::bad_history_range, "bad_history_range", sqlstate::bad_target},
    {K::cycle, "cycle", sqlstate::broken_graph},
    {K::dependency_cycle, "dependency_cycle", sqlstate::broken_graph},
    {K::dependency_self_loop, "dependency_self_loop", sqlstate::broken_graph},
    {K::duplicate_heads, "duplicate_heads", sqlstate::bad_target},
    {K::duplicate_label, "duplicate_label", sqlstate::duplicate_object},
    {K::duplicate_revision, "duplicate_revision", sqlstate::duplicate_object},
    {K::illegal_rev_id, "illegal_rev_id", sqlstate::invalid_parameter},
    {K::missing_reference, "missing_reference", sqlstate::broken_graph},
    {K::multiple_heads, "multiple_heads", sqlstate::multiple_heads},
    {K::no_such_branch, "no_such_branch", sqlstate::undefined_object},
    {K::no_such_revision, "no_such_revision", sqlstate::undefined_object},
    {K::not_a_head, "not_a_head", sqlstate::bad_target},
    {K::not_member_of_branch, "not_member_of_branch", sqlstate::undefined_object},
    {K::range_not_allowed, "range_not_allowed", sqlstate::bad_target},
    {K::range_not_ancestor, "range_not_ancestor", sqlstate::bad_target},
    {K::relative_out_of_range, "relative_out_of_range", sqlstate::bad_target},
    {K::requested_overlap, "requested_overlap", sqlstate::bad_target},
    {K::revision_error, "revision_error", sqlstate::bad_target},
    {K::self_loop, "self_loop", sqlstate::broken_graph},
    {K::walked_too_far, "walked_too_far", sqlstate::bad_target},
};

const KindRow& row_of(GraphErrorKind kind) noexcept {
  for (const KindRow& row : kinds) {
    if (row.kind == kind) return row;
  }
  return kinds[0];
}

std::string cannot_locate(std::string_view name) {
  return formatted("Can't locate revision identified by '{}'", name);
}

}  // namespace

std::string_view to_text(GraphErrorKind kind) noexcept {
  return row_of(kind).name;
}

const char* state_of(GraphErrorKind kind) noexcept {
  return row_of(kind).state;
}

std::string sql_literal(std::string_view text) {
  // A backslash is only safe without regard to standard_conforming_strings in the E'' form.
  std::string out = text.find('\\') == std::string_view::npos ? "'" : "E'";
  for (char c : text) {
    if (c == '\'' || c == '\\') out += c;
    out += c;
  }
  return out + "'";
}

GraphError no_such_revision(std::string_view name) {
  // People type three characters of an id more often than they misspell it, so the reason is worth its words.
  const char* more =
      name.size() < 4 ? "; please ensure at least four characters are present for partial revision identifier matches"
                      : "";
  return {K::no_such_revision, cannot_locate(name), formatted("No such revision or branch '{}'{}", name, more),
          look_at_history};
}

GraphError no_such_branch(std::string_view label) {
  return {K::no_such_branch, cannot_locate(label), formatted("No such branch: '{}'", label),
          "SELECT * FROM migration_branches();"};
}

GraphError ambiguous_prefix(std::string_view prefix, const std::vector<std::string_view>& matches) {
  std::string shown;
  for (std::size_t i = 0; i < matches.size() && i < 3; ++i) shown += formatted("{}'{}'", i ? ", " : "", matches[i]);
  return {K::ambiguous_prefix, cannot_locate(prefix),
          formatted("Multiple revisions start with '{}': {}...", prefix, shown), look_at_history};
}

GraphError unknown_applied(std::string_view id, GraphErrorKind kind) {
  const char* cause = kind == K::no_such_branch ? "No such branch: " : "No such revision or branch ";
  return {kind, cannot_locate(id),
          formatted("{}'{}'. This database records it as applied, but it is not registered here.", cause, id),
          formatted("{}  -- then register '{}' again; or, if you know which registered revision the schema matches, "
                    "name that one in migration_stamp(revision, purge => true)",
                    look_at_history, id)};
}

GraphError relative_out_of_range(std::string_view relative, std::string_view count, std::string detail,
                                 std::string hint) {
  if (hint.empty()) hint = look_at_history;
  return {K::relative_out_of_range, formatted("Relative revision {} didn't produce {} migrations", relative, count),
          std::move(detail), std::move(hint)};
}

}  // namespace migration
