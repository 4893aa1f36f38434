// migration_plan and migration_sql: what would run, shown and as a script.
//
// What: one row per statement with its lock and what it keeps others from doing; or a script that psql runs to the same
// end, ledger rows included. Why both from the same plan: what is reviewed is what runs. Invariant: nothing is written,
// so both also work on a standby and for a role that may only read. Direction: a target that is applied already is
// planned as a downgrade to it.
#include <cctype>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>

#include "api/projection.hpp"
#include "backfill/call_text.hpp"
#include "catalog/facts.hpp"
#include "catalog/other_table.hpp"
#include "catalog/revisions.hpp"
#include "pg/function.hpp"
#include "pg/identity.hpp"
#include "pg/parse.hpp"
#include "pg/settings.hpp"
#include "revision/target.hpp"
#include "statement/formatted.hpp"
#include "worker/owner_rights.hpp"
#include "worker/planning.hpp"

namespace migration {

namespace {

/// Does the target lie below what is applied?
bool is_downgrade(const std::string& target) {
  if (target.starts_with('-') || target.find("@-") != std::string::npos) return true;
  if (target == "base") return true;
  if (target == "head" || target == "heads" || target.find('+') != std::string::npos) return false;
  const RevisionGraph graph = catalog::load_graph();
  const auto ids = catalog::load_applied();
  const AppliedSet applied(graph, std::vector<std::string>(ids.begin(), ids.end()));
  if (!upgrade_path(graph, applied, target).empty()) return false;
  try {
    return !downgrade_path(graph, applied, target).empty();
  } catch (const GraphError&) {
    return false;
  }
}

pg::Value or_null(const std::string& s) {
  return s.empty() ? pg::Value() : pg::Value(s);
}

/// CHECK (column IS NOT NULL) constraints that the plan itself adds: a valid one spares SET NOT NULL its scan.
class NotNullProofs {
 public:
  /// The server drops before it looks, and looks before it adds, whatever the order in the statement.
  void begin(const Statement& s) {
    for (const AlterAction& action : s.actions) {
      if (action.kind != "drop constraint") continue;
      constraints_.erase(s.relation + " " + action.name);
      less_.insert(s.relation);
    }
  }
  void end(const Statement& s) {
    for (const AlterAction& action : s.actions) learn(s.relation, action);
  }
  /// Has the plan dropped a constraint of this relation? Then the catalogs may know too much.
  bool dropped(const std::string& relation) const { return less_.count(relation) > 0; }
  bool known(const std::string& relation, const std::string& column) const {
    for (const auto& [name, proof] : constraints_) {
      if (proof.valid && name.starts_with(relation + " ") && proof.test == bare(column + " IS NOT NULL")) return true;
    }
    return false;
  }

