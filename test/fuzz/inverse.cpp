// A derived downgrade runs and leaves what was there before the upgrade. Scripts are run by a small model of a catalog
// that refuses what the server would refuse. Input: a byte for the form of a statement, a byte for its names.
#include "plan/inverse.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "fuzz.hpp"

using namespace migration;
using Words = std::vector<std::string>;
using Kind = StatementKind;

namespace {

std::vector<std::string> split(const std::string& text, const std::string& by) {
  std::vector<std::string> out;
  std::size_t at = 0;
  for (std::size_t end; (end = text.find(by, at)) != std::string::npos; at = end + by.size()) {
    out.push_back(text.substr(at, end - at));
  }
  if (at < text.size()) out.push_back(text.substr(at));
  return out;
}

struct Table {
  std::set<std::string> columns{"id"}, not_null, written;
  std::map<std::string, std::string> keys, triggers;  ///< to a table; with a function
  bool operator==(const Table&) const = default;
};

class Catalog {
 public:
  Catalog() {
    tables_["t"].columns.insert("z");
    functions_.insert("h()");
  }
  bool operator==(const Catalog& other) const {
    return tables_ == other.tables_ && indexes_ == other.indexes_ && functions_ == other.functions_;
  }

  /// False: the server would refuse it.
  bool run(const std::string& line) {
    const Words parts = split(line, ", ");
    const Words w = split(parts[0], " ");
    if (w[0] == "CREATE") return create(w);
    if (w[0] == "DROP") return drop(w, parts);
    if (w[0] == "UPDATE") {
      if (tables_.count(w[1]) == 0 || tables_[w[1]].columns.count(w[3]) == 0) return false;
      tables_[w[1]].written.insert(w[3]);
      return true;
    }
    CHECK(w[0] == "ALTER" && w[1] == "TABLE" && w.size() > 4);
    if (tables_.count(w[2]) == 0) return false;
    if (w[3] == "RENAME" && w[4] == "TO") return rename(w[2], w[5]);
    if (w[3] == "RENAME") return rename_column(tables_[w[2]], w[5], w[7]);
    bool good = true;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      Words action = split(parts[i], " ");
      if (i == 0) action.erase(action.begin(), action.begin() + 3);
      good = alter(tables_[w[2]], action) && good;
    }
    return good;
  }

 private:
  bool create(const Words& w) {
    if (w[1] == "TABLE") return tables_.emplace(w[2], Table()).second;
    if (w[1] == "FUNCTION") return functions_.insert(w[2]).second;
    if (tables_.count(w[4]) == 0) return false;
    if (w[1] == "INDEX") return indexes_.emplace(w[2], w[4]).second;
    return functions_.count(w[5]) > 0 && tables_[w[4]].triggers.emplace(w[2], w[5]).second;
  }

  bool drop(const Words& w, const Words& parts) {
    if (w[1] == "INDEX") return indexes_.erase(w[2]) > 0;
    if (w[1] == "TRIGGER") return tables_.count(w[4]) > 0 && tables_[w[4]].triggers.erase(w[2]) > 0;
    if (w[1] == "FUNCTION") {
      for (const auto& [name, table] : tables_) {
        for (const auto& [trigger, function] : table.triggers) {
          if (function == w[2]) return false;
        }
      }
      return functions_.erase(w[2]) > 0;
    }
    CHECK(w[1] == "TABLE");
    std::set<std::string> going(parts.begin() + 1, parts.end());
    going.insert(w[2]);
    for (const auto& [name, table] : tables_) {
      if (going.count(name) > 0) continue;
      for (const auto& [key, other] : table.keys) {
        if (going.count(other) > 0) return false;
      }
    }
    for (const std::string& name : going) {
      if (tables_.erase(name) == 0) return false;
      std::erase_if(indexes_, [&](const auto& index) { return index.second == name; });
    }
    return going.size() == parts.size();
  }

  bool rename(const std::string& from, const std::string& to) {
    if (tables_.count(to) > 0) return false;
    auto node = tables_.extract(from);
    node.key() = to;
    tables_.insert(std::move(node));
    for (auto& [name, table] : indexes_) {
      if (table == from) table = to;
    }
    for (auto& [name, table] : tables_) {
      for (auto& [key, other] : table.keys) {
        if (other == from) other = to;
      }
    }
    return true;
  }

  static bool rename_column(Table& table, const std::string& from, const std::string& to) {
    if (table.columns.count(from) == 0 || table.columns.count(to) > 0) return false;
    for (auto* set : {&table.columns, &table.not_null, &table.written}) {
      if (set->erase(from) > 0) set->insert(to);
    }
    return true;
  }

  bool alter(Table& table, const Words& w) {
    if (w[0] == "ADD" && w[1] == "COLUMN") return table.columns.insert(w[2]).second;
    if (w[0] == "ADD") {
      const std::string name = w[2] == "-" ? "unnamed" + std::to_string(++unnamed_) : w[2];
      return tables_.count(w[3]) > 0 && table.keys.emplace(name, w[3]).second;
    }
    if (w[0] == "ALTER") {
      if (table.columns.count(w[2]) == 0) return false;
      return w[3] == "SET" ? table.not_null.insert(w[2]).second : table.not_null.erase(w[2]) > 0;
    }
    CHECK(w[0] == "DROP");
    if (w[1] == "CONSTRAINT") return table.keys.erase(w[2]) > 0;
    table.not_null.erase(w[2]);
    table.written.erase(w[2]);
    return table.columns.erase(w[2]) > 0;
  }

