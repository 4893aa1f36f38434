// Whether and how an UPDATE, DELETE or copy may be cut into batches.
//
// What: choose_cursor() takes a change and what the catalogs know of its table, and says: by blocks, by key, or as one
// statement, and why. Why a rule and not a setting: which of them is exact follows from the change itself. A batch may
// be met again after a crash or by a row that moves, so blocks are for changes that a second time does nothing to, keys
// for all others. Invariant: a cursor that was asked for is used or refused, never replaced. Memory: plain values.
#pragma once

#include <string>
#include <vector>

#include "statement/statement.hpp"

namespace migration {

/// What the planner asks about a relation; filled by the catalog room.
struct RelationFacts {
  bool exists = false;
  char kind = 0;                         ///< pg_class.relkind
  std::string name;                      ///< qualified, quoted
  std::string partition_key;             ///< of all levels, as pg_get_partkeydef() has it; empty: not partitioned
  std::vector<std::string> generated;    ///< quoted names of generated columns
  bool heirs = false;                    ///< tables inherit from it that are no partitions
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
