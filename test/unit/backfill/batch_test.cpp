// Texts and arithmetic of backfill batches.
#include "backfill/batch.hpp"
#include "backfill/passes.hpp"

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

TEST(Batch, AWindowIsNotedWithItsPlacesWhateverItsRowsNeed) {
  const std::string sql = key_places(fill(), {column("a"), column("b")}, false);
  EXPECT_TRUE(sql.starts_with("SELECT t.tableoid, t.ctid, t.xmin, ")) << sql;
  EXPECT_NE(sql.find(", t.a::pg_catalog.text, t.b::pg_catalog.text FROM public.t AS t WHERE (t.a, t.b) "),
            std::string::npos)
      << sql;
  EXPECT_EQ(sql.find("IS NULL"), std::string::npos) << sql;
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

TEST(Keys, FractionsFollowFromTheKeyAlone) {
  const Key number{{"a", "bigint", "OPERATOR(pg_catalog.<=)", "OPERATOR(pg_catalog.=)", "OPERATOR(pg_catalog.>)"}};
  const std::string sql = key_part_batch(fill(), number, false);
  EXPECT_EQ(std::count(sql.begin(), sql.end(), '('), std::count(sql.begin(), sql.end(), ')'));
  EXPECT_NE(sql.find("OPERATOR(pg_catalog.-) (SELECT $3::pg_catalog.int8)"), std::string::npos) << sql;
  EXPECT_NE(sql.find("OPERATOR(pg_catalog.<) (SELECT $4::pg_catalog.int8)"), std::string::npos) << sql;
  EXPECT_NE(key_part_batch(fill(), number, true).find("OPERATOR(pg_catalog.-) (SELECT $2::pg_catalog.int8)"),
            std::string::npos);
  EXPECT_EQ(sql.find("hash"), std::string::npos);
  EXPECT_NE(key_fraction(fill(), {column("a")}).find("hash_record_extended"), std::string::npos);
}

namespace {

/// The arithmetic of key_fraction(), to see what it does to rows that lie side by side.
long long fraction_of(long long key) {
  return static_cast<long long>((static_cast<unsigned long long>(key) & 2147483647ULL) * 1327217885ULL & 2147483647ULL);
}

}  // namespace

TEST(Keys, IntervalsAreSpreadOverNeighboursWhateverTheStep) {
  for (long long step : {1LL, 2LL, 7LL, 8LL, 64LL, 1000LL, -1LL}) {
    for (int parts : {2, 6, 8, 11, 16}) {
      const int page = 60;
      for (int part = 0; part < parts; ++part) {
        const long long from = (1LL << 31) / parts * part;
        int rows = 0;
        for (long long i = 0; i < page; ++i) {
          rows += ((fraction_of(1000003 + i * step) - from) & 2147483647LL) < (1LL << 31) / parts ? 1 : 0;
        }
        EXPECT_LE(rows, page / parts * 2 + 2) << "step " << step << ", " << part << " of " << parts;
      }
    }
  }
}

/// Pages of 81 rows of 100 bytes, as of a table that has just been loaded: how many rows leave them.
TEST(Keys, PartsAreAsWideAsThePagesHaveRoom) {
  for (long long step : {1LL, 2LL, 64LL}) {
    const KeyPage page{81, 100, 68, 8};
    const int passes = 11, pages = 50;
    std::vector<long long> room(pages, page.free_bytes), dead(pages, 0);
    int moved = 0, taken = 0;
    for (int done = 0; done < key_parts; ++taken) {
      const int parts = next_parts(done, passes, page, 0.5);
      ASSERT_GT(parts, 0);
      ASSERT_LE(done + parts, key_parts);
      for (int p = 0; p < pages; ++p) {
        const auto at = static_cast<std::size_t>(p);
        room[at] += dead[at];
        dead[at] = 0;
        for (long long i = 0; i < page.rows; ++i) {
          const long long distance = fraction_of((p * page.rows + i) * step) - done * ((1LL << 31) / key_parts);
          if ((distance & 2147483647LL) >= parts * ((1LL << 31) / key_parts)) continue;
          const bool fits = room[at] >= page.row_bytes + page.growth;
          if (fits) room[at] -= page.row_bytes + page.growth;
          moved += fits ? 0 : 1;
          dead[at] += page.row_bytes;
        }
      }
      done += parts;
    }
    // 1 of 11 in the first pass, and 1 of 13 because all rows grow by 8 %.
    EXPECT_LE(moved, 81 * pages * 15 / 100) << "step " << step;
    EXPECT_LE(taken, 22) << "step " << step;
  }
  EXPECT_EQ(next_parts(0, 1, {60, 100, 0, 8}, 0.5), key_parts);
  EXPECT_EQ(next_parts(0, 8, {}, 0.5), key_parts / 8) << "asked for, whatever the pages are like";
  EXPECT_EQ(next_parts(1000, 8, {}, 0.5), key_parts - 1000);
  EXPECT_EQ(next_parts(1000, 11, {60, 100, 8000, 8}, 0.5), key_parts - 1000);
  EXPECT_GE(next_parts(100, 64, {60, 100, 0, 8000}, 4), 1);
}
