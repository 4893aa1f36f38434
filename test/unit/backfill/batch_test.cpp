// Texts and arithmetic of backfill batches.
#include "backfill/batch.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

using namespace migration::backfill;

namespace {

Target fill() {
  return Target{false, "public.t", "t", "c = 1 -- one", "c IS NULL -- open"};
}

KeyColumn column(const std::string& name, const std::string& schema = "pg_catalog") {
  const auto op = [&](const char* o) { return "OPERATOR(" + schema + "." + o + ")"; };
  return KeyColumn{name, "text", op("<="), op("="), op(">")};
}

}  // namespace

TEST(Batch, BlockRangesAreHalfOpen) {
  EXPECT_EQ(block_batch(fill(), "public.t"),
            "UPDATE ONLY public.t AS t SET c = 1 -- one\n WHERE t.ctid OPERATOR(pg_catalog.>=) $1 AND t.ctid "
            "OPERATOR(pg_catalog.<) $2 AND (c IS NULL -- open\n)");
  EXPECT_EQ(block_rows(fill(), "public.t"),
            "SELECT t.ctid FROM ONLY public.t AS t WHERE t.ctid OPERATOR(pg_catalog.>=) $1 AND t.ctid "
            "OPERATOR(pg_catalog.<) $2 AND (c IS NULL -- open\n)");
}

TEST(Batch, ChosenRowsAreAskedAgainWhetherTheyNeedIt) {
  EXPECT_EQ(row_batch(fill(), "public.t"),
            "UPDATE ONLY public.t AS t SET c = 1 -- one\n WHERE t.ctid OPERATOR(pg_catalog.=) ANY ($1) AND (c IS NULL "
            "-- open\n)");
  const std::string again = row_batch(fill(), "public.t", true);
  EXPECT_TRUE(again.ends_with(" RETURNING (c IS NULL -- open\n)")) << again;
}

TEST(Batch, KeyRangesExcludeTheirLowEndAndIncludeTheirHighEnd) {
  const std::string sql = key_batch(fill(), {column("a"), column("b")}, false);
  EXPECT_NE(sql.find("(t.a, t.b) OPERATOR(pg_catalog.<=) ($3::text, $4::text) AND (t.a, t.b) "
                     "OPERATOR(pg_catalog.>) ($1::text, $2::text)"),
            std::string::npos)
      << sql;
}

TEST(Batch, OperatorsOfSeveralSchemasAreSpelledOut) {
  const std::string sql = key_batch(fill(), {column("a", "x"), column("b")}, true);
  EXPECT_NE(sql.find("((NOT (t.a OPERATOR(x.>) $1::text) AND NOT (t.a OPERATOR(x.=) $1::text)) OR (t.a OPERATOR(x.=) "
                     "$1::text AND t.b OPERATOR(pg_catalog.<=) $2::text))"),
            std::string::npos)
      << sql;
}

TEST(Batch, TheFirstKeyRangeHasNoLowEnd) {
  const std::string sql = key_batch(fill(), {column("a")}, true);
  EXPECT_EQ(sql.find(".>)"), std::string::npos) << sql;
  EXPECT_EQ(sql.find("$2"), std::string::npos) << sql;
}

TEST(Batch, BoundsCountFromTheLowEnd) {
  const std::string sql = key_bound(fill(), {column("a")}, false);
  EXPECT_EQ(sql,
            "SELECT t.a::pg_catalog.text FROM public.t AS t WHERE (t.a) OPERATOR(pg_catalog.<=) ($2::text) AND (t.a) "
            "OPERATOR(pg_catalog.>) ($1::text) ORDER BY t.a OFFSET $3::pg_catalog.int8 LIMIT 1");
}

TEST(Batch, DeletesHaveNoAssignments) {
  Target t = fill();
  t.deletes = true;
  EXPECT_EQ(block_batch(t, "public.t").rfind("DELETE FROM ONLY public.t AS t WHERE", 0), 0U);
}

TEST(Batch, ACommentInATextEndsWithItsLine) {
  const std::string sql = key_batch(fill(), {column("a")}, true);
  EXPECT_NE(sql.find("-- one\n WHERE"), std::string::npos) << sql;
  EXPECT_NE(sql.find("-- open\n)"), std::string::npos) << sql;
}

TEST(Bar, NeverLeavesItsFrame) {
  EXPECT_EQ(bar(-5), "[....................] 0.0 %");
  EXPECT_EQ(bar(50), "[##########..........] 50.0 %");
  EXPECT_EQ(bar(250), "[####################] 100.0 %");
}

TEST(Keys, ClassesFollowFromTheKeyAlone) {
  const Key number{{"a", "bigint", "OPERATOR(pg_catalog.<=)", "OPERATOR(pg_catalog.=)", "OPERATOR(pg_catalog.>)"}};
  const std::string sql = key_class_batch(fill(), number, false, 8);
  EXPECT_EQ(std::count(sql.begin(), sql.end(), '('), std::count(sql.begin(), sql.end(), ')'));
  EXPECT_NE(sql.find("OPERATOR(pg_catalog.=) $3::pg_catalog.int8"), std::string::npos) << sql;
  EXPECT_NE(key_class_batch(fill(), number, true, 8).find("OPERATOR(pg_catalog.=) $2::pg_catalog.int8"),
            std::string::npos);
  EXPECT_EQ(sql.find("hash"), std::string::npos);
  EXPECT_NE(key_class(fill(), {column("a")}, 8).find("hash_record_extended"), std::string::npos);
}

/// The same arithmetic, to see what it does to rows that lie side by side.
TEST(Keys, ClassesAreSpreadOverNeighboursWhateverTheStep) {
  for (long long step : {1LL, 2LL, 7LL, 8LL, 64LL, 1000LL, -1LL}) {
    for (int classes : {2, 6, 8, 11, 16}) {
      std::vector<int> rows(static_cast<std::size_t>(classes), 0);
      const int page = 60;
      for (long long i = 0; i < page; ++i) {
        const unsigned long long key = static_cast<unsigned long long>(1000003 + i * step) & 2147483647ULL;
        ++rows[static_cast<std::size_t>(((key * 1327217885ULL & 2147483647ULL) * static_cast<unsigned>(classes)) >>
                                        31)];
      }
      for (int n : rows) EXPECT_LE(n, page / classes * 2 + 2) << "step " << step << ", " << classes << " classes";
    }
  }
}
