// Cutting scripts into steps; see plan.hpp.
#include "plan/plan.hpp"

#include <algorithm>
#include <stdexcept>
#include <string_view>
#include <unordered_set>

#include "plan/fill_trigger.hpp"
#include "statement/error.hpp"

namespace migration {

const char* to_text(StepKind kind) {
  switch (kind) {
    case StepKind::tx:
      return "tx";
    case StepKind::concurrent:
      return "concurrent";
    case StepKind::backfill:
      return "backfill";
    case StepKind::validate:
      return "validate";
  }
  return "tx";
}

StepKind step_kind_from(const std::string& text) {
  if (text == "concurrent") return StepKind::concurrent;
  if (text == "backfill") return StepKind::backfill;
  if (text == "validate") return StepKind::validate;
  return StepKind::tx;
}

bool Plan::background() const {
  return std::any_of(steps.begin(), steps.end(), [](const Step& s) { return s.kind != StepKind::tx; });
}

const char* blocks_of(const std::string& mode) {
  if (mode == "AccessExclusiveLock") return "reads and writes";
  if (mode == "ShareLock" || mode == "ShareRowExclusiveLock" || mode == "ExclusiveLock") return "writes";
  return "nothing";
}

StrongestLock strongest_lock(const Statement& s) {
  static const char* const order[] = {
      "AccessShareLock", "RowShareLock",          "RowExclusiveLock", "ShareUpdateExclusiveLock",
      "ShareLock",       "ShareRowExclusiveLock", "ExclusiveLock",    "AccessExclusiveLock"};
  StrongestLock best;
  int best_rank = -1;
  for (const RelationUse& use : s.locks) {
    const auto* found =
        std::find_if(std::begin(order), std::end(order), [&](const char* n) { return use.lock_mode == n; });
    const int rank = static_cast<int>(found - std::begin(order));
    if (found != std::end(order) && rank > best_rank) {
      best_rank = rank;
      best = StrongestLock{use.lock_mode, use.name};
    }
  }
  return best;
}

namespace {

/// Builds the steps; remembers what the plan itself creates, because such relations have no users yet.
class Planner {
 public:
  Planner(bool up, bool online, const RelationLookup& lookup, const OtherLookup& other)
      : lookup_(lookup), other_(other) {
    plan_.up = up;
    plan_.online = online;
  }

  void add(RevisionScript&& script) {
    settings_.clear();
    path_ = script.path;
    const bool batches = plan_.online && script.online;
    const std::size_t first = plan_.steps.size();
    for (Statement& s : script.statements) {
      const std::vector<std::string> creates = s.creates;
      const bool sets = s.kind == StatementKind::set;
      const std::string text = sets ? s.text : std::string();
      place(script.revision, std::move(s), batches);
      if (sets) settings_.push_back(text);
      created_.insert(creates.begin(), creates.end());
    }
    fold_settings(first);
    if (plan_.steps.size() == first) open(script.revision, StepKind::tx);
    plan_.steps.back().completes = true;
  }

  Plan finish() {
    if (plan_.online) add_fill_triggers(plan_);
    int transaction = 0;
    const bool background = plan_.background();
    for (std::size_t i = 0; i < plan_.steps.size(); ++i) {
      Step& step = plan_.steps[i];
      step.number = static_cast<int>(i) + 1;
      if (!background) {
        step.transaction = 1;
      } else if (step.kind == StepKind::tx || step.kind == StepKind::validate) {
        step.transaction = ++transaction;
      }
    }
    return std::move(plan_);
  }

 private:
  Step& open(const std::string& revision, StepKind kind) {
    Step step;
    step.revision = revision;
    step.kind = kind;
    step.settings = settings_;
    step.path = path_;
    plan_.steps.push_back(std::move(step));
    return plan_.steps.back();
  }

  bool is_new(const std::string& name) const { return created_.count(name) > 0; }

  void place(const std::string& revision, Statement&& s, bool batches) {
    PlannedStatement planned;
    bool is_long = false;
    const StepKind kind = plan_.online ? kind_of(s, batches, planned.note, is_long) : StepKind::tx;
    if (!plan_.online) planned.note = offline_note(s);
    if (kind == StepKind::backfill || has_backfill_) {
      const std::string relation = s.change ? s.change->relation : s.relation;
      const RelationFacts facts = relation.empty() || is_new(relation) ? RelationFacts() : lookup_(relation);
      planned.table = facts.name;
      if (kind == StepKind::backfill && s.change) {
        planned.no_trigger = fill_trigger_obstacle(*s.change, facts);
        if (planned.no_trigger.empty()) planned.no_trigger = other_table(*s.change).no_trigger;
      }
    }
    has_backfill_ = has_backfill_ || kind == StepKind::backfill;
    planned.statement = std::move(s);
    const bool blocks = plan_.online && blocks_others(planned.statement);
    const bool joins = kind == StepKind::tx && !plan_.steps.empty() && plan_.steps.back().kind == StepKind::tx &&
                       plan_.steps.back().revision == revision && !(is_long && blocking_) && !(blocks && long_);
    if (!joins) long_ = blocking_ = false;
    long_ = long_ || is_long;
    blocking_ = blocking_ || blocks;
    Step& step = joins ? plan_.steps.back() : open(revision, kind);
    step.statements.push_back(std::move(planned));
  }

