// Which backfills get a fill trigger, where it is dropped, and what its SQL says.
#include "plan/fill_trigger.hpp"

#include <gtest/gtest.h>

#include "plan/words.hpp"

using namespace migration;

namespace {

Statement other(StatementKind kind, const std::string& text, const std::string& relation = "t") {
  Statement s;
  s.kind = kind;
  s.text = text;
  s.relation = relation;
  return s;
}

Statement alter(const std::string& kind, const std::string& name, const std::string& text = "") {
  Statement s = other(StatementKind::alter_table, "ALTER TABLE t " + kind + " " + name + " " + text);
  AlterAction action;
  action.kind = kind;
  action.name = name;
  action.text = text;
  s.actions.push_back(action);
  return s;
}

Statement fill(const std::string& column = "c", const std::string& value = "a + 1") {
  Statement s = other(StatementKind::update, "UPDATE t SET " + column + " = " + value);
  RowChange change;
  change.relation = "t";
  change.assignments = column + " = " + value;
  change.set_columns = {column};
  change.values = {value};
  change.condition = column + " IS NULL";
  change.null_tests = {column};
  change.simple = true;
  s.change = change;
  return s;
}

Statement call(const std::string& trigger, const std::string& verify) {
  Statement s = fill();
  s.kind = StatementKind::backfill_call;
  s.backfill = BackfillCall{};
  s.backfill->relation = "t";
  s.backfill->trigger = trigger;
  s.backfill->verify = verify;
  return s;
}

Plan plan(std::vector<RevisionScript> scripts, bool online = true) {
  return make_plan(std::move(scripts), true, online, [](const std::string& name) {
    RelationFacts facts;
    facts.exists = true;
    facts.kind = 'r';
    facts.name = name == "t" || name == "public.t" ? "public.t" : "public." + name;
    return facts;
  });
}

Plan plan(std::vector<Statement> statements) {
  return plan(std::vector<RevisionScript>{{"r", std::move(statements), true, "app"}});
}

/// 'tx(3) backfill tx(1)!': kinds, statements of more than one, end of revisions.
std::string shape(const Plan& p) {
  std::string out;
  for (const Step& s : p.steps) {
    out += std::string(out.empty() ? "" : " ") + to_text(s.kind);
    if (s.kind == StepKind::tx) out += "(" + std::to_string(s.statements.size()) + ")";
    if (s.completes) out += "!";
  }
  return out;
}

std::string made(const Plan& p) {
  for (const Step& s : p.steps) {
    std::vector<std::string> texts;
    for (const PlannedStatement& q : s.statements) texts.push_back(q.statement.text);
    if (const std::string name = fill_trigger_made_by(texts); !name.empty()) return name;
  }
  return {};
}

}  // namespace

TEST(FillTrigger, OnlyWhereALaterStepRelies) {
  EXPECT_EQ(shape(plan({fill()})), "backfill!");
  EXPECT_EQ(shape(plan({alter("set not null", "c"), fill()})), "tx(1) backfill!");
  EXPECT_EQ(shape(plan({fill(), alter("set not null", "d")})), "backfill tx(1)!");
  EXPECT_EQ(shape(plan({fill(), alter("set not null", "c")})), "tx(4) backfill tx(3)!");
}

TEST(FillTrigger, EveryFormThatRelies) {
  for (const Statement& s :
       {alter("add constraint", "k", "ADD CONSTRAINT k CHECK (c > 0)"), alter("add constraint", "k", "ADD UNIQUE (c)"),
        alter("add constraint", "k", "ADD CONSTRAINT k PRIMARY KEY (id, c)")}) {
    EXPECT_EQ(shape(plan({fill(), s})), "tx(4) backfill tx(3)!") << s.text;
  }
  Statement foreign = alter("add constraint", "k", "ADD FOREIGN KEY (c) REFERENCES o");
  foreign.actions[0].detail = "foreign key";
  EXPECT_EQ(shape(plan({fill(), foreign})), "backfill tx(1)!") << "NULL is no violation";
  Statement generated = alter("add column", "g", "ADD COLUMN g int GENERATED ALWAYS AS (c * 2) STORED");
  generated.actions[0].generated = true;
  EXPECT_EQ(shape(plan({fill(), generated})), "tx(4) backfill tx(3)!");
  EXPECT_EQ(shape(plan({fill(), alter("add constraint", "k", "CHECK (b > 'c')")})), "backfill tx(1)!") << "a literal";
  Statement unique = other(StatementKind::create_index, "CREATE UNIQUE INDEX CONCURRENTLY i ON t (c)");
  unique.concurrently = true;
  EXPECT_EQ(shape(plan({fill(), unique})), "tx(4) backfill concurrent tx(2)!");
  unique.text = "CREATE INDEX CONCURRENTLY i ON t (c)";
  EXPECT_EQ(shape(plan({fill(), unique})), "backfill concurrent!");
}

