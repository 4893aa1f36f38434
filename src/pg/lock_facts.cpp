// Which relations a statement locks, and how strongly; see classify.hpp.
//
// Facts are from the server's sources (AlterTableGetLockLevel is asked itself) and were measured on 15 to 18. What only
// the catalog tells is missing here: indexes and sequences of a table, its partitions, the other table of a foreign
// key that is dropped or validated, tables that a view or a function touches. DROP INDEX and REINDEX INDEX name the
// index; its table is for the catalog to find. A relation comes once, with its strongest mode, where it first stands.
#include <cstring>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "pg/classify.hpp"
#include "pg/compat.hpp"

extern "C" {
#include "commands/defrem.h"
#include "commands/tablecmds.h"
#include "storage/lock.h"
#include "storage/lockdefs.h"
}

namespace migration::pg {

namespace {

template <class T>
T* as(Node* node) {
  return reinterpret_cast<T*>(node);
}

class Locks {
 public:
  explicit Locks(Statement& out) : out_(out) {}

  void add(const std::string& name, LOCKMODE mode, bool missing_ok = false) {
    if (name.empty()) return;
    auto const [known, fresh] = places_.try_emplace(name, modes_.size());
    if (fresh) {
      modes_.push_back(mode);
      out_.locks.push_back({name, GetLockmodeName(DEFAULT_LOCKMETHOD, mode), missing_ok});
    } else if (mode > modes_[known->second]) {
      modes_[known->second] = mode;
      out_.locks[known->second].lock_mode = GetLockmodeName(DEFAULT_LOCKMETHOD, mode);
    }
  }
  void add(const RangeVar* relation, LOCKMODE mode, bool missing_ok = false) {
    add(name_of(relation), mode, missing_ok);
  }

