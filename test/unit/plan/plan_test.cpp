// Cutting scripts into steps: what runs where is decided by shape alone.
#include "plan/plan.hpp"

#include <gtest/gtest.h>

#include "statement/error.hpp"

using namespace migration;

namespace {

Statement statement(StatementKind kind, const std::string& text, const std::string& relation = "t") {
  Statement s;
  s.kind = kind;
  s.text = text;
  s.relation = relation;
  return s;
}

Statement update(const std::string& column, bool null_test) {
  Statement s = statement(StatementKind::update, "UPDATE t SET " + column + " = 1");
  RowChange change;
  change.relation = "t";
  change.assignments = column + " = 1";
  change.set_columns = {column};
  change.simple = true;
  if (null_test) {
    change.condition = column + " IS NULL";
    change.null_tests = {column};
  }
  s.change = change;
  return s;
}

Statement concurrent_index() {
  Statement s = statement(StatementKind::create_index, "CREATE INDEX CONCURRENTLY i ON t (c)");
  s.concurrently = true;
  s.object = "i";
  s.creates = {"i"};
  return s;
}

RelationFacts table_with_key() {
  RelationFacts facts;
  facts.exists = true;
  facts.kind = 'r';
  facts.key_columns = {"id"};
  return facts;
}

Plan plan(std::vector<RevisionScript> scripts, bool online = true, RelationFacts facts = table_with_key()) {
  return make_plan(std::move(scripts), true, online, [=](const std::string&) { return facts; });
}

std::string kinds(const Plan& p) {
  std::string out;
  for (const Step& s : p.steps) out += std::string(out.empty() ? "" : " ") + to_text(s.kind) + (s.completes ? "!" : "");
  return out;
}

}  // namespace

TEST(Plan, TransactionalStatementsOfARevisionAreOneStep) {
  const Plan p =
      plan({{"a",
             {statement(StatementKind::create_table, "CREATE TABLE a ()"), statement(StatementKind::other, "GRANT x")},
             true},
            {"b", {statement(StatementKind::alter_table, "ALTER TABLE a")}, true}});
  EXPECT_EQ(kinds(p), "tx! tx!");
  EXPECT_FALSE(p.background());
  EXPECT_EQ(p.steps[0].transaction, 1);
  EXPECT_EQ(p.steps[1].transaction, 1);
}

TEST(Plan, AnEmptyScriptStillCompletesItsRevision) {
  const Plan p = plan({{"m", {}, true}});
  EXPECT_EQ(kinds(p), "tx!");
  EXPECT_TRUE(p.steps[0].statements.empty());
}

TEST(Plan, ConcurrentStatementsSplitTheirRevision) {
  const Plan p =
      plan({{"a",
             {statement(StatementKind::alter_table, "A"), concurrent_index(), statement(StatementKind::other, "B")},
             true}});
  EXPECT_EQ(kinds(p), "tx concurrent tx!");
  EXPECT_TRUE(p.background());
  EXPECT_EQ(p.steps[0].transaction, 1);
  EXPECT_EQ(p.steps[1].transaction, 0);
  EXPECT_EQ(p.steps[2].transaction, 2);
}

TEST(Plan, OfflineEverythingIsOneTransaction) {
  const Plan p =
      plan({{"a", {statement(StatementKind::alter_table, "A"), concurrent_index(), update("c", true)}, true}}, false);
  EXPECT_EQ(kinds(p), "tx!");
  EXPECT_EQ(p.steps[0].statements[1].note, "runs without CONCURRENTLY");
}

TEST(Plan, AFillOfAMissingValueGoesByBlocks) {
  const Plan p = plan({{"a", {update("c", true)}, true}});
  EXPECT_EQ(kinds(p), "backfill!");
}

TEST(Plan, AnUpdateOfATableMadeInThePlanRunsAsWritten) {
  Statement create = statement(StatementKind::create_table, "CREATE TABLE t ()");
  create.creates = {"t"};
  EXPECT_EQ(kinds(plan({{"a", {create, update("c", true)}, true}})), "tx!");
  EXPECT_EQ(kinds(plan({{"a", {create}, true}, {"b", {update("c", true)}, true}})), "tx! tx!");
}

