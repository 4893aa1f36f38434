// migration_check: what is wrong or unfinished, for CI and for people.
//
// What: pending revisions, several heads, missing parents, missing downgrades, unknown applied ids, edited text,
// invalid indexes, left-over fill triggers, unfinished runs. Severity 'error' is what would stop or break an upgrade,
// 'warning' what deserves a look. Why one function: one line in CI (`SELECT migration_check(raise => true)`) and
// nothing to parse. Invariant: reads only.
#include "catalog/facts.hpp"
#include "catalog/fill_facts.hpp"
#include "catalog/leftovers.hpp"
#include "catalog/revisions.hpp"
#include "catalog/runs.hpp"
#include "pg/function.hpp"
#include "revision/target.hpp"
#include "statement/formatted.hpp"
#include "worker/planning.hpp"

namespace migration {

namespace {

struct Finding {
  std::string code, severity, object, message, hint;
};

std::vector<Finding> findings() {
  std::vector<Finding> out;
  const RevisionGraph graph = catalog::load_graph();
  const auto rows = catalog::load_applied_rows();
  std::vector<std::string> ids;
  ids.reserve(rows.size());
  for (const auto& row : rows) ids.push_back(row.revision);
  const AppliedSet applied(graph, ids);
  for (const MissingReference& m : graph.missing()) {
    out.push_back(
        {"missing_parent", "error", graph.id(m.revision),
         formatted("revision \"{}\" refers to \"{}\", which is not registered", graph.id(m.revision), m.missing),
         formatted("SELECT migration_export({});  -- then register what it refers to", literal(graph.id(m.revision)))});
  }
  if (graph.heads().size() > 1) {
    std::string names;
    for (std::size_t i : graph.heads()) names += (names.empty() ? "" : ", ") + graph.id(i);
    out.push_back({"several_heads", "error", names, formatted("{} heads", graph.heads().size()),
                   "SELECT migration_merge('merge heads');"});
  }
  for (const std::string& id : applied.unknown()) {
    out.push_back({"unknown_revision", "error", id, formatted("revision \"{}\" is applied but not registered", id),
                   "SELECT * FROM migration_history();"});
  }
  int pending = 0;
  for (std::size_t i = 0; i < graph.size(); ++i) pending += applied.contains(i) ? 0 : 1;
  if (pending > 0) {
    out.push_back(
        {"pending", "error", "", formatted("{} revision{} not applied", pending, pending == 1 ? " is" : "s are"),
         graph.heads().size() > 1 ? "SELECT migration_upgrade('heads');" : "SELECT migration_upgrade('head');"});
  }
  for (const std::string& id : catalog::revisions_without_downgrade()) {
    out.push_back({"no_downgrade", "warning", id, formatted("revision \"{}\" has no downgrade", id),
                   formatted("SELECT migration_export({});  -- add one, or declare it 'irreversible'", literal(id))});
  }
  for (const std::string& id : catalog::edited_revisions()) {
    out.push_back({"edited", "error", id, formatted("revision \"{}\" is not what was applied", id),
                   formatted("SELECT * FROM migration_show({});", literal(id))});
  }
  for (const catalog::InvalidIndex& index : catalog::invalid_indexes()) {
    out.push_back({"invalid_index", "error", index.name,
                   formatted("index {} on {} is invalid", index.name, index.table),
                   formatted("DROP INDEX CONCURRENTLY {};", index.name)});
  }
  for (const catalog::FillLeftover& left : catalog::fill_leftovers()) {
    const bool trigger = !left.function.empty();
    out.push_back({"fill_trigger", "warning", left.name,
                   formatted("{} {} on {} was left behind by a backfill", trigger ? "fill trigger" : "constraint",
                             left.name, left.table),
                   trigger
                       ? formatted("DROP TRIGGER {} ON {}; DROP FUNCTION {}();", left.name, left.table, left.function)
                       : formatted("ALTER TABLE {} DROP CONSTRAINT {};", left.table, left.name)});
  }
  for (const catalog::HalfDone& half : catalog::half_done_revisions()) {
    out.push_back({"half_done", "error", half.revision,
                   formatted("run {} stopped in the middle of revision \"{}\"", half.run_id, half.revision),
                   catalog::completion_of(half)});
  }
  return out;
}

}  // namespace

}  // namespace migration

using namespace migration;

/// migration_check(raise): one row per finding. Errors: MX020 with raise => true and any finding of severity 'error'.
MIGRATION_FUNCTION(migration_check) {
  const bool raise = pg::bool_argument(fcinfo, 0, false);
  const std::vector<Finding> all = findings();
  if (raise) {
    std::string detail;
    int errors = 0;
    const Finding* first = nullptr;
    for (const Finding& f : all) {
      if (f.severity != "error") continue;
      if (first == nullptr) first = &f;
      ++errors;
      detail += (detail.empty() ? "" : "\n") + f.code + ": " + f.message;
    }
    if (errors > 0) {
      throw MigrationError(sqlstate::check_failed,
                           formatted("migration check found {} error{}", errors, errors == 1 ? "" : "s"), detail,
                           first->hint);
    }
  }
  pg::ResultRows out(fcinfo);
  for (const Finding& f : all) {
    out.add({f.code, f.severity, f.object.empty() ? pg::Value() : pg::Value(f.object), f.message, f.hint});
  }
  return out.done();
}
