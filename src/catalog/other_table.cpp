// Asking about second tables; see other_table.hpp.
#include "catalog/other_table.hpp"

#include <algorithm>
#include <set>

#include "catalog/facts.hpp"
#include "pg/analysis.hpp"
#include "pg/parse.hpp"
#include "pg/sql.hpp"
#include "statement/formatted.hpp"

namespace migration::catalog {

using pg::Row;
using pg::Rows;
using pg::Scope;
using pg::sql_int;

namespace {

std::string aliased(const std::string& relation, const std::string& alias) {
  return alias.empty() ? relation : relation + " AS " + alias;
}

/// Is one of the tables among those below the other, or the same?
bool share_rows(unsigned a, unsigned b) {
  Scope scope;
  return pg::to_bool(pg::query("WITH RECURSIVE below(top, oid) AS (SELECT o, o FROM pg_catalog.unnest(ARRAY[$1::oid, "
                               "$2::oid]) o UNION SELECT b.top, i.inhrelid FROM below b JOIN pg_catalog.pg_inherits i "
                               "ON i.inhparent = b.oid) SELECT EXISTS (SELECT FROM below x JOIN below y ON x.oid = "
                               "y.oid WHERE x.top = $1::oid AND y.top = $2::oid)",
                               {sql_int(a), sql_int(b)})
                         .at(0)
                         .at(0));
}

/// A role that may write the table and not read the lookup; empty when there is none. The trigger runs as who writes.
std::string writer_without_lookup(unsigned table, unsigned lookup) {
  Scope scope;
  Rows rows = pg::query(
      "SELECT r.rolname FROM pg_catalog.pg_roles r WHERE r.rolname !~ '^pg_' AND "
      "(pg_catalog.has_any_column_privilege(r.oid, $1::oid, "
      "'INSERT, UPDATE')) AND NOT pg_catalog.has_table_privilege(r.oid, $2::oid, 'SELECT') ORDER BY 1 LIMIT 1",
      {sql_int(table), sql_int(lookup)});
  return rows.empty() ? std::string() : *rows[0][0];
}

bool has_policies(unsigned table) {
  Scope scope;
  Rows rows = pg::query("SELECT relrowsecurity FROM pg_catalog.pg_class WHERE oid = $1::oid", {sql_int(table)});
  return !rows.empty() && pg::to_bool(rows[0][0]);
}

OtherTable of_lookup(const RowChange& change) {
  OtherTable out;
  const pg::LookupAnalysis found = pg::analyze_lookup(aliased(change.relation, change.alias) + ", " + change.from,
                                                      change.condition, change.conjuncts);
  if (found.key == pg::LookupKey::unknown) return out;
  out.known = true;
  const std::string name = change.lookup;
  if (found.key == pg::LookupKey::no_table) {
    out.obstacle = formatted("{} has no indexes that hold for all its rows", name);
  } else if (found.key == pg::LookupKey::no_key) {
    out.obstacle = formatted("a row may meet several rows of {}: the condition equates no unique key of it", name);
  } else if (share_rows(found.table, found.lookup)) {
    out.obstacle = "it looks values up in the table that it changes";
  }
  if (has_policies(found.lookup)) {
    out.no_trigger = formatted("row security of {} is different for each writer", name);
  } else if (const std::string role = writer_without_lookup(found.table, found.lookup); !role.empty()) {
    out.no_trigger = formatted("role {} may write the table and not read {}", pg::quote_identifier(role), name);
  }
  return out;
}

struct TargetRow {
  char kind = 0, persistence = 0;
  bool statement_triggers = false;
};

TargetRow target_row(unsigned oid) {
  Scope scope;
  Rows rows = pg::query(
      "SELECT c.relkind, c.relpersistence, c.relhasrules OR EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE "
      "t.tgrelid "
      "= c.oid AND NOT t.tgisinternal AND (t.tgtype & 1) = 0 AND (t.tgtype & 4) <> 0) FROM pg_catalog.pg_class c WHERE "
      "c.oid = $1::oid",
      {sql_int(oid)});
  if (rows.empty()) return {};
  return {(*rows[0][0])[0], (*rows[0][1])[0], pg::to_bool(rows[0][2])};
}

std::string joined(const std::vector<std::string>& items) {
  std::string out;
  for (const std::string& item : items) out += (out.empty() ? "" : ", ") + item;
  return out;
}

/// The values of a copy read from its source.
pg::SelectAnalysis analyze_values(const RowChange& change, const std::vector<std::string>& columns) {
  const std::string& values = change.copy->values;
  std::string sql = formatted("SELECT {}\nFROM {}", values.empty() ? joined(columns) : values,
                              aliased(change.relation, change.alias));
  if (!change.condition.empty()) sql += "\nWHERE (" + change.condition + "\n)";
  return pg::analyze_select(sql);
}

/// Has the target a unique key whose columns are all copied, by values that are the same a second time?
bool knows_repeats(unsigned target, const std::vector<std::string>& columns, const pg::SelectAnalysis& values) {
  if (!values.known || values.constant_in_order.size() != columns.size()) return false;
  std::vector<std::string> same;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (values.constant_in_order[i]) same.push_back(columns[i]);
  }
  Scope scope;
  Rows rows = pg::query(
      "SELECT 1 FROM pg_catalog.pg_index x WHERE x.indrelid = $1::oid AND x.indisunique AND x.indisvalid AND "
      "x.indimmediate AND x.indpred IS NULL AND x.indexprs IS NULL AND NOT EXISTS (SELECT FROM "
      "pg_catalog.unnest(x.indkey::smallint[]) WITH ORDINALITY k(attnum, n) JOIN pg_catalog.pg_attribute a ON "
      "a.attrelid = x.indrelid AND a.attnum = k.attnum WHERE k.n <= x.indnkeyatts AND NOT (a.attnotnull AND "
      "pg_catalog.quote_ident(a.attname) = ANY ($2::text[]))) LIMIT 1",
      {sql_int(target), pg::sql_array(same)});
  return !rows.empty();
}

OtherTable of_copy(const RowChange& change) {
  OtherTable out;
  const unsigned oid = resolve_relation(change.copy->into);
  if (oid == 0) return out;
  const TargetRow row = target_row(oid);
  out.known = true;
  if (row.statement_triggers) {
    out.obstacle = formatted("a statement trigger or a rule of {} must see it whole", change.copy->into);
  }
  try {
    const CopyTarget target = copy_target(change, "SELECT * FROM migration_plan();");
    out.repeatable = knows_repeats(oid, target.columns, analyze_values(change, target.columns));
  } catch (const MigrationError&) {
    // Columns that the plan will add, or a mistake: that is told when the copy is made.
    out.known = false;
  }
  return out;
}

struct Column {
  std::string name;  ///< quoted
  bool generated = false, always = false;
};

std::vector<Column> columns_of(unsigned oid) {
  Scope scope;
  std::vector<Column> out;
  for (const Row& row :
       pg::query("SELECT pg_catalog.quote_ident(attname), attgenerated <> '', attidentity = 'a' FROM "
                 "pg_catalog.pg_attribute WHERE attrelid = $1::oid AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
                 {sql_int(oid)})) {
    out.push_back({*row[0], pg::to_bool(row[1]), pg::to_bool(row[2])});
  }
  return out;
}

const Column* find(const std::vector<Column>& columns, const std::string& name) {
  const auto at = std::find_if(columns.begin(), columns.end(), [&](const Column& c) { return c.name == name; });
  return at == columns.end() ? nullptr : &*at;
}

/// Those of both, in the order of the target.
std::vector<std::string> common_columns(const std::vector<Column>& source, const std::vector<Column>& target,
                                        const std::string& name, const std::string& hint) {
  std::vector<std::string> out;
  for (const Column& column : target) {
    if (find(source, column.name) == nullptr || column.generated) continue;
    if (column.always) {
      throw MigrationError(
          sqlstate::invalid_parameter,
          formatted("column {} of {} is an identity column that is generated always", column.name, name),
          "Option \"columns\" with it in the list copies its values; without it, new ones are made.", hint);
    }
    out.push_back(column.name);
  }
  if (!out.empty()) return out;
  throw MigrationError(sqlstate::invalid_parameter, formatted("no column of {} has a name of the source", name),
                       "Option \"columns\" and the assignments say what goes where.", hint);
}

void check_columns(const RowChange& change, const std::vector<Column>& source, const std::vector<Column>& target,
                   const std::string& name, const std::string& hint) {
  std::set<std::string> seen;
  for (const std::string& column : change.copy->columns) {
    const Column* const there = find(target, column);
    if (there == nullptr) {
      throw MigrationError("42703", formatted("column {} of {} does not exist", column, name), {}, hint);
    }
    if (there->generated) {
      throw MigrationError("428C9", formatted("column {} of {} is generated", column, name),
                           "Its values follow from other columns.", hint);
    }
    if (!seen.insert(column).second) {
      throw MigrationError(sqlstate::invalid_parameter,
                           formatted("column {} stands twice in option \"columns\"", column), {}, hint);
    }
    if (change.copy->values.empty() && find(source, column) == nullptr) {
      throw MigrationError("42703", formatted("column {} of {} does not exist", column, change.relation),
                           "Without assignments, columns are copied by their names.", hint);
    }
  }
}

void check_values(const RowChange& change, const std::vector<std::string>& columns, const std::string& hint) {
  const pg::SelectAnalysis values = analyze_values(change, columns);
  if (!values.known) throw MigrationError(values.state, values.error, "In the values or the condition.", hint);
  if (values.aggregates || values.sets) {
    throw MigrationError(sqlstate::feature_not_supported, "a copy makes one row of each row",
                         "Aggregates, window functions and functions that return sets are not possible in its values.",
                         hint);
  }
  if (values.constant_in_order.size() != columns.size()) {
    throw MigrationError(
        "42601", formatted("a copy of {} values into {} columns", values.constant_in_order.size(), columns.size()),
        formatted("The columns are {}.", joined(columns)), hint);
  }
}

}  // namespace

