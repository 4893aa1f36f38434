// Reading the user's schema; see facts.hpp.
#include "catalog/facts.hpp"

#include <cmath>

#include "pg/compat.hpp"
#include "pg/sql.hpp"
#include "statement/formatted.hpp"

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
      "ON a.attrelid = c.oid AND a.attnum = k.attnum WHERE k.n <= i.indnkeyatts), (WITH RECURSIVE level AS (SELECT "
      "c.oid "
      "AS relid UNION ALL SELECT h.inhrelid FROM level JOIN pg_catalog.pg_inherits h ON h.inhparent = level.relid JOIN "
      "pg_catalog.pg_class p ON p.oid = h.inhrelid AND p.relkind = 'p') SELECT "
      "pg_catalog.string_agg(pg_catalog.pg_get_partkeydef(level.relid), ' ') FROM level), "
      "(SELECT pg_catalog.array_agg(pg_catalog.quote_ident(g.attname) ORDER BY g.attnum) FROM pg_catalog.pg_attribute "
      "g "
      "WHERE g.attrelid = c.oid AND g.attgenerated <> '' AND NOT g.attisdropped), "
      "EXISTS (SELECT FROM pg_catalog.pg_inherits h JOIN pg_catalog.pg_class p ON p.oid = h.inhrelid WHERE h.inhparent "
      "= "
      "c.oid AND NOT p.relispartition) "
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
  facts.name = relation_name(oid);
  facts.kind = (*row[0])[0];
  facts.rows = pg::to_integer(row[1], -1);
  facts.bytes = pg::to_integer(row[2], -1);
  facts.statement_triggers = pg::to_bool(row[3]);
  facts.key_columns = pg::parse_array(row[4]);
  facts.partition_key = pg::text_or_empty(row[5]);
  if (row[6]) facts.generated = pg::parse_array(row[6]);
  facts.heirs = pg::to_bool(row[7]);
  return facts;
}

std::vector<std::string> unique_key(unsigned oid, const std::vector<std::string>& columns) {
  Scope scope;
  Rows rows = pg::query(
      "SELECT (SELECT pg_catalog.array_agg(pg_catalog.quote_ident(c) ORDER BY n) FROM pg_catalog.unnest($2::text[]) "
      "WITH ORDINALITY u(c, n)) FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid JOIN "
      "pg_catalog.pg_am am ON am.oid = i.relam WHERE x.indrelid = $1::oid AND x.indisunique AND x.indisvalid AND "
      "x.indimmediate AND x.indpred IS NULL AND x.indexprs IS NULL AND am.amname = 'btree' AND "
      "(SELECT pg_catalog.array_agg(a.attname::text ORDER BY k.n) FROM pg_catalog.unnest(x.indkey::smallint[]) WITH "
      "ORDINALITY k(attnum, n) JOIN pg_catalog.pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.attnum AND "
      "a.attnotnull WHERE k.n <= x.indnkeyatts) = $2::text[] AND NOT EXISTS (SELECT FROM pg_catalog.pg_collation co "
      "WHERE co.oid = ANY (x.indcollation) AND NOT co.collisdeterministic) LIMIT 1",
      {sql_int(oid), pg::sql_array(columns)});
  return rows.empty() ? std::vector<std::string>() : pg::parse_array(rows[0][0]);
}

