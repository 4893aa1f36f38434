// One statement through parse, plan and portal; see portal.hpp.
#include "pg/portal.hpp"

#include <exception>

#include "pg/compat.hpp"
#include "pg/guard.hpp"

extern "C" {
#include "access/xact.h"
#include "nodes/parsenodes.h"
#include "parser/analyze.h"
#include "parser/parser.h"
#include "pgstat.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"
}

namespace migration::pg {

namespace {

void make_plain(Node* node) {
  switch (nodeTag(node)) {
    case T_IndexStmt:
      reinterpret_cast<IndexStmt*>(node)->concurrent = false;
      break;
    case T_DropStmt:
      reinterpret_cast<DropStmt*>(node)->concurrent = false;
      break;
    case T_RefreshMatViewStmt:
      reinterpret_cast<RefreshMatViewStmt*>(node)->concurrent = false;
      break;
    case T_ReindexStmt: {
      auto* reindex = reinterpret_cast<ReindexStmt*>(node);
      List* kept = NIL;
      ListCell* cell;
      foreach (cell, reindex->params) {
        auto* option = static_cast<DefElem*>(lfirst(cell));
        if (strcmp(option->defname, "concurrently") != 0) kept = lappend(kept, option);
      }
      reindex->params = kept;
      break;
    }
    case T_AlterTableStmt: {
      ListCell* cell;
      foreach (cell, reinterpret_cast<AlterTableStmt*>(node)->cmds) {
        auto* command = static_cast<AlterTableCmd*>(lfirst(cell));
        if (command->def != nullptr && IsA(command->def, PartitionCmd)) {
          reinterpret_cast<PartitionCmd*>(command->def)->concurrent = false;
        }
      }
      break;
    }
    default:
      break;
  }
}

/// Plain pointers of an IndexRewrite, so that they may be used below pg_call.
struct RawRewrite {
  const char *schema, *table, *index;
  bool only, concurrently;
};

void rewrite_index(Node* node, const RawRewrite& to) {
  if (!IsA(node, IndexStmt)) return;
  auto* index = reinterpret_cast<IndexStmt*>(node);
  index->relation->schemaname = pstrdup(to.schema);
  index->relation->relname = pstrdup(to.table);
  index->relation->inh = !to.only;
  index->idxname = to.index == nullptr ? nullptr : pstrdup(to.index);
  index->concurrent = to.concurrently;
  index->if_not_exists = false;
}

void run_raw(const char* sql, RawStmt* raw, bool top_level, MemoryContext own) {
  CommandTag tag = CreateCommandTag(raw->stmt);
  bool snapshot_set = false;
  if (analyze_requires_snapshot(raw)) {
    PushActiveSnapshot(GetTransactionSnapshot());
    snapshot_set = true;
  }
  List* queries = pg_analyze_and_rewrite_fixedparams(raw, sql, nullptr, 0, nullptr);
  List* plans = pg_plan_queries(queries, sql, CURSOR_OPT_PARALLEL_OK, nullptr);
  if (snapshot_set) PopActiveSnapshot();

  Portal portal = CreateNewPortal();
  portal->visible = false;
  PortalDefineQuery(portal, nullptr, sql, tag, plans, nullptr);
  PortalStart(portal, nullptr, 0, InvalidSnapshot);
  DestReceiver* nowhere = CreateDestReceiver(DestNone);
  QueryCompletion completion;
  InitializeQueryCompletion(&completion);
  MemoryContext before = MemoryContextSwitchTo(own);
  compat_portal_run(portal, top_level, nowhere, &completion);
  MemoryContextSwitchTo(before);
  nowhere->rDestroy(nowhere);
  PortalDrop(portal, false);
}

}  // namespace

namespace {

void run_one(const std::string& sql, bool top_level, Forms forms, const RawRewrite* rewrite) {
  const char* text = sql.c_str();
  MemoryContext const before = CurrentMemoryContext;
  // Top-level statements commit inside themselves, and a commit deletes everything that hangs from the transaction: one
  // context under TopMemoryContext serves them all. It is emptied at the start of the next one, never in an error path,
  // where portals of the failed transaction still point into it.
  static MemoryContext lasting = nullptr;
  MemoryContext own = pg_call([&] {
    if (!top_level) return AllocSetContextCreate(CurrentMemoryContext, "migration statement", ALLOCSET_DEFAULT_SIZES);
    if (lasting == nullptr) {
      lasting = AllocSetContextCreate(TopMemoryContext, "migration top-level statement", ALLOCSET_DEFAULT_SIZES);
    }
    MemoryContextReset(lasting);
    return lasting;
  });
  const char* const outer_query = debug_query_string;
  try {
    pg_call([&] {
      MemoryContextSwitchTo(own);
      char* copy = pstrdup(text);
      if (top_level) debug_query_string = copy;
      List* trees = raw_parser(copy, RAW_PARSE_DEFAULT);
      ListCell* cell;
      foreach (cell, trees) {
        auto* raw = lfirst_node(RawStmt, cell);
        if (forms == Forms::plain) make_plain(raw->stmt);
        if (rewrite != nullptr) rewrite_index(raw->stmt, *rewrite);
        run_raw(copy, raw, top_level, own);
        if (!top_level) CommandCounterIncrement();
      }
      MemoryContextSwitchTo(before);
    });
  } catch (...) {
    debug_query_string = outer_query;
    throw;
  }
  debug_query_string = outer_query;
  if (!top_level) pg_call([&] { MemoryContextDelete(own); });
}

}  // namespace

void run_statement(const std::string& sql, bool top_level, Forms forms) {
  run_one(sql, top_level, forms, nullptr);
}

void run_index_statement(const std::string& sql, bool top_level, const IndexRewrite& rewrite) {
  const RawRewrite raw{rewrite.schema.c_str(), rewrite.table.c_str(),
                       rewrite.index.empty() ? nullptr : rewrite.index.c_str(), rewrite.only, rewrite.concurrently};
  run_one(sql, top_level, Forms::as_written, &raw);
}

ScriptRights::ScriptRights() : exceptions_(std::uncaught_exceptions()), user_(0), context_(0) {
  Oid user;
  GetUserIdAndSecContext(&user, &context_);
  user_ = user;
  SetUserIdAndSecContext(user, context_ | SECURITY_LOCAL_USERID_CHANGE);
}

ScriptRights::~ScriptRights() {
  if (std::uncaught_exceptions() > exceptions_) return;
  SetUserIdAndSecContext(user_, context_);
}

}  // namespace migration::pg
