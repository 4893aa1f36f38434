// The projected size: bounds, order, and the tables it was measured on.
#include "backfill/projection.hpp"

#include <gtest/gtest.h>

#include "backfill/passes.hpp"

using namespace migration::backfill;

namespace {

TableShape full_pages(long long row_bytes, int growth) {
  TableShape s;
  s.rows = 8160 / row_bytes;
  s.row_bytes = row_bytes;
  s.growth = growth;
  s.passes = choose_passes(s.rows, s.rows, 0, row_bytes);
  return s;
}

}  // namespace

TEST(Projection, FullPagesOfNarrowRows) {
  const Projection p = project(full_pages(100, 8));  // measured: 13 %, 8 %
  EXPECT_NEAR(p.table, 0.13, 0.05);
  EXPECT_NEAR(p.indexes, 0.08, 0.10);
}

TEST(Projection, AWiderColumnCrowdsRowsOut) {
  const Projection p = project(full_pages(100, 24));  // measured: 29 %, 78 %
  EXPECT_NEAR(p.table, 0.29, 0.05);
  EXPECT_NEAR(p.indexes, 0.78, 0.10);
}

TEST(Projection, FewRowsOnAPage) {
  const Projection p = project(full_pages(1020, 8));  // measured: 13 %; 0 and 15 %
  EXPECT_NEAR(p.table, 0.13, 0.05);
  EXPECT_NEAR(p.indexes, 0.15, 0.16);
}

TEST(Projection, IndexesAreVacuumedOnTheWay) {
  TableShape s = full_pages(100, 8);  // measured: 13 %; 0 and 0 %
  s.blocks = 20000;
  EXPECT_EQ(project(s).indexes, 0);
  s.vacuum = 0;
  EXPECT_GT(project(s).indexes, 0.05);
  s = full_pages(100, 16);  // measured: 20 %; 17 and 0 %
  s.blocks = 20000;
  EXPECT_NEAR(project(s).indexes, 0.17, 0.10);
  s = full_pages(100, 24);  // measured: 28 %; 31 and 4 %
  s.blocks = 20000;
  EXPECT_NEAR(project(s).indexes, 0.31, 0.10);
}

TEST(Projection, RoomOnThePages) {
  TableShape s = full_pages(100, 8);
  s.free = 800;
  s.rows = 73;
  const Projection p = project(s);  // measured: 3 %, 2 %
  EXPECT_NEAR(p.table, 0.03, 0.05);
  EXPECT_EQ(p.indexes, 0);
}

TEST(Projection, AnIndexedColumnMovesEverything) {
  TableShape s = full_pages(100, 8);
  s.in_place = false;
  s.passes = 1;
  const Projection p = project(s);  // measured: 108 %, 89 %
  EXPECT_NEAR(p.table, 1.08, 0.05);
  EXPECT_EQ(p.indexes, 1);
  EXPECT_NE(to_text(s, p, 1000000).find("in an index"), std::string::npos);
}

TEST(Projection, EverythingFits) {
  TableShape s = full_pages(100, 0);
  s.rows = 40;
  s.free = 4160;
  s.passes = 1;
  EXPECT_EQ(project(s).table, 0);
  EXPECT_EQ(to_text(s, project(s), 1000000), "table does not grow, indexes hardly; 1 pass");
}

TEST(Projection, Bounds) {
  EXPECT_EQ(project(TableShape{}).table, 0);
  for (long long row = 8; row <= 8160; row = row * 3 / 2) {
    for (const int growth : {0, 1, 8, 100, 5000}) {
      for (const int passes : {1, 2, 8, 64}) {
        for (const long long free : {0LL, 10LL, 1000LL, 8000LL}) {
          for (const bool in_place : {true, false}) {
            const TableShape s{8160 / row, free, row, growth, passes, in_place};
            const Projection p = project(s);
            EXPECT_GE(p.table, 0);
            EXPECT_GE(p.moved, 0);
            EXPECT_LE(p.moved, 1);
            EXPECT_GE(p.indexes, 0);
            EXPECT_LE(p.indexes, 1);
          }
        }
      }
    }
  }
}
