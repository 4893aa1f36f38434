// Differences between the server's major versions, all of them.
//
// What: one inline function per difference. Why: no `#if PG_VERSION_NUM` anywhere else. Facts are from the headers of
// PostgreSQL 15, 17 and 18.
#pragma once

#include "pg/server.hpp"

extern "C" {
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_attribute.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "pgstat.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "tcop/pquery.h"
#include "utils/acl.h"
#include "utils/portal.h"
#include "utils/rel.h"
#include "utils/relcache.h"
}

// 16 moved VARDATA and its kin out of postgres.h.
#if PG_VERSION_NUM >= 160000
extern "C" {
#include "varatt.h"
}
#endif

// 16 gave text-to-name functions a soft-error context.
#if PG_VERSION_NUM >= 160000
#define COMPAT_NO_ESCONTEXT , nullptr
#else
#define COMPAT_NO_ESCONTEXT
#endif

// 17 gave LockHeldByMe a third argument.
#if PG_VERSION_NUM >= 170000
#define COMPAT_NOT_STRONGER , false
#else
#define COMPAT_NOT_STRONGER
#endif

namespace migration::pg {

inline bool compat_portal_run(Portal portal, bool top_level, DestReceiver* receiver, QueryCompletion* completion) {
#if PG_VERSION_NUM >= 180000
  return PortalRun(portal, FETCH_ALL, top_level, receiver, receiver, completion);
#else
  return PortalRun(portal, FETCH_ALL, top_level, true, receiver, receiver, completion);
#endif
}

/// Can `member` become `role` (SET ROLE)? 16 added the SET option to memberships.
inline bool compat_can_become(Oid member, Oid role) {
#if PG_VERSION_NUM >= 160000
  return member_can_set_role(member, role);
#else
  return is_member_of_role(member, role);
#endif
}

/// GRANT role TO member: what makes sure that SET ROLE is part of it, also when the member had the role without.
inline const char* compat_with_set() {
#if PG_VERSION_NUM >= 160000
  return " WITH SET TRUE";
#else
  return "";
#endif
}

/// raw_expression_tree_walker; 16 gave the callback its real type.
inline bool compat_walk_raw(Node* node, bool (*walker)(Node*, void*), void* context) {
#if PG_VERSION_NUM >= 160000
  return raw_expression_tree_walker(node, walker, context);
#else
  using untyped = bool (*)();
  return raw_expression_tree_walker(node, reinterpret_cast<untyped>(reinterpret_cast<void (*)()>(walker)), context);
#endif
}

/// NOT ENFORCED constraints came in 18.
inline bool compat_enforced([[maybe_unused]] const Constraint* constraint) {
#if PG_VERSION_NUM >= 180000
  return constraint->is_enforced;
#else
  return true;
#endif
}

/// HOT updates in this process's pending statistics of a table; 16 renamed the counters.
inline long long compat_hot_updates(Oid relation) {
  const PgStat_TableStatus* status = find_tabstat_entry(relation);
  if (status == nullptr) return 0;
#if PG_VERSION_NUM >= 160000
  return static_cast<long long>(status->counts.tuples_hot_updated);
#else
  return static_cast<long long>(status->t_counts.t_tuples_hot_updated);
#endif
}

/// Columns whose change keeps an update from being HOT; from 16 on, those of summarizing indexes (BRIN) do not.
inline Bitmapset* compat_hot_blocking(Relation relation) {
#if PG_VERSION_NUM >= 160000
  return RelationGetIndexAttrBitmap(relation, INDEX_ATTR_BITMAP_HOT_BLOCKING);
#else
  return RelationGetIndexAttrBitmap(relation, INDEX_ATTR_BITMAP_ALL);
#endif
}

/// Generated columns that are computed when read came in 18.
inline bool compat_virtual_column([[maybe_unused]] const Constraint* constraint) {
#if PG_VERSION_NUM >= 180000
  return constraint->contype == CONSTR_GENERATED && constraint->generated_kind == ATTRIBUTE_GENERATED_VIRTUAL;
#else
  return false;
#endif
}

/// What an update left to do on indexes; 16 told summarizing ones apart.
#if PG_VERSION_NUM >= 160000
using CompatIndexUpdate = TU_UpdateIndexes;
inline bool compat_writes_indexes(CompatIndexUpdate update) {
  return update != TU_None;
}
#else
using CompatIndexUpdate = bool;
inline bool compat_writes_indexes(CompatIndexUpdate update) {
  return update;
}
#endif

/// BEFORE row triggers of an update; false: they do not want it. 16 and 18 gave the function more results and
/// arguments.
inline bool compat_fire_before_row(EState* state, EPQState* recheck, ResultRelInfo* target, ItemPointer id,
                                   TupleTableSlot* slot) {
  TM_FailureData failure;
#if PG_VERSION_NUM >= 180000
  TM_Result result;
  return ExecBRUpdateTriggers(state, recheck, target, id, nullptr, slot, &result, &failure, false);
#elif PG_VERSION_NUM >= 160000
  TM_Result result;
  return ExecBRUpdateTriggers(state, recheck, target, id, nullptr, slot, &result, &failure);
#else
  return ExecBRUpdateTriggers(state, recheck, target, id, nullptr, slot, &failure);
#endif
}

/// Index entries of a new row version; returns the indexes with a check that is deferred.
inline List* compat_insert_index_entries(ResultRelInfo* target, TupleTableSlot* slot, EState* state,
                                         [[maybe_unused]] CompatIndexUpdate update) {
#if PG_VERSION_NUM >= 160000
  return ExecInsertIndexTuples(target, slot, state, true, false, nullptr, NIL, update == TU_Summarizing);
#else
  return ExecInsertIndexTuples(target, slot, state, true, false, nullptr, NIL);
#endif
}

}  // namespace migration::pg
