// Arithmetic of passes: what one pass takes from a page.
#include "backfill/passes.hpp"

#include <gtest/gtest.h>

#include <algorithm>

using namespace migration::backfill;

TEST(Passes, RoomCountsAlignmentAndTheLinePointer) {
  EXPECT_EQ(room_of(120, 8), 132);
  EXPECT_EQ(room_of(121, 0), 132);
  EXPECT_EQ(room_of(128, 1), 140);
}

TEST(Passes, EveryPassTakesARowFromAPageThatHasSome) {
  for (int needing = 1; needing < 300; ++needing) {
    for (int k = 2; k <= most_passes; ++k) {
      ASSERT_GE(rows_to_move(needing, k), 1);
      ASSERT_LE(rows_to_move(needing, k), needing);
    }
  }
  EXPECT_EQ(rows_to_move(58, 10), 6);
  EXPECT_EQ(rows_to_move(58, 1), 58);
}

TEST(Passes, WhatCannotStayLeavesFirst) {
  // 81 rows that grow from 96 to 104 bytes and each leave a line pointer: 904 bytes short, 9 rows, and one more.
  EXPECT_EQ(rows_to_leave(81, 68, 96, 8), 10);
  EXPECT_EQ(rows_to_leave(81, 81 * 12, 96, 8), 0);
  EXPECT_EQ(rows_to_leave(81, 4000, 96, 8), 0);
  // A value that fits into the padding of the row costs the line pointers only.
  EXPECT_EQ(rows_to_leave(81, 68, 92, 4), 4);
  // Of rows that were updated in place before no line pointer stays behind: 580 bytes short.
  EXPECT_EQ(rows_to_leave(81, 68, 96, 8, 81), 7);
  for (int growth : {0, 8, 24, 100}) {
    for (int rows = 1; rows < 200; ++rows) {
      EXPECT_LE(rows_to_leave(rows, 40, 96, growth), rows_to_leave(rows + 1, 40, 96, growth));
      EXPECT_LE(rows_to_leave(rows, 80, 96, growth), rows_to_leave(rows, 40, 96, growth));
    }
  }
}

TEST(Passes, AFewMoreLeaveWhereThatSavesPasses) {
  EXPECT_EQ(rows_that_leave(81, 68, 96, 8), 10);  // a full page: as many as have to
  EXPECT_EQ(rows_that_leave(81, 68, 96, 8, 81), 7);
  EXPECT_EQ(rows_that_leave(71, 1028, 96, 8), 2);  // just room enough would take eighteen passes, so it takes eleven
  EXPECT_EQ(rows_that_leave(40, 4320, 96, 8), 0);  // all fit at once
  for (int rows = 1; rows < 290; ++rows) {
    for (int free = 0; free < 8192; free += 100) {
      for (int heap_only : {0, rows / 2, rows}) {
        const int leave = rows_that_leave(rows, free, 96, 8, heap_only);
        const int must = rows_to_leave(rows, free, 96, 8, heap_only);
        ASSERT_GE(leave, must);
        ASSERT_LE(leave, std::max(must, rows / 12));
      }
    }
  }
}

TEST(Passes, OnePassWhereMoreCannotPay) {
  EXPECT_EQ(choose_passes(2, 2, 0, 4000), 1);                  // two rows on a page
  EXPECT_EQ(choose_passes(58, 58, 58 * 136 * 3 / 2, 136), 1);  // all fit at once
  EXPECT_GT(choose_passes(58, 58, 58 * 136, 136), 1);          // but perhaps not, if they grow
  EXPECT_EQ(choose_passes(0, 0, 0, 0), 1);                     // an empty table
}

TEST(Passes, NarrowRowsGetMorePassesThanWideOnes) {
  EXPECT_EQ(choose_passes(58, 58, 20, 136), 10);
  EXPECT_EQ(choose_passes(7, 7, 20, 1100), 7);
  EXPECT_EQ(choose_passes(4, 4, 20, 2000), 4);
  EXPECT_EQ(choose_passes(220, 220, 20, 36), 15);
}

TEST(Passes, OfFewRowsOnAPageNoMoreThanOneOfEightMoves) {
  for (int rows = 16; rows <= 64; ++rows) {
    EXPECT_LE(rows_to_move(rows, choose_passes(rows, rows, 20, 8100 / rows)) * 8, rows) << rows;
  }
}

TEST(Passes, RowsThatLeaveDoSoInSeveralPassesWhenTheyAreMany) {
  EXPECT_EQ(rows_that_leave_at_once(72, 10), 10);
  EXPECT_EQ(rows_that_leave_at_once(26, 3), 3);
  EXPECT_EQ(rows_that_leave_at_once(26, 4), 3);
  EXPECT_EQ(rows_that_leave_at_once(13, 2), 1);
  EXPECT_EQ(rows_that_leave_at_once(26, 0), 0);
  EXPECT_EQ(rows_that_leave_at_once(2, 1), 1);
}

TEST(Passes, FailOnlyOnEvidence) {
  EXPECT_FALSE(passes_fail(0, 63));
  EXPECT_TRUE(passes_fail(0, 64));
  EXPECT_TRUE(passes_fail(20, 80));
  EXPECT_FALSE(passes_fail(40, 60));
}
