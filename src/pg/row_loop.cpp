// See row_loop.hpp.
#include "pg/row_loop.hpp"

#include <cstring>

#include "pg/compat.hpp"
#include "pg/row_update.hpp"

extern "C" {
#include "access/heapam.h"
#include "access/tableam.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/instrument.h"
#include "executor/nodeModifyTable.h"
#include "storage/bufmgr.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
}

namespace migration::pg {

namespace {

void set_up(RowLoop& loop, QueryDesc* query, const ModifyTable* plan) {
  auto* top = castNode(ModifyTableState, query->planstate);
  PlanState* const scan = outerPlanState(top);
  loop.state = query->estate;
  loop.recheck = &top->mt_epqstate;
  loop.target = top->resultRelInfo;
  loop.relation = loop.target->ri_RelationDesc;
  loop.condition = scan->qual;
  loop.returning = loop.target->ri_projectReturning;
  loop.context = scan->ps_ExprContext;
  List** const slots = &loop.state->es_tupleTable;
  loop.old = table_slot_create(loop.relation, slots);
  loop.latest = table_slot_create(loop.relation, slots);
  // Both in one: the scan's target list, and the columns that are not assigned.
  loop.assignment = ExecBuildUpdateProjection(
      outerPlan(plan)->targetlist, true, static_cast<List*>(linitial(plan->updateColnosLists)),
      RelationGetDescr(loop.relation), loop.context, table_slot_create(loop.relation, slots), scan);
  if (loop.relation->rd_rel->relhasindex && loop.target->ri_IndexRelationDescs == nullptr) {
    ExecOpenIndices(loop.target, false);
  }
}

/// What the assignments make of the row in `old`.
TupleTableSlot* new_version(RowLoop& loop, TupleTableSlot* old) {
  loop.context->ecxt_scantuple = old;
  TupleTableSlot* const slot = ExecProject(loop.assignment);
  ExecMaterializeSlot(slot);
  return slot;
}

/// What follows from the values of a new version, and what has to hold for it.
void complete(RowLoop& loop, TupleTableSlot* slot) {
  slot->tts_tableOid = RelationGetRelid(loop.relation);
  const TupleConstr* const constraints = RelationGetDescr(loop.relation)->constr;
  if (constraints != nullptr && constraints->has_generated_stored) {
    ExecComputeStoredGenerated(loop.target, loop.state, slot, CMD_UPDATE);
  }
  if (loop.relation->rd_rel->relispartition) ExecPartitionCheck(loop.target, slot, loop.state, true);
  if (constraints != nullptr) ExecConstraints(loop.target, slot, loop.state);
}

bool meets(RowLoop& loop, TupleTableSlot* row) {
  loop.context->ecxt_scantuple = row;
  return ExecQual(loop.condition, loop.context);
}

[[noreturn]] void refuse_own_change() {
  ereport(ERROR, (errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
                  errmsg("tuple to be updated was already modified by an operation triggered by the current command"),
                  errhint("Consider using an AFTER trigger instead of a BEFORE trigger to propagate changes to other "
                          "rows.")));
}

/// Locks the newest version of the row at `id`, which is where it is from here on, and puts it into `latest`. False:
/// the row is gone.
bool follow(RowLoop& loop, ItemPointer id, LockTupleMode mode) {
  TM_FailureData failure;
  const TM_Result result =
      table_tuple_lock(loop.relation, id, loop.state->es_snapshot, loop.latest, loop.state->es_output_cid, mode,
                       LockWaitBlock, TUPLE_LOCK_FLAG_FIND_LAST_VERSION, &failure);
  switch (result) {
    case TM_Ok:
      return true;
    case TM_SelfModified:
      if (failure.cmax != loop.state->es_output_cid) refuse_own_change();
      return false;
    case TM_Deleted:
      return false;
    default:
      elog(ERROR, "unexpected table_tuple_lock status: %u", result);
  }
}

/// Is the newest version still the row that was chosen? Whatever its columns of that choice are now, it has been
/// somebody else's decision.
bool is_same(RowLoop& loop) {
  const TupleDesc columns = RelationGetDescr(loop.relation);
  for (std::size_t i = 0; i < loop.same_count; ++i) {
    const AttrNumber number = get_attnum(RelationGetRelid(loop.relation), loop.same[i]);
    if (number <= 0) return false;
    bool null_before, null_now;
    const Datum before = slot_getattr(loop.old, number, &null_before),
                now = slot_getattr(loop.latest, number, &null_now);
    const FormData_pg_attribute* const column = TupleDescAttr(columns, number - 1);
    if (null_before != null_now) return false;
    if (!null_now && !datum_image_eq(before, now, column->attbyval, column->attlen)) return false;
  }
  return true;
}

void change(RowLoop& loop, TupleTableSlot* old) {
  ResetExprContext(loop.context);
  if (!meets(loop, old)) return;
  ItemPointerData id = old->tts_tid;
  ResetPerTupleExprContext(loop.state);
  if (loop.before) {
    // The triggers are shown a row that stays as it is. The server would lock it for them, and judge a newer version by
    // the plan, which finds rows by their places; once it is locked here there is none to be judged.
    if (!follow(loop, &id, ExecUpdateLockMode(loop.state, loop.target))) return;
    if (!ItemPointerEquals(&id, &old->tts_tid)) {
      if (!is_same(loop) || !meets(loop, loop.latest)) return;
      old = loop.latest;
    }
  }
  for (bool first = true;; first = false) {
    TupleTableSlot* const slot = new_version(loop, old);
    if (loop.before && first && !compat_fire_before_row(loop.state, loop.recheck, loop.target, &id, slot)) return;
    complete(loop, slot);
    TM_FailureData failure;
    LockTupleMode mode;
    CompatIndexUpdate indexes;
    const TM_Result result =
        table_tuple_update(loop.relation, &id, slot, loop.state->es_output_cid, loop.state->es_snapshot,
                           InvalidSnapshot, true, &failure, &mode, &indexes);
    if (result == TM_Ok) {
      List* recheck = NIL;
      if (loop.target->ri_NumIndices > 0 && compat_writes_indexes(indexes)) {
        recheck = compat_insert_index_entries(loop.target, slot, loop.state, indexes);
      }
      ExecARUpdateTriggers(loop.state, loop.target, nullptr, nullptr, &id, nullptr, slot, recheck, nullptr, false);
      list_free(recheck);
      ++loop.rows;
      if (loop.returning != nullptr) {
        ExprContext* const context = loop.returning->pi_exprContext;
        ResetExprContext(context);
        context->ecxt_scantuple = slot;
        context->ecxt_outertuple = nullptr;
        bool null = true;
        const Datum value = slot_getattr(ExecProject(loop.returning), 1, &null);
        if (!null && DatumGetBool(value)) ++loop.marked;
      }
      return;
    }
    if (result == TM_SelfModified && failure.cmax != loop.state->es_output_cid) refuse_own_change();
    if (result == TM_SelfModified || result == TM_Deleted) return;
    if (result != TM_Updated) elog(ERROR, "unexpected table_tuple_update status: %u", result);
    if (!follow(loop, &id, mode) || !is_same(loop)) return;
    old = loop.latest;
    if (!meets(loop, old)) return;
    ResetPerTupleExprContext(loop.state);
  }
}

/// Those of the named rows that the statement sees.
void change_page(RowLoop& loop, const PageRows& rows) {
  HeapTupleData seen[MaxHeapTuplesPerPage];
  std::size_t count = 0;
  Page const page = BufferGetPage(rows.buffer);
  const OffsetNumber last = PageGetMaxOffsetNumber(page);
  for (std::size_t i = 0; i < rows.count && count < MaxHeapTuplesPerPage; ++i) {
    if (rows.offsets[i] == InvalidOffsetNumber || rows.offsets[i] > last) continue;
    ItemId const item = PageGetItemId(page, rows.offsets[i]);
    if (!ItemIdIsNormal(item)) continue;
    HeapTupleData& tuple = seen[count];
    tuple.t_data = reinterpret_cast<HeapTupleHeader>(PageGetItem(page, item));
    tuple.t_len = ItemIdGetLength(item);
    tuple.t_tableOid = RelationGetRelid(loop.relation);
    ItemPointerSet(&tuple.t_self, rows.block, rows.offsets[i]);
    if (HeapTupleSatisfiesVisibility(&tuple, loop.state->es_snapshot, rows.buffer)) ++count;
  }
  LockBuffer(rows.buffer, BUFFER_LOCK_UNLOCK);
  // The pin keeps them where they are.
  for (std::size_t i = 0; i < count; ++i) {
    CHECK_FOR_INTERRUPTS();
    ExecStoreBufferHeapTuple(&seen[i], loop.old, rows.buffer);
    change(loop, loop.old);
  }
  ExecClearTuple(loop.old);
  ExecClearTuple(loop.latest);
  ReleaseBuffer(rows.buffer);
}

void change_all(RowLoop& loop, RowSource& source) {
  MemoryContext const before = MemoryContextSwitchTo(loop.state->es_query_cxt);
  PageRows rows;
  while (source.next(loop.relation, loop.state->es_snapshot, rows)) change_page(loop, rows);
  MemoryContextSwitchTo(before);
}

}  // namespace

bool fires_before_row(const TriggerDesc* triggers, const char* but) {
  if (triggers == nullptr || !triggers->trig_update_before_row) return false;
  for (int i = 0; i < triggers->numtriggers; ++i) {
    const Trigger& trigger = triggers->triggers[i];
    if (!TRIGGER_TYPE_MATCHES(trigger.tgtype, TRIGGER_TYPE_ROW, TRIGGER_TYPE_BEFORE, TRIGGER_TYPE_UPDATE)) continue;
    if (trigger.tgenabled == TRIGGER_DISABLED) continue;
    if (strcmp(trigger.tgname, but) != 0) return true;
    const char* const function = get_func_name(trigger.tgfoid);
    if (function == nullptr || strcmp(function, but) != 0) return true;
  }
  return false;
}

void execute_by_place(CachedPlan* cached, const ModifyTable* update, const char* text, RowSource& source,
                      RowLoop& loop) {
  CommandCounterIncrement();
  PushActiveSnapshot(GetTransactionSnapshot());
  QueryDesc* const query = CreateQueryDesc(linitial_node(PlannedStmt, cached->stmt_list), text, GetActiveSnapshot(),
                                           InvalidSnapshot, None_Receiver, nullptr, nullptr, 0);
  ExecutorStart(query, 0);
  set_up(loop, query, update);
  // What ExecutorRun() does for those who count and time statements.
  if (query->totaltime != nullptr) InstrStartNode(query->totaltime);
  change_all(loop, source);
  loop.state->es_processed = loop.rows;
  if (query->totaltime != nullptr) InstrStopNode(query->totaltime, static_cast<double>(loop.rows));
  ExecutorFinish(query);
  ExecutorEnd(query);
  FreeQueryDesc(query);
  PopActiveSnapshot();
  CommandCounterIncrement();
}

}  // namespace migration::pg