TEST(Plan, AsWrittenAndTheRevisionsOptionTurnBatchingOff) {
  Statement s = update("c", true);
  s.as_written = true;
  EXPECT_EQ(kinds(plan({{"a", {s}, true}})), "tx!");
  EXPECT_EQ(kinds(plan({{"a", {update("c", true)}, false}})), "tx!");
}

TEST(Plan, SettingsOpenEveryLaterStepOfTheirRevisionOnly) {
  const Plan p =
      plan({{"a",
             {statement(StatementKind::set, "SET x = 1"), concurrent_index(), statement(StatementKind::other, "B")},
             true},
            {"b", {concurrent_index()}, true}});
  EXPECT_EQ(kinds(p), "concurrent tx! concurrent!");
  EXPECT_EQ(p.steps[0].settings, std::vector<std::string>{"SET x = 1"});
  EXPECT_EQ(p.steps[1].settings, std::vector<std::string>{"SET x = 1"});
  EXPECT_TRUE(p.steps[2].settings.empty());
}

TEST(Plan, ARevisionOfSettingsAloneIsStillApplied) {
  EXPECT_EQ(kinds(plan({{"a", {statement(StatementKind::set, "SET x = 1")}, true}})), "tx!");
}

TEST(Plan, EnumValuesAndValidationsGetTransactionsOfTheirOwn) {
  const Plan p = plan({{"a",
                        {statement(StatementKind::enum_add_value, "ALTER TYPE e ADD VALUE 'x'", ""),
                         statement(StatementKind::validate, "V")},
                        true}});
  EXPECT_EQ(kinds(p), "concurrent validate!");
}

TEST(Plan, ALongStatementAndAStrongLockDoNotShareATransaction) {
  RelationFacts keyless = table_with_key();
  keyless.key_columns.clear();
  const auto alter = [](const std::string& table) {
    Statement s = statement(StatementKind::alter_table, "ALTER TABLE ...", table);
    s.locks = {{table, "AccessExclusiveLock"}};
    return s;
  };
  Statement lock = statement(StatementKind::other, "LOCK TABLE t");
  lock.locks = {{"t", "AccessExclusiveLock"}};
  Statement made = statement(StatementKind::create_table, "CREATE TABLE made ()", "made");
  made.creates = {"made"};
  const Statement whole = update("n", false);
  const auto steps = [&](std::vector<Statement> statements, bool online = true) {
    std::string out;
    for (const Step& s : plan({{"a", std::move(statements)}}, online, keyless).steps) {
      out += (out.empty() ? "" : " ") + std::to_string(s.statements.size());
    }
    return out;
  };
  EXPECT_EQ(steps({alter("t"), whole, alter("t")}), "1 1 1");
  EXPECT_EQ(steps({alter("t"), alter("u"), whole, whole, alter("t")}), "2 2 1");
  EXPECT_EQ(steps({whole, statement(StatementKind::insert, "INSERT ..."), alter("t")}), "2 1");
  EXPECT_EQ(steps({lock, whole}), "2") << "who locks a table means the statement behind it";
  EXPECT_EQ(steps({made, alter("made"), whole}), "3") << "nobody waits for a table that is new";
  EXPECT_EQ(steps({alter("t"), whole, alter("t")}, false), "3");
}

TEST(Cursor, ARepeatableFillNeedsNoKey) {
  RelationFacts facts = table_with_key();
  facts.key_columns.clear();
  EXPECT_EQ(choose_cursor(*update("c", true).change, facts).choice, CursorChoice::ctid);
}

TEST(Cursor, AnythingElseNeedsAKeyThatStaysAsItIs) {
  const RowChange plain = *update("c", false).change;
  EXPECT_EQ(choose_cursor(plain, table_with_key()).choice, CursorChoice::keyset);
  RelationFacts keyless = table_with_key();
  keyless.key_columns.clear();
  EXPECT_EQ(choose_cursor(plain, keyless).choice, CursorChoice::none);
  EXPECT_EQ(choose_cursor(*update("id", false).change, table_with_key()).choice, CursorChoice::none);
  RelationFacts partitioned = table_with_key();
  partitioned.kind = 'p';
  partitioned.partition_key = "LIST (region) RANGE (c)";
  EXPECT_EQ(choose_cursor(*update("c", true).change, partitioned).choice, CursorChoice::none);
  EXPECT_EQ(choose_cursor(*update("d", true).change, partitioned).choice, CursorChoice::ctid);
}

