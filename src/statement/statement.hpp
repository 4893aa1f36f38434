// One SQL statement of a revision's script, as plain data.
//
// What: the result of cutting a script with the server's own parser (`pg/parse.hpp` does the cutting). Why: the
// planner decides by shape, and shape must be testable without a server. Invariant: every name in here is already
// quoted as SQL needs it, so text can be put together from it without another look; `text` is the exact slice of the
// script, without the closing semicolon. Nothing in here points into server memory.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace migration {

enum class StatementKind {
  other,                ///< anything that runs as written inside a transaction
  set,                  ///< SET / RESET that lasts (not LOCAL): also opens every later step of its revision
  create_table,         ///< CREATE TABLE, also PARTITION OF
  create_table_as,      ///< CREATE TABLE AS, SELECT INTO, CREATE MATERIALIZED VIEW
  alter_table,          ///< ALTER TABLE with one or more actions (except the ones below)
  validate,             ///< ALTER TABLE ... VALIDATE CONSTRAINT, alone in its statement
  detach_concurrently,  ///< ALTER TABLE ... DETACH PARTITION ... CONCURRENTLY or FINALIZE
  create_index,         ///< CREATE INDEX
  drop,                 ///< DROP of any object kind
  rename,               ///< ALTER ... RENAME
  reindex,              ///< REINDEX
  vacuum,               ///< VACUUM or ANALYZE
  refresh,              ///< REFRESH MATERIALIZED VIEW
  enum_add_value,       ///< ALTER TYPE ... ADD VALUE
  update,               ///< UPDATE
  delete_,              ///< DELETE
  insert,               ///< INSERT, MERGE
  select,               ///< SELECT, except the next
  backfill_call,        ///< SELECT migration_backfill(...) as a statement of its own
  truncate,
  create_object,  ///< CREATE of an object that is no relation: type, function, schema, extension, ...
  create_view,
  code_block,  ///< DO, CALL
};

/// A relation that a statement takes a lock on.
struct RelationUse {
  std::string name;       ///< quoted, schema-qualified when the script says so
  std::string lock_mode;  ///< pg_locks spelling: 'AccessExclusiveLock', 'ShareLock', ...
  bool missing_ok = false;
};

/// One action of an ALTER TABLE.
struct AlterAction {
  std::string kind;       ///< 'add column', 'drop column', 'set not null', 'alter type', 'add constraint', ...
  std::string name;       ///< column or constraint, quoted; empty when the script gives none
  std::string detail;     ///< constraint kind ('check','unique','primary key','foreign key','exclude','not null')
  bool scans = false;     ///< reads the whole table under its lock
  bool rewrites = false;  ///< may write the whole table anew
  bool if_exists = false;
  bool cascade = false;
  std::string text;                    ///< exact slice of the script: 'ADD COLUMN c int DEFAULT 0'
  std::string type;                    ///< add column, alter type: slice of the type's name
  std::string expression;              ///< slice: DEFAULT, USING, CHECK or GENERATED expression; empty when none
  bool not_null = false;               ///< add column: NOT NULL (or PRIMARY KEY, identity) among its constraints
  bool not_valid = false;              ///< add constraint: NOT VALID
  bool generated = false;              ///< add column: GENERATED ... STORED or VIRTUAL
  bool identity = false;               ///< add column: identity or serial
  std::string index;                   ///< add constraint: quoted name of the index in USING INDEX
  std::string references;              ///< foreign key (also inline), inherit, partition: the other relation, quoted
  std::optional<std::string> inverse;  ///< action that undoes it; empty text when there is nothing to undo
};

/// An object dropped by a statement.
struct DroppedObject {
  std::string type;  ///< 'TABLE', 'INDEX', 'MATERIALIZED VIEW', 'SEQUENCE', 'SCHEMA', 'TYPE', ...
  std::string name;  ///< quoted
};

/// What a backfill that copies rows does with them; `RowChange::relation` is where they come from.
struct RowCopy {
  std::string into;                  ///< quoted, as written
  std::vector<std::string> columns;  ///< quoted; empty: those that both tables have
  std::string values;                ///< select list; empty: the columns
  bool keeps_present = false;        ///< a row that is there already stays as it is
};

/// An UPDATE or DELETE of one table cut into its parts (texts are exact slices of the script).
struct RowChange {
  std::string relation;                  ///< quoted, as written
  std::string alias;                     ///< quoted; empty when none
  std::string assignments;               ///< text between SET and WHERE; empty for DELETE
  std::vector<std::string> set_columns;  ///< quoted
  std::vector<std::string> values;       ///< what each gets; empty when they are not assigned one by one, or by DEFAULT
  std::string condition;                 ///< text after WHERE; empty when none
  std::vector<std::string> null_tests;   ///< columns c with a top-level conjunct `c IS NULL`
  bool reads_own = false;                ///< an assigned value depends on an assigned column: n = n + 1
  bool tests_own = false;                ///< the condition depends on an assigned column: c IS DISTINCT FROM lower(d)
  bool simple = false;          ///< no WITH, RETURNING, sub-select or ONLY, at most one other table: may run in batches
  bool volatile_marks = false;  ///< CURRENT OF, or anything else that batching would change
  std::string from;             ///< text of FROM or USING; empty when there is none
  std::string lookup;           ///< its one table, quoted, as written; empty when it is anything else
  std::vector<std::string> conjuncts;  ///< with a lookup: what the condition ANDs together
  std::optional<RowCopy> copy;         ///< rows are copied: a backfill with action copy
};

/// Arguments of SELECT migration_backfill(...) inside a script; constants only.
struct BackfillCall {
  std::string relation, assignments;
  std::optional<std::string> condition, options;
  std::string trigger = "auto", verify = "off";  ///< of the options; filled when a plan is made
  std::string cursor = "auto";                   ///< the same
  std::string from;                              ///< of the options: FROM list
};

struct Statement {
  int number = 0;    ///< 1-based within its script
  int position = 0;  ///< 1-based character position of its first token within the script
  std::string text;
  std::string tag;  ///< command tag: 'CREATE TABLE'
  StatementKind kind = StatementKind::other;
  bool concurrently = false;
  bool if_exists = false;  ///< IF EXISTS or IF NOT EXISTS, whichever the form has
  bool cascade = false;
  bool only = false;        ///< ALTER TABLE ONLY
  bool as_written = false;  ///< `/* migration: as written */` stands before it (and at the beginning of `text`)
  std::string relation;     ///< main relation, quoted; empty when none
  std::string object;       ///< what is created, renamed, ...: index, type, function, quoted; functions with their
                            ///< argument types: 'f(integer, text)'; renamed relations: the old name, as `relation`
  std::string object_type;  ///< COMMENT, SECURITY LABEL: 'TABLE', 'COLUMN', 'FUNCTION', ...
  std::string new_name;     ///< rename: the new name, quoted, qualified as the old one was; SET SCHEMA: of a relation
  bool sets_schema = false;
  std::vector<RelationUse> locks;  ///< relations locked, in the order of the statement
  std::vector<AlterAction> actions;
  std::vector<DroppedObject> dropped;
  std::vector<std::string> creates;  ///< quoted names of relations (tables, views, indexes) it creates
  std::optional<RowChange> change;
  std::optional<BackfillCall> backfill;
  std::optional<std::string> inverse;  ///< SQL that undoes it, when that follows from the statement alone
  bool harmless_inverse = false;       ///< nothing to undo (SET, ANALYZE, COMMENT, GRANT, DML of no schema)
};

}  // namespace migration
