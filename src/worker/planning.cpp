// Planning against the ledger; see planning.hpp.
#include "worker/planning.hpp"

#include <unordered_map>

#include "backfill/settings.hpp"
#include "catalog/facts.hpp"
#include "catalog/other_table.hpp"
#include "catalog/tuning.hpp"
#include "pg/parse.hpp"
#include "pg/settings.hpp"
#include "pg/sql.hpp"
#include "plan/words.hpp"
#include "statement/formatted.hpp"
#include "worker/owner_rights.hpp"

namespace migration {

std::string literal(const std::string& text) {
  return pg::quote_literal(text);
}

void apply_script_path(const std::string& script_path) {
  std::string path = script_path.empty() ? "pg_catalog" : script_path;
  if (path.find("pg_temp") == std::string::npos) path += ", pg_temp";
  pg::set_local("search_path", path);
}

namespace {

std::string join(const std::vector<std::string>& items) {
  std::string out;
  for (const std::string& item : items) out += (out.empty() ? "" : ", ") + item;
  return out;
}

/// D2: may `executor` run this text?
class TrustCheck {
 public:
  explicit TrustCheck(pg::Role executor) : executor_(std::move(executor)) {}

  void require(const catalog::StoredRevision& r) {
    if (trusted(pg::Role{r.registered_by, r.registered_oid})) return;
    for (const catalog::Approval& a : catalog::load_approvals(r.node.id, r.fingerprint)) {
      if (trusted(pg::Role{a.approved_by, a.approved_oid})) return;
    }
    throw MigrationError(sqlstate::insufficient_privilege,
                         formatted("revision \"{}\" was registered by role \"{}\", whom role \"{}\" does not trust",
                                   r.node.id, r.registered_by, executor_.name),
                         formatted("Its text would run with the rights of \"{}\"; \"{}\" does not have them.",
                                   executor_.name, r.registered_by),
                         formatted("SELECT migration_approve({});  -- after reading SELECT * FROM migration_show({});",
                                   literal(r.node.id), literal(r.node.id)));
  }

 private:
  bool trusted(const pg::Role& registrant) {
    const std::string key = registrant.name + "/" + std::to_string(registrant.oid);
    auto [it, fresh] = known_.try_emplace(key, false);
    if (fresh) it->second = pg::trusts(executor_, registrant);
    return it->second;
  }