  std::map<std::string, Table> tables_;
  std::map<std::string, std::string> indexes_;
  std::set<std::string> functions_;
  int unnamed_ = 0;
};

/// As the parser describes it; `text` is for the model.
Statement statement(std::uint64_t form, std::uint64_t names) {
  const std::string table = std::string(1, "abct"[names & 3]), other = std::string(1, "abct"[names >> 2 & 3]);
  const std::string name = std::string(1, "xyzz"[names >> 4 & 3]), column = names & 128 ? "z" : name;
  const std::string function = names & 64 ? "f()" : "h()";
  Statement s;
  const auto is = [&](const char* tag, Kind kind, const std::string& text) {
    s.tag = tag, s.kind = kind, s.text = text;
  };
  const auto drops = [&](const std::string& type, const std::string& what) {
    is("DROP", Kind::drop, "DROP " + type + " " + what);
    s.dropped.push_back({type, what});
  };
  const auto alters = [&](const std::string& kind, const std::string& what, const std::string& inverse) {
    AlterAction action;
    action.kind = kind, action.name = what;
    if (!inverse.empty()) action.inverse = inverse;
    s.actions.push_back(action);
    s.relation = table;
  };
  switch (form % 14) {
    case 0:
      is("CREATE TABLE", Kind::create_table, "CREATE TABLE " + table);
      s.relation = table, s.creates = {table}, s.inverse = "DROP TABLE " + table;
      break;
    case 1:
      is("CREATE INDEX", Kind::create_index, "CREATE INDEX i" + name + " ON " + table);
      s.relation = table, s.object = "i" + name, s.creates = {s.object}, s.inverse = "DROP INDEX " + s.object;
      break;
    case 2:
      is("CREATE FUNCTION", Kind::create_object, "CREATE FUNCTION " + function);
      s.object = function, s.inverse = "DROP FUNCTION " + function;
      break;
    case 3:
      is("CREATE TRIGGER", Kind::create_object, "CREATE TRIGGER r" + name + " ON " + table + " " + function);
      s.relation = table, s.object = "r" + name, s.inverse = "DROP TRIGGER " + s.object + " ON " + table;
      break;
    case 4:
      is("ALTER TABLE", Kind::alter_table, "ALTER TABLE " + table + " ADD COLUMN " + name);
      alters("add column", name, "DROP COLUMN " + name);
      break;
    case 5: {
      const std::string key = names & 128 ? "" : "k" + name;
      is("ALTER TABLE", Kind::alter_table,
         "ALTER TABLE " + table + " ADD KEY " + (key.empty() ? "-" : key) + " " + other);
      alters("add constraint", key, key.empty() ? "" : "DROP CONSTRAINT " + key);
      s.actions[0].detail = "foreign key", s.actions[0].references = other;
      break;
    }
    case 6:
      is("ALTER TABLE", Kind::alter_table, "ALTER TABLE " + table + " ALTER COLUMN " + column + " SET NOT NULL");
      alters("set not null", column, "ALTER COLUMN " + column + " DROP NOT NULL");
      break;
    case 7:
      is("ALTER TABLE", Kind::rename, "ALTER TABLE " + table + " RENAME TO " + other);
      s.relation = s.object = table, s.new_name = other, s.inverse = "ALTER TABLE " + other + " RENAME TO " + table;
      break;
    case 8:
      drops("TABLE", table);
      if (names & 128 && table != other) s.dropped.push_back({"TABLE", other}), s.text += ", " + other;
      break;
    case 9:
      drops("INDEX", "i" + name);
      break;
    case 10:
      drops("FUNCTION", function);
      break;
    case 11: {
      const std::string to = std::string(1, "xyzw"[names >> 2 & 3]);
      is("ALTER TABLE", Kind::rename, "ALTER TABLE " + table + " RENAME COLUMN " + column + " TO " + to);
      s.relation = table, s.object = column, s.new_name = to;
      s.inverse = "ALTER TABLE " + table + " RENAME COLUMN " + to + " TO " + column;
      break;
    }
    case 12:
      is("UPDATE", Kind::update, "UPDATE " + table + " SET " + column);
      s.relation = table, s.change.emplace().set_columns = {column};
      break;
    default:
      drops("TRIGGER", "r" + name);
      s.text += " ON " + table, s.relation = table;
  }
  return s;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input in(data, size);
  const Catalog before;
  Catalog catalog = before;
  std::vector<Statement> statements;
  while (!in.empty() && statements.size() < 30) {
    const std::uint64_t form = in.number(1);
    Statement s = statement(form, in.number(1));
    Catalog next = catalog;
    if (!next.run(s.text)) continue;  // the upgrade would not have been applied
    catalog = next;
    s.number = static_cast<int>(statements.size()) + 1;
    statements.push_back(std::move(s));
  }
  const DerivedDowngrade derived = derive_downgrade(statements);
  CHECK(derived.script.has_value() == derived.why_not.empty());
  if (!derived.script) return 0;
  bool good = true;
  for (const std::string& line : split(*derived.script, ";\n")) good = good && catalog.run(line);
  if (good && catalog == before) return 0;
  for (const Statement& s : statements) std::fprintf(stderr, "%s;\n", s.text.c_str());
  std::fprintf(stderr, "-- %s\n%s", good ? "leaves something else" : "does not run", derived.script->c_str());
  CHECK(!"the downgrade undoes the upgrade");
  return 0;
}
