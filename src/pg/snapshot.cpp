// Releasing and retaking the snapshots of a portal; see snapshot.hpp.
#include "pg/snapshot.hpp"

#include <chrono>
#include <exception>
#include <string>

#include "pg/guard.hpp"

extern "C" {
#include "access/xact.h"
#include "executor/execdesc.h"
#include "executor/executor.h"
#include "nodes/plannodes.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "tcop/pquery.h"
#include "utils/inval.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"
}

namespace migration::pg {

namespace {

bool is_constant(Node* node) {
  while (node != nullptr) {
    if (IsA(node, Const)) return true;
    if (IsA(node, Param)) return reinterpret_cast<Param*>(node)->paramkind == PARAM_EXTERN;
    if (IsA(node, RelabelType)) {
      node = reinterpret_cast<Node*>(reinterpret_cast<RelabelType*>(node)->arg);
    } else if (IsA(node, CoerceViaIO)) {
      node = reinterpret_cast<Node*>(reinterpret_cast<CoerceViaIO*>(node)->arg);
    } else {
      return false;
    }
  }
  return false;
}

bool is_this_call(Node* node, Oid function) {
  while (node != nullptr && (IsA(node, RelabelType) || IsA(node, CoerceViaIO))) {
    node = IsA(node, RelabelType) ? reinterpret_cast<Node*>(reinterpret_cast<RelabelType*>(node)->arg)
                                  : reinterpret_cast<Node*>(reinterpret_cast<CoerceViaIO*>(node)->arg);
  }
  if (node == nullptr || !IsA(node, FuncExpr)) return false;
  auto* call = reinterpret_cast<FuncExpr*>(node);
  if (call->funcid != function) return false;
  ListCell* cell;
  foreach (cell, call->args) {
    if (!is_constant(static_cast<Node*>(lfirst(cell)))) return false;
  }
  return true;
}

/// True when the statement of this portal is the call and nothing else: SELECT f(..) or SELECT * FROM f(..).
bool is_only_this_call(QueryDesc* query, Oid function) {
  PlannedStmt* plan = query->plannedstmt;
  if (plan->commandType != CMD_SELECT || plan->hasModifyingCTE || plan->subplans != NIL || plan->rowMarks != NIL) {
    return false;
  }
  Plan* node = plan->planTree;
  ListCell* cell;
  if (IsA(node, Result) && outerPlan(node) == nullptr && node->qual == NIL &&
      reinterpret_cast<Result*>(node)->resconstantqual == nullptr) {
    int calls = 0;
    foreach (cell, node->targetlist) {
      auto* expression = reinterpret_cast<Node*>(static_cast<TargetEntry*>(lfirst(cell))->expr);
      if (is_this_call(expression, function)) {
        ++calls;
      } else if (!is_constant(expression)) {
        return false;
      }
    }
    return calls == 1;
  }
  if (IsA(node, FunctionScan) && node->qual == NIL) {
    auto* scan = reinterpret_cast<FunctionScan*>(node);
    if (list_length(scan->functions) != 1) return false;
    auto* member = static_cast<RangeTblFunction*>(linitial(scan->functions));
    if (!is_this_call(member->funcexpr, function)) return false;
    foreach (cell, node->targetlist) {
      Node* expression = reinterpret_cast<Node*>(static_cast<TargetEntry*>(lfirst(cell))->expr);
      while (expression != nullptr && IsA(expression, CoerceViaIO)) {
        expression = reinterpret_cast<Node*>(reinterpret_cast<CoerceViaIO*>(expression)->arg);
      }
      if (!IsA(expression, Var) && !is_constant(expression)) return false;
    }
    return true;
  }
  return false;
}

void release_portal_snapshots(QueryDesc* query) {
  Snapshot held = query->snapshot;
  Snapshot executing = query->estate->es_snapshot;
  query->snapshot = InvalidSnapshot;
  query->estate->es_snapshot = InvalidSnapshot;
  UnregisterSnapshot(executing);
  UnregisterSnapshot(held);
  PopActiveSnapshot();
  InvalidateCatalogSnapshot();
}

void retake_portal_snapshots(QueryDesc* query) {
  // A table that this block has locked is opened again without looking for changes; see let_waiters_go().
  AcceptInvalidationMessages();
  PushActiveSnapshot(GetTransactionSnapshot());
  query->snapshot = RegisterSnapshot(GetActiveSnapshot());
  query->estate->es_snapshot = RegisterSnapshot(query->snapshot);
}

/// Marks this process as one whose snapshots no CREATE INDEX CONCURRENTLY waits for, as such a command marks itself.
/// It would wait for our transaction, not for the snapshot, so a look of a millisecond could block it for ever.
void set_ignored(bool on) noexcept {
  LWLockAcquire(ProcArrayLock, LW_EXCLUSIVE);
  if (on) {
    MyProc->statusFlags |= PROC_IN_SAFE_IC;
  } else {
    MyProc->statusFlags &= static_cast<uint8>(~PROC_IN_SAFE_IC);
  }
  ProcGlobal->statusFlags[MyProc->pgxactoff] = MyProc->statusFlags;
  LWLockRelease(ProcArrayLock);
}

/// Lets go whoever waits for a snapshot that this transaction had: it waits for the lock on our virtual transaction id,
/// which lasts until the transaction ends, long after the snapshot. A concurrent build waits in the same way for
/// lockers of its table, and a block may have locked one. Those waits may end, too: what they protect the build from is
/// rows that this transaction wrote (it has no transaction id), scans that go on (they would have a snapshot) and later
/// statements that do not know of the build yet, and those learn of it in retake_portal_snapshots().
void let_waiters_go() {
  VirtualTransactionId id;
  GET_VXID_FROM_PGPROC(id, *MyProc);
  VirtualXactLockTableCleanup();
  VirtualXactLockTableInsert(id);
}

}  // namespace

WaitingCall::WaitingCall(Oid function, const char* name, const char* hint) : exceptions_(std::uncaught_exceptions()) {
  std::string reason;
  QueryDesc* query = ActivePortal == nullptr ? nullptr : ActivePortal->queryDesc;
  if (IsolationUsesXactSnapshot()) {
    reason = "The transaction is " + std::string(IsolationIsSerializable() ? "SERIALIZABLE" : "REPEATABLE READ") +
             " and keeps its snapshot to its end.";
  } else if (TransactionIdIsValid(GetTopTransactionIdIfAny())) {
    reason = "The transaction has already written and holds its locks to its end.";
  } else if (query == nullptr || query->estate == nullptr || ActivePortal->strategy != PORTAL_ONE_SELECT ||
             !is_only_this_call(query, function)) {
    reason = "The statement does more than call the function, or calls it from another function or a cursor loop.";
  } else {
    release();
    if (!TransactionIdIsValid(MyProc->xmin)) return;
    resume();
    reason = "Another snapshot of this transaction stays open (a cursor, EXECUTE or a procedure).";
  }
  throw MigrationError(sqlstate::active_transaction,
                       std::string(name) + " cannot wait here: this session would hold a snapshot that blocks the run",
                       reason, hint);
}

WaitingCall::~WaitingCall() {
  if (looking_) set_ignored(false);
  // An error on its way out leaves the portal without snapshots; the abort never looks at them.
  if (released_ && std::uncaught_exceptions() == exceptions_) retake_portal_snapshots(ActivePortal->queryDesc);
}

void WaitingCall::release() {
  if (released_) return;
  pg_call([] {
    release_portal_snapshots(ActivePortal->queryDesc);
    // Every time, not only at the start: a build may have met the snapshot of any look.
    if (!TransactionIdIsValid(MyProc->xmin)) let_waiters_go();
  });
  released_ = true;
  if (looking_) set_ignored(false);
  looking_ = false;
}

void WaitingCall::resume_to_look() {
  if (!released_) return;
  set_ignored(true);
  looking_ = true;
  resume();
}

void WaitingCall::resume() {
  if (!released_) return;
  pg_call([] { retake_portal_snapshots(ActivePortal->queryDesc); });
  released_ = false;
}

bool wait_latch(long milliseconds) {
  const int events = pg_call([&] {
    CHECK_FOR_INTERRUPTS();
    int got = WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, milliseconds, PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
    return got;
  });
  return (events & WL_LATCH_SET) != 0;
}

void pause(long milliseconds) {
  // By a clock that nobody sets: if the calendar goes back a day, this does not become a day.
  using clock = std::chrono::steady_clock;
  const clock::time_point until = clock::now() + std::chrono::milliseconds(milliseconds);
  for (;;) {
    const long left = std::chrono::ceil<std::chrono::milliseconds>(until - clock::now()).count();
    if (left <= 0) return;
    wait_latch(left < 1000 ? left : 1000);
  }
}

}  // namespace migration::pg
