// Reading a script backwards; see inverse.hpp.
//
// The script is read forwards once. Each statement leaves at most one line of the downgrade; the lines come out last
// first. What the script created is remembered by name, with the line that drops it again:
// - a statement about a table of this script needs no line, the drop takes its work along. It keeps its line all the
//   same if it has one and other objects were created since: the trigger function, say, that was created after the
//   table and is dropped before it, must first lose its trigger;
// - an unnamed foreign key to a table that was created later is undone by dropping both tables in one command;
// - DROP of an object that this script created takes the line of its creation back;
// - a comment on an object of this script goes with the object, one on any other overwrites what was there: no way
// back. Names count as written: "t" and "public.t" are two names, which can cost a derivation but never make a wrong
// one.
#include "plan/inverse.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "statement/formatted.hpp"

namespace migration {

namespace {

bool about_column(const AlterAction& action) {
  return action.kind == "set default" || action.kind == "drop default" || action.kind == "set not null" ||
         action.kind == "drop not null" || action.kind == "set statistics" || action.kind == "set storage" ||
         action.kind == "set compression" || action.kind == "set options" || action.kind == "reset options" ||
         action.kind == "alter type" || action.kind == "add identity" || action.kind == "set identity" ||
         action.kind == "drop identity" || action.kind == "drop expression" || action.kind == "set expression";
}

const char* reason(const Statement& statement) {
  if (statement.if_exists && !statement.creates.empty()) return "it may have met an object that was there before";
  if (!statement.object_type.empty()) return "what it said before is not known";
  switch (statement.kind) {
    case StatementKind::drop:
    case StatementKind::truncate:
      return "what it takes away is not known";
    case StatementKind::update:
    case StatementKind::delete_:
    case StatementKind::backfill_call:
      return "the old rows are not known";
    case StatementKind::insert:
      return "the new rows cannot be told from others";
    case StatementKind::code_block:
    case StatementKind::select:
      return "what it does is not known";
    case StatementKind::enum_add_value:
      return "the server cannot drop a value of an enum";
    case StatementKind::create_index:
      return "the index has no name";
    default:
      return "the state before is not known";
  }
}

class Derivation {
 public:
  explicit Derivation(const std::vector<Statement>& statements) : statements_(statements), lines_(statements.size()) {}

  DerivedDowngrade run() {
    for (size_t i = 0; i < statements_.size(); ++i) undo(i);
    if (result_.why_not.empty()) {
      std::string script;
      for (size_t i = lines_.size(); i-- > 0;)
        if (!lines_[i].empty()) script += lines_[i] + ";\n";
      result_.script = std::move(script);
    }
    return std::move(result_);
  }

 private:
  using Known = std::map<std::string, size_t>;

  /// The statement that created the relation in this script.
  const size_t* table(const std::string& name) const {
    auto const found = tables_.find(name);
    return found == tables_.end() || name.empty() ? nullptr : &found->second;
  }

  void refuse(const Statement& s, const std::string& why) {
    result_.why_not.push_back(formatted("statement {} ({}) cannot be derived: {}", s.number, s.tag, why));
  }

  bool lines_since(size_t creation, size_t now) const {
    for (size_t k = creation + 1; k < now; ++k)
      if (!lines_[k].empty()) return true;
    return false;
  }

  void undo(size_t i) {
    const Statement& s = statements_[i];
    switch (s.kind) {
      case StatementKind::drop:
        return undo_drop(i);
      case StatementKind::insert:
      case StatementKind::delete_:
      case StatementKind::update:
      case StatementKind::backfill_call:
        if (table(s.relation) == nullptr && !sets_new_columns(s)) refuse(s, reason(s));
        return;
      case StatementKind::truncate:
        if (s.locks.empty() || !all_created(s.locks)) refuse(s, reason(s));
        return;
      case StatementKind::alter_table:
        return undo_alter(i);
      default:
        return undo_other(i);
    }
  }

  bool all_created(const std::vector<RelationUse>& uses) const {
    return std::all_of(uses.begin(), uses.end(), [&](auto const& use) { return table(use.name) != nullptr; });
  }

  bool sets_new_columns(const Statement& s) const {
    if (!s.change || s.change->set_columns.empty()) return false;
    auto const& columns = s.change->set_columns;
    return std::all_of(columns.begin(), columns.end(), [&](auto const& column) {
      return columns_.contains({s.relation, column});
    });
  }

