// Fill triggers: what keeps new rows filled from the start of a backfill to the statement that relies on it.
//
// What: an application that does not know a new column yet goes on writing rows without it. Where a later statement of
// the plan relies on there being no gap (SET NOT NULL, CHECK, UNIQUE, a primary key, a generated column), the plan gets
// a step before the backfill that makes a row trigger, and the statements that drop it after the last one that relies.
// Why as plain steps of generated SQL: display, scripts, resume and errors then work for them as for any other step.
// The trigger fills what the statement would fill and nothing else: rows that meet its condition, with its assignments,
// in its search_path. It is PL/pgSQL, no extension member and enabled ALWAYS: it stands without our library, and fires
// for logical replication. It runs with the rights of the writer. Invariants: a text that cannot be meant the same in a
// trigger (system columns, schema-qualified columns) gets none, with a note that says so; the trigger is dropped before
// anything that would break it. Pure. Memory: plain values.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "plan/plan.hpp"

namespace migration {

/// A backfill that fills a column: its rows have a NULL there and get a value.
struct Fill {
  std::string table;   ///< qualified, quoted
  std::string column;  ///< quoted: tested for NULL and assigned
  std::string name;    ///< of trigger and function, quoted; sorts last, at most 63 bytes
  std::string verify;  ///< of the CHECK constraint of verify => 'constraint', quoted
  const RowChange* change = nullptr;
  std::string refusal;  ///< why there can be no trigger; empty when there can
};
/// nullopt: not a fill of a table that existed before the plan.
std::optional<Fill> fill_of(const Step& step);

/// Why rows of this table cannot be filled by a trigger; empty when they can.
std::string fill_trigger_obstacle(const RowChange& change, const RelationFacts& facts);

/// Adds the steps and statements to a plan whose steps are cut but not numbered.
void add_fill_triggers(Plan& plan);

/// The name (quoted) of the fill trigger that these statements of a step make; empty when they make none.
std::string fill_trigger_made_by(const std::vector<std::string>& statements);
/// Of these statements, those that make the trigger; they may run again.
std::vector<std::string> fill_trigger_again(const std::vector<std::string>& statements);

/// What all names begin with.
constexpr const char* fill_prefix = "zzz_migration_fill_";

}  // namespace migration
