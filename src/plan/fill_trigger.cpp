// Making fill triggers part of a plan; see fill_trigger.hpp.
#include "plan/fill_trigger.hpp"

#include <algorithm>
#include <cstdint>
#include <set>
#include <utility>

#include "plan/words.hpp"
#include "statement/formatted.hpp"

namespace migration {

namespace {

constexpr const char* check_prefix = "zzz_migration_check_";
constexpr const char* note_kept = "keeps new rows filled until the backfill is proven";
constexpr const char* note_proof = "proof that the backfill left no gap";

std::string hash_of(const std::string& text) {
  std::uint32_t hash = 2166136261U;
  for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  return formatted("{:08x}", hash);
}

/// prefix_column_hash within 63 bytes, the column cut between characters.
std::string name_with(const std::string& prefix, const std::string& column, const std::string& hash) {
  std::string middle = unquoted(column);
  std::size_t room = 63 - prefix.size() - 1 - hash.size();
  if (middle.size() > room) {
    while (room > 0 && (static_cast<unsigned char>(middle[room]) & 0xC0) == 0x80) --room;
    middle.resize(room);
  }
  return quoted_name(prefix + middle + "_" + hash);
}

std::string refusal_of(const RowChange& change) {
  if (change.values.size() != change.set_columns.size()) return "its assignments are not one value per column";
  static const std::set<std::string> system = {"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"};
  const std::string bare = unquoted(last_part(change.relation));
  std::string texts = change.condition;
  for (const std::string& value : change.values) texts += "\n, " + value;
  const std::vector<Word> words = words_of(texts);
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (!words[i].name) continue;
    if (system.count(words[i].text) > 0) return "it names a system column";
    if (i > 1 && words[i].text == bare && words[i - 1].text == "." && words[i - 2].name) {
      return "it names a column with its schema";
    }
  }
  return {};
}

}  // namespace

std::string fill_trigger_obstacle(const RowChange& change, const RelationFacts& facts) {
  for (const std::string& column : change.set_columns) {
    // A row trigger may not send a row to another partition.
    if (mentions(facts.partition_key, column)) return "it assigns a column of the partition key";
  }
  // A row trigger of theirs would be another one.
  if (facts.heirs) return "other tables inherit from it";
  for (const std::string& column : facts.generated) {
    // Generated columns have no value yet when the trigger looks at the row.
    if (mentions(change.assignments + "\n" + change.condition, column)) return "it reads a generated column";
  }
  return {};
}

std::optional<Fill> fill_of(const Step& step) {
  if (step.kind != StepKind::backfill || step.statements.size() != 1) return std::nullopt;
  const PlannedStatement& planned = step.statements[0];
  if (planned.table.empty() || !planned.statement.change) return std::nullopt;
  const RowChange& change = *planned.statement.change;
  for (const std::string& column : change.null_tests) {
    if (std::find(change.set_columns.begin(), change.set_columns.end(), column) == change.set_columns.end()) continue;
    Fill fill;
    fill.table = planned.table;
    fill.column = column;
    fill.change = &change;
    const std::string hash =
        hash_of(step.revision + "\n" + fill.table + "\n" + change.alias + "\n" + change.assignments + "\n" +
                change.condition + (change.from.empty() ? "" : "\n" + change.from));
    fill.name = name_with(fill_prefix, column, hash);
    fill.verify = name_with(check_prefix, column, hash);
    fill.refusal = planned.no_trigger.empty() ? refusal_of(change) : planned.no_trigger;
    return fill;
  }
  return std::nullopt;
}