  void undo_drop(size_t i) {
    const Statement& s = statements_[i];
    std::vector<size_t> creations;
    for (auto const& object : s.dropped) {
      bool const member = object.type == "TRIGGER" || object.type == "POLICY" || object.type == "RULE";
      auto const at = objects_.find(object.type + " " + object.name + (member ? " ON " + s.relation : ""));
      if (at == objects_.end() || joined_.contains(at->second)) return refuse(s, reason(s));
      creations.push_back(at->second);
    }
    if (s.cascade || creations.empty()) return refuse(s, reason(s));
    for (size_t n = 0; n < creations.size(); ++n) {
      size_t const creation = creations[n];
      std::string const& name = s.dropped[n].name;
      lines_[creation].clear();
      std::erase_if(objects_, [&](auto const& known) { return known.second == creation; });
      // Rows of a dropped table and indexes on it are gone; lines that name it must go, too. Before its creation the
      // name was that of another.
      for (size_t k = creation; k < i; ++k)
        if (statements_[k].relation == name) lines_[k].clear();
      for (auto const& relation : statements_[creation].creates) forget(relation);
      functions_.erase(name);
    }
  }

  /// What is known of a relation of this name is no longer true.
  void forget(const std::string& name) {
    tables_.erase(name);
    std::erase_if(columns_, [&](auto const& known) { return known.first.first == name; });
    std::erase_if(constraints_, [&](auto const& known) { return known.first == name; });
    // The relation itself, and what is ON it.
    std::erase_if(objects_, [&](auto const& known) { return known.first.ends_with(" " + name); });
  }

  /// The same of a column, constraint or trigger.
  void forget(const std::string& relation, const std::string& name) {
    columns_.erase({relation, name});
    constraints_.erase({relation, name});
    std::erase_if(objects_, [&](auto const& known) { return known.first.ends_with(" " + name + " ON " + relation); });
  }

  /// A renamed table keeps its columns. Its drop is not foreseen: that would have to take the renaming back, too.
  void rename_table(const std::string& from, const std::string& to) {
    const size_t* const creation = table(from);
    const bool known_table = creation != nullptr;
    const size_t made = known_table ? *creation : 0;
    std::map<std::string, size_t> columns;
    for (auto const& [known, statement] : columns_)
      if (known.first == from) columns[known.second] = statement;
    forget(from);
    forget(to);
    if (known_table) tables_[to] = made;
    for (auto const& [column, statement] : columns) columns_[{to, column}] = statement;
  }

  void undo_alter(size_t i) {
    const Statement& s = statements_[i];
    const size_t* const creation = table(s.relation);
    std::vector<std::string> undone;
    for (auto const& action : s.actions) {
      auto const column = columns_.find({s.relation, action.name});
      const size_t* made = creation;  // what takes the work of this action along when it is dropped
      if (made == nullptr && about_column(action) && column != columns_.end()) made = &column->second;
      if (made != nullptr) {
        if (lines_since(*made, i)) {
          if (auto const line = before_younger_objects(action)) undone.push_back(*line);
        }
        if (action.kind == "alter type" && lines_since(*made, i))
          refuse(s, "the new type may be younger than the column");
        if (!action.inverse && action.detail == "foreign key" && !join(creation, action.references))
          refuse(s, "the foreign key has no name");
      } else if (action.inverse && !s.if_exists) {
        if (!action.inverse->empty()) undone.push_back(*action.inverse);
      } else {
        refuse(s, action.kind == "add constraint" ? "the constraint has no name, or adopts an index" : reason(s));
        return;
      }
      if (action.kind == "add column" && !action.if_exists) columns_[{s.relation, action.name}] = i;
      if (action.kind == "add constraint") constraints_.insert({s.relation, action.name});
    }
    if (undone.empty()) return;
    std::string line =
        formatted("ALTER {}{} {} ", s.tag.size() > 6 ? s.tag.substr(6) : "TABLE", s.only ? " ONLY" : "", s.relation);
    for (size_t k = undone.size(); k-- > 0;) line += undone[k] + (k > 0 ? ", " : "");
    lines_[i] = std::move(line);
  }

  /// Work on something new that must go first, as it may use an object that is younger and is dropped earlier.
  static std::optional<std::string> before_younger_objects(const AlterAction& action) {
    if (action.kind == "set default") return formatted("ALTER COLUMN {} DROP DEFAULT", action.name);
    bool const uses = action.kind == "add column" || action.kind == "add constraint" || action.kind == "inherit" ||
                      action.kind == "attach partition";
    return uses && action.inverse && !action.inverse->empty() ? action.inverse : std::nullopt;
  }

  /// An unnamed foreign key from a table of this script: false if dropping the table where it stands would fail.
  bool join(const size_t* creation, const std::string& references) {
    const size_t* const other = table(references);
    if (creation == nullptr || other == nullptr) return true;
    size_t const early = drop_of(*creation), late = drop_of(*other);
    if (late <= early) return true;
    for (size_t k = early; k <= late; ++k)
      if (!lines_[k].empty() && !lines_[k].starts_with("DROP TABLE ")) return false;
    for (size_t k = late; k-- > early;) {
      if (lines_[k].empty()) continue;
      lines_[late] += ", " + lines_[k].substr(11);
      lines_[k].clear();
      joined_[k] = joined_[late] = late;
    }
    return true;
  }