 private:
  struct Proof {
    std::string test;
    bool valid;
  };
  void learn(const std::string& relation, const AlterAction& action) {
    const std::string name = relation + " " + action.name;
    if (action.kind == "set not null") {
      constraints_[name + " NOT NULL"] = Proof{bare(action.name + " IS NOT NULL"), true};
    } else if (action.kind == "drop not null") {
      constraints_.erase(name + " NOT NULL");
    } else if (action.kind == "add constraint" && action.detail == "check") {
      constraints_[name] = Proof{bare(action.expression), !action.not_valid};
    } else if (action.kind == "validate constraint") {
      if (const auto at = constraints_.find(name); at != constraints_.end()) at->second.valid = true;
    }
  }
  /// Without white space and outer parentheses; letter case counts inside double quotes only.
  static std::string bare(std::string_view text) {
    std::string out;
    bool quoted = false;
    for (char c : text) {
      if (c == '"') quoted = !quoted;
      if (quoted || std::isspace(static_cast<unsigned char>(c)) == 0) {
        out += quoted ? c : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      }
    }
    while (out.size() > 1 && out.front() == '(' && out.back() == ')') out = out.substr(1, out.size() - 2);
    return out;
  }
  std::map<std::string, Proof> constraints_;
  std::set<std::string> less_;
};

/// A relation or schema name on one line of a comment.
std::string one_line(const std::string& text) {
  std::string out;
  for (char c : text) out += c == '\n' || c == '\r' ? ' ' : c;
  return out;
}

std::string ledger_line(bool up, const PlannedRevision& r) {
  if (!up) return formatted("DELETE FROM migration_ext.applied WHERE revision = {};\n", literal(r.stored.node.id));
  return formatted(
      "INSERT INTO migration_ext.applied (revision, fingerprint, applied_at, applied_by, stamped) VALUES ({}, {}, "
      "clock_timestamp(), current_user, false);\n",
      literal(r.stored.node.id), literal(r.stored.fingerprint));
}

bool has_settings(const Step& step) {
  for (const PlannedStatement& p : step.statements) {
    if (p.statement.kind == StatementKind::set) return true;
  }
  return false;
}

/// psql cannot build an index concurrently on a partitioned table, and need not on one that the script itself makes.
bool needs_plain_form(const Statement& s, const PlannedRevision& r) {
  if (s.kind != StatementKind::create_index || !s.concurrently) return false;
  pg::SettingsFrame frame;
  apply_script_path(r.stored.script_path);
  return catalog::relation_facts(s.relation).kind != 'r';
}

/// The script of a plan. Transactional steps stand in BEGIN/COMMIT, the others between transactions.
std::string script_of(const PlannedRun& run) {
  std::string out = "\\set ON_ERROR_STOP on\n";
  std::size_t at = 0;
  std::string announced, path;
  for (const Step& step : run.plan.steps) {
    while (run.revisions[at].stored.node.id != step.revision) ++at;
    const PlannedRevision& r = run.revisions[at];
    if (announced != step.revision) {
      announced = step.revision;
      out += "\n-- " + one_line(running_line(run.up, r)) + "\n";
    }
    if (path != r.stored.script_path) {
      path = r.stored.script_path;
      out += formatted("SELECT pg_catalog.set_config('search_path', {}, false);\n",
                       literal(path.empty() ? "pg_catalog" : path));
    }
    const bool enum_value =
        !step.statements.empty() && step.statements[0].statement.kind == StatementKind::enum_add_value;
    const bool inside =
        step.kind == StepKind::tx || step.kind == StepKind::validate || step.kind == StepKind::backfill || enum_value;
    for (const std::string& setting : step.settings) out += setting + ";\n";
    if (inside) out += "BEGIN;\n";
    for (const PlannedStatement& p : step.statements) {
      if (p.statement.kind == StatementKind::backfill_call) {
        pg::SettingsFrame frame;
        apply_script_path(r.stored.script_path);
        out += backfill::one_statement(p.statement, catalog::columns_by_name(p.statement)) + ";\n";
      } else {
        out += (needs_plain_form(p.statement, r) ? pg::without_concurrently(p.statement.text) : p.statement.text) +
               "\n;\n";
      }
    }
    if (step.completes) {
      if (!inside) out += "BEGIN;\n";
      out += ledger_line(run.up, r) + "COMMIT;\n";
    } else if (inside) {
      out += "COMMIT;\n";
    }
    if (!step.settings.empty() || has_settings(step)) out += "RESET ALL;\n", path.clear();
  }
  return out;
}

}  // namespace

}  // namespace migration

using namespace migration;

