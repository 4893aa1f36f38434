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

/// What the planner asks about a relation; filled by the catalog room.
struct RelationFacts {
  bool exists = false;
  char kind = 0;                         ///< pg_class.relkind
  std::string name;                      ///< qualified, quoted
  std::string partition_key;             ///< of all levels, as pg_get_partkeydef() has it; empty: not partitioned
  std::vector<std::string> generated;    ///< quoted names of generated columns
  bool statement_triggers = false;       ///< per-statement triggers on UPDATE or DELETE, or rules
  long long rows = -1, bytes = -1;       ///< estimates; -1 unknown
  std::vector<std::string> key_columns;  ///< quoted; unique, not null, not deferrable; empty when there is none
};
/// What it asks about the second table of a change: one to look values up in, or one to copy rows to.
struct OtherTable {
  bool known = false;       ///< looked at; else it may be made by the plan itself
  std::string obstacle;     ///< why there can be no batches
  std::string no_trigger;   ///< of a lookup: why no fill trigger may read it
  bool repeatable = false;  ///< of a copy: a row that comes a second time is known by a unique key
};
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

/// Has the condition a conjunct `c IS NULL` over an assigned c?
bool fills_null(const RowChange& change);

/// How an UPDATE or DELETE may be cut into batches.
enum class CursorChoice {
  none,    ///< as one statement
  ctid,    ///< block ranges: repeating a row is harmless
  keyset,  ///< ranges of an immutable unique key: each row exactly once
};
struct CursorDecision {
  CursorChoice choice = CursorChoice::none;
  std::string reason;
  /// Blocks only if a changed row really meets the condition no more: shown on a sample, watched in every batch.
  bool to_prove = false;
};
/// Of a change with a lookup: may it go by batches, as far as that is concerned? A row is deleted once, however many
/// rows of the other table it meets.
bool finds_one(const RowChange& change, const OtherTable& other);
/// `wish`: auto, ctid, keyset. Errors: 0A000 when the wish cannot be.
CursorDecision choose_cursor(const RowChange& change, const RelationFacts& facts, const std::string& wish = "auto",
                             const OtherTable& other = {});

}  // namespace migration
