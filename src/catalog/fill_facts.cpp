// Reading about fill triggers; see fill_facts.hpp.
#include "catalog/fill_facts.hpp"

#include "pg/server.hpp"
#include "pg/sql.hpp"

extern "C" {
#include "nodes/nodes.h"
#include "optimizer/optimizer.h"
}

namespace migration::catalog {

using pg::Row;
using pg::Rows;
using pg::Scope;
using pg::sql_int;

TriggerState trigger_state(unsigned relation, const std::string& name) {
  Scope scope;
  // Partitions have clones of the same name; one that was disabled on its own is a gap.
  Rows rows = pg::query(
      "SELECT t.oid, t.tgenabled = 'A' AND NOT EXISTS (WITH RECURSIVE tree AS (SELECT t.tgrelid AS relid UNION ALL "
      "SELECT "
      "h.inhrelid FROM tree JOIN pg_catalog.pg_inherits h ON h.inhparent = tree.relid) SELECT FROM tree WHERE NOT "
      "EXISTS "
      "(SELECT FROM pg_catalog.pg_trigger x WHERE x.tgrelid = tree.relid AND x.tgname = t.tgname AND x.tgenabled = "
      "'A')) "
      "FROM pg_catalog.pg_trigger t WHERE t.tgrelid = $1::oid AND t.tgname = $2::name",
      {sql_int(relation), name});
  TriggerState state;
  if (rows.empty()) return state;
  state.oid = static_cast<unsigned>(pg::to_integer(rows[0][0]));
  state.always = pg::to_bool(rows[0][1]);
  return state;
}

bool check_is_mutable(unsigned relation, const std::string& name) {
  Scope scope;
  Rows rows = pg::query(
      "SELECT conbin::text FROM pg_catalog.pg_constraint WHERE conrelid = $1::oid AND conname = $2::name AND contype = "
      "'c'",
      {sql_int(relation), name});
  if (rows.empty() || !rows[0][0]) return false;
  const char* text = rows[0][0]->c_str();
  return pg::pg_call([&] { return contain_mutable_functions(static_cast<Node*>(stringToNode(text))); });
}

bool has_check(unsigned relation, const std::string& name) {
  Scope scope;
  return !pg::query(
              "SELECT FROM pg_catalog.pg_constraint WHERE conrelid = $1::oid AND conname = $2::name AND contype = 'c'",
              {sql_int(relation), name})
              .empty();
}

std::vector<FillLeftover> fill_leftovers() {
  Scope scope;
  std::vector<FillLeftover> out;
  for (
      const Row& row : pg::query(
          "SELECT pg_catalog.quote_ident(f.name), pg_catalog.format('%I.%I', n.nspname, c.relname), f.function FROM "
          "(SELECT t.tgname AS name, t.tgrelid AS relid, pg_catalog.format('%I.%I', pn.nspname, p.proname) AS function "
          "FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid JOIN pg_catalog.pg_namespace pn "
          "ON "
          "pn.oid = p.pronamespace WHERE t.tgname LIKE 'zzz\\_migration\\_fill\\_%' AND t.tgparentid = 0 AND NOT "
          "t.tgisinternal UNION ALL SELECT k.conname, k.conrelid, NULL FROM pg_catalog.pg_constraint k WHERE k.conname "
          "LIKE 'zzz\\_migration\\_check\\_%' AND k.contype = 'c' AND k.coninhcount = 0) f JOIN pg_catalog.pg_class c "
          "ON "
          "c.oid = f.relid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE NOT EXISTS (SELECT FROM "
          "migration_ext.run r JOIN migration_ext.step s USING (run_id) WHERE r.state IN ('queued', 'running', "
          "'paused', "
          "'failed') AND pg_catalog.strpos(pg_catalog.array_to_string(s.statements, ' '), f.name) > 0) ORDER BY 2, "
          "1")) {
    out.push_back(FillLeftover{pg::text_or_empty(row[0]), pg::text_or_empty(row[1]), pg::text_or_empty(row[2])});
  }
  return out;
}

void set_before_image(long long run_id, int step, const std::vector<std::string>& image) {
  Scope scope;
  pg::query("UPDATE migration_ext.step SET before_image = $3::text[] WHERE run_id = $1::bigint AND step = $2::integer",
            {sql_int(run_id), sql_int(step), pg::sql_array(image)});
}

}  // namespace migration::catalog
