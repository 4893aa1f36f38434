// Arithmetic of passes; see passes.hpp.
#include "backfill/passes.hpp"

#include <algorithm>
#include <cmath>

namespace migration::backfill {

namespace {

/// Price of a moved row by that of pruning a page, measured with two indexes.
constexpr double move_by_prune = 0.6;
/// The same of a row that leaves a page where it could have stayed: to the prunes that it saves comes nothing else.
constexpr double leave_by_prune = 2.0;
/// More passes than the least costly number: with less than a tenth of the rows moved, the free tenth of an index leaf
/// takes the new entries, and the index does not grow.
constexpr int for_the_indexes = 4;
constexpr int fewest = 6, most_useful = 16;
/// One of this many entries of an index leaf may get a second version by one transaction: the free tenth, and what two
/// versions of one key take less when they are merged (measured: 12.5 % do no harm, 15 % split every leaf).
constexpr int moved_of_one_leaf = 7;
/// One of this many rows may leave without having to.
constexpr int few_more = 12;
/// The smallest pass over keys takes one of this many rows.
constexpr int fewest_of_rows = 40;

}  // namespace

int choose_passes(long long rows, long long needing, long long free, long long row_bytes) {
  if (needing <= 2 || rows <= 2 || row_bytes <= 0) return 1;
  // With room to spare, as new versions may be longer: what one page has no room for takes the room of the next page's
  // rows, and so on, until no row is where it was.
  if (free >= needing * row_bytes * 3 / 2) return 1;
  const double k = std::sqrt(move_by_prune * static_cast<double>(needing));
  // Of few rows on a page, a pass takes whole ones.
  const long long at_most = std::max(1LL, needing / (moved_of_one_leaf + 1));
  const long long wanted = std::clamp<long long>(
      std::max(std::llround(k) + for_the_indexes, (needing + at_most - 1) / at_most), fewest, most_useful);
  return static_cast<int>(std::clamp<long long>(wanted, least_passes, std::max<long long>(least_passes, needing)));
}

namespace {

/// What a page costs in prunes when its first pass takes the rows that fit and `leave` more.
double cost_of_page(int rows, long long free, int taken, int left, int leave) {
  const auto fit = [&](long long room) { return static_cast<int>(std::clamp<long long>(room / taken, 0, rows)); };
  const int staying = fit(free);
  leave = std::min(leave, rows - staying);
  int moved = leave, passes = 1;
  long long room = free - static_cast<long long>(staying) * taken + static_cast<long long>(staying + leave) * left;
  rows -= staying + leave;
  for (; rows > 0; ++passes) {
    const int some = fit(room);
    if (some == 0) {  // one has to leave after all
      ++moved;
      --rows;
      room += left;
      continue;
    }
    rows -= some;
    room -= static_cast<long long>(some) * (taken - left);
  }
  return passes + leave_by_prune * moved;
}

}  // namespace

int rows_that_leave(int rows, long long free, int length, int growth, int heap_only) {
  const int must = rows_to_leave(rows, free, length, growth, heap_only);
  // On average, in whole bytes: rather too little room than too much.
  const int pointer = (line_pointer * (rows - heap_only) + rows - 1) / std::max(1, rows);
  const int taken = room_of(length, growth), left = room_of(length, 0) - pointer;
  int best = must;
  double least = 0;
  for (int m = must; m <= std::max(must, rows / few_more); ++m) {
    const double cost = cost_of_page(rows, free, taken, left, m);
    if (least > 0 && cost >= least) continue;
    least = cost;
    best = m;
  }
  return best;
}

int next_parts(int done, int passes, const KeyPage& page, double care) {
  const int left = key_parts - done;
  if (passes <= 1) return left;
  // Asked for where nothing is known of the pages: equal shares.
  if (page.rows <= 0 || page.row_bytes <= line_pointer) return std::min(left, (key_parts + passes - 1) / passes);
  const auto rows = static_cast<double>(page.rows);
  const int length = static_cast<int>(page.row_bytes) - line_pointer;
  const int leave = rows_to_leave(static_cast<int>(page.rows), page.free_bytes, length, page.growth,
                                  static_cast<int>(page.heap_only));
  const double first = key_parts * std::min(0.5, std::max(1.0 / passes, leave / rows));
  if (done == 0) return std::clamp(static_cast<int>(std::ceil(first)), 1, left);
  // What left has left its line pointers behind.
  const double room = static_cast<double>(page.free_bytes) + rows * first / key_parts * length -
                      (done - first) / key_parts *
                          (rows * page.growth + static_cast<double>(page.rows - page.heap_only) * line_pointer);
  const double fit = room / static_cast<double>(page.row_bytes + page.growth) - care;
  // A pass of a row or two costs more than moving them.
  const double fewest_rows = rows / fewest_of_rows;
  return std::clamp(static_cast<int>(std::max(fit, fewest_rows) * key_parts / rows), 1, left);
}

int rows_that_leave_at_once(int rows, int leave) {
  if (leave * moved_of_one_leaf <= rows) return leave;
  return std::min(leave, std::max(1, rows / (moved_of_one_leaf + 1)));
}

bool passes_fail(std::size_t stayed, std::size_t left) {
  return stayed + left >= 64 && stayed * 10 < (stayed + left) * 3;
}

}  // namespace migration::backfill
