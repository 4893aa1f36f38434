// From scripts to steps.
//
// What: make_plan() takes the statements of the revisions on a path, in order, and cuts them into the steps a run
// executes. Why by shape: what runs where is decided by the form of a statement and never by the size of a table, so a
// plan read on a laptop is the plan that runs in production. Invariants: a step belongs to one revision; the last step
// of a revision completes it; every revision has at least one step (an empty script is an empty transaction); when
// every step is `tx` the caller's session runs the plan in its own transaction. Memory: plain values.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "plan/cursor.hpp"
#include "statement/statement.hpp"

namespace migration {

enum class StepKind {
  tx,          ///< statements in one transaction
  concurrent,  ///< one top-level statement that commits by itself or wants a transaction of its own
  backfill,    ///< UPDATE or DELETE in batches
  validate,    ///< VALIDATE CONSTRAINT in a transaction of its own
};
const char* to_text(StepKind kind);
StepKind step_kind_from(const std::string& text);

using OtherLookup = std::function<OtherTable(const RowChange& change)>;
using RelationLookup = std::function<RelationFacts(const std::string& quoted_name)>;
/// Told the index of the script that is being cut, before its names are looked up.
using PlanCursor = std::function<void(std::size_t script)>;

struct PlannedStatement {
  Statement statement;
  std::string note;
  std::string table = {};       ///< the relation, qualified; known from the first backfill of a plan on
  std::string no_trigger = {};  ///< why a backfill can have no fill trigger, when the table is the reason
};

struct Step {
  int number = 0;
  std::string revision;
  StepKind kind = StepKind::tx;
  std::vector<PlannedStatement> statements;
  std::vector<std::string> settings;  ///< SET statements of the script that come before it
  std::string path = {};              ///< the script's search_path
  bool completes = false;
  int transaction = 0;  ///< number of its transaction; 0 when it has many
};

struct RevisionScript {
  std::string revision;
  std::vector<Statement> statements;
  bool online = true;     ///< the revision's own option
  std::string path = {};  ///< search_path that it means its names under
};

struct Plan {
  bool up = true;
  bool online = true;
  std::vector<Step> steps;

  /// Does any step need a worker?
  bool background() const;
};

/// `online` false: everything as written, in one transaction, CONCURRENTLY forms as plain forms.
Plan make_plan(std::vector<RevisionScript> scripts, bool up, bool online, const RelationLookup& lookup,
               const PlanCursor& cursor = {}, const OtherLookup& other = {});

/// What a lock mode keeps others from doing: 'nothing', 'writes', 'reads and writes'.
const char* blocks_of(const std::string& lock_mode);
/// The strongest lock of a statement and the relation it is on.
struct StrongestLock {
  std::string mode, relation;
};
StrongestLock strongest_lock(const Statement& s);

}  // namespace migration