TEST(Cursor, WhatWasAskedForIsNotGivenUpWithoutAWord) {
  RelationFacts partitioned = table_with_key();
  partitioned.kind = 'p';
  partitioned.partition_key = "LIST (c)";
  RelationFacts triggered = table_with_key();
  triggered.statement_triggers = true;
  for (const char* wish : {"ctid", "keyset"}) {
    for (const RelationFacts& facts : {partitioned, triggered}) {
      EXPECT_EQ(choose_cursor(*update("c", true).change, facts).choice, CursorChoice::none);
      EXPECT_THROW(choose_cursor(*update("c", true).change, facts, wish), MigrationError);
    }
  }
}

TEST(Cursor, TheNullTestMustBeOfAnAssignedColumn) {
  RowChange change = *update("c", true).change;
  change.null_tests = {"d"};
  EXPECT_EQ(choose_cursor(change, table_with_key()).choice, CursorChoice::keyset);
}

TEST(Cursor, StatementTriggersViewsAndJoinsSeeTheWholeStatement) {
  RelationFacts facts = table_with_key();
  facts.statement_triggers = true;
  EXPECT_EQ(choose_cursor(*update("c", true).change, facts).choice, CursorChoice::none);
  facts = table_with_key();
  facts.kind = 'v';
  EXPECT_EQ(choose_cursor(*update("c", true).change, facts).choice, CursorChoice::none);
  RowChange join = *update("c", true).change;
  join.simple = false;
  EXPECT_EQ(choose_cursor(join, table_with_key()).choice, CursorChoice::none);
}

TEST(Locks, TheStrongestCounts) {
  Statement s;
  s.locks = {{"a", "ShareRowExclusiveLock", false}, {"b", "AccessExclusiveLock", false}, {"c", "RowShareLock", false}};
  EXPECT_EQ(strongest_lock(s).relation, "b");
  EXPECT_STREQ(blocks_of("AccessExclusiveLock"), "reads and writes");
  EXPECT_STREQ(blocks_of("ShareLock"), "writes");
  EXPECT_STREQ(blocks_of("ShareUpdateExclusiveLock"), "nothing");
}

TEST(Lookups, GoByBatchesOnlyWhenARowMeetsOneRowAtMost) {
  RowChange change = *update("c", true).change;
  change.from = "k";
  change.lookup = "k";
  OtherTable other;
  EXPECT_EQ(choose_cursor(change, table_with_key(), "auto", other).choice, CursorChoice::none) << "nobody has looked";
  other.known = true;
  EXPECT_EQ(choose_cursor(change, table_with_key(), "auto", other).choice, CursorChoice::ctid);
  other.obstacle = "several rows";
  const CursorDecision refused = choose_cursor(change, table_with_key(), "auto", other);
  EXPECT_EQ(refused.choice, CursorChoice::none);
  EXPECT_EQ(refused.reason, "runs as one statement: several rows");
  change.set_columns.clear();
  EXPECT_EQ(choose_cursor(change, table_with_key(), "auto", other).choice, CursorChoice::ctid) << "DELETE ... USING";
}

TEST(Copies, GoByKeyAndByBlocksOnlyWhenARepeatIsKnown) {
  RowChange change;
  change.relation = "source";
  change.simple = true;
  change.copy.emplace().into = "target";
  OtherTable other;
  other.known = true;
  EXPECT_EQ(choose_cursor(change, table_with_key(), "auto", other).choice, CursorChoice::keyset);
  RelationFacts keyless = table_with_key();
  keyless.key_columns.clear();
  EXPECT_THROW(choose_cursor(change, keyless, "auto", other), MigrationError);
  change.copy->keeps_present = true;
  EXPECT_THROW(choose_cursor(change, keyless, "auto", other), MigrationError);
  other.repeatable = true;
  EXPECT_EQ(choose_cursor(change, keyless, "auto", other).choice, CursorChoice::ctid);
  other.obstacle = "a trigger";
  EXPECT_EQ(choose_cursor(change, table_with_key(), "auto", other).choice, CursorChoice::none);
}
