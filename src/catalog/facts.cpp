// Reading the user's schema; see facts.hpp.
#include "catalog/facts.hpp"

#include <fmt/format.h>

#include "pg/compat.hpp"
#include "pg/sql.hpp"

extern "C" {
#include "catalog/namespace.h"
#include "nodes/makefuncs.h"
#include "nodes/primnodes.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/varlena.h"
}

namespace migration::catalog {

using pg::Row;
using pg::Rows;
using pg::Scope;
using pg::sql_int;

unsigned resolve_relation(const std::string& quoted_name) {
  if (quoted_name.empty()) return 0;
  const char* name = quoted_name.c_str();
  return pg::pg_call([&] {
    RangeVar* range = makeRangeVarFromNameList(stringToQualifiedNameList(name COMPAT_NO_ESCONTEXT));
    if (range->schemaname != nullptr && !OidIsValid(LookupExplicitNamespace(range->schemaname, true))) {
      return InvalidOid;
    }
    return RangeVarGetRelid(range, NoLock, true);
  });
}

std::string relation_name(unsigned oid) {
  Scope scope;
  Rows rows = pg::query(
      "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace "
      "n "
      "ON n.oid = c.relnamespace WHERE c.oid = $1::oid",
      {sql_int(oid)});
  return rows.empty() ? std::string() : pg::text_or_empty(rows[0][0]);
}

RelationFacts relation_facts(const std::string& quoted_name) {
  RelationFacts facts;
  const unsigned oid = resolve_relation(quoted_name);
  if (oid == 0) return facts;
  Scope scope;
  // Rows are scaled from the last ANALYZE to the present size, as the planner does; partitions are summed up. Not by
  // pg_partition_tree(), which keeps a lock on every partition: a caller that then waits would block the worker's
  // DETACH.
  Rows rows = pg::query(
      "SELECT c.relkind, sum(CASE WHEN l.reltuples < 0 THEN (pg_catalog.pg_relation_size(l.oid) / 100)::double "
      "precision "
      "WHEN l.relpages > 0 THEN l.reltuples / l.relpages * (pg_catalog.pg_relation_size(l.oid) / 8192) "
      "ELSE l.reltuples END)::bigint, sum(pg_catalog.pg_table_size(l.oid))::bigint, "
      "EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND (t.tgtype & 1) = "
      "0 "
      "AND (t.tgtype & 24) <> 0) OR c.relhasrules, "
      "(SELECT pg_catalog.array_agg(pg_catalog.quote_ident(a.attname) ORDER BY k.n) FROM "
      "pg_catalog.unnest(i.indkey::smallint[]) WITH ORDINALITY k(attnum, n) JOIN pg_catalog.pg_attribute a "
      "ON a.attrelid = c.oid AND a.attnum = k.attnum WHERE k.n <= i.indnkeyatts) "
      "FROM pg_catalog.pg_class c CROSS JOIN LATERAL (WITH RECURSIVE tree AS (SELECT c.oid AS relid UNION ALL SELECT "
      "h.inhrelid FROM tree JOIN pg_catalog.pg_inherits h ON h.inhparent = tree.relid JOIN pg_catalog.pg_class p ON "
      "p.oid = h.inhrelid AND p.relispartition) SELECT tree.relid FROM tree) tree JOIN pg_catalog.pg_class l ON "
      "l.oid = tree.relid AND l.relkind IN ('r','m','t','p','i') AND (l.relkind <> 'p' OR l.oid = c.oid) "
      "LEFT JOIN LATERAL (SELECT x.* FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class ic ON ic.oid = x.indexrelid "
      "JOIN pg_catalog.pg_am am ON am.oid = ic.relam WHERE x.indrelid = c.oid AND x.indisunique AND x.indisvalid AND "
      "x.indimmediate AND x.indpred IS NULL AND x.indexprs IS NULL AND am.amname = 'btree' AND NOT EXISTS (SELECT FROM "
      "pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = ANY (x.indkey) AND NOT a.attnotnull) "
      "AND NOT EXISTS (SELECT FROM pg_catalog.pg_collation co WHERE co.oid = ANY (x.indcollation) AND NOT "
      "co.collisdeterministic) "
      "ORDER BY x.indisprimary DESC, x.indnkeyatts, x.indexrelid LIMIT 1) i ON true "
      "WHERE c.oid = $1::oid GROUP BY c.oid, c.relkind, c.relhasrules, i.indkey, i.indnkeyatts",
      {sql_int(oid)});
  if (rows.empty()) {
    Rows kind = pg::query("SELECT relkind FROM pg_catalog.pg_class WHERE oid = $1::oid", {sql_int(oid)});
    if (kind.empty()) return facts;
    facts.exists = true;
    facts.kind = (*kind[0][0])[0];
    return facts;
  }
  const Row& row = rows[0];
  facts.exists = true;
  facts.kind = (*row[0])[0];
  facts.rows = pg::to_integer(row[1], -1);
  facts.bytes = pg::to_integer(row[2], -1);
  facts.statement_triggers = pg::to_bool(row[3]);
  facts.key_columns = pg::parse_array(row[4]);
  return facts;
}

bool has_core_types(unsigned oid, const std::vector<std::string>& quoted_columns) {
  Scope scope;
  return pg::query(
             "SELECT 1 FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid LEFT JOIN "
             "pg_catalog.pg_type b ON b.oid = t.typbasetype WHERE a.attrelid = $1::oid AND NOT a.attisdropped AND "
             "pg_catalog.quote_ident(a.attname) = ANY ($2::text[]) AND coalesce(b.typtype, t.typtype) <> 'e' AND "
             "coalesce(b.typnamespace, t.typnamespace) <> 'pg_catalog'::pg_catalog.regnamespace",
             {sql_int(oid), pg::sql_array(quoted_columns)})
      .empty();
}

bool proven_not_null(const std::string& quoted_relation, const std::string& quoted_column) {
  const unsigned oid = resolve_relation(quoted_relation);
  if (oid == 0) return false;
  Scope scope;
  for (const Row& row : pg::query(
           "SELECT a.attnum, a.attnotnull AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint n WHERE n.conrelid = "
           "a.attrelid AND n.contype = 'n' AND NOT n.convalidated AND a.attnum = ANY (n.conkey)), c.conbin::text FROM "
           "pg_catalog.pg_attribute a LEFT JOIN "
           "pg_catalog.pg_constraint c ON c.conrelid = a.attrelid AND c.contype = 'c' AND c.convalidated WHERE "
           "a.attrelid = $1::oid AND NOT a.attisdropped AND pg_catalog.quote_ident(a.attname) = $2",
           {sql_int(oid), quoted_column})) {
    if (pg::to_bool(row[1])) return true;
    if (!row[2]) continue;
    const auto attribute = static_cast<AttrNumber>(pg::to_integer(row[0]));
    const char* text = row[2]->c_str();
    if (pg::pg_call([&] {
          ListCell* cell;
          foreach (cell, make_ands_implicit(static_cast<Expr*>(stringToNode(text)))) {
            auto* test = static_cast<NullTest*>(lfirst(cell));
            if (IsA(test, NullTest) && test->nulltesttype == IS_NOT_NULL && !test->argisrow && IsA(test->arg, Var) &&
                reinterpret_cast<Var*>(test->arg)->varattno == attribute) {
              return true;
            }
          }
          return false;
        })) {
      return true;
    }
  }
  return false;
}

namespace {

/// Does a plain or partitioned table hold a row (with a value in `column`, when given)? Estimated rows, 0 when none.
long long rows_held(unsigned oid, const std::string& column) {
  Scope scope;
  Rows kind = pg::query(
      "SELECT c.relkind, pg_catalog.format('%I.%I', n.nspname, c.relname), greatest(c.reltuples, 0)::bigint "
      "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1::oid",
      {sql_int(oid)});
  if (kind.empty()) return 0;
  const char relkind = (*kind[0][0])[0];
  if (relkind != 'r' && relkind != 'p') return 0;
  const std::string where = column.empty() ? "" : fmt::format(" WHERE {} IS NOT NULL", column);
  Rows held = pg::query_text(fmt::format("SELECT 1 FROM {}{} LIMIT 1", *kind[0][1], where));
  if (held.empty()) return 0;
  const long long estimate = pg::to_integer(kind[0][2]);
  return estimate > 0 ? estimate : 1;
}

bool column_exists(unsigned oid, const std::string& quoted_column) {
  Scope scope;
  return !pg::query(
              "SELECT 1 FROM pg_catalog.pg_attribute WHERE attrelid = $1::oid AND attnum > 0 AND NOT attisdropped "
              "AND pg_catalog.quote_ident(attname) = $2",
              {sql_int(oid), quoted_column})
              .empty();
}

std::string about(long long rows) {
  return rows > 1 ? fmt::format(" (about {})", rows) : "";
}

void table_loss(unsigned oid, std::vector<std::string>& out) {
  const long long rows = rows_held(oid, "");
  if (rows > 0) out.push_back(fmt::format("table {} holds rows{}", relation_name(oid), about(rows)));
}

}  // namespace

std::vector<std::string> losses_of(const Statement& s) {
  std::vector<std::string> out;
  if (s.kind == StatementKind::drop) {
    for (const DroppedObject& object : s.dropped) {
      if (object.type == "TABLE") {
        if (const unsigned oid = resolve_relation(object.name); oid != 0) table_loss(oid, out);
      } else if (object.type == "SCHEMA" || ((object.type == "EXTENSION" || object.type == "TYPE") && s.cascade)) {
        if (!s.cascade) continue;
        Rows tables;
        {
          Scope scope;
          tables = object.type == "SCHEMA"
                       ? pg::query(
                             "SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = "
                             "c.relnamespace WHERE pg_catalog.quote_ident(n.nspname) = $1 AND c.relkind = 'r'",
                             {object.name})
                       : Rows{};
        }
        for (const Row& row : tables) table_loss(static_cast<unsigned>(pg::to_integer(row[0])), out);
        if (object.type != "SCHEMA") {
          out.push_back(fmt::format("DROP {} {} CASCADE drops what depends on it", object.type, object.name));
        }
      }
    }
  } else if (s.kind == StatementKind::alter_table) {
    const unsigned oid = resolve_relation(s.relation);
    if (oid == 0) return out;
    for (const AlterAction& action : s.actions) {
      if (action.kind != "drop column" || !column_exists(oid, action.name)) continue;
      const long long rows = rows_held(oid, action.name);
      if (rows > 0) {
        out.push_back(fmt::format("column {}.{} holds values{}", relation_name(oid), action.name, about(rows)));
      }
    }
  } else if (s.kind == StatementKind::truncate) {
    for (const RelationUse& use : s.locks) {
      if (const unsigned oid = resolve_relation(use.name); oid != 0) table_loss(oid, out);
    }
  }
  return out;
}

std::vector<InvalidIndex> invalid_indexes() {
  Scope scope;
  std::vector<InvalidIndex> out;
  for (const Row& row : pg::query(
           "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), x.indrelid::pg_catalog.regclass::text "
           "FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class c ON c.oid = x.indexrelid JOIN pg_catalog.pg_namespace "
           "n "
           "ON n.oid = c.relnamespace WHERE NOT x.indisvalid AND c.relkind = 'i' AND n.nspname !~ '^pg_' AND NOT "
           "EXISTS "
           "(SELECT FROM pg_catalog.pg_stat_progress_create_index p WHERE p.index_relid = x.indexrelid) ORDER BY 1")) {
    out.push_back(InvalidIndex{*row[0], *row[1]});
  }
  return out;
}

bool has_user_tables() {
  Scope scope;
  return !pg::query(
              "SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE "
              "c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', "
              "'migration_ext') AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = "
              "'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e') LIMIT 1")
              .empty();
}

std::vector<IndexState> indexes_of(unsigned table, bool deep) {
  Scope scope;
  std::vector<IndexState> out;
  for (const Row& row : pg::query(
           "SELECT x.indexrelid, pg_catalog.format('%I.%I', n.nspname, c.relname), x.indisvalid AND x.indisready AND "
           "x.indislive, EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index p WHERE p.index_relid = "
           "x.indexrelid AND p.pid <> pg_catalog.pg_backend_pid()) FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class "
           "c "
           "ON c.oid = x.indexrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE x.indrelid = "
           "$1::oid "
           "OR ($2::boolean AND x.indrelid IN (SELECT unnest(ARRAY[t.oid, t.reltoastrelid]) FROM pg_catalog.pg_class t "
           "WHERE t.oid = $1::oid OR t.oid IN (SELECT p.relid FROM pg_catalog.pg_partition_tree($1::oid::regclass) "
           "p))) "
           "OR ($1::oid = 0 AND NOT x.indisvalid) "
           "ORDER BY x.indexrelid",
           {sql_int(table), pg::sql_bool(deep)})) {
    out.push_back(
        IndexState{static_cast<unsigned>(pg::to_integer(row[0])), *row[1], pg::to_bool(row[2]), pg::to_bool(row[3])});
  }
  return out;
}

}  // namespace migration::catalog
