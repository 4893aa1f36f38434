// Arithmetic of passes; see passes.hpp.
#include "backfill/passes.hpp"

#include <algorithm>
#include <cmath>

namespace migration::backfill {

namespace {

/// Price of a moved row by that of pruning a page, measured with two indexes.
constexpr double move_by_prune = 0.6;
/// More passes than the least costly number: with less than a tenth of the rows moved, the free tenth of an index leaf
/// takes the new entries, and the index does not grow.
constexpr int for_the_indexes = 4;
constexpr int fewest = 6, most_useful = 16;

}  // namespace

int choose_passes(long long rows, long long needing, long long free, long long row_bytes) {
  if (needing <= 2 || rows <= 2 || row_bytes <= 0) return 1;
  if (free >= needing * row_bytes) return 1;
  const double k = std::sqrt(move_by_prune * static_cast<double>(needing));
  const long long wanted = std::clamp<long long>(std::llround(k) + for_the_indexes, fewest, most_useful);
  return static_cast<int>(std::clamp<long long>(wanted, least_passes, std::max<long long>(least_passes, needing)));
}

int next_parts(int done, int passes, const KeyPage& page, double care) {
  const int left = key_parts - done;
  if (passes <= 1 || page.rows <= 0 || page.row_bytes <= 0) return left;
  const int first = (key_parts + passes - 1) / passes;
  if (done == 0) return std::min(left, first);
  const auto rows = static_cast<double>(page.rows);
  const double moved = rows * first / key_parts, stayed = rows * (done - first) / key_parts;
  const double room =
      static_cast<double>(page.free_bytes) + moved * static_cast<double>(page.row_bytes) - stayed * page.growth;
  const double fit = std::max(1.0, room / static_cast<double>(page.row_bytes + page.growth) - care);
  return std::clamp(static_cast<int>(fit * key_parts / rows), 1, left);
}

bool passes_fail(std::size_t stayed, std::size_t left) {
  return stayed + left >= 64 && stayed * 10 < (stayed + left) * 3;
}

}  // namespace migration::backfill