  pg::Role executor_;
  std::unordered_map<std::string, bool> known_;
};

std::string downgrade_script(const catalog::StoredRevision& r) {
  if (r.downgrade) return *r.downgrade;
  if (r.downgrade_kind == "irreversible") {
    throw MigrationError(sqlstate::irreversible, formatted("revision \"{}\" is declared irreversible", r.node.id),
                         "It was registered with downgrade => 'irreversible'.", "SELECT * FROM migration_history();");
  }
  throw MigrationError(
      sqlstate::irreversible, formatted("revision \"{}\" has no downgrade", r.node.id),
      "None was given at registration and none follows from its statements.",
      formatted("SELECT migration_export({});  -- add a downgrade script and register it again under a new id",
                literal(r.node.id)));
}

}  // namespace

std::string fixed_path(const std::string& script_path, const pg::Role& executor) {
  std::string out;
  for (const Word& word : words_of(script_path)) {
    if (!word.name || (word.text == "$user" && !pg::has_own_schema(executor))) continue;
    out += (out.empty() ? "" : ", ") + pg::quote_identifier(word.text == "$user" ? executor.name : word.text);
  }
  return out;
}

namespace {

/// What the planner has to know of a backfill's options.
void read_options(Statement& s) {
  if (!s.backfill || !s.backfill->options) return;
  backfill::Entries of_plan;
  for (auto& entry : catalog::json_entries(*s.backfill->options)) {
    if (entry.first == "trigger" || entry.first == "verify" || entry.first == "cursor") {
      of_plan.push_back(std::move(entry));
    }
  }
  backfill::Settings settings;
  backfill::apply(
      settings, settings, of_plan, backfill::Use::create,
      formatted("SELECT migration_backfill({}, 'c = 1', 'c IS NULL', '{{}}');", literal(s.backfill->relation)));
  s.backfill->trigger = settings.trigger;
  s.backfill->verify = settings.verify;
  s.backfill->cursor = settings.cursor;
}

PlannedRun plan_path(const RevisionGraph& graph, const std::vector<std::size_t>& path, bool up,
                     const std::string& target, bool online, const pg::Role& executor, PlanUse use) {
  PlannedRun run;
  run.up = up;
  run.target = target;
  std::vector<std::string> ids;
  ids.reserve(path.size());
  for (std::size_t i : path) ids.push_back(graph.id(i));
  std::vector<catalog::StoredRevision> stored = catalog::load_revisions(ids);

  TrustCheck trust(executor);
  std::vector<RevisionScript> scripts;
  scripts.reserve(stored.size());
  run.revisions.reserve(stored.size());
  std::unordered_map<std::string, RelationFacts> facts;
  std::unordered_map<std::string, std::string> paths;
  for (std::size_t i = 0; i < stored.size(); ++i) {
    pg::check_interrupts();
    catalog::StoredRevision& r = stored[i];
    if (use == PlanUse::run) trust.require(r);
    std::string way_back;
    if (!up && (use != PlanUse::show || r.downgrade)) way_back = downgrade_script(r);
    const std::string& text = up ? r.upgrade : way_back;
    RevisionScript script;
    script.revision = r.node.id;
    script.online = r.online;
    script.path = fixed_path(r.script_path, executor);
    script.statements =
        pg::parse_script(text, formatted("{} script of revision \"{}\"", up ? "upgrade" : "downgrade", r.node.id));
    for (Statement& s : script.statements) read_options(s);
    scripts.push_back(std::move(script));
    PlannedRevision planned;
    for (std::size_t parent : graph.effective_parents(path[i])) planned.parents.push_back(graph.id(parent));
    planned.stored = std::move(r);
    run.revisions.push_back(std::move(planned));
  }

  // Names are resolved with the path of the revision in hand; one frame per revision with rows to change is enough.
  std::size_t at = 0;
  const RelationLookup lookup = [&](const std::string& name) -> RelationFacts {
    const std::string& path_text = run.revisions[at].stored.script_path;
    auto [it, fresh] = facts.try_emplace(path_text + "\n" + name);
    if (fresh) {
      pg::SettingsFrame frame;
      apply_script_path(path_text);
      it->second = catalog::relation_facts(name);
    }
    return it->second;
  };
  const PlanCursor follow = [&](std::size_t i) { at = i; };
  const OtherLookup other = [&](const RowChange& change) {
    pg::SettingsFrame frame;
    apply_script_path(run.revisions[at].stored.script_path);
    return catalog::other_table(change);
  };
  run.plan = make_plan(std::move(scripts), up, online, lookup, follow, other);
  if (use == PlanUse::run) require_owner_rights(run.plan, executor);
  return run;
}

}  // namespace

PlannedRun plan_run(bool up, const std::string& target, bool online, const pg::Role& executor, PlanUse use) {
  const RevisionGraph graph = catalog::load_graph();
  const auto applied_ids = catalog::load_applied();
  const AppliedSet applied(graph, std::vector<std::string>(applied_ids.begin(), applied_ids.end()));
  const std::vector<std::size_t> path =
      up ? upgrade_path(graph, applied, target) : downgrade_path(graph, applied, target);
  return plan_path(graph, path, up, target, online, executor, use);
}

PlannedRun plan_range(const std::string& from, const std::string& to, const pg::Role& executor, bool& up) {
  const RevisionGraph graph = catalog::load_graph();
  const StampResult start = stamp(graph, AppliedSet(graph, std::vector<std::string>{}), from, true);
  const AppliedSet applied(graph, start.applied);
  std::vector<std::size_t> path;
  up = to != "base" && (to.empty() || to[0] != '-');
  if (up) path = upgrade_path(graph, applied, to);
  if (path.empty()) {
    path = downgrade_path(graph, applied, to);
    up = false;
  }
  return plan_path(graph, path, up, to, true, executor, PlanUse::run_untrusted);
}

std::vector<std::string> data_losses(const PlannedRun& run) {
  std::vector<std::string> losses;
  std::size_t at = 0;
  for (const Step& step : run.plan.steps) {
    while (at + 1 < run.revisions.size() && run.revisions[at].stored.node.id != step.revision) ++at;
    for (const PlannedStatement& planned : step.statements) {
      const StatementKind kind = planned.statement.kind;
      if (kind != StatementKind::drop && kind != StatementKind::alter_table && kind != StatementKind::truncate)
        continue;
      pg::SettingsFrame frame;
      apply_script_path(run.revisions[at].stored.script_path);
      for (std::string& loss : catalog::losses_of(planned.statement)) losses.push_back(std::move(loss));
    }
  }
  return losses;
}

void require_loss_consent(const PlannedRun& run, bool allowed) {
  if (allowed) return;
  const std::vector<std::string> losses = data_losses(run);
  if (losses.empty()) return;
  throw MigrationError(sqlstate::irreversible, formatted("downgrade to {} would lose data", literal(run.target)),
                       "Lost would be: " + join(losses) + ".",
                       formatted("SELECT migration_downgrade({}, allow_data_loss => true);", literal(run.target)));
}

std::string running_line(bool up, const PlannedRevision& r) {
  const std::string parents = join(r.parents);
  return up ? formatted("Running upgrade {} -> {}, {}", parents, r.stored.node.id, r.stored.node.message)
            : formatted("Running downgrade {} -> {}, {}", r.stored.node.id, parents, r.stored.node.message);
}

}  // namespace migration