namespace {

/// SET statements of a script that decide what texts mean; they become clauses of the function. Others must not: a
/// writer may not be allowed to set them.
std::string function_settings(const Step& step) {
  static const std::set<std::string> meaning = {"search_path",
                                                "datestyle",
                                                "intervalstyle",
                                                "timezone",
                                                "time",
                                                "standard_conforming_strings",
                                                "bytea_output",
                                                "extra_float_digits",
                                                "xmlbinary",
                                                "lc_numeric",
                                                "lc_monetary",
                                                "lc_time",
                                                "default_text_search_config",
                                                "transform_null_equals"};
  std::string out;
  for (const std::string& setting : step.settings) {
    const std::vector<Word> words = words_of(setting);
    if (words.size() > 2 && words[0].text == "set" && meaning.count(words[1].text) > 0) out += "\n" + setting;
  }
  return out;
}

/// A dollar quote that does not occur in the text.
std::string quote_around(const std::string& text) {
  std::string tag = "$fill$";
  for (int n = 1; text.find(tag) != std::string::npos; ++n) tag = formatted("$fill{}$", n);
  return tag;
}

std::string alias_of(const RowChange& change) {
  return change.alias.empty() ? last_part(change.relation) : change.alias;
}

/// The table that the fill looks values up in, as the trigger does: it meets one row at most.
std::string lookup_of(const RowChange& change) {
  return change.from.empty() ? std::string() : ", " + change.from;
}

std::string values_of(const RowChange& change, bool named) {
  std::string out;
  for (std::size_t i = 0; i < change.values.size(); ++i) {
    out += formatted("{}({})", i == 0 ? "" : ", ", change.values[i]);
    if (named) out += formatted(" AS v{}", i + 1);
  }
  return out;
}

std::string function_text(const Fill& fill, const Step& step) {
  const RowChange& change = *fill.change;
  std::string body = formatted(
      "\n#variable_conflict use_column\n"
      "-- Made for the time of a backfill: a row that it would fill is filled as it is written.\n"
      "DECLARE\n"
      "  filled record;\n"
      "BEGIN\n"
      "  IF NEW.{} IS NULL THEN\n"
      "    SELECT {} INTO filled\n"
      "    FROM (SELECT NEW.*) AS {}{}\n"
      "    WHERE ({});\n"
      "    IF FOUND THEN\n",
      fill.column, values_of(change, true), alias_of(change), lookup_of(change), change.condition);
  for (std::size_t i = 0; i < change.set_columns.size(); ++i) {
    body += formatted("      NEW.{} := filled.v{};\n", change.set_columns[i], i + 1);
  }
  body += "    END IF;\n  END IF;\n  RETURN NEW;\nEND\n";
  const std::string quote = quote_around(body);
  const std::string schema = first_parts(fill.table);
  const std::string path = step.path.empty() ? "pg_catalog" : step.path;
  return formatted(
      "CREATE OR REPLACE FUNCTION {}.{}() RETURNS trigger LANGUAGE plpgsql\nSET standard_conforming_strings = on\nSET "
      "search_path = {}{}{}\nAS {}{}{}",
      schema, fill.name, path, path.find("pg_temp") == std::string::npos ? ", pg_temp" : "", function_settings(step),
      quote, body, quote);
}

PlannedStatement generated(StatementKind kind, std::string tag, std::string text, const std::string& table,
                           const char* lock, std::string note) {
  PlannedStatement out;
  out.statement.kind = kind;
  out.statement.tag = std::move(tag);
  out.statement.text = std::move(text);
  out.statement.relation = table;
  if (*lock != 0) out.statement.locks.push_back(RelationUse{table, lock, false});
  out.table = table;
  out.note = std::move(note);
  return out;
}

std::vector<PlannedStatement> making(const Fill& fill, const Step& step) {
  std::vector<PlannedStatement> out;
  out.push_back(generated(
      StatementKind::select, "SELECT",
      formatted("SELECT {}\nFROM (SELECT * FROM {} LIMIT 0) AS {}{}\nWHERE ({})", values_of(*fill.change, false),
                fill.table, alias_of(*fill.change), lookup_of(*fill.change), fill.change->condition),
      fill.table, "AccessShareLock",
      "reads nothing: what the trigger cannot mean fails here and not in the application"));
  out.push_back(generated(StatementKind::create_object, "CREATE FUNCTION", function_text(fill, step), "", "",
                          "of the fill trigger; runs with the rights of the writer"));
  out.push_back(generated(StatementKind::create_object, "CREATE TRIGGER",
                          formatted("CREATE OR REPLACE TRIGGER {0} BEFORE INSERT OR UPDATE ON {1} FOR EACH ROW EXECUTE "
                                    "FUNCTION {2}.{0}()",
                                    fill.name, fill.table, first_parts(fill.table)),
                          fill.table, "ShareRowExclusiveLock", note_kept));
  out.push_back(generated(StatementKind::alter_table, "ALTER TABLE",
                          formatted("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}", fill.table, fill.name), fill.table,
                          "ShareRowExclusiveLock", "also for rows that replication writes"));
  return out;
}

std::vector<PlannedStatement> dropping(const Fill& fill) {
  std::vector<PlannedStatement> out;
  out.push_back(generated(StatementKind::drop, "DROP TRIGGER",
                          formatted("DROP TRIGGER IF EXISTS {} ON {}", fill.name, fill.table), fill.table,
                          "AccessExclusiveLock", "nothing relies on the fill trigger any more"));
  out.push_back(generated(StatementKind::drop, "DROP FUNCTION",
                          formatted("DROP FUNCTION IF EXISTS {}.{}()", first_parts(fill.table), fill.name), "", "",
                          ""));
  return out;
}

PlannedStatement adding_check(const Fill& fill) {
  return generated(StatementKind::alter_table, "ALTER TABLE",
                   formatted("ALTER TABLE {0} ADD CONSTRAINT {1} CHECK (NOT ({2})) NOT "
                             "VALID",
                             fill.table, fill.verify, fill.change->condition),
                   fill.table, "AccessExclusiveLock", note_proof);
}

PlannedStatement validating_check(const Fill& fill) {
  PlannedStatement out = generated(StatementKind::validate, "ALTER TABLE",
                                   formatted("ALTER TABLE {} VALIDATE CONSTRAINT {}", fill.table, fill.verify),
                                   fill.table, "ShareUpdateExclusiveLock", note_proof);
  AlterAction action;
  action.kind = "validate constraint";
  action.name = fill.verify;
  action.scans = true;
  out.statement.actions.push_back(std::move(action));
  return out;
}

PlannedStatement dropping_check(const Fill& fill) {
  return generated(StatementKind::alter_table, "ALTER TABLE",
                   formatted("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}", fill.table, fill.verify), fill.table,
                   "AccessExclusiveLock", "");
}

bool names_any(std::string_view text, const std::vector<std::string>& columns) {
  return std::any_of(columns.begin(), columns.end(), [&](const std::string& c) { return mentions(text, c); });
}

/// What the plan says about one fill.
class Reliance {
 public:
  Reliance(const Plan& plan, const Fill& fill) : fill_(fill) {
    for (const Step& step : plan.steps) {
      for (const PlannedStatement& p : step.statements) {
        if (p.table != fill.table) continue;
        for (const AlterAction& a : p.statement.actions) {
          if (a.kind == "add constraint" && names_any(a.text, fill.change->set_columns)) constraints_.insert(a.name);
        }
      }
    }
  }

