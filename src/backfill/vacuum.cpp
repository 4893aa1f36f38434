// When to vacuum; see vacuum.hpp.
#include "backfill/vacuum.hpp"

#include <cmath>

namespace migration::backfill {

namespace {

/// By itself without passes: tables of 128 MB and more, after each quarter.
constexpr long long worth_vacuum_blocks = 16384;
constexpr int automatic_percent = 25;
/// By itself for the indexes alone: from 8 MB on, where more rows move than find room: the free tenth, less what one
/// leaf gets more of than another.
constexpr long long worth_indexes_blocks = 1024;
constexpr double leaves_take = 0.08;

}  // namespace

int vacuum_after(const VacuumCase& c) {
  if (c.setting >= 0) return c.setting;
  if (!c.passes) return c.blocks < worth_vacuum_blocks ? 0 : automatic_percent;
  if (!c.indexes || c.blocks < worth_indexes_blocks || c.moved <= leaves_take) return 0;
  return static_cast<int>(100 / std::ceil(c.moved / leaves_take));
}

}  // namespace migration::backfill
