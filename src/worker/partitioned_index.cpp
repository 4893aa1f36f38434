// The walk over a partition tree; see partitioned_index.hpp.
#include "worker/partitioned_index.hpp"

#include <algorithm>
#include <unordered_map>

#include "catalog/facts.hpp"
#include "pg/parse.hpp"
#include "pg/process.hpp"
#include "pg/settings.hpp"
#include "pg/sql.hpp"
#include "pg/watchdog.hpp"
#include "statement/formatted.hpp"
#include "worker/planning.hpp"
#include "worker/transact.hpp"

namespace migration {

using pg::Row;
using pg::sql_int;

void PartitionedIndex::in_locked_transaction(const std::function<void()>& f) const {
  try {
    pg::in_transaction([&] {
      pg::SettingsFrame frame;
      apply_script_path(step_.script_path);
      pg::set_local("lock_timeout", std::to_string(run_.lock_timeout_ms));
      f();
    });
  } catch (const pg::PgError& e) {
    if (is_transient(e.state()) || e.state().starts_with("57")) throw;
    const StepText text{step_.step, step_.revision, step_.settings, step_.statements, {}, step_.script_path};
    throw step_error(text, 1, step_.statements.front(), e, "The steps before it are done.",
                     formatted("SELECT migration_resume({});", run_.run_id));
  }
}

unsigned PartitionedIndex::parent_index() const {
  for (const catalog::IndexState& index : catalog::indexes_of(parent_, false)) {
    const std::string tail = "." + s_.object;
    const bool named = !s_.object.empty() && index.name.size() > tail.size() &&
                       index.name.compare(index.name.size() - tail.size(), tail.size(), tail) == 0;
    const bool before = was_there(index.oid);
    // A valid index of this name that is not ours: the server says that it exists.
    if (named ? !(before && index.valid) : s_.object.empty() && !before) return index.oid;
  }
  return 0;
}

std::vector<PartitionedIndex::Member> PartitionedIndex::members() const {
  pg::Scope scope;
  std::vector<Member> out;
  for (const Row& row :
       pg::query("SELECT t.relid::oid, t.parentrelid::oid, t.isleaf, n.nspname, c.relname FROM "
                 "pg_catalog.pg_partition_tree($1::oid::regclass) t JOIN pg_catalog.pg_class c ON c.oid = t.relid JOIN "
                 "pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE t.level > 0 ORDER BY t.level, t.relid",
                 {sql_int(parent_)})) {
    out.push_back(Member{static_cast<unsigned>(pg::to_integer(row[0])), static_cast<unsigned>(pg::to_integer(row[1])),
                         pg::to_bool(row[2]), *row[3], *row[4]});
  }
  return out;
}

unsigned PartitionedIndex::attached_index(const Member& m, unsigned parent_index) const {
  pg::Scope scope;
  pg::Rows rows = pg::query(
      "SELECT x.indexrelid FROM pg_catalog.pg_index x JOIN pg_catalog.pg_inherits i ON i.inhrelid = x.indexrelid "
      "WHERE x.indrelid = $1::oid AND i.inhparent = $2::oid",
      {sql_int(m.oid), sql_int(parent_index)});
  return rows.empty() ? 0 : static_cast<unsigned>(pg::to_integer(rows[0][0]));
}

void PartitionedIndex::build() {
  const std::string& sql = step_.statements.front();
  unsigned top = 0;
  std::string schema, table;
  pg::in_transaction([&] {
    top = parent_index();
    pg::Scope scope;
    pg::Rows rows = pg::query(
        "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = "
        "c.relnamespace "
        "WHERE c.oid = $1::oid",
        {sql_int(parent_)});
    if (!rows.empty()) {
      schema = *rows[0][0];
      table = *rows[0][1];
    }
  });
  if (top == 0) {
    in_locked_transaction([&] {
      pg::Rows unquoted;
      if (!s_.object.empty()) {
        pg::Scope scope;
        unquoted = pg::query("SELECT (pg_catalog.parse_ident($1))[1]", {s_.object});
      }
      pg::run_index_statement(sql, false,
                              {schema, table, unquoted.empty() ? std::string() : *unquoted[0][0], true, false});
    });
    pg::in_transaction([&] { top = parent_index(); });
  }
  pg::crash_point("partitions:after_parent", step_.step);

  // Two passes: partitions that were attached during the first are met in the second.
  for (int pass = 0; pass < 2; ++pass) {
    std::vector<Member> tree;
    pg::in_transaction([&] { tree = members(); });
    std::unordered_map<unsigned, unsigned> index_of{{parent_, top}};
    for (const Member& m : tree) {
      const unsigned above = index_of[m.parent];
      if (above == 0) continue;
      unsigned own = 0;
      pg::in_transaction([&] { own = attached_index(m, above); });
      if (own == 0) {
        build_member(m, above);
        pg::in_transaction([&] { own = attached_index(m, above); });
      }
      index_of[m.oid] = own;
      pg::crash_point("partitions:after_member", step_.step);
    }
  }
}

bool PartitionedIndex::was_there(unsigned index) const {
  const std::string prefix = std::to_string(index) + ":";
  return std::any_of(step_.before_image.begin(), step_.before_image.end(),
                     [&](const std::string& line) { return line.rfind(prefix, 0) == 0; });
}

std::vector<catalog::IndexState> PartitionedIndex::fitting(const Member& m, unsigned above) const {
  pg::Scope scope;
  const pg::Rows rows = pg::query(
      "SELECT x.indexrelid FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class c ON c.oid = x.indexrelid, "
      "pg_catalog.pg_index p JOIN pg_catalog.pg_class pc ON pc.oid = p.indexrelid WHERE p.indexrelid = $2::oid AND "
      "x.indrelid = $1::oid AND NOT c.relispartition AND NOT x.indisexclusion AND c.relam = pc.relam AND x.indisunique "
      "= "
      "p.indisunique AND x.indnullsnotdistinct = p.indnullsnotdistinct AND x.indnatts = p.indnatts AND x.indnkeyatts = "
      "p.indnkeyatts AND x.indclass::oid[] = p.indclass::oid[] AND x.indcollation::oid[] = p.indcollation::oid[] AND "
      "NOT EXISTS (SELECT FROM pg_catalog.generate_series(1, p.indnatts) n WHERE "
      "pg_catalog.pg_get_indexdef(x.indexrelid, "
      "n, false) <> pg_catalog.pg_get_indexdef(p.indexrelid, n, false)) AND pg_catalog.pg_get_expr(x.indpred, "
      "x.indrelid) IS NOT DISTINCT FROM pg_catalog.pg_get_expr(p.indpred, p.indrelid)",
      {sql_int(m.oid), sql_int(above)});
  std::vector<catalog::IndexState> out;
  for (catalog::IndexState& index : catalog::indexes_of(m.oid, false)) {
    for (const Row& row : rows) {
      if (static_cast<unsigned>(pg::to_integer(row[0])) == index.oid) out.push_back(std::move(index));
    }
  }
  return out;
}

void PartitionedIndex::drop_leftovers(const Member& m, unsigned above, bool patient) {
  std::vector<catalog::IndexState> found;
  pg::in_transaction([&] { found = fitting(m, above); });
  for (const catalog::IndexState& index : found) {
    if (index.valid || index.being_built || was_there(index.oid)) continue;
    run_top_level(run_, step_, "DROP INDEX CONCURRENTLY IF EXISTS " + index.name, nullptr, patient);
  }
}

void PartitionedIndex::build_member(const Member& m, unsigned above) {
  // As the server does it: an index that fits is taken, whoever made it; else one is made, and the server names it.
  const auto usable = [&] {
    std::string name;
    pg::in_transaction([&] {
      for (const catalog::IndexState& index : fitting(m, above)) {
        if (name.empty() && (index.valid || !m.leaf)) name = index.name;
      }
    });
    return name;
  };
  if (m.leaf) drop_leftovers(m, above, true);
  std::string name = usable();
  if (name.empty()) {
    pg::report(NOTICE, "00000", formatted("building the index of partition {}", m.name));
    const pg::IndexRewrite rewrite{m.schema, m.name, "", !m.leaf, m.leaf};
    if (m.leaf) {
      run_top_level(run_, step_, step_.statements.front(), &rewrite);
    } else {
      in_locked_transaction([&] { pg::run_index_statement(step_.statements.front(), false, rewrite); });
    }
    name = usable();
  }
  pg::crash_point("partitions:before_attach", step_.step);
  std::string above_name;
  pg::in_transaction([&] { above_name = catalog::relation_name(above); });
  if (name.empty() || above_name.empty()) {
    throw MigrationError(sqlstate::step_failed, formatted("the index of partition {} is not there", m.name),
                         "The command ended without an error, but the catalogs do not show a valid index.",
                         formatted("SELECT migration_resume({});", run_.run_id));
  }
  in_locked_transaction(
      [&] { pg::run_statement(formatted("ALTER INDEX {} ATTACH PARTITION {}", above_name, name), false); });
}

bool PartitionedIndex::clean_up() {
  unsigned top = 0;
  std::vector<Member> tree;
  pg::in_transaction([&] {
    top = parent_index();
    if (top != 0) tree = members();
  });
  if (top == 0) return true;
  std::unordered_map<unsigned, unsigned> index_of{{parent_, top}};
  bool any_leaf = false;
  for (const Member& m : tree) {
    const unsigned above = index_of[m.parent];
    if (above == 0) continue;
    pg::in_transaction([&] { index_of[m.oid] = attached_index(m, above); });
    if (!m.leaf) continue;
    if (index_of[m.oid] != 0) {
      any_leaf = true;
    } else {
      drop_leftovers(m, above, false);
    }
  }
  // What the partitions have so far is kept for the next attempt; an entry of the parent alone is good for nothing.
  if (any_leaf || was_there(top)) return false;
  in_locked_transaction([&] { pg::run_statement("DROP INDEX IF EXISTS " + catalog::relation_name(top), false); });
  return true;
}

}  // namespace migration