backfill::Key key_of(unsigned oid, const std::vector<std::string>& quoted_columns) {
  backfill::Key key;
  Scope scope;
  for (const std::string& column : quoted_columns) {
    // Operators of the default btree order of the column's type: of its base type when it is a domain, of the type it
    // is stored like (varchar: text), of anyenum and its kin for families of types.
    Rows rows = pg::query(
        "SELECT pg_catalog.format_type(a.atttypid, a.atttypmod), pg_catalog.array_agg(pg_catalog.format("
        "'OPERATOR(%I.%s)', n.nspname, o.oprname) ORDER BY m.amopstrategy), pg_catalog.min(pg_catalog.concat_ws(' ', "
        "y.opfname, l.collname, CASE WHEN l.collname = 'default' THEN d.locale END)) FROM pg_catalog.pg_attribute a "
        "LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation "
        // Its name depends on the major release.
        "CROSS JOIN (SELECT coalesce(pg_catalog.to_jsonb(b) ->> 'daticulocale', pg_catalog.to_jsonb(b) ->> "
        "'datlocale', "
        "b.datcollate::text) FROM pg_catalog.pg_database b WHERE b.datname = pg_catalog.current_database()) d(locale) "
        "CROSS JOIN LATERAL (WITH RECURSIVE base(oid) AS (SELECT a.atttypid UNION ALL SELECT t.typbasetype FROM base "
        "JOIN pg_catalog.pg_type t ON t.oid = base.oid WHERE t.typtype = 'd') SELECT t.oid, t.typtype, t.typcategory "
        "FROM base JOIN pg_catalog.pg_type t ON t.oid = base.oid WHERE t.typtype <> 'd') b "
        "CROSS JOIN LATERAL (SELECT k.opcfamily, k.opcintype FROM pg_catalog.pg_opclass k JOIN pg_catalog.pg_am am "
        "ON am.oid = k.opcmethod WHERE am.amname = 'btree' AND k.opcdefault AND (k.opcintype = b.oid OR "
        "k.opcintype = CASE WHEN b.typtype = 'e' THEN 'pg_catalog.anyenum'::pg_catalog.regtype WHEN b.typtype = 'r' "
        "THEN 'pg_catalog.anyrange'::pg_catalog.regtype WHEN b.typtype = 'm' THEN "
        "'pg_catalog.anymultirange'::pg_catalog.regtype WHEN b.typcategory = 'A' THEN "
        "'pg_catalog.anyarray'::pg_catalog.regtype WHEN b.typtype = 'c' THEN 'pg_catalog.record'::pg_catalog.regtype "
        "END OR EXISTS (SELECT FROM pg_catalog.pg_cast c WHERE c.castsource = b.oid AND c.casttarget = k.opcintype "
        "AND c.castmethod = 'b' AND c.castcontext = 'i')) ORDER BY k.opcintype <> b.oid, k.opcintype LIMIT 1) f "
        "JOIN pg_catalog.pg_opfamily y ON y.oid = f.opcfamily "
        "JOIN pg_catalog.pg_amop m ON m.amopfamily = f.opcfamily AND m.amoplefttype = f.opcintype AND "
        "m.amoprighttype = f.opcintype AND m.amopstrategy IN (2, 3, 5) JOIN pg_catalog.pg_operator o "
        "ON o.oid = m.amopopr JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace "
        "WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped AND "
        "pg_catalog.quote_ident(a.attname) = $2 GROUP BY 1",
        {sql_int(oid), column});
    std::vector<std::string> operators;
    if (!rows.empty()) operators = pg::parse_array(rows[0][1]);
    if (operators.size() != 3) {
      throw MigrationError(sqlstate::undefined_object, formatted("column {} has no order to go by", column),
                           "A backfill by key needs a column with a default btree operator class.",
                           "SELECT opcname, opcintype::regtype FROM pg_opclass WHERE opcdefault;");
    }
    key.push_back({column, pg::text_or_empty(rows[0][0]), operators[0], operators[1], operators[2],
                   pg::text_or_empty(rows[0][2])});
  }
  return key;
}

TableIdentity table_identity(unsigned oid, const std::vector<std::string>& columns) {
  Scope scope;
  Rows rows = pg::query(
      "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), (SELECT pg_catalog.string_agg(pg_catalog.format('%I "
      "%s (column %s)', a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnum), ', ' ORDER BY "
      "a.attnum) FROM "
      "pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND "
      "a.attname = ANY ($2::text[])) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = "
      "c.relnamespace WHERE c.oid = $1::oid",
      {sql_int(oid), pg::sql_array(columns)});
  if (rows.empty()) return {};
  return {pg::text_or_empty(rows[0][0]), pg::text_or_empty(rows[0][1])};
}

