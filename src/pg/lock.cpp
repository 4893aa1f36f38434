// Run lock and step locks; see lock.hpp.
#include "pg/lock.hpp"

#include <algorithm>
#include <map>

#include "pg/compat.hpp"
#include "pg/sql.hpp"

extern "C" {
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_inherits.h"
#include "nodes/makefuncs.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/varlena.h"
}

namespace migration::pg {

namespace {

LOCKTAG ledger_tag(int part) {
  const Oid relation = ledger_relation("run");
  LOCKTAG tag;
  SET_LOCKTAG_OBJECT(tag, MyDatabaseId, RelationRelationId, relation, static_cast<uint16>(part));
  // The lock method of advisory locks: an abort releases session locks of the default method (ProcReleaseLocks), and a
  // worker survives the aborts of its steps. No advisory function can name this tag.
  tag.locktag_lockmethodid = USER_LOCKMETHOD;
  return tag;
}

LOCKTAG g_submit_tag;

bool try_lock(LOCKTAG tag, LOCKMODE mode, bool session) {
  return pg_call([&] { return LockAcquire(&tag, mode, session, true) != LOCKACQUIRE_NOT_AVAIL; });
}

}  // namespace

// ExclusiveLock for the owner; lookers try RowShareLock, which conflicts with it but not with other lookers.
bool try_run_lock(LockLife life) {
  return try_lock(ledger_tag(1), ExclusiveLock, life == LockLife::session);
}

void release_run_lock(LockLife life) {
  LOCKTAG tag = ledger_tag(1);
  pg_call([&] { LockRelease(&tag, ExclusiveLock, life == LockLife::session); });
}

bool keep_run_lock() {
  LOCKTAG tag = ledger_tag(1);
  if (pg_call([&] { return LockHeldByMe(&tag, ExclusiveLock COMPAT_NOT_STRONGER); })) return true;
  return try_lock(tag, ExclusiveLock, true);
}

bool run_lock_held_elsewhere() {
  LOCKTAG tag = ledger_tag(1);
  return pg_call([&] {
    if (LockAcquire(&tag, RowShareLock, false, true) == LOCKACQUIRE_NOT_AVAIL) return true;
    LockRelease(&tag, RowShareLock, false);
    return false;
  });
}

int run_lock_owner() {
  Scope scope;
  Rows rows = query(
      "SELECT l.pid FROM pg_catalog.pg_locks l WHERE l.locktype = 'object' AND l.classid = "
      "'pg_catalog.pg_class'::regclass "
      "AND l.objid = 'migration_ext.run'::regclass AND l.objsubid = 1 AND l.mode = 'ExclusiveLock' AND l.granted "
      "AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())");
  return rows.empty() ? 0 : static_cast<int>(to_integer(rows[0][0]));
}

bool try_submit_lock() {
  // Remembered, so that it can be released without a look at the catalogs when an error is on its way out.
  g_submit_tag = ledger_tag(2);
  return try_lock(g_submit_tag, ExclusiveLock, true);
}

void release_submit_lock() {
  LOCKTAG tag = ledger_tag(2);
  pg_call([&] { LockRelease(&tag, ExclusiveLock, true); });
}

void release_submit_lock_quietly() noexcept {
  LockRelease(&g_submit_tag, ExclusiveLock, true);
}

void lock_extension(unsigned extension_oid) {
  LOCKTAG tag;
  SET_LOCKTAG_OBJECT(tag, MyDatabaseId, ExtensionRelationId, extension_oid, 0);
  pg_call([&] { LockAcquire(&tag, AccessShareLock, false, false); });
}

int lock_mode_number(const std::string& name) {
  static const char* const names[] = {
      "",          "AccessShareLock",       "RowShareLock",  "RowExclusiveLock",   "ShareUpdateExclusiveLock",
      "ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock"};
  for (int i = 1; i <= 8; ++i) {
    if (name == names[i]) return i;
  }
  return 0;
}

std::vector<LockTarget> resolve_locks(const std::vector<RelationUse>& uses) {
  std::map<unsigned, LockTarget> by_oid;
  for (const RelationUse& use : uses) {
    const int mode = lock_mode_number(use.lock_mode);
    if (mode == 0 || use.name.empty()) continue;
    const char* name = use.name.c_str();
    const Oid oid = pg_call([&] {
      RangeVar* range = makeRangeVarFromNameList(stringToQualifiedNameList(name COMPAT_NO_ESCONTEXT));
      // A schema that does not exist (yet) is no error here: the statement itself will say so.
      if (range->schemaname != nullptr && !OidIsValid(LookupExplicitNamespace(range->schemaname, true))) {
        return InvalidOid;
      }
      return RangeVarGetRelid(range, NoLock, true);
    });
    if (!OidIsValid(oid)) continue;
    Oid* family = nullptr;
    const int members = pg_call([&] {
      // An index is locked through its table, and a parent with all its descendants: that is what the statement does.
      Oid table = oid;
      const char kind = get_rel_relkind(oid);
      if (kind == RELKIND_INDEX || kind == RELKIND_PARTITIONED_INDEX) table = IndexGetRelation(oid, true);
      if (!OidIsValid(table)) return 0;
      List* all = mode >= ShareUpdateExclusiveLock && has_subclass(table) ? find_all_inheritors(table, NoLock, nullptr)
                                                                          : list_make1_oid(table);
      family = static_cast<Oid*>(palloc(sizeof(Oid) * list_length(all)));
      int n = 0;
      ListCell* cell;
      foreach (cell, all) family[n++] = lfirst_oid(cell);
      return n;
    });
    for (int i = 0; i < members; ++i) {
      LockTarget& target = by_oid[family[i]];
      target.relation = family[i];
      target.name = use.name;
      target.mode = std::max(target.mode, mode);
    }
  }
  std::vector<LockTarget> targets;
  targets.reserve(by_oid.size());
  for (auto& [oid, target] : by_oid) targets.push_back(std::move(target));
  return targets;
}

std::vector<LockTarget> merge_locks(const std::vector<LockTarget>& targets) {
  std::map<unsigned, LockTarget> by_oid;
  for (const LockTarget& t : targets) {
    LockTarget& kept = by_oid[t.relation];
    kept.relation = t.relation;
    kept.name = t.name;
    kept.mode = std::max(kept.mode, t.mode);
  }
  std::vector<LockTarget> out;
  out.reserve(by_oid.size());
  for (auto& [oid, t] : by_oid) out.push_back(std::move(t));
  return out;
}

void take_locks(const std::vector<LockTarget>& targets) {
  for (const LockTarget& target : targets) {
    const Oid relation = target.relation;
    const LOCKMODE mode = target.mode;
    pg_call([&] { LockRelationOid(relation, mode); });
  }
}

namespace {

std::string join_descriptions(const Rows& rows) {
  std::string out;
  for (const Row& row : rows) {
    if (!out.empty()) out += ", ";
    out += text_or_empty(row[0]);
  }
  return out;
}

}  // namespace

std::string describe_blockers(int pid) {
  Scope scope;
  return join_descriptions(
      query("SELECT CASE WHEN b.pid = 0 THEN (SELECT 'prepared transaction ' || "
            "pg_catalog.string_agg(pg_catalog.quote_literal(x.gid) || ' since ' || pg_catalog.date_trunc('second', "
            "pg_catalog.clock_timestamp() - x.prepared)::text, ' or ' ORDER BY x.prepared) FROM "
            "pg_catalog.pg_prepared_xacts x WHERE x.database = pg_catalog.current_database()) ELSE "
            "pg_catalog.format('pid %s (%s)', b.pid, pg_catalog.concat_ws(', ', a.usename::text, "
            "nullif(a.application_name, ''), coalesce(a.state, a.backend_type), "
            "'since ' || pg_catalog.date_trunc('second', pg_catalog.clock_timestamp() - coalesce(a.xact_start, "
            "a.backend_start))::text)) END "
            "FROM (SELECT DISTINCT p.pid FROM pg_catalog.unnest(pg_catalog.pg_blocking_pids($1::int)) p(pid)) b "
            "LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid OPERATOR(pg_catalog.=) b.pid ORDER BY b.pid LIMIT 5",
            {sql_int(pid)}));
}

std::string describe_holders(const std::vector<LockTarget>& targets) {
  std::string oids;
  for (const LockTarget& t : targets) oids += (oids.empty() ? "{" : ",") + std::to_string(t.relation);
  if (oids.empty()) return {};
  Scope scope;
  return join_descriptions(
      query("SELECT DISTINCT pg_catalog.format('pid %s (%s)', coalesce(l.pid::text, 'none: prepared transaction'), "
            "pg_catalog.concat_ws(', ', a.usename::text, nullif(a.application_name, ''), coalesce(a.state, "
            "a.backend_type), l.mode, "
            "'since ' || pg_catalog.date_trunc('second', pg_catalog.clock_timestamp() - a.xact_start)::text)) "
            "FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid OPERATOR(pg_catalog.=) l.pid "
            "WHERE l.locktype = 'relation' AND l.granted AND l.relation OPERATOR(pg_catalog.=) ANY ($1::oid[]) "
            "AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid() "
            "AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = "
            "pg_catalog.current_database()) LIMIT 5",
            {oids + "}"}));
}

bool blocked_by_me(int pid) {
  Scope scope;
  return !query("SELECT 1 WHERE pg_catalog.pg_backend_pid() = ANY (pg_catalog.pg_blocking_pids($1::int))",
                {sql_int(pid)})
              .empty();
}

}  // namespace migration::pg