 private:
  Statement& out_;
  std::unordered_map<std::string, size_t> places_;
  std::vector<LOCKMODE> modes_;
};

/// What the walk over a query collects; C only, as the walker raises an error when it goes too deep.
struct Found {
  struct Use {
    RangeVar* relation;
    LOCKMODE mode;
  };
  Use* uses;
  size_t count, space;
  List* with_names;
  LOCKMODE reading;
};

void note(Found* found, RangeVar* relation, LOCKMODE mode) {
  if (found->count == found->space) {
    found->space = found->space == 0 ? 8 : found->space * 2;
    Size const bytes = found->space * sizeof(Found::Use);
    found->uses = static_cast<Found::Use*>(found->uses == nullptr ? palloc(bytes) : repalloc_huge(found->uses, bytes));
  }
  found->uses[found->count++] = {relation, mode};
}

bool walk(Node* node, void* context) {
  auto* found = static_cast<Found*>(context);
  if (node == nullptr) return false;
  switch (nodeTag(node)) {
    case T_RangeVar:
      note(found, as<RangeVar>(node), found->reading);
      return false;
    case T_IntoClause:  // names what is created
      return false;
    case T_CommonTableExpr:
      found->with_names = lappend(found->with_names, as<CommonTableExpr>(node)->ctename);
      break;
    case T_InsertStmt:
      note(found, as<InsertStmt>(node)->relation, RowExclusiveLock);
      break;
    case T_UpdateStmt:
      note(found, as<UpdateStmt>(node)->relation, RowExclusiveLock);
      break;
    case T_DeleteStmt:
      note(found, as<DeleteStmt>(node)->relation, RowExclusiveLock);
      break;
    case T_MergeStmt:
      note(found, as<MergeStmt>(node)->relation, RowExclusiveLock);
      break;
    case T_SelectStmt:
      if (as<SelectStmt>(node)->lockingClause != nullptr) {
        LOCKMODE const before = found->reading;
        found->reading = RowShareLock;
        bool const stop = compat_walk_raw(node, walk, context);
        found->reading = before;
        return stop;
      }
      break;
    default:
      break;
  }
  return compat_walk_raw(node, walk, context);
}

void add_query(Locks& locks, Node* query) {
  if (query == nullptr || nodeTag(query) == T_ExecuteStmt) return;
  Found& found = *pg_call([] { return static_cast<Found*>(palloc0(sizeof(Found))); });
  found.reading = AccessShareLock;
  try {
    pg_call([&] { walk(query, &found); });
  } catch (const PgError& e) {
    // A node that the server's walker does not know: nothing was touched, and what was found so far is true.
    if (e.state() != sqlstate::internal_error) throw;
  }
  std::unordered_map<std::string_view, bool> with;
  for (const char* name : items<const char>(found.with_names)) with.emplace(name, true);
  for (size_t i = 0; i < found.count; ++i) {
    auto const& use = found.uses[i];
    if (use.relation == nullptr) continue;
    if (use.mode < RowExclusiveLock && use.relation->schemaname == nullptr && with.contains(use.relation->relname))
      continue;
    locks.add(use.relation, use.mode);
  }
}

/// Foreign keys among the elements of CREATE TABLE or the constraints of a column.
void add_referenced(Locks& locks, List* elements) {
  for (Node* element : items<Node>(elements)) {
    if (nodeTag(element) == T_Constraint && as<Constraint>(element)->contype == CONSTR_FOREIGN)
      locks.add(as<Constraint>(element)->pktable, ShareRowExclusiveLock);
    else if (nodeTag(element) == T_ColumnDef)
      for (Constraint* constraint : items<Constraint>(as<ColumnDef>(element)->constraints))
        if (nodeTag(constraint) == T_Constraint && constraint->contype == CONSTR_FOREIGN)
          locks.add(constraint->pktable, ShareRowExclusiveLock);
    if (nodeTag(element) == T_TableLikeClause) locks.add(as<TableLikeClause>(element)->relation, AccessShareLock);
  }
}

void add_create(Locks& locks, CreateStmt* stmt) {
  for (RangeVar* parent : items<RangeVar>(stmt->inhRelations))
    locks.add(parent, stmt->partbound != nullptr ? AccessExclusiveLock : ShareUpdateExclusiveLock);
  add_referenced(locks, stmt->tableElts);
  add_referenced(locks, stmt->constraints);
}

void add_alter(Locks& locks, AlterTableStmt* stmt) {
  if (stmt->objtype == OBJECT_TYPE) return;
  locks.add(stmt->relation, pg_call([&] { return AlterTableGetLockLevel(stmt->cmds); }), stmt->missing_ok);
  for (AlterTableCmd* cmd : items<AlterTableCmd>(stmt->cmds)) {
    switch (cmd->subtype) {
      case AT_AddColumn:
        add_referenced(locks, as<ColumnDef>(cmd->def)->constraints);
        break;
      case AT_AddConstraint:
        if (nodeTag(cmd->def) == T_Constraint) locks.add(as<Constraint>(cmd->def)->pktable, ShareRowExclusiveLock);
        break;
      case AT_AttachPartition:
      case AT_DetachPartition:
      case AT_DetachPartitionFinalize:
        locks.add(as<PartitionCmd>(cmd->def)->name, AccessExclusiveLock);
        break;
      case AT_AddInherit:
        locks.add(as<RangeVar>(cmd->def), ShareUpdateExclusiveLock);
        break;
      case AT_DropInherit:
        locks.add(as<RangeVar>(cmd->def), AccessShareLock);
        break;
      default:
        break;
    }
  }
}

void add_drop(Locks& locks, DropStmt* stmt, const Statement& out) {
  switch (stmt->removeType) {
    case OBJECT_TABLE:
    case OBJECT_VIEW:
    case OBJECT_MATVIEW:
    case OBJECT_SEQUENCE:
    case OBJECT_FOREIGN_TABLE:
    case OBJECT_INDEX:
      for (auto const& object : out.dropped)
        locks.add(object.name, stmt->concurrent ? ShareUpdateExclusiveLock : AccessExclusiveLock, stmt->missing_ok);
      break;
    case OBJECT_TRIGGER:
    case OBJECT_POLICY:
    case OBJECT_RULE:
      locks.add(out.relation, AccessExclusiveLock, stmt->missing_ok);
      break;
    default:
      break;
  }
}

/// The table in OWNED BY of a sequence.
void add_owner(Locks& locks, List* options) {
  for (DefElem* option : items<DefElem>(options)) {
    if (strcmp(option->defname, "owned_by") != 0 || list_length(as<List>(option->arg)) < 2) continue;
    List table = *as<List>(option->arg);
    table.length -= 1;
    locks.add(name_of(&table), AccessShareLock);
  }
}

bool full_vacuum(const VacuumStmt* stmt) {
  for (DefElem* option : items<DefElem>(stmt->options))
    if (strcmp(option->defname, "full") == 0) return pg_call([&] { return defGetBoolean(option); });
  return false;
}

}  // namespace

void collect_locks(const Piece& piece, Statement& out) {
  Locks locks(out);
  Node* const node = piece.node;
  switch (nodeTag(node)) {
    case T_CreateStmt:
      add_create(locks, as<CreateStmt>(node));
      break;
    case T_CreateForeignTableStmt:
      add_create(locks, &as<CreateForeignTableStmt>(node)->base);
      break;
    case T_CreateTableAsStmt:
      add_query(locks, as<CreateTableAsStmt>(node)->query);
      break;
    case T_ViewStmt:
      if (as<ViewStmt>(node)->replace) locks.add(out.relation, AccessExclusiveLock, true);
      add_query(locks, as<ViewStmt>(node)->query);
      break;
    case T_SelectStmt:
      if (out.backfill && out.change && out.change->copy) {
        locks.add(out.backfill->relation, AccessShareLock);
        locks.add(out.change->copy->into, RowExclusiveLock);
      } else if (out.backfill) {
        locks.add(out.backfill->relation, RowExclusiveLock);
        if (out.change && !out.change->lookup.empty()) locks.add(out.change->lookup, AccessShareLock);
      } else
        add_query(locks, node);
      break;
    case T_InsertStmt:
    case T_UpdateStmt:
    case T_DeleteStmt:
    case T_MergeStmt:
      add_query(locks, node);
      break;
    case T_CopyStmt:
      locks.add(out.relation, as<CopyStmt>(node)->is_from ? RowExclusiveLock : AccessShareLock);
      add_query(locks, as<CopyStmt>(node)->query);
      break;
    case T_AlterTableStmt:
      add_alter(locks, as<AlterTableStmt>(node));
      break;
    case T_IndexStmt:
      locks.add(out.relation, out.concurrently ? ShareUpdateExclusiveLock : ShareLock);
      break;
    case T_DropStmt:
      add_drop(locks, as<DropStmt>(node), out);
      break;
    case T_TruncateStmt:
      for (RangeVar* relation : items<RangeVar>(as<TruncateStmt>(node)->relations))
        locks.add(relation, AccessExclusiveLock);
      break;
    case T_CreateTrigStmt:
      locks.add(out.relation, ShareRowExclusiveLock);
      locks.add(as<CreateTrigStmt>(node)->constrrel, ShareRowExclusiveLock);
      break;
    case T_CreatePolicyStmt:
    case T_AlterPolicyStmt:
    case T_RuleStmt:
    case T_AlterObjectSchemaStmt:
    case T_AlterOwnerStmt:
      locks.add(out.relation, AccessExclusiveLock);
      break;
    case T_RenameStmt: {
      auto* stmt = as<RenameStmt>(node);
      if (stmt->renameType != OBJECT_ATTRIBUTE)
        locks.add(stmt->relation, stmt->renameType == OBJECT_INDEX ? ShareUpdateExclusiveLock : AccessExclusiveLock,
                  stmt->missing_ok);
      break;
    }
    case T_CommentStmt:
    case T_SecLabelStmt:
    case T_CreateStatsStmt:
      locks.add(out.relation, ShareUpdateExclusiveLock);
      break;
    case T_VacuumStmt:
      for (VacuumRelation* target : items<VacuumRelation>(as<VacuumStmt>(node)->rels))
        locks.add(target->relation, full_vacuum(as<VacuumStmt>(node)) ? AccessExclusiveLock : ShareUpdateExclusiveLock);
      break;
    case T_ReindexStmt:
      if (as<ReindexStmt>(node)->kind == REINDEX_OBJECT_INDEX)
        locks.add(out.object, out.concurrently ? ShareUpdateExclusiveLock : AccessExclusiveLock);
      else
        locks.add(out.relation, out.concurrently ? ShareUpdateExclusiveLock : ShareLock);
      break;
    case T_RefreshMatViewStmt:
      locks.add(out.relation, out.concurrently ? ExclusiveLock : AccessExclusiveLock);
      break;
    case T_ClusterStmt:
      locks.add(out.relation, AccessExclusiveLock);
      break;
    case T_AlterSeqStmt:
      locks.add(out.relation, ShareRowExclusiveLock, as<AlterSeqStmt>(node)->missing_ok);
      add_owner(locks, as<AlterSeqStmt>(node)->options);
      break;
    case T_CreateSeqStmt:
      add_owner(locks, as<CreateSeqStmt>(node)->options);
      break;
    case T_LockStmt:
      for (RangeVar* relation : items<RangeVar>(as<LockStmt>(node)->relations))
        locks.add(relation, as<LockStmt>(node)->mode);
      break;
    default:
      break;
  }
}

}  // namespace migration::pg