/// migration_plan(target, online): one row per statement, in order. Errors: those of the target.
MIGRATION_FUNCTION(migration_plan) {
  const std::string target = pg::required_text(fcinfo, 0, "target", "SELECT * FROM migration_plan('head');");
  const bool online = pg::bool_argument(fcinfo, 1, true);
  const bool up = !is_downgrade(target);
  const PlannedRun run = plan_run(up, target, online, pg::current_role(), PlanUse::show);
  pg::ResultRows out(fcinfo);
  std::size_t at = 0;
  std::unordered_map<std::string, RelationFacts> facts;
  std::optional<pg::SettingsFrame> frame;  // kept as long as the path is the same: each change of it costs
  std::string path;
  const auto use_path = [&](const std::string& wanted) {
    if (frame && path == wanted) return;
    frame.reset();
    frame.emplace();
    path = wanted;
    apply_script_path(path);
  };
  NotNullProofs proofs;
  const std::string direction = up ? "upgrade" : "downgrade";
  for (const Step& step : run.plan.steps) {
    while (run.revisions[at].stored.node.id != step.revision) ++at;
    const catalog::StoredRevision& stored = run.revisions[at].stored;
    const pg::Value transaction = step.transaction > 0 ? pg::sql_int(step.transaction) : pg::Value();
    if (step.statements.empty()) {
      const std::string note = !up && !stored.downgrade ? "no downgrade: " + stored.downgrade_kind : "";
      out.add({pg::sql_int(step.number), step.revision, direction, std::string(to_text(step.kind)), std::string(""),
               pg::Value(), pg::Value(), std::string("nothing"), pg::sql_bool(false), pg::sql_bool(false), pg::Value(),
               pg::Value(), transaction, or_null(note)});
      continue;
    }
    for (const PlannedStatement& p : step.statements) {
      const Statement& s = p.statement;
      StrongestLock lock = strongest_lock(s);
      std::string text = s.text;
      if (!online && (s.concurrently || s.kind == StatementKind::detach_concurrently))
        text = pg::without_concurrently(text);
      bool rewrites = false, scans = false;
      proofs.begin(s);
      for (const AlterAction& action : s.actions) {
        rewrites = rewrites || action.rewrites;
        if (!action.scans || scans) continue;
        if (action.kind == "set not null") {
          use_path(stored.script_path);
          if (proofs.known(s.relation, action.name)) continue;
          if (!proofs.dropped(s.relation) && catalog::proven_not_null(s.relation, action.name)) continue;
        }
        scans = true;
      }
      proofs.end(s);
      std::string relation = s.relation.empty() ? lock.relation : s.relation;
      if (s.backfill) relation = s.backfill->relation;
      const bool copies = s.change && s.change->copy;
      pg::Value rows, bytes;
      if (!relation.empty()) {
        auto [it, fresh] = facts.try_emplace(stored.script_path + "\n" + relation);
        if (fresh) {
          use_path(stored.script_path);
          if (catalog::resolve_relation(relation) != 0) it->second = catalog::relation_facts(relation);
        }
        if (it->second.exists && it->second.rows >= 0) {
          rows = pg::sql_int(it->second.rows);
          bytes = pg::sql_int(it->second.bytes);
        }
      }
      if (lock.mode.empty() && s.backfill) lock.mode = "RowExclusiveLock";
      pg::Row row;
      row.reserve(14);
      row.emplace_back(pg::sql_int(step.number));
      row.emplace_back(step.revision);
      row.emplace_back(direction);
      row.emplace_back(to_text(step.kind));
      row.emplace_back(std::move(text));
      // The lock is on the table that a copy goes to; the rows are those of the other.
      row.emplace_back(or_null(copies ? s.change->copy->into : relation));
      row.emplace_back(or_null(lock.mode));
      row.emplace_back(blocks_of(lock.mode));
      row.emplace_back(pg::sql_bool(rewrites));
      row.emplace_back(pg::sql_bool(scans || rewrites));
      row.emplace_back(std::move(rows));
      row.emplace_back(std::move(bytes));
      row.emplace_back(transaction);
      std::string note = p.note;
      if (step.kind == StepKind::backfill) {
        use_path(stored.script_path);
        const std::string size = projected_size(s, facts[stored.script_path + "\n" + relation]);
        if (!size.empty()) note += (note.empty() ? "" : "; ") + size;
        const std::string owner =
            owner_note(catalog::resolve_relation(copies ? s.change->copy->into : relation), pg::current_role());
        if (!owner.empty()) note += (note.empty() ? "" : "; ") + owner;
      }
      row.emplace_back(or_null(note));
      out.add(row);
    }
  }
  return out.done();
}

/// migration_sql(target, from_target) -> text: a script for review and psql that ends where migration_upgrade (or, for
/// a target below, migration_downgrade) ends, ledger rows included. To be run by the owner of the ledger.
/// `from_target`: as if exactly that were applied. Errors: those of the target; MX030 when a downgrade is missing.
MIGRATION_FUNCTION(migration_sql) {
  const std::string target = pg::required_text(fcinfo, 0, "target", "SELECT migration_sql('head');");
  const auto from = pg::text_argument(fcinfo, 1);
  bool up = true;
  PlannedRun run;
  if (from) {
    run = plan_range(*from, target, pg::current_role(), up);
  } else {
    up = !is_downgrade(target);
    run = plan_run(up, target, true, pg::current_role(), PlanUse::run_untrusted);
  }
  return pg::text_result(fcinfo, script_of(run));
}