TEST(FillTrigger, AValidationOfAConstraintThatNamesTheColumn) {
  Statement validate = alter("validate constraint", "k");
  validate.kind = StatementKind::validate;
  EXPECT_EQ(shape(plan({alter("add constraint", "k", "CHECK (c > 0) NOT VALID"), fill(), validate})),
            "tx(1) backfill validate!")
      << "a constraint in a step before the first backfill is not looked at";
  EXPECT_EQ(shape(plan({fill(), alter("add constraint", "k", "CHECK (c > 0) NOT VALID"), validate})),
            "tx(4) backfill tx(1) validate tx(2)!");
}

TEST(FillTrigger, StandsUntilTheLastOneAcrossRevisions) {
  const Plan p = plan({{"a", {fill()}, true}, {"b", {alter("set not null", "c")}, true}, {"x", {}, true}});
  EXPECT_EQ(shape(p), "tx(4) backfill! tx(3)! tx(0)!");
  EXPECT_EQ(p.steps[0].revision, "a");
  EXPECT_EQ(p.steps[2].revision, "b");
  EXPECT_EQ(p.steps[3].number, 4);
}

TEST(FillTrigger, IsDroppedBeforeWhatWouldBreakIt) {
  const Plan p =
      plan({fill(), alter("set not null", "c"), alter("drop column", "a"), other(StatementKind::other, "x")});
  ASSERT_EQ(shape(p), "tx(4) backfill tx(5)!");
  EXPECT_EQ(p.steps[2].statements[1].statement.text.substr(0, 12), "DROP TRIGGER");
  const Plan early = plan({fill(), alter("drop column", "a"), alter("set not null", "c")});
  ASSERT_EQ(shape(early), "tx(4) backfill tx(4)!");
  EXPECT_EQ(early.steps[2].statements[0].statement.text.substr(0, 12), "DROP TRIGGER");
  Statement rename = other(StatementKind::rename, "ALTER TABLE t RENAME TO u");
  const Plan renamed = plan({fill(), rename, alter("set not null", "c")});
  EXPECT_EQ(renamed.steps[2].statements[0].statement.text.substr(0, 12), "DROP TRIGGER");
}

TEST(FillTrigger, Options) {
  EXPECT_EQ(shape(plan({call("off", "off"), alter("set not null", "c")})), "backfill tx(1)!");
  EXPECT_EQ(shape(plan({call("on", "off")})), "tx(4) backfill tx(2)!");
  EXPECT_EQ(shape(plan({call("auto", "off")})), "backfill!");
  EXPECT_EQ(shape(plan({call("auto", "scan")})), "tx(4) backfill tx(2)!");
  EXPECT_EQ(shape(plan({call("auto", "constraint")})), "tx(5) backfill validate tx(3)!");
  EXPECT_EQ(shape(plan({call("off", "constraint")})), "tx(1) backfill validate tx(1)!");
  EXPECT_EQ(shape(plan({{"r", {fill(), alter("set not null", "c")}, true}}, false)), "tx(2)!") << "offline";
}

TEST(FillTrigger, TextsThatATriggerCannotMean) {
  for (const char* value : {"ctid::text", "t.xmin::text", "public.t.a"}) {
    const Plan p = plan({fill("c", value), alter("set not null", "c")});
    EXPECT_EQ(shape(p), "backfill tx(1)!") << value;
    EXPECT_NE(p.steps[0].statements[0].note.find("no fill trigger: "), std::string::npos);
  }
  Statement several = fill();
  several.change->values.clear();
  EXPECT_EQ(shape(plan({several, alter("set not null", "c")})), "backfill tx(1)!");
  EXPECT_EQ(shape(plan({fill("c", "'ctid'"), alter("set not null", "c")})), "tx(4) backfill tx(3)!") << "a literal";
}

