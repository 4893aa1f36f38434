// The walk over a partition tree; see partitioned_index.hpp.
#include "worker/partitioned_index.hpp"

#include <fmt/format.h>

#include <unordered_map>

#include "catalog/facts.hpp"
#include "pg/parse.hpp"
#include "pg/process.hpp"
#include "pg/settings.hpp"
#include "pg/sql.hpp"
#include "pg/watchdog.hpp"
#include "worker/planning.hpp"
#include "worker/transact.hpp"

namespace migration {

using pg::Row;
using pg::sql_int;

namespace {

std::string derived_name(const std::string& table, const std::string& parent_index) {
  const std::string name = table + "_" + parent_index;
  if (name.size() <= 63) return name;
  // 63 bytes is the server's limit; the tail keeps names of long siblings apart.
  std::uint64_t hash = 1469598103934665603ULL;
  for (unsigned char c : name) hash = (hash ^ c) * 1099511628211ULL;
  std::size_t cut = 46;
  while (cut > 0 && (static_cast<unsigned char>(name[cut]) & 0xC0) == 0x80) --cut;
  return fmt::format("{}_{:016x}", name.substr(0, cut), hash);
}

}  // namespace

void PartitionedIndex::in_locked_transaction(const std::function<void()>& f) const {
  pg::in_transaction([&] {
    pg::SettingsFrame frame;
    apply_script_path(step_.script_path);
    pg::set_local("lock_timeout", std::to_string(run_.lock_timeout_ms));
    f();
  });
}

unsigned PartitionedIndex::parent_index() const {
  for (const catalog::IndexState& index : catalog::indexes_of(parent_, false)) {
    const std::string tail = "." + s_.object;
    const bool named = !s_.object.empty() && index.name.size() > tail.size() &&
                       index.name.compare(index.name.size() - tail.size(), tail.size(), tail) == 0;
    bool before = false;
    for (const std::string& line : step_.before_image) {
      if (line.rfind(std::to_string(index.oid) + ":", 0) == 0) before = true;
    }
    if (named || (s_.object.empty() && !before)) return index.oid;
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

void PartitionedIndex::build_member(const Member& m, unsigned above) {
  std::string above_name, above_plain, wanted, full;
  bool there = false, valid = false;
  pg::in_transaction([&] {
    pg::Scope scope;
    pg::Rows rows = pg::query(
        "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), c.relname FROM pg_catalog.pg_class c JOIN "
        "pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1::oid",
        {sql_int(above)});
    if (rows.empty()) return;
    above_name = *rows[0][0];
    above_plain = *rows[0][1];
    wanted = derived_name(m.name, above_plain);
    full = pg::quote_identifier(m.schema) + "." + pg::quote_identifier(wanted);
    for (const catalog::IndexState& index : catalog::indexes_of(m.oid, false)) {
      if (index.name == full) {
        there = true;
        valid = index.valid;
      }
    }
  });
  if (wanted.empty()) return;
  if (there && !valid && m.leaf) {
    run_top_level(run_, step_, "DROP INDEX CONCURRENTLY IF EXISTS " + full);
    there = false;
  }
  if (!there) {
    pg::report(NOTICE, "00000", fmt::format("building index {} on partition {}", wanted, m.name));
    const pg::IndexRewrite rewrite{m.schema, m.name, wanted, !m.leaf, m.leaf};
    if (m.leaf) {
      run_top_level(run_, step_, step_.statements.front(), &rewrite);
    } else {
      in_locked_transaction([&] { pg::run_index_statement(step_.statements.front(), false, rewrite); });
    }
  }
  in_locked_transaction(
      [&] { pg::run_statement(fmt::format("ALTER INDEX {} ATTACH PARTITION {}", above_name, full), false); });
}

}  // namespace migration