  /// The statement whose line drops the table that statement `creation` created.
  size_t drop_of(size_t creation) const {
    for (auto at = joined_.find(creation); at != joined_.end() && at->second != creation; at = joined_.find(creation))
      creation = at->second;
    return creation;
  }

  /// A sequence that a table of this script owns is dropped with the table.
  bool owned_sequence(const Statement& s) const {
    if (s.tag != "CREATE SEQUENCE" && s.tag != "ALTER SEQUENCE") return false;
    return std::any_of(s.locks.begin(), s.locks.end(),
                       [&](auto const& use) { return use.name != s.relation && table(use.name) != nullptr; });
  }

  /// A comment, or label, goes with its object when this script created it; over one that was there before it wrote
  /// something that nobody knows any more.
  bool about_own_object(const Statement& s) const {
    const std::string& type = s.object_type;
    if (type == "COLUMN") return table(s.relation) != nullptr || columns_.contains({s.relation, s.object});
    if (type == "CONSTRAINT") return table(s.relation) != nullptr || constraints_.contains({s.relation, s.object});
    if (s.relation.empty()) return objects_.contains(type + " " + s.object);
    if (s.object.empty()) return table(s.relation) != nullptr || objects_.contains(type + " " + s.relation);
    return table(s.relation) != nullptr || objects_.contains(type + " " + s.object + " ON " + s.relation);
  }

  /// What is dropped later on is found under its old name only when it is back in its old schema.
  void undo_set_schema(size_t i) {
    const Statement& s = statements_[i];
    if (!s.inverse) return refuse(s, "the schema that it leaves is not named");
    lines_[i] = *s.inverse;
    if (!s.relation.empty()) return rename_table(s.relation, s.new_name);
    forget(s.object);
    functions_.erase(s.object);
  }

  void undo_other(size_t i) {
    const Statement& s = statements_[i];
    if (s.sets_schema) return undo_set_schema(i);
    if (!s.object_type.empty()) {
      if (!about_own_object(s)) refuse(s, reason(s));
      return;
    }
    bool const own_table = s.kind == StatementKind::rename && s.object == s.relation;
    const size_t* creation = own_table || !s.creates.empty() ? nullptr : table(s.relation);
    if (s.kind == StatementKind::create_index) creation = table(s.relation);
    if (creation == nullptr && s.relation.empty() && s.kind == StatementKind::other)
      if (auto const at = functions_.find(s.object); at != functions_.end()) creation = &at->second;
    if (owned_sequence(s)) {
      if (const size_t* const made = table(s.relation); made != nullptr && s.tag == "ALTER SEQUENCE")
        lines_[*made].clear();
    } else if (creation != nullptr) {
      if (s.inverse && lines_since(*creation, i)) lines_[i] = *s.inverse;
    } else if (s.inverse) {
      lines_[i] = *s.inverse;
    } else if (!s.harmless_inverse) {
      refuse(s, reason(s));
    }
    remember(i, creation != nullptr);
  }

  void remember(size_t i, bool covered) {
    const Statement& s = statements_[i];
    if (s.kind == StatementKind::rename && s.object == s.relation) {
      rename_table(s.relation, s.new_name);
    } else if (s.kind == StatementKind::rename && s.relation.empty()) {
      forget(s.object);
      functions_.erase(s.object);
    } else if (s.kind == StatementKind::rename) {
      forget(s.relation, s.object);
      forget(s.relation, s.new_name);
    }
    if (!s.inverse || !s.inverse->starts_with("DROP ")) return;
    bool const holds_rows = s.kind == StatementKind::create_table || s.kind == StatementKind::create_table_as;
    if (holds_rows)
      for (auto const& name : s.creates) tables_[name] = i;
    if (s.kind == StatementKind::create_object && !s.object.empty() && s.relation.empty()) functions_[s.object] = i;
    if (s.kind == StatementKind::create_object && !s.creates.empty()) tables_[s.relation] = i;
    if (s.kind == StatementKind::create_view) tables_[s.relation] = i;
    if (covered && s.kind != StatementKind::create_index) return;
    std::string what = s.inverse->substr(5);
    if (what.starts_with("INDEX CONCURRENTLY ")) what.erase(6, 13);
    objects_[what] = i;
  }

  const std::vector<Statement>& statements_;
  std::vector<std::string> lines_;
  Known tables_;                     ///< relations this script created
  Known functions_;                  ///< other objects this script created, by name
  Known objects_;                    ///< everything it created, as 'TABLE t'
  std::map<size_t, size_t> joined_;  ///< creations whose drop stands in the line of a later one
  std::map<std::pair<std::string, std::string>, size_t> columns_;  ///< columns it added, by statement
  std::set<std::pair<std::string, std::string>> constraints_;      ///< constraints it added
  DerivedDowngrade result_;
};

}  // namespace

DerivedDowngrade derive_downgrade(const std::vector<Statement>& statements) {
  return Derivation(statements).run();
}

}  // namespace migration