  /// Does the statement rely on there being no gap in the filled columns?
  bool relies(const PlannedStatement& p) const {
    if (p.table != fill_.table) return false;
    const std::vector<std::string>& columns = fill_.change->set_columns;
    if (p.statement.kind == StatementKind::create_index) {
      return mentions(p.statement.text, "unique") && names_any(p.statement.text, columns);
    }
    return std::any_of(p.statement.actions.begin(), p.statement.actions.end(), [&](const AlterAction& a) {
      if (a.kind == "set not null") return std::find(columns.begin(), columns.end(), a.name) != columns.end();
      if (a.kind == "validate constraint") return constraints_.count(a.name) > 0;
      if (a.kind == "add constraint") return a.detail != "foreign key" && constraints_.count(a.name) > 0;
      return a.kind == "add column" && a.generated && names_any(a.text, columns);
    });
  }

  /// Would the trigger break, or not be found any more?
  bool disturbs(const PlannedStatement& p) const {
    const Statement& s = p.statement;
    if (s.kind == StatementKind::drop) {
      return std::any_of(s.dropped.begin(), s.dropped.end(), [&](const DroppedObject& o) {
        return o.name == fill_.table || is_lookup(o.name) || last_part(o.name) == last_part(fill_.table) ||
               o.type == "SCHEMA" || o.type == "FUNCTION" || o.type == "TYPE";
      });
    }
    // The trigger reads the lookup table by name.
    if (is_lookup(s.relation) && (s.kind == StatementKind::rename || s.kind == StatementKind::alter_table)) return true;
    if (p.table != fill_.table) return false;
    if (s.kind == StatementKind::rename) return true;
    std::string texts = fill_.change->condition + "\n" + fill_.change->assignments;
    return std::any_of(s.actions.begin(), s.actions.end(),
                       [&](const AlterAction& a) {
                         return (a.kind == "drop column" || a.kind == "alter type") && mentions(texts, a.name);
                       }) ||
           (s.actions.empty() && mentions(s.text, "schema") && mentions(s.text, "alter"));
  }

 private:
  bool is_lookup(const std::string& name) const {
    return !name.empty() && !fill_.change->lookup.empty() && last_part(name) == last_part(fill_.change->lookup);
  }

