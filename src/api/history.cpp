// Looking at the graph: migration_history, migration_current, migration_heads, migration_branches, migration_show.
//
// What: read-only views of graph and applied set. Invariant: script text comes out of migration_show only, which is
// granted with the reader level.

#include <unordered_map>

#include "catalog/revisions.hpp"
#include "pg/function.hpp"
#include "pg/sql.hpp"
#include "revision/log_graph.hpp"
#include "revision/target.hpp"
#include "worker/planning.hpp"

namespace migration {

namespace {

struct View {
  RevisionGraph graph;
  std::vector<catalog::AppliedRevision> rows;
  std::unordered_map<std::string, std::size_t> row_of;
  AppliedSet applied;

  static View load() {
    RevisionGraph graph = catalog::load_graph();
    std::vector<catalog::AppliedRevision> rows = catalog::load_applied_rows();
    std::unordered_map<std::string, std::size_t> row_of;
    std::vector<std::string> ids;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      row_of[rows[i].revision] = i;
      ids.push_back(rows[i].revision);
    }
    AppliedSet applied(graph, ids);
    return View{std::move(graph), std::move(rows), std::move(row_of), std::move(applied)};
  }

  const catalog::AppliedRevision* row(std::size_t i) const {
    auto it = row_of.find(graph.id(i));
    return it == row_of.end() ? nullptr : &rows[it->second];
  }
};

pg::Value array_or_empty(const std::vector<std::string>& items) {
  return pg::sql_array(items);
}

std::string state_of(const View& view, std::size_t i) {
  const catalog::AppliedRevision* row = view.row(i);
  if (row == nullptr) return "pending";
  return row->stamped ? "stamped" : "applied";
}

}  // namespace

}  // namespace migration

using namespace migration;

/// migration_history(range): revisions newest first. Range 'a:b' as in Alembic. Errors: 42704, MX004.
MIGRATION_FUNCTION(migration_history) {
  const std::string range = pg::text_argument(fcinfo, 0).value_or("");
  const View view = View::load();
  const std::vector<std::size_t> order = history(view.graph, view.applied, range);
  const std::vector<std::string> cells = draw_log_graph(view.graph, order);
  pg::ResultRows out(fcinfo);
  for (std::size_t n = 0; n < order.size(); ++n) {
    const std::size_t i = order[n];
    const Revision& r = view.graph.at(i);
    const catalog::AppliedRevision* row = view.row(i);
    out.add({cells[n], r.id, array_or_empty(r.down), array_or_empty(r.depends_on), array_or_empty(r.labels), r.message,
             state_of(view, i), row ? pg::Value(row->applied_at) : pg::Value(),
             row ? pg::Value(row->applied_by) : pg::Value(), row && row->took ? pg::Value(*row->took) : pg::Value()});
  }
  return out.done();
}

/// migration_current(): the heads of what is applied.
MIGRATION_FUNCTION(migration_current) {
  const View view = View::load();
  pg::ResultRows out(fcinfo);
  for (std::size_t i : current_heads(view.graph, view.applied)) {
    const Revision& r = view.graph.at(i);
    const catalog::AppliedRevision* row = view.row(i);
    out.add({r.id, r.message, array_or_empty(r.labels), pg::sql_bool(view.graph.is_head(i)),
             row ? pg::Value(row->applied_at) : pg::Value(), row ? pg::Value(row->applied_by) : pg::Value()});
  }
  return out.done();
}

/// migration_heads(): revisions without children.
MIGRATION_FUNCTION(migration_heads) {
  const View view = View::load();
  pg::ResultRows out(fcinfo);
  for (std::size_t i : view.graph.heads()) {
    const Revision& r = view.graph.at(i);
    out.add({r.id, r.message, array_or_empty(r.labels), pg::sql_bool(view.applied.contains(i))});
  }
  return out.done();
}

/// migration_branches(): revisions with several children.
MIGRATION_FUNCTION(migration_branches) {
  const View view = View::load();
  pg::ResultRows out(fcinfo);
  for (const auto& [i, children] : branches(view.graph)) {
    std::vector<std::string> ids;
    for (std::size_t c : children) ids.push_back(view.graph.id(c));
    const Revision& r = view.graph.at(i);
    out.add({r.id, r.message, array_or_empty(r.labels), array_or_empty(ids)});
  }
  return out.done();
}

/// migration_show(revision): one row for each revision the text names ('heads' names several). Errors: 42704.
MIGRATION_FUNCTION(migration_show) {
  const std::string text = pg::required_text(fcinfo, 0, "revision", "SELECT * FROM migration_show('heads');");
  const View view = View::load();
  pg::ResultRows out(fcinfo);
  for (std::size_t i : show(view.graph, view.applied, text)) {
    const auto r = catalog::load_revision(view.graph.id(i));
    if (!r) continue;
    std::vector<std::string> children, approved;
    for (std::size_t c : view.graph.children(i)) children.push_back(view.graph.id(c));
    for (const catalog::Approval& a : catalog::load_approvals(r->node.id, r->fingerprint))
      approved.push_back(a.approved_by);
    const catalog::AppliedRevision* row = view.row(i);
    out.add({r->node.id, r->node.message, array_or_empty(r->node.down), array_or_empty(r->node.depends_on),
             array_or_empty(r->node.labels), array_or_empty(children), state_of(view, i), r->upgrade,
             r->downgrade ? pg::Value(*r->downgrade) : pg::Value(), r->downgrade_kind, r->fingerprint, r->options,
             r->registered_by, r->registered_at, array_or_empty(approved),
             row ? pg::Value(row->applied_at) : pg::Value(), row ? pg::Value(row->applied_by) : pg::Value(),
             row && row->took ? pg::Value(*row->took) : pg::Value()});
  }
  return out.done();
}
