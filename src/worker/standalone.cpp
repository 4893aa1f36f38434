// Planning one backfill; see standalone.hpp.
#include "worker/standalone.hpp"

#include <utility>

#include "catalog/facts.hpp"
#include "catalog/other_table.hpp"
#include "pg/parse.hpp"
#include "plan/fill_trigger.hpp"
#include "plan/plan.hpp"
#include "worker/planning.hpp"

namespace migration {

namespace {

/// Why there is no trigger or constraint for the backfill of this plan.
std::string reason_of(const Plan& plan) {
  for (const Step& step : plan.steps) {
    if (step.kind != StepKind::backfill) continue;
    const auto fill = fill_of(step);
    if (fill) return "Its texts cannot be a trigger: " + fill->refusal + ".";
  }
  return "Its condition has to say c IS NULL for a column c that it assigns.";
}

void require_made(const Plan& plan, const backfill::Settings& settings, const std::string& hint) {
  bool trigger = false, check = false;
  for (const Step& step : plan.steps) {
    check = check || step.kind == StepKind::validate;
    std::vector<std::string> texts;
    for (const PlannedStatement& p : step.statements) texts.push_back(p.statement.text);
    trigger = trigger || !fill_trigger_made_by(texts).empty();
  }
  if (settings.trigger == "on" && !trigger) {
    throw MigrationError(sqlstate::feature_not_supported, "a fill trigger is not possible here", reason_of(plan), hint);
  }
  if (settings.verify == "constraint" && !check) {
    throw MigrationError(sqlstate::feature_not_supported, "a proof by constraint is not possible here", reason_of(plan),
                         hint);
  }
}

}  // namespace

std::vector<catalog::StepRecord> standalone_steps(const std::string& sql, const backfill::Settings& settings,
                                                  const std::string& script_path, const pg::Role& executor,
                                                  const std::string& hint) {
  std::vector<catalog::StepRecord> out;
  const auto add = [&](StepKind kind) -> catalog::StepRecord& {
    catalog::StepRecord record;
    record.step = static_cast<int>(out.size()) + 1;
    record.kind = to_text(kind);
    record.script_path = script_path;
    out.push_back(std::move(record));
    return out.back();
  };
  std::vector<Statement> statements = pg::parse_script(sql, "backfill", hint);
  if (statements.size() != 1 || !statements[0].backfill) {
    add(StepKind::backfill).statements = {sql};
  } else {
    statements[0].backfill->trigger = settings.trigger;
    statements[0].backfill->verify = settings.verify;
    std::vector<RevisionScript> scripts(1);
    scripts[0].path = fixed_path(script_path, executor);
    scripts[0].statements = std::move(statements);
    const Plan plan = make_plan(std::move(scripts), true, true, catalog::relation_facts, {}, catalog::other_table);
    require_made(plan, settings, hint);
    for (const Step& step : plan.steps) {
      catalog::StepRecord& record = add(step.kind);
      for (const PlannedStatement& p : step.statements) record.statements.push_back(p.statement.text);
    }
  }
  out.back().completes = true;
  return out;
}

}  // namespace migration