  const Fill& fill_;
  std::set<std::string> constraints_;
};

using Statements = std::vector<PlannedStatement>;

/// A new step before index `at`, of the revision of `of`; `after`: the revision may now end with it.
void insert_step(Plan& plan, std::size_t at, StepKind kind, Statements statements, const Step& of, bool with_settings) {
  Step step;
  step.revision = of.revision;
  step.kind = kind;
  step.path = of.path;
  if (with_settings) step.settings = of.settings;
  step.statements = std::move(statements);
  if (at > 0 && plan.steps[at - 1].revision == step.revision && plan.steps[at - 1].completes) {
    plan.steps[at - 1].completes = false;
    step.completes = true;
  }
  plan.steps.insert(plan.steps.begin() + static_cast<std::ptrdiff_t>(at), std::move(step));
}

void insert_into(Step& step, std::size_t at, Statements statements) {
  step.statements.insert(step.statements.begin() + static_cast<std::ptrdiff_t>(at),
                         std::make_move_iterator(statements.begin()), std::make_move_iterator(statements.end()));
}

/// Puts `drops` where nothing relies on the fill any more and nothing has broken it yet. Steps up to `from` stay.
void place_drops(Plan& plan, std::size_t from, const Reliance& reliance, Statements drops) {
  std::size_t last = from, last_at = 0;  // the last statement that relies
  std::size_t bad = plan.steps.size(), bad_at = 0;
  for (std::size_t i = from + 1; i < plan.steps.size(); ++i) {
    for (std::size_t k = 0; k < plan.steps[i].statements.size(); ++k) {
      if (reliance.relies(plan.steps[i].statements[k])) last = i, last_at = k;
      if (bad == plan.steps.size() && reliance.disturbs(plan.steps[i].statements[k])) bad = i, bad_at = k;
    }
  }
  if (std::pair(bad, bad_at) < std::pair(last, last_at)) {
    if (plan.steps[bad].kind == StepKind::tx) return insert_into(plan.steps[bad], bad_at, std::move(drops));
    const Step of = plan.steps[bad];
    return insert_step(plan, bad, StepKind::tx, std::move(drops), of, false);
  }
  // An ALTER TABLE has the lock already that dropping needs: one wait for it instead of two.
  const bool joins = last > from && plan.steps[last].kind == StepKind::tx &&
                     (bad == last || plan.steps[last].statements[last_at].statement.kind == StatementKind::alter_table);
  if (joins) return insert_into(plan.steps[last], last_at + 1, std::move(drops));
  const Step of = plan.steps[last];
  insert_step(plan, last + 1, StepKind::tx, std::move(drops), of, false);
}

bool relied_on(const Plan& plan, std::size_t from, const Reliance& reliance) {
  for (std::size_t i = from + 1; i < plan.steps.size(); ++i) {
    const Statements& all = plan.steps[i].statements;
    if (std::any_of(all.begin(), all.end(), [&](const PlannedStatement& p) { return reliance.relies(p); })) return true;
  }
  return false;
}

void add_fill_trigger(Plan& plan, std::size_t at) {
  const Step step = plan.steps[at];  // a copy: steps move
  const std::optional<Fill> fill = fill_of(step);
  if (!fill) return;
  const Statement& s = step.statements[0].statement;
  const std::string trigger = s.backfill ? s.backfill->trigger : "auto";
  const std::string verify = s.backfill ? s.backfill->verify : "off";
  const Reliance reliance(plan, *fill);
  const bool wanted = trigger == "on" || (trigger == "auto" && (verify != "off" || relied_on(plan, at, reliance)));
  const bool made = wanted && fill->refusal.empty();
  const bool proven = verify == "constraint" && fill->change->from.empty();
  if (wanted && !made) plan.steps[at].statements[0].note += "; no fill trigger: " + fill->refusal;
  if (!made && !proven) return;
  Statements makes, drops;
  if (made) makes = making(*fill, step), drops = dropping(*fill);
  if (proven) makes.push_back(adding_check(*fill)), drops.push_back(dropping_check(*fill));
  place_drops(plan, at, reliance, std::move(drops));
  if (proven) {
    Statements proof;
    proof.push_back(validating_check(*fill));
    insert_step(plan, at + 1, StepKind::validate, std::move(proof), step, false);
  }
  // Not insert_step(): the step before may complete another revision, or this one's earlier part joins nothing.
  Step first;
  first.revision = step.revision;
  first.kind = StepKind::tx;
  first.path = step.path;
  first.settings = step.settings;
  first.statements = std::move(makes);
  plan.steps.insert(plan.steps.begin() + static_cast<std::ptrdiff_t>(at), std::move(first));
}

bool begins(const std::string& text, std::string_view with) {
  return std::string_view(text).substr(0, with.size()) == with;
}

}  // namespace

void add_fill_triggers(Plan& plan) {
  for (std::size_t i = plan.steps.size(); i-- > 0;) add_fill_trigger(plan, i);
}

std::string fill_trigger_made_by(const std::vector<std::string>& statements) {
  static constexpr std::string_view form = "CREATE OR REPLACE TRIGGER ";
  for (const std::string& text : statements) {
    if (!begins(text, form)) continue;
    std::string name = text.substr(form.size(), text.find(" BEFORE INSERT OR UPDATE ON ") - form.size());
    if (begins(unquoted(name), fill_prefix)) return name;
  }
  return {};
}

std::vector<std::string> fill_trigger_again(const std::vector<std::string>& statements) {
  std::vector<std::string> out;
  for (const std::string& text : statements) {
    if (begins(text, "CREATE OR REPLACE ") || text.find(" ENABLE ALWAYS TRIGGER ") != std::string::npos) {
      out.push_back(text);
    }
  }
  return out;
}

}  // namespace migration
