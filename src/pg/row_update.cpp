// Which statements go by places, and how; see row_update.hpp.
#include "pg/row_update.hpp"

#include "pg/compat.hpp"
#include "pg/row_loop.hpp"
#include "pg/settings.hpp"

extern "C" {
#include "access/heapam.h"
#include "access/tableam.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "nodes/plannodes.h"
#include "parser/parsetree.h"
#include "storage/bufmgr.h"
#include "utils/plancache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
}

namespace migration::pg {

namespace {

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

/// Is there no trigger but those that the loop fires?
bool plain_triggers(const TriggerDesc* triggers) {
  return triggers == nullptr ||
         !(triggers->trig_update_instead_row || triggers->trig_update_before_statement ||
           triggers->trig_update_after_statement || triggers->trig_update_new_table || triggers->trig_update_old_table);
}

/// `before` says whether rows go through triggers before they are written.
bool plain_table(Oid table, const char* leaves_out, bool& before) {
  Relation relation = RelationIdGetRelation(table);  // locked by its plan
  if (!RelationIsValid(relation)) return false;
  const bool plain = relation->rd_rel->relkind == RELKIND_RELATION &&
                     relation->rd_tableam == GetHeapamTableAmRoutine() && plain_triggers(relation->trigdesc);
  before = fires_before_row(relation->trigdesc, leaves_out);
  RelationClose(relation);
  return plain;
}

/// The plan, when it is one that the loop can take the place of.
const ModifyTable* plain_plan(const CachedPlan* cached, const char* leaves_out, bool& before) {
  // SPI_plan_get_cached_plan() is for one statement, and rules may have made several of it.
  if (cached == nullptr || list_length(cached->stmt_list) != 1 || IsolationUsesXactSnapshot()) return nullptr;
  const auto* const planned = linitial_node(PlannedStmt, cached->stmt_list);
  const ModifyTable* const update = plain_update(planned);
  if (update == nullptr) return nullptr;
  const Oid table = rt_fetch(linitial_int(update->resultRelations), planned->rtable)->relid;
  return plain_table(table, leaves_out, before) ? update : nullptr;
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
  RowLoop loop;
  loop.same = same.data();
  loop.same_count = same.size();
  const bool plain = pg_call([&] {
    const bool pushed = !ActiveSnapshotSet();
    if (pushed) PushActiveSnapshot(GetTransactionSnapshot());
    SPI_connect();
    const Oid type = TIDARRAYOID;
    CachedPlan* const cached = SPI_plan_get_cached_plan(plan_.get(sql, &type, 1));
    const ModifyTable* const update = plain_plan(cached, leaves_out, loop.before);
    if (update != nullptr && source != nullptr) execute_by_place(cached, update, sql, *source, loop);
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
