// Texts and arithmetic of backfill batches.
#include "backfill/batch.hpp"

#include <gtest/gtest.h>

using namespace migration::backfill;

namespace {

Target fill() {
  return Target{false, "public.t", "t", "c = 1 -- one", "c IS NULL -- open"};
}

}  // namespace

TEST(Batch, BlockRangesAreHalfOpen) {
  EXPECT_EQ(block_batch(fill(), "public.t", 10, 20),
            "UPDATE ONLY public.t AS t SET c = 1 -- one\n WHERE t.ctid OPERATOR(pg_catalog.>=) "
            "'(10,0)'::pg_catalog.tid AND t.ctid OPERATOR(pg_catalog.<) "
            "'(20,0)'::pg_catalog.tid AND (c IS NULL -- open\n)");
}

TEST(Batch, KeyRangesExcludeTheirLowEndAndIncludeTheirHighEnd) {
  const std::string sql = key_batch(fill(), {"a", "b"}, {"1", "x'y"}, {"2", "z"});
  EXPECT_NE(sql.find("(t.a, t.b) <= ('2', 'z') AND (t.a, t.b) > ('1', 'x''y')"), std::string::npos) << sql;
}

TEST(Batch, TheFirstKeyRangeHasNoLowEnd) {
  const std::string sql = key_batch(fill(), {"a"}, {}, {"2"});
  EXPECT_EQ(sql.find('>'), std::string::npos) << sql;
}

TEST(Batch, DeletesHaveNoAssignments) {
  Target t = fill();
  t.deletes = true;
  EXPECT_EQ(block_batch(t, "public.t", 0, 1).rfind("DELETE FROM ONLY public.t AS t WHERE", 0), 0U);
}

TEST(Batch, ACommentInATextEndsWithItsLine) {
  const std::string sql = key_batch(fill(), {"a"}, {}, {"2"});
  EXPECT_NE(sql.find("-- one\n WHERE"), std::string::npos) << sql;
  EXPECT_NE(sql.find("-- open\n)"), std::string::npos) << sql;
}

TEST(Size, MovesTowardsTheTargetWithinBounds) {
  EXPECT_EQ(next_size(100, 100, 200, 10000), 200);
  EXPECT_EQ(next_size(100, 10, 200, 10000), 200);
  EXPECT_EQ(next_size(100, 800, 200, 10000), 25);
  EXPECT_EQ(next_size(100, 80000, 200, 10000), 25);
  EXPECT_EQ(next_size(1, 80000, 200, 10000), 1);
  EXPECT_EQ(next_size(9000, 1, 200, 10000), 10000);
}

TEST(Bar, NeverLeavesItsFrame) {
  EXPECT_EQ(bar(-5), "[....................] 0.0 %");
  EXPECT_EQ(bar(50), "[##########..........] 50.0 %");
  EXPECT_EQ(bar(250), "[####################] 100.0 %");
}
