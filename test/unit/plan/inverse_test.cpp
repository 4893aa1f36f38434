// The derived downgrade: what is undone, what is covered, what is refused, and in which order.
#include "plan/inverse.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace migration {
namespace {

using Kind = StatementKind;

Statement base(int number, const char* tag, Kind kind, const char* relation = "") {
  Statement s;
  s.number = number;
  s.tag = tag;
  s.kind = kind;
  s.relation = relation;
  return s;
}

Statement create_table(int number, const char* name) {
  Statement s = base(number, "CREATE TABLE", Kind::create_table, name);
  s.creates = {name};
  s.inverse = std::string("DROP TABLE ") + name;
  return s;
}

Statement create_index(int number, const char* name, const char* table) {
  Statement s = base(number, "CREATE INDEX", Kind::create_index, table);
  s.object = name;
  s.creates = {name};
  s.inverse = std::string("DROP INDEX ") + name;
  return s;
}

Statement function(int number, const char* name) {
  Statement s = base(number, "CREATE FUNCTION", Kind::create_object);
  s.object = name;
  s.inverse = std::string("DROP FUNCTION ") + name;
  return s;
}

Statement trigger(int number, const char* name, const char* table) {
  Statement s = base(number, "CREATE TRIGGER", Kind::create_object, table);
  s.object = name;
  s.inverse = std::string("DROP TRIGGER ") + name + " ON " + table;
  return s;
}

Statement alter(int number, const char* table, std::vector<AlterAction> actions) {
  Statement s = base(number, "ALTER TABLE", Kind::alter_table, table);
  s.actions = std::move(actions);
  return s;
}

AlterAction action(const char* kind, const char* name, std::optional<std::string> inverse) {
  AlterAction a;
  a.kind = kind;
  a.name = name;
  a.inverse = std::move(inverse);
  return a;
}

AlterAction add_column(const char* name) {
  return action("add column", name, std::string("DROP COLUMN ") + name);
}

AlterAction foreign_key(const char* name, const char* other) {
  AlterAction a = action("add constraint", name, std::nullopt);
  if (*name != 0) a.inverse = std::string("DROP CONSTRAINT ") + name;
  a.detail = "foreign key";
  a.references = other;
  return a;
}

Statement update(int number, const char* table, std::vector<std::string> columns) {
  Statement s = base(number, "UPDATE", Kind::update, table);
  s.change.emplace().relation = table;
  s.change->set_columns = std::move(columns);
  return s;
}

Statement drop(int number, const char* type, const char* name) {
  Statement s = base(number, "DROP", Kind::drop);
  s.dropped.push_back({type, name});
  return s;
}

std::string script(const std::vector<Statement>& statements) {
  auto const derived = derive_downgrade(statements);
  return derived.script.value_or("refused");
}

TEST(DerivedDowngrade, NothingToUndo) {
  EXPECT_EQ(script({}), "");
  Statement set = base(1, "SET", Kind::set);
  set.harmless_inverse = true;
  EXPECT_EQ(script({set}), "");
}

TEST(DerivedDowngrade, ReverseOrder) {
  EXPECT_EQ(script({create_table(1, "a"), create_table(2, "b")}), "DROP TABLE b;\nDROP TABLE a;\n");
  EXPECT_EQ(script({alter(1, "t", {add_column("x"), action("set not null", "y", "ALTER COLUMN y DROP NOT NULL")})}),
            "ALTER TABLE t ALTER COLUMN y DROP NOT NULL, DROP COLUMN x;\n");
}

TEST(DerivedDowngrade, NamesEveryStatementInTheWay) {
  auto const derived = derive_downgrade({create_table(1, "a"), update(2, "t", {"x"}), drop(3, "TABLE", "old")});
  EXPECT_FALSE(derived.script);
  ASSERT_EQ(derived.why_not.size(), 2u);
  EXPECT_EQ(derived.why_not[0], "statement 2 (UPDATE) cannot be derived: the old rows are not known");
  EXPECT_EQ(derived.why_not[1], "statement 3 (DROP) cannot be derived: what it takes away is not known");
}

TEST(DerivedDowngrade, RowsOfNewTablesAndColumnsGoWithThem) {
  Statement insert = base(2, "INSERT", Kind::insert, "a");
  EXPECT_EQ(script({create_table(1, "a"), insert, update(3, "a", {"x"})}), "DROP TABLE a;\n");
  EXPECT_EQ(script({alter(1, "t", {add_column("x")}), update(2, "t", {"x"})}), "ALTER TABLE t DROP COLUMN x;\n");
  EXPECT_EQ(script({alter(1, "t", {add_column("x")}), update(2, "t", {"x", "y"})}), "refused");
  EXPECT_EQ(script({alter(1, "t", {add_column("x")}), update(2, "u", {"x"})}), "refused");
}

TEST(DerivedDowngrade, WorkOnANewColumnGoesWithIt) {
  EXPECT_EQ(script({alter(1, "t", {add_column("x")}), alter(2, "t", {action("set default", "x", std::nullopt)})}),
            "ALTER TABLE t DROP COLUMN x;\n");
  EXPECT_EQ(script({alter(1, "t", {action("set default", "x", std::nullopt)})}), "refused");
}

TEST(DerivedDowngrade, WorkOnANewTableGoesWithIt) {
  EXPECT_EQ(script({create_table(1, "a"), create_index(2, "i", "a")}), "DROP TABLE a;\n");
  Statement unnamed = create_index(2, "", "a");
  unnamed.inverse.reset();
  EXPECT_EQ(script({create_table(1, "a"), unnamed}), "DROP TABLE a;\n");
}

TEST(DerivedDowngrade, TriggerGoesBeforeItsYoungerFunction) {
  EXPECT_EQ(script({create_table(1, "a"), function(2, "f()"), trigger(3, "g", "a")}),
            "DROP TRIGGER g ON a;\nDROP FUNCTION f();\nDROP TABLE a;\n");
  EXPECT_EQ(script({function(1, "f()"), create_table(2, "a"), trigger(3, "g", "a")}),
            "DROP TABLE a;\nDROP FUNCTION f();\n");
}

TEST(DerivedDowngrade, UseOfAYoungerObjectGoesBeforeIt) {
  EXPECT_EQ(script({create_table(1, "a"), function(2, "f()"), alter(3, "a", {add_column("x")})}),
            "ALTER TABLE a DROP COLUMN x;\nDROP FUNCTION f();\nDROP TABLE a;\n");
  EXPECT_EQ(script({alter(1, "t", {add_column("x")}), function(2, "f()"),
                    alter(3, "t", {action("set default", "x", std::nullopt)})}),
            "ALTER TABLE t ALTER COLUMN x DROP DEFAULT;\nDROP FUNCTION f();\nALTER TABLE t DROP COLUMN x;\n");
  EXPECT_EQ(
      script({create_table(1, "a"), function(2, "f()"), alter(3, "a", {action("alter type", "x", std::nullopt)})}),
      "refused");
}

TEST(DerivedDowngrade, ForeignKeyToAYoungerTable) {
  EXPECT_EQ(script({create_table(1, "a"), create_table(2, "b"), alter(3, "a", {foreign_key("fk", "b")})}),
            "ALTER TABLE a DROP CONSTRAINT fk;\nDROP TABLE b;\nDROP TABLE a;\n");
  EXPECT_EQ(script({create_table(1, "a"), create_table(2, "b"), create_table(3, "c"),
                    alter(4, "a", {foreign_key("", "b")}), alter(5, "b", {foreign_key("", "c")})}),
            "DROP TABLE c, b, a;\n");
  EXPECT_EQ(
      script({create_table(1, "a"), function(2, "f()"), create_table(3, "b"), alter(4, "a", {foreign_key("", "b")})}),
      "refused");
}

TEST(DerivedDowngrade, IfNotExistsIsNotUndone) {
  Statement s = create_table(1, "a");
  s.if_exists = true;
  s.inverse.reset();
  auto const derived = derive_downgrade({s});
  ASSERT_EQ(derived.why_not.size(), 1u);
  EXPECT_NE(derived.why_not[0].find("may have met"), std::string::npos);
}

TEST(DerivedDowngrade, DropTakesACreationBack) {
  EXPECT_EQ(script({create_table(1, "a"), create_table(2, "b"), drop(3, "TABLE", "b")}), "DROP TABLE a;\n");
  EXPECT_EQ(script({function(1, "f()"), drop(2, "FUNCTION", "f()")}), "");
  EXPECT_EQ(script({create_table(1, "a"), create_table(2, "b"), alter(3, "a", {foreign_key("", "b")}),
                    drop(4, "TABLE", "a")}),
            "refused");
}

TEST(DerivedDowngrade, GrantOnANewFunctionGoesWithIt) {
  Statement revoke = base(2, "REVOKE", Kind::other);
  revoke.object = "f()";
  EXPECT_EQ(script({function(1, "f()"), revoke}), "DROP FUNCTION f();\n");
  EXPECT_EQ(script({revoke}), "refused");
}

TEST(DerivedDowngrade, OwnedSequenceGoesWithItsTable) {
  Statement sequence = base(1, "CREATE SEQUENCE", Kind::create_object, "s");
  sequence.object = "s";
  sequence.creates = {"s"};
  sequence.inverse = "DROP SEQUENCE s";
  Statement owned = base(3, "ALTER SEQUENCE", Kind::other, "s");
  owned.locks = {{"s", "ShareRowExclusiveLock"}, {"a", "AccessShareLock"}};
  EXPECT_EQ(script({sequence, create_table(2, "a"), owned}), "DROP TABLE a;\n");
  EXPECT_EQ(script({sequence, create_table(2, "a")}), "DROP TABLE a;\nDROP SEQUENCE s;\n");
}

TEST(DerivedDowngrade, CommentGoesWithItsObjectOrHasNoWayBack) {
  const auto comment = [](int number, const char* type, const char* relation, const char* object = "") {
    Statement s = base(number, "COMMENT", Kind::other, relation);
    s.object_type = type;
    s.object = object;
    return s;
  };
  EXPECT_EQ(script({create_table(1, "a"), comment(2, "TABLE", "a"), comment(3, "COLUMN", "a", "x")}),
            "DROP TABLE a;\n");
  EXPECT_EQ(script({function(1, "f()"), comment(2, "FUNCTION", "", "f()")}), "DROP FUNCTION f();\n");
  const DerivedDowngrade none = derive_downgrade({create_table(1, "a"), comment(2, "TABLE", "b")});
  EXPECT_FALSE(none.script);
  ASSERT_EQ(none.why_not.size(), 1u);
  EXPECT_EQ(none.why_not[0], "statement 2 (COMMENT) cannot be derived: what it said before is not known");
  EXPECT_FALSE(derive_downgrade({function(1, "f()"), comment(2, "TYPE", "", "f()")}).script);
}

TEST(DerivedDowngrade, RenamedTableIsStillNew) {
  Statement rename = base(2, "ALTER TABLE", Kind::rename, "a");
  rename.object = "a";
  rename.new_name = "b";
  rename.inverse = "ALTER TABLE b RENAME TO a";
  EXPECT_EQ(script({create_table(1, "a"), rename, update(3, "b", {"x"})}),
            "ALTER TABLE b RENAME TO a;\nDROP TABLE a;\n");
}

Statement rename(int number, const char* table, const char* to) {
  Statement s = base(number, "ALTER TABLE", Kind::rename, table);
  s.object = table;
  s.new_name = to;
  s.inverse = std::string("ALTER TABLE ") + to + " RENAME TO " + table;
  return s;
}

Statement rename_column(int number, const char* table, const char* from, const char* to) {
  Statement s = base(number, "ALTER TABLE", Kind::rename, table);
  s.object = from;
  s.new_name = to;
  s.inverse = std::string("ALTER TABLE ") + table + " RENAME COLUMN " + to + " TO " + from;
  return s;
}

TEST(DerivedDowngrade, DropOfASecondTableOfTheNameLeavesTheFirst) {
  EXPECT_EQ(script({create_table(1, "a"), rename(2, "a", "b"), create_table(3, "a"), drop(4, "TABLE", "a")}),
            "ALTER TABLE b RENAME TO a;\nDROP TABLE a;\n");
}

TEST(DerivedDowngrade, RenamedColumnGoesWithItsDroppedTable) {
  EXPECT_EQ(script({create_table(1, "a"), function(2, "f()"), rename_column(3, "a", "x", "y"), drop(4, "TABLE", "a")}),
            "DROP FUNCTION f();\n");
}

TEST(DerivedDowngrade, AnOldTableUnderTheNameOfANewOneIsOld) {
  EXPECT_EQ(script({create_table(1, "a"), rename(2, "a", "b"), rename(3, "t", "a"), update(4, "a", {"x"})}), "refused");
  EXPECT_EQ(script({alter(1, "t", {add_column("x")}), rename_column(2, "t", "x", "y"), rename_column(3, "t", "z", "x"),
                    update(4, "t", {"x"})}),
            "refused");
  EXPECT_EQ(script({alter(1, "t", {add_column("x")}), rename(2, "t", "u"), update(3, "u", {"x"})}),
            "ALTER TABLE u RENAME TO t;\nALTER TABLE t DROP COLUMN x;\n");
}

TEST(DerivedDowngrade, DropOfAnOldFunctionUnderTheNameOfANewOne) {
  const auto renamed = [](int number, const char* from, const char* to) {
    Statement s = base(number, "ALTER FUNCTION", Kind::rename);
    s.object = std::string(from) + "()";
    s.new_name = to;
    s.inverse = fmt::format("ALTER FUNCTION {}() RENAME TO {}", to, from);
    return s;
  };
  EXPECT_EQ(script({function(1, "f()"), renamed(2, "f", "g"), renamed(3, "h", "f"), drop(4, "FUNCTION", "f()")}),
            "refused");
}

TEST(DerivedDowngrade, ATableComesBackIntoItsSchemaBeforeItIsDropped) {
  const auto moved = [](const char* relation, const char* to, std::optional<std::string> inverse) {
    Statement s = base(2, "ALTER TABLE", Kind::other);
    s.sets_schema = true;
    s.relation = s.object = relation;
    s.new_name = to;
    s.inverse = std::move(inverse);
    return s;
  };
  const Statement there = moved("p.a", "s.a", "ALTER TABLE s.a SET SCHEMA p");
  EXPECT_EQ(script({create_table(1, "p.a"), there}), "ALTER TABLE s.a SET SCHEMA p;\nDROP TABLE p.a;\n");
  EXPECT_EQ(script({create_table(1, "p.a"), there, update(3, "s.a", {"x"})}),
            "ALTER TABLE s.a SET SCHEMA p;\nDROP TABLE p.a;\n");
  EXPECT_EQ(script({create_table(1, "p.a"), there, update(3, "p.a", {"x"})}), "refused") << "that is another table";
  EXPECT_EQ(script({create_table(1, "a"), moved("a", "s.a", std::nullopt)}), "refused") << "from where is not said";
}

TEST(DerivedDowngrade, DropOfATableNamedTwice) {
  Statement twice = drop(2, "TABLE", "a");
  twice.dropped.push_back({"TABLE", "a"});
  EXPECT_EQ(script({create_table(1, "a"), twice}), "");
}

}  // namespace
}  // namespace migration