TEST(FillTrigger, TablesWhoseRowsATriggerCannotFill) {
  RelationFacts facts;
  facts.partition_key = "RANGE (c, d)";
  EXPECT_EQ(fill_trigger_obstacle(*fill().change, facts), "it assigns a column of the partition key");
  facts.partition_key = "RANGE (a)";
  EXPECT_EQ(fill_trigger_obstacle(*fill().change, facts), "");
  facts.generated = {"a"};
  EXPECT_EQ(fill_trigger_obstacle(*fill().change, facts), "it reads a generated column");
  facts = RelationFacts();
  facts.heirs = true;
  EXPECT_EQ(fill_trigger_obstacle(*fill().change, facts), "other tables inherit from it");
}

TEST(FillTrigger, NamesFitAndSortLast) {
  std::string column = "\"";
  for (int i = 0; i < 20; ++i) column += "\xc3\xa4 ";  // 60 bytes
  column += "\"";
  const std::string name = unquoted(made(plan({fill(column), alter("set not null", column)})));
  EXPECT_LE(name.size(), 63U);
  EXPECT_GT(name.size(), 60U);
  EXPECT_EQ(name.rfind(fill_prefix, 0), 0U);
  EXPECT_EQ(name.find("\xc3_"), std::string::npos) << "cut inside a character";
  EXPECT_NE(made(plan({fill("c", "1"), alter("set not null", "c")})),
            made(plan({fill("c", "2"), alter("set not null", "c")})));
}

TEST(FillTrigger, TheFunctionKeepsPathAndMeaningfulSettings) {
  Statement zone = other(StatementKind::set, "SET timezone = 'UTC'", "");
  Statement timeout = other(StatementKind::set, "SET statement_timeout = 0", "");
  const Plan p = plan({zone, timeout, fill("c", "'$fill$'"), alter("set not null", "c")});
  const std::string text = p.steps[0].statements[1].statement.text;
  EXPECT_NE(text.find("SET search_path = app, pg_temp\nSET timezone = 'UTC'\nAS $fill1$"), std::string::npos) << text;
  EXPECT_EQ(text.find("statement_timeout"), std::string::npos);
  EXPECT_EQ(text.find("SECURITY DEFINER"), std::string::npos);
}

TEST(FillTrigger, WhatMakesItCanRunAgain) {
  const Plan p = plan({call("on", "constraint")});
  std::vector<std::string> texts;
  for (const PlannedStatement& s : p.steps[0].statements) texts.push_back(s.statement.text);
  EXPECT_EQ(fill_trigger_again(texts).size(), 3U);
  EXPECT_EQ(fill_trigger_made_by({"CREATE OR REPLACE TRIGGER x BEFORE INSERT OR UPDATE ON t"}), "");
  EXPECT_EQ(fill_trigger_made_by({}), "");
}

TEST(Words, LiteralsAndCommentsGiveNoNames) {
  EXPECT_TRUE(mentions("A + 1", "a"));
  EXPECT_TRUE(mentions("\"A\"\"b\" + 1", "\"A\"\"b\""));
  EXPECT_FALSE(mentions("\"A\"", "a"));
  EXPECT_FALSE(mentions("'a' || $$ a $$ || E'\\' a' -- a\n /* a /* a */ a */ || $x$ a $x$ || ab", "a"));
  EXPECT_TRUE(mentions("$1 + a", "a"));
  EXPECT_FALSE(mentions("'unclosed a", "a"));
  // Escapes hold behind a doubled quote and in the next line's part of a literal; any end of a line ends a comment.
  EXPECT_FALSE(mentions("E'it''s \\' a'", "a"));
  EXPECT_TRUE(mentions("E'it''s \\'' || a", "a"));
  EXPECT_TRUE(mentions("E'x' -- '\n 'y\\'' || a", "a"));
  EXPECT_FALSE(mentions("'x'\n'\\' || 'a'", "a"));
  EXPECT_TRUE(mentions("-- b\ra", "a"));
  EXPECT_FALSE(mentions("E'x'\n-- 'a", "a"));
  EXPECT_EQ(last_part("\"x.y\".\"a.b\""), "\"a.b\"");
  EXPECT_EQ(first_parts("\"x.y\".\"a.b\""), "\"x.y\"");
  EXPECT_EQ(quoted_name("a b\"c"), "\"a b\"\"c\"");
}