double correlation_of(unsigned oid, const std::string& quoted_column) {
  Scope scope;
  const Rows rows = pg::query(
      "SELECT pg_catalog.abs(s.correlation)::text FROM pg_catalog.pg_stats s JOIN pg_catalog.pg_class c ON c.relname = "
      "s.tablename JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname = s.schemaname WHERE c.oid = "
      "$1::oid AND pg_catalog.quote_ident(s.attname) = $2 AND s.correlation IS NOT NULL ORDER BY s.inherited LIMIT 1",
      {sql_int(oid), quoted_column});
  return rows.empty() ? 0 : std::stod(*rows[0][0]);
}

std::string horizon_holder() {
  Scope scope;
  Rows rows = pg::query(
      "SELECT what FROM (SELECT pg_catalog.format('process %s of %I (application \"%s\", %s for %s)', a.pid, "
      "a.usename, "
      "a.application_name, a.state, pg_catalog.date_trunc('second', pg_catalog.clock_timestamp() - a.xact_start)), "
      "greatest(pg_catalog.age(a.backend_xmin), pg_catalog.age(a.backend_xid)) FROM "
      "pg_catalog.pg_stat_activity a WHERE a.pid <> pg_catalog.pg_backend_pid() AND "
      "(a.backend_xmin IS NOT NULL OR a.backend_xid IS NOT NULL) UNION ALL "
      "SELECT pg_catalog.format('prepared transaction %L', p.gid), pg_catalog.age(p.transaction) FROM "
      "pg_catalog.pg_prepared_xacts p UNION ALL "
      "SELECT pg_catalog.format('replication slot %I', s.slot_name), "
      "greatest(pg_catalog.age(s.xmin), pg_catalog.age(s.catalog_xmin)) FROM "
      "pg_catalog.pg_replication_slots s WHERE s.xmin IS NOT NULL UNION ALL "
      "SELECT pg_catalog.format('standby %s', r.application_name), pg_catalog.age(r.backend_xmin) FROM "
      "pg_catalog.pg_stat_replication r WHERE r.backend_xmin IS NOT NULL) h(what, age) ORDER BY age DESC LIMIT 1");
  return rows.empty() ? std::string() : pg::text_or_empty(rows[0][0]);
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
  const std::string where = column.empty() ? "" : formatted(" WHERE {} IS NOT NULL", column);
  Rows held = pg::query_text(formatted("SELECT 1 FROM {}{} LIMIT 1", *kind[0][1], where));
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
  return rows > 1 ? formatted(" (about {})", rows) : "";
}

void table_loss(unsigned oid, std::vector<std::string>& out) {
  const long long rows = rows_held(oid, "");
  if (rows > 0) out.push_back(formatted("table {} holds rows{}", relation_name(oid), about(rows)));
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
          out.push_back(formatted("DROP {} {} CASCADE drops what depends on it", object.type, object.name));
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
        out.push_back(formatted("column {}.{} holds values{}", relation_name(oid), action.name, about(rows)));
      }
    }
  } else if (s.kind == StatementKind::truncate) {
    for (const RelationUse& use : s.locks) {
      if (const unsigned oid = resolve_relation(use.name); oid != 0) table_loss(oid, out);
    }
  }
  return out;
}

SetColumns set_columns_of(unsigned relation, const std::vector<std::string>& quoted_columns) {
  Scope scope;
  SetColumns out;
  double growth = 0;
  for (const Row& row : pg::query(
           "SELECT p.names[1], CASE WHEN a.attnum IS NULL THEN 8 ELSE coalesce(s.stanullfrac, 1) * CASE WHEN a.attlen "
           "> 0 THEN a.attlen WHEN s.stawidth > 0 THEN s.stawidth ELSE 16 END END FROM pg_catalog.unnest($2::text[]) q "
           "CROSS JOIN LATERAL pg_catalog.parse_ident(q) p(names) LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = "
           "$1::oid AND a.attname = p.names[1] AND a.attnum > 0 LEFT JOIN pg_catalog.pg_statistic s ON s.starelid = "
           "a.attrelid AND s.staattnum = a.attnum AND NOT s.stainherit",
           {sql_int(relation), pg::sql_array(quoted_columns)})) {
    out.names.push_back(*row[0]);
    growth += std::stod(*row[1]);
  }
  out.growth = static_cast<int>(std::lround(growth));
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
