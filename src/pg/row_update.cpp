// The loop of an UPDATE over rows whose places are known; see row_update.hpp.
#include "pg/row_update.hpp"

#include <cstring>

#include "pg/compat.hpp"
#include "pg/settings.hpp"

extern "C" {
#include "access/heapam.h"
#include "access/tableam.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/instrument.h"
#include "executor/nodeModifyTable.h"
#include "executor/spi.h"
#include "nodes/execnodes.h"
#include "nodes/plannodes.h"
#include "parser/parsetree.h"
#include "storage/bufmgr.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
}

namespace migration::pg {

namespace {

/// The statement in execution. Plain data: an error jumps over it.
struct Loop {
  EState* state = nullptr;
  ResultRelInfo* target = nullptr;
  Relation relation = nullptr;
  ExprState* condition = nullptr;        ///< null: none
  ProjectionInfo* assignment = nullptr;  ///< old row to new row
  ProjectionInfo* returning = nullptr;   ///< null: none
  ExprContext* context = nullptr;        ///< of the two above
  TupleTableSlot *old = nullptr, *latest = nullptr;
  const char* const* same = nullptr;  ///< columns by which a row was chosen
  std::size_t same_count = 0;
  std::uint64_t rows = 0, marked = 0;
};

/// Does the scan go by the ids, the parameter? Where the condition names a place of its own, the server may go by that
/// instead and make the ids a filter, or take either for granted in what is left of the condition.
bool goes_by_ids(const Plan* plan) {
  if (plan == nullptr || nodeTag(plan) != T_TidScan) return false;
  const List* const places = reinterpret_cast<const TidScan*>(plan)->tidquals;
  if (list_length(places) != 1 || nodeTag(linitial(places)) != T_ScalarArrayOpExpr) return false;
  const auto* const any = linitial_node(ScalarArrayOpExpr, places);
  const Node* const ids = static_cast<Node*>(lsecond(any->args));
  return nodeTag(ids) == T_Param && reinterpret_cast<const Param*>(ids)->paramkind == PARAM_EXTERN;
}

const ModifyTable* plain_update(const PlannedStmt* planned) {
  if (planned->commandType != CMD_UPDATE || planned->subplans != NIL || planned->hasModifyingCTE) return nullptr;
  if (planned->planTree == nullptr || nodeTag(planned->planTree) != T_ModifyTable) return nullptr;
  const auto* top = reinterpret_cast<const ModifyTable*>(planned->planTree);
  const bool plain = top->operation == CMD_UPDATE && list_length(top->resultRelations) == 1 &&
                     top->withCheckOptionLists == NIL && top->rowMarks == NIL && top->rootRelation == 0 &&
                     goes_by_ids(outerPlan(top));
  return plain ? top : nullptr;
}

/// Is there no trigger but those that the loop fires, and the one to be left out?
bool plain_triggers(const TriggerDesc* triggers, const char* leaves_out) {
  if (triggers == nullptr) return true;
  if (triggers->trig_update_instead_row || triggers->trig_update_before_statement ||
      triggers->trig_update_after_statement || triggers->trig_update_new_table || triggers->trig_update_old_table) {
    return false;
  }
  for (int i = 0; triggers->trig_update_before_row && i < triggers->numtriggers; ++i) {
    const Trigger& trigger = triggers->triggers[i];
    if (!TRIGGER_TYPE_MATCHES(trigger.tgtype, TRIGGER_TYPE_ROW, TRIGGER_TYPE_BEFORE, TRIGGER_TYPE_UPDATE)) continue;
    if (trigger.tgenabled == TRIGGER_DISABLED) continue;
    if (strcmp(trigger.tgname, leaves_out) != 0) return false;
    const char* const function = get_func_name(trigger.tgfoid);
    if (function == nullptr || strcmp(function, leaves_out) != 0) return false;
  }
  return true;
}

bool plain_table(Oid table, const char* leaves_out) {
  Relation relation = RelationIdGetRelation(table);  // locked by its plan
  if (!RelationIsValid(relation)) return false;
  const bool plain = relation->rd_rel->relkind == RELKIND_RELATION &&
                     relation->rd_tableam == GetHeapamTableAmRoutine() &&
                     plain_triggers(relation->trigdesc, leaves_out);
  RelationClose(relation);
  return plain;
}

void set_up(Loop& loop, QueryDesc* query, const ModifyTable* plan) {
  auto* top = castNode(ModifyTableState, query->planstate);
  PlanState* const scan = outerPlanState(top);
  loop.state = query->estate;
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

/// The new version of the row in `old`, with everything that has to hold for it.
TupleTableSlot* new_version(Loop& loop, TupleTableSlot* old) {
  loop.context->ecxt_scantuple = old;
  TupleTableSlot* const slot = ExecProject(loop.assignment);
  slot->tts_tableOid = RelationGetRelid(loop.relation);
  const TupleConstr* const constraints = RelationGetDescr(loop.relation)->constr;
  if (constraints != nullptr && constraints->has_generated_stored) {
    ExecComputeStoredGenerated(loop.target, loop.state, slot, CMD_UPDATE);
  }
  ExecMaterializeSlot(slot);
  if (loop.relation->rd_rel->relispartition) ExecPartitionCheck(loop.target, slot, loop.state, true);
  if (constraints != nullptr) ExecConstraints(loop.target, slot, loop.state);
  return slot;
}

bool meets(Loop& loop, TupleTableSlot* row) {
  loop.context->ecxt_scantuple = row;
  return ExecQual(loop.condition, loop.context);
}

[[noreturn]] void refuse_own_change() {
  ereport(ERROR, (errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
                  errmsg("tuple to be updated was already modified by an operation triggered by the current command"),
                  errhint("Consider using an AFTER trigger instead of a BEFORE trigger to propagate changes to other "
                          "rows.")));
}

/// Has somebody changed the row at `id` meanwhile? Then its newest version is locked, `id` is where it is, and it is in
/// `latest`. False: the row is gone.
bool follow(Loop& loop, ItemPointer id, LockTupleMode mode) {
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
bool is_same(Loop& loop) {
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

void change(Loop& loop, TupleTableSlot* old) {
  ResetExprContext(loop.context);
  if (!meets(loop, old)) return;
  ItemPointerData id = old->tts_tid;
  for (;;) {
    ResetPerTupleExprContext(loop.state);
    TupleTableSlot* const slot = new_version(loop, old);
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
  }
}

/// Those of the named rows that the statement sees.
void change_page(Loop& loop, const PageRows& rows) {
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

void change_all(Loop& loop, RowSource& source) {
  MemoryContext const before = MemoryContextSwitchTo(loop.state->es_query_cxt);
  PageRows rows;
  while (source.next(loop.relation, loop.state->es_snapshot, rows)) change_page(loop, rows);
  MemoryContextSwitchTo(before);
}

/// The plan, when it is one that the loop can take the place of.
const ModifyTable* plain_plan(const CachedPlan* cached, const char* leaves_out) {
  // SPI_plan_get_cached_plan() is for one statement, and rules may have made several of it.
  if (cached == nullptr || list_length(cached->stmt_list) != 1 || IsolationUsesXactSnapshot()) return nullptr;
  const auto* const planned = linitial_node(PlannedStmt, cached->stmt_list);
  const ModifyTable* const update = plain_update(planned);
  if (update == nullptr) return nullptr;
  const Oid table = rt_fetch(linitial_int(update->resultRelations), planned->rtable)->relid;
  return plain_table(table, leaves_out) ? update : nullptr;
}

/// As _SPI_pquery() runs a statement, with our loop for ExecutorRun().
void execute(CachedPlan* cached, const ModifyTable* update, const char* text, RowSource& source, Loop& loop) {
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

}  // namespace

/// Has the statement planned so that rows are found by their places. The planner takes the ids for ten, whatever comes
/// later, and an index with the condition for its predicate (all rows that are not filled yet) may look cheaper to it:
/// it would be gone through from end to end for each batch. Only while planning: functions of users want their indexes.
void RowUpdate::plan_by_place() {
  SettingsFrame frame;
  for (const char* way : {"enable_bitmapscan", "enable_indexscan", "enable_seqscan"}) set_local(way, "off");
  const char* const sql = statement_.sql().c_str();
  pg_call([&] {
    const bool pushed = !ActiveSnapshotSet();
    if (pushed) PushActiveSnapshot(GetTransactionSnapshot());
    SPI_connect();
    const Oid type = TIDARRAYOID;
    CachedPlan* const cached = SPI_plan_get_cached_plan(plan_.get(sql, &type, 1));
    if (cached != nullptr) ReleaseCachedPlan(cached, CurrentResourceOwner);
    SPI_finish();
    if (pushed) PopActiveSnapshot();
  });
}

/// Null: only says whether it would.
bool RowUpdate::directly(RowSource* source, std::uint64_t& rows, std::uint64_t& marked) {
  plan_by_place();
  const char* const sql = statement_.sql().c_str();
  const char* const leaves_out = leaves_out_.c_str();
  std::vector<const char*> same;
  for (const std::string& column : same_) same.push_back(column.c_str());
  Loop loop;
  loop.same = same.data();
  loop.same_count = same.size();
  const bool plain = pg_call([&] {
    const bool pushed = !ActiveSnapshotSet();
    if (pushed) PushActiveSnapshot(GetTransactionSnapshot());
    SPI_connect();
    const Oid type = TIDARRAYOID;
    CachedPlan* const cached = SPI_plan_get_cached_plan(plan_.get(sql, &type, 1));
    const ModifyTable* const update = plain_plan(cached, leaves_out);
    if (update != nullptr && source != nullptr) execute(cached, update, sql, *source, loop);
    if (cached != nullptr) ReleaseCachedPlan(cached, CurrentResourceOwner);
    SPI_finish();
    if (pushed) PopActiveSnapshot();
    return update != nullptr;
  });
  rows = loop.rows;
  marked = loop.marked;
  return plain;
}

bool RowUpdate::is_plain() {
  std::uint64_t rows = 0, marked = 0;
  return directly(nullptr, rows, marked);
}

/// For a statement that is not plain: all names first.
std::vector<RowId> RowUpdate::all_of(RowSource& source) const {
  std::vector<RowId> ids;
  RowId* page = nullptr;
  std::size_t n = 0;
  Relation relation = pg_call([&] {
    PushActiveSnapshot(GetTransactionSnapshot());
    page = static_cast<RowId*>(palloc(MaxHeapTuplesPerPage * sizeof(RowId)));
    return table_open(table_, AccessShareLock);
  });
  const auto next = [&] {
    PageRows rows;
    if (!source.next(relation, GetActiveSnapshot(), rows)) return false;
    n = 0;
    for (; n < rows.count && n < MaxHeapTuplesPerPage; ++n) page[n] = RowId{rows.block, rows.offsets[n]};
    UnlockReleaseBuffer(rows.buffer);
    return true;
  };
  while (pg_call(next)) ids.insert(ids.end(), page, page + n);
  pg_call([&] {
    table_close(relation, NoLock);
    pfree(page);
    PopActiveSnapshot();
  });
  return ids;
}

std::uint64_t RowUpdate::run(RowSource& source) {
  std::uint64_t rows = 0, marked = 0;
  if (directly(&source, rows, marked)) return rows;
  const std::vector<RowId> ids = all_of(source);
  return ids.empty() ? 0 : statement_.run({&ids});
}

std::uint64_t RowUpdate::run(RowSource& source, std::uint64_t& marked) {
  std::uint64_t rows = 0;
  if (directly(&source, rows, marked)) return rows;
  const std::vector<RowId> ids = all_of(source);
  return ids.empty() ? 0 : statement_.run({&ids}, marked);
}

namespace {

/// Rows that are known by their ids.
class ListedRows final : public RowSource {
 public:
  explicit ListedRows(const std::vector<RowId>& ids) : at_(ids.data()), end_(at_ + ids.size()) {}
  bool next(RelationData* relation, SnapshotData*, PageRows& rows) override {
    const BlockNumber blocks = RelationGetNumberOfBlocks(relation);
    while (at_ != end_ && at_->block >= blocks) ++at_;
    if (at_ == end_) return false;
    rows.block = at_->block;
    rows.count = 0;
    while (at_ != end_ && at_->block == rows.block && rows.count < MaxHeapTuplesPerPage) {
      offsets_[rows.count++] = (at_++)->offset;
    }
    rows.offsets = offsets_;
    rows.buffer = ReadBuffer(relation, rows.block);
    LockBuffer(rows.buffer, BUFFER_LOCK_SHARE);
    return true;
  }

 private:
  const RowId *at_, *end_;
  std::uint16_t offsets_[MaxHeapTuplesPerPage];
};

}  // namespace

std::uint64_t RowUpdate::run(const std::vector<RowId>& ids) {
  ListedRows listed(ids);
  std::uint64_t rows = 0, marked = 0;
  return directly(&listed, rows, marked) ? rows : statement_.run({&ids});
}

std::uint64_t RowUpdate::run(const std::vector<RowId>& ids, std::uint64_t& marked) {
  ListedRows listed(ids);
  std::uint64_t rows = 0;
  return directly(&listed, rows, marked) ? rows : statement_.run({&ids}, marked);
}

}  // namespace migration::pg
