// Texts of backfills with a second table: lookups and copies.
#include "backfill/call_text.hpp"

#include <gtest/gtest.h>

using namespace migration;
using namespace migration::backfill;

namespace {

Target lookup() {
  Target t{false, "public.t", "t", "c = k.c -- one", "k.id = t.k_id -- open"};
  t.from = "public.k AS k -- other";
  return t;
}

Statement copy(bool named) {
  Statement s;
  s.backfill.emplace().relation = "source";
  RowChange& change = s.change.emplace();
  change.relation = "source";
  change.condition = "id > 1 -- open";
  change.copy.emplace().into = "target";
  if (named) change.copy->columns = {"id", "cents"};
  if (named) change.copy->values = "id, total * 100 -- values";
  return s;
}

}  // namespace

TEST(CallText, ALookupStandsInEveryTextThatHasTheCondition) {
  EXPECT_EQ(row_batch(lookup(), "public.t"),
            "UPDATE ONLY public.t AS t SET c = k.c -- one\n FROM public.k AS k -- other\n WHERE t.ctid "
            "OPERATOR(pg_catalog.=) ANY ($1) AND (k.id = t.k_id -- open\n)");
  for (const std::string& text :
       {block_rows(lookup(), "public.t"), count_needing(lookup()), rows_needing(lookup(), 5)}) {
    EXPECT_NE(text.find("public.t AS t,\npublic.k AS k -- other\n"), std::string::npos) << text;
  }
  Target removal = lookup();
  removal.deletes = true;
  removal.assignments.clear();
  EXPECT_EQ(whole(removal), "DELETE FROM public.t AS t USING public.k AS k -- other\n WHERE (k.id = t.k_id -- open\n)");
}

TEST(CallText, ACopyInsertsWhatItReads) {
  EXPECT_EQ(
      one_statement(copy(true), {}),
      "INSERT INTO target (id, cents) OVERRIDING SYSTEM VALUE\nSELECT id, total * 100 -- values\nFROM source WHERE "
      "(id > 1 -- open\n)");
  Statement s = copy(false);
  s.change->copy->keeps_present = true;
  EXPECT_EQ(
      one_statement(s, {"id", "\"A b\""}),
      "INSERT INTO target (id, \"A b\")\nSELECT id, \"A b\"\nFROM source WHERE (id > 1 -- open\n)\nON CONFLICT DO "
      "NOTHING");
}

TEST(CallText, ACopyByKeyTakesARangeOfItsSource) {
  Target t = target_of(*copy(true).change, "public.source", "public.target", {"id", "cents"});
  t.alias = "source";
  const Key key{KeyColumn{"id", "integer", "<=", "=", ">"}};
  EXPECT_EQ(key_batch(t, key, true),
            "INSERT INTO public.target (id, cents) OVERRIDING SYSTEM VALUE\nSELECT id, total * 100 -- values\nFROM "
            "public.source AS source WHERE (source.id) <= ($1::integer) AND (id > 1 -- open\n)");
}
