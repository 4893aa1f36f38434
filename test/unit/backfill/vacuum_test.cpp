// When a backfill vacuums on the way.
#include "backfill/vacuum.hpp"

#include <gtest/gtest.h>

using namespace migration::backfill;

namespace {

VacuumCase with_passes(double moved) {
  VacuumCase c;
  c.passes = true;
  c.blocks = 5000;
  c.moved = moved;
  return c;
}

}  // namespace

TEST(Vacuum, ComesBeforeTheLeavesOfAnIndexAreFull) {
  EXPECT_EQ(vacuum_after(with_passes(0)), 0);
  EXPECT_EQ(vacuum_after(with_passes(0.08)), 0);   // all of it finds room
  EXPECT_EQ(vacuum_after(with_passes(0.12)), 50);  // half does
  EXPECT_EQ(vacuum_after(with_passes(0.17)), 33);
  for (int share = 9; share <= 100; ++share) {
    EXPECT_GT(vacuum_after(with_passes(share / 100.0)), 0) << share;
    EXPECT_LE(vacuum_after(with_passes(share / 100.0)) * share, 801) << share;
  }
}

TEST(Vacuum, HasToBeWorthIt) {
  VacuumCase c = with_passes(0.12);
  c.blocks = 1000;
  EXPECT_EQ(vacuum_after(c), 0);
  c = with_passes(0.12);
  c.indexes = false;
  EXPECT_EQ(vacuum_after(c), 0);
  c = VacuumCase();
  c.blocks = 16383;
  EXPECT_EQ(vacuum_after(c), 0);
  c.blocks = 16384;
  EXPECT_EQ(vacuum_after(c), 25);
}

TEST(Vacuum, IsWhatWasAskedFor) {
  VacuumCase c = with_passes(0.12);
  c.setting = 0;
  EXPECT_EQ(vacuum_after(c), 0);
  c.setting = 7;
  EXPECT_EQ(vacuum_after(c), 7);
  c.blocks = 1;
  c.passes = c.indexes = false;
  EXPECT_EQ(vacuum_after(c), 7);
}