OtherTable other_table(const RowChange& change) {
  if (change.copy) return of_copy(change);
  return change.lookup.empty() ? OtherTable() : of_lookup(change);
}

CopyTarget copy_target(const RowChange& change, const std::string& hint) {
  const RowCopy& copy = *change.copy;
  CopyTarget out;
  const unsigned source = resolve_relation(change.relation);
  out.oid = resolve_relation(copy.into);
  if (source == 0 || out.oid == 0) {
    throw MigrationError(sqlstate::undefined_table,
                         formatted("table {} does not exist", source == 0 ? change.relation : copy.into), {}, hint);
  }
  out.name = relation_name(out.oid);
  const TargetRow row = target_row(out.oid);
  if (row.kind != 'r' && row.kind != 'p') {
    throw MigrationError("42809", formatted("{} is not a table", out.name), "Rows are copied into tables.", hint);
  }
  if (row.persistence == 't') {
    throw MigrationError(sqlstate::feature_not_supported, formatted("{} is a temporary table", out.name),
                         "A backfill is run by a background worker, which cannot see it.", hint);
  }
  if (share_rows(source, out.oid)) {
    throw MigrationError(sqlstate::invalid_parameter, "rows cannot be copied into the table that they come from",
                         formatted("{} holds rows of {}, or is it.", out.name, change.relation), hint);
  }
  const std::vector<Column> from = columns_of(source), to = columns_of(out.oid);
  check_columns(change, from, to, out.name, hint);
  out.columns = copy.columns.empty() ? common_columns(from, to, out.name, hint) : copy.columns;
  check_values(change, out.columns, hint);
  return out;
}

std::vector<std::string> columns_by_name(const Statement& s) {
  if (!s.change || !s.change->copy || !s.change->copy->columns.empty()) return {};
  return copy_target(
             *s.change,
             formatted("SELECT migration_backfill({}, NULL, NULL, '{{\"action\": \"copy\", \"into\": \"target\", "
                       "\"columns\": [\"id\"]}}');",
                       pg::quote_literal(s.change->relation)))
      .columns;
}

}  // namespace migration::catalog
