// Storing a run; see submit.hpp.
#include "worker/submit.hpp"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "catalog/leftovers.hpp"
#include "catalog/revisions.hpp"
#include "pg/process.hpp"
#include "statement/formatted.hpp"

namespace migration {

std::vector<catalog::StepRecord> step_records(const PlannedRun& planned) {
  std::unordered_map<std::string, const std::string*> paths;
  for (const PlannedRevision& r : planned.revisions) paths[r.stored.node.id] = &r.stored.script_path;
  std::vector<catalog::StepRecord> out;
  out.reserve(planned.plan.steps.size());
  for (const Step& step : planned.plan.steps) {
    catalog::StepRecord record;
    record.step = step.number;
    record.revision = step.revision;
    record.kind = to_text(step.kind);
    record.settings = step.settings;
    record.completes = step.completes;
    auto path = paths.find(step.revision);
    if (path != paths.end()) record.script_path = *path->second;
    for (const PlannedStatement& s : step.statements) record.statements.push_back(s.statement.text);
    out.push_back(std::move(record));
  }
  return out;
}

namespace {

using Ids = std::unordered_set<std::string>;

Ids ids_of(const PlannedRun& planned) {
  Ids out;
  for (const PlannedRevision& r : planned.revisions) out.insert(r.stored.node.id);
  return out;
}

bool goes_on(const catalog::HalfDone& half, const PlannedRun& planned, const Ids& on_path) {
  return (half.direction == "upgrade") == planned.up && on_path.count(half.revision) > 0;
}

/// Does the path touch the revision, one that builds on it or, undoing, one that it builds on?
bool touches(const RevisionGraph& graph, const std::string& revision, const Ids& on_path, bool up) {
  if (on_path.count(revision) > 0) return true;
  const auto at = graph.index_of(revision);
  if (!at) return false;
  const auto meets = [&](auto&& next) {
    std::vector<std::size_t> todo{*at};
    std::unordered_set<std::size_t> seen{*at};
    while (!todo.empty()) {
      const std::size_t i = todo.back();
      todo.pop_back();
      if (on_path.count(graph.id(i)) > 0) return true;
      for (std::size_t k : next(i)) {
        if (seen.insert(k).second) todo.push_back(k);
      }
    }
    return false;
  };
  if (meets([&](std::size_t i) { return graph.effective_children(i); })) return true;
  return !up && meets([&](std::size_t i) { return graph.effective_parents(i); });
}

}  // namespace

bool completes_half_done(const PlannedRun& planned) {
  const std::vector<catalog::HalfDone> all = catalog::half_done_revisions();
  if (all.empty()) return false;
  const Ids on_path = ids_of(planned);
  return std::any_of(all.begin(), all.end(), [&](const auto& half) { return goes_on(half, planned, on_path); });
}

void require_nothing_half_done(const PlannedRun& planned) {
  if (planned.revisions.empty()) return;
  const std::vector<catalog::HalfDone> all = catalog::half_done_revisions();
  if (all.empty()) return;
  const Ids on_path = ids_of(planned);
  const RevisionGraph graph = catalog::load_graph();
  for (const catalog::HalfDone& half : all) {
    if (goes_on(half, planned, on_path) || !touches(graph, half.revision, on_path, planned.up)) continue;
    throw MigrationError(
        sqlstate::not_in_prerequisite_state,
        formatted("revision \"{}\" is half {} by run {}", half.revision,
                  half.direction == "downgrade" ? "undone" : "done", half.run_id),
        formatted("Its finished steps stay in the database until its {} is completed.", half.direction),
        half.closed ? catalog::completion_of(half) : formatted("SELECT migration_resume({});", half.run_id));
  }
}

catalog::RunRecord store_run(const PlannedRun& planned, const pg::Role& role, const pg::Role& session,
                             int lock_timeout_ms, int lock_retries, int batch_target_ms) {
  catalog::RunRecord run;
  run.direction = planned.up ? "upgrade" : "downgrade";
  run.target = planned.target;
  run.background = true;
  run.role_name = role.name;
  run.role_oid = role.oid;
  run.session_name = session.name;
  run.session_oid = session.oid;
  run.lock_timeout_ms = lock_timeout_ms;
  run.lock_retries = lock_retries;
  run.batch_target_ms = batch_target_ms;
  const std::vector<catalog::StepRecord> steps = step_records(planned);
  catalog::insert_run(run, steps);
  for (const catalog::HalfDone& half : catalog::half_done_revisions()) {
    if ((half.direction == "upgrade") != planned.up) continue;
    const auto source = catalog::load_run(half.run_id);
    const bool from_elsewhere = !source || source->system_identifier != std::to_string(pg::system_identifier()) ||
                                source->database_oid != pg::database_oid();
    std::size_t i = 0;
    for (const catalog::StepRecord& step : steps) {
      if (step.revision != half.revision) continue;
      if (i == half.steps.size()) break;
      const catalog::StepRecord& old = half.steps[i++];
      if (old.statements != step.statements || old.kind != step.kind) {
        if (old.state != "succeeded") break;
        throw MigrationError(
            sqlstate::edited_after_apply,
            formatted("revision \"{}\" was changed after run {} had done part of it", half.revision, half.run_id),
            formatted("Step {} is done and no longer the same: {}", old.step,
                      old.statements.empty() ? std::string() : old.statements.front()),
            formatted("SELECT migration_resume({});  -- or give the finished statements back to the script",
                      half.run_id));
      }
      catalog::adopt_step(run.run_id, step.step, old, half.run_id);
      if (old.state != "succeeded") break;
    }
    if (from_elsewhere) catalog::forget_oids(run.run_id);
  }
  catalog::supersede_runs(run.run_id);
  catalog::log_event({run.run_id, "", 0, "queued", role.name, -1, {}});
  return run;
}

}  // namespace migration
