// The loop of an UPDATE that goes by places: what ExecutorRun() would do, row by row.
//
// What: execute_by_place() sets a planned statement up as the server does and changes the rows that a source names, a
// page at a time. Why and invariants: see row_update.hpp, which decides for which plans it is. Memory: the executor's.
// Locks: those of the statement; a page stays pinned, not locked, while its rows are changed.
#pragma once

#include <cstddef>
#include <cstdint>

#include "pg/server.hpp"

extern "C" {
#include "executor/execdesc.h"
#include "nodes/execnodes.h"
#include "nodes/plannodes.h"
#include "utils/plancache.h"
}

namespace migration::pg {

class RowSource;

/// The statement in execution. Plain data: an error jumps over it.
struct RowLoop {
  EState* state = nullptr;
  EPQState* recheck = nullptr;
  ResultRelInfo* target = nullptr;
  Relation relation = nullptr;
  ExprState* condition = nullptr;        ///< null: none
  ProjectionInfo* assignment = nullptr;  ///< old row to new row
  ProjectionInfo* returning = nullptr;   ///< null: none
  ExprContext* context = nullptr;        ///< of the two above
  TupleTableSlot *old = nullptr, *latest = nullptr;
  const char* const* same = nullptr;  ///< columns by which a row was chosen
  std::size_t same_count = 0;
  bool before = false;  ///< fires BEFORE row triggers
  std::uint64_t rows = 0, marked = 0;
};

/// Is there a trigger that a row is to go through before it is written? `but` names one that is not counted when it
/// executes the function of that name.
bool fires_before_row(const TriggerDesc* triggers, const char* but);

/// As _SPI_pquery() runs a statement, with our loop for ExecutorRun(). `update` is the top of its plan; `loop` says by
/// which columns rows are chosen and whether triggers are to be fired, and takes the counts.
void execute_by_place(CachedPlan* cached, const ModifyTable* update, const char* text, RowSource& source,
                      RowLoop& loop);

}  // namespace migration::pg