  /// What is known of a second table; nothing when there is none, or when the plan makes it.
  OtherTable other_table(const RowChange& change) const {
    const std::string& name = change.copy ? change.copy->into : change.lookup;
    return name.empty() || is_new(name) || !other_ ? OtherTable() : other_(change);
  }

  /// How the batches of a call go, for those forms that say more than "batches".
  std::string note_of_call(const Statement& s) const {
    const bool plain = s.change && !s.change->copy && s.change->from.empty();
    if (!s.change || (plain && s.backfill->cursor == "auto")) return "batches";
    const RelationFacts facts = is_new(s.change->relation) ? RelationFacts() : lookup_(s.change->relation);
    if (!facts.exists) return "batches";
    const OtherTable other = other_table(*s.change);
    if (!s.change->copy && !s.change->set_columns.empty() && !other.obstacle.empty()) {
      return "is refused: " + other.obstacle;
    }
    if (!plain && !s.change->copy && !s.change->set_columns.empty() && !other.known) return "batches";
    try {
      return choose_cursor(*s.change, facts, s.backfill->cursor, other).reason;
    } catch (const MigrationError& e) {
      return "is refused: " + e.message();
    }
  }

  /// Keeps others from a table that is in use. LOCK does as well, and means what follows it.
  bool blocks_others(const Statement& s) const {
    return s.kind != StatementKind::other && std::any_of(s.locks.begin(), s.locks.end(), [&](const RelationUse& use) {
             return !is_new(use.name) && std::string_view(blocks_of(use.lock_mode)) != "nothing";
           });
  }

  /// `is_long`: changes a table that is in use, row by row, in one statement. With an ALTER TABLE in the same
  /// transaction, before or behind it, the lock of the one is held for as long as the other takes.
  StepKind kind_of(const Statement& s, bool batches, std::string& note, bool& is_long) const {
    switch (s.kind) {
      case StatementKind::create_index:
      case StatementKind::drop:
      case StatementKind::reindex:
      case StatementKind::refresh:
        return s.concurrently ? StepKind::concurrent : StepKind::tx;
      case StatementKind::detach_concurrently:
        return StepKind::concurrent;
      case StatementKind::vacuum:
        return s.tag == "ANALYZE" ? StepKind::tx : StepKind::concurrent;
      case StatementKind::enum_add_value:
        note = "a transaction of its own, so that the next statement can use the value";
        return StepKind::concurrent;
      case StatementKind::validate:
        if (is_new(s.relation)) return StepKind::tx;
        note = "a transaction of its own: reads the table while writes go on";
        return StepKind::validate;
      case StatementKind::backfill_call:
        note = note_of_call(s);
        return StepKind::backfill;
      case StatementKind::update:
      case StatementKind::delete_: {
        if (!batches || !s.change || is_new(s.change->relation) || s.as_written) return StepKind::tx;
        const RelationFacts facts = lookup_(s.change->relation);
        if (!facts.exists) return StepKind::tx;
        const CursorDecision decision = choose_cursor(*s.change, facts, "auto", other_table(*s.change));
        note = decision.reason;
        is_long = decision.choice == CursorChoice::none;
        return is_long ? StepKind::tx : StepKind::backfill;
      }
      default:
        return StepKind::tx;
    }
  }

  static std::string offline_note(const Statement& s) {
    switch (s.kind) {
      case StatementKind::create_index:
      case StatementKind::drop:
      case StatementKind::reindex:
      case StatementKind::refresh:
        return s.concurrently ? "runs without CONCURRENTLY" : "";
      case StatementKind::detach_concurrently:
        return "runs without CONCURRENTLY";
      case StatementKind::vacuum:
        return s.tag == "ANALYZE" ? "" : "left out: VACUUM cannot run inside a transaction";
      case StatementKind::backfill_call:
        if (s.change && s.change->copy) return "runs as one INSERT ... SELECT";
        return s.change && s.change->set_columns.empty() ? "runs as one DELETE" : "runs as one UPDATE";
      default:
        return "";
    }
  }

  /// A group of nothing but SET statements needs no transaction when a step of its revision follows: that step opens
  /// with them anyway.
  void fold_settings(std::size_t first) {
    if (!plan_.online) return;
    for (std::size_t i = first; i + 1 < plan_.steps.size();) {
      const Step& step = plan_.steps[i];
      const bool only_settings =
          step.kind == StepKind::tx &&
          std::all_of(step.statements.begin(), step.statements.end(),
                      [](const PlannedStatement& p) { return p.statement.kind == StatementKind::set; });
      if (only_settings) {
        plan_.steps.erase(plan_.steps.begin() + static_cast<std::ptrdiff_t>(i));
      } else {
        ++i;
      }
    }
  }

  Plan plan_;
  const RelationLookup& lookup_;
  const OtherLookup& other_;
  std::unordered_set<std::string> created_;
  std::vector<std::string> settings_;
  std::string path_;
  bool has_backfill_ = false;
  bool long_ = false, blocking_ = false;  ///< what the statements of the last step are
};

}  // namespace

Plan make_plan(std::vector<RevisionScript> scripts, bool up, bool online, const RelationLookup& lookup,
               const PlanCursor& cursor, const OtherLookup& other) {
  Planner planner(up, online, lookup, other);
  for (std::size_t i = 0; i < scripts.size(); ++i) {
    if (cursor) cursor(i);
    planner.add(std::move(scripts[i]));
  }
  return planner.finish();
}

}  // namespace migration
