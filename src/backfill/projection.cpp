// Estimating growth; see projection.hpp.
#include "backfill/projection.hpp"

#include <algorithm>
#include <cmath>

#include "backfill/passes.hpp"
#include "backfill/units.hpp"
#include "backfill/vacuum.hpp"
#include "statement/formatted.hpp"

namespace migration::backfill {

namespace {

/// Share of new entries that the leaves of an index have room for, and the share that splits all of them.
constexpr double leaves_take = 0.08, leaves_split = 0.23;
/// The same of an index in the order of the table, where a window has all rows of a leaf and VACUUM comes after it; of
/// the share that is estimated here.
constexpr double neighbours_take = 0.11, neighbours_split = 0.42;
/// What stays behind even when all fits: line pointers, the last window.
constexpr double remainder = 0.02;

double split_by(double share, double take, double split) {
  return std::clamp((share - take) / (split - take), 0.0, 1.0);
}

std::string percent(double share) {
  return formatted("{:.0f} %", std::round(100 * share));
}

}  // namespace

Projection project(const TableShape& s) {
  Projection p;
  if (s.rows <= 0 || s.row_bytes <= 0) return p;
  const double rows = static_cast<double>(s.rows);
  const double old_bytes = static_cast<double>(s.row_bytes);
  const double new_bytes = old_bytes + std::max(0, s.growth);
  const double fit = static_cast<double>(std::max(0LL, s.free)) / new_bytes;
  if (!s.in_place || (s.passes <= 1 && fit < rows)) {
    p.moved = std::max(0.0, 1 - fit / rows);
    p.table = p.moved * new_bytes / old_bytes;
    p.indexes = s.in_place ? p.moved : 1;
    return p;
  }
  if (fit >= rows) return p;
  const double crowded_out = std::max(0.0, rows - (rows * old_bytes + static_cast<double>(s.free)) / new_bytes) / rows;
  const int needing = static_cast<int>(std::min<long long>(s.rows, 10000));
  const double first = fit >= 1 ? 0 : rows_to_move(needing, s.passes) / static_cast<double>(needing);
  p.moved = std::min(1.0, std::max(first, crowded_out));
  p.table = p.moved * new_bytes / old_bytes + remainder;
  const int after = vacuum_after({s.vacuum, true, true, s.blocks, p.moved});
  p.indexes = split_by(after > 0 ? p.moved * after / 100 : p.moved, leaves_take, leaves_split);
  if (after > 0) p.indexes = std::max(p.indexes, split_by(p.moved, neighbours_take, neighbours_split));
  return p;
}

std::string to_text(const TableShape& s, const Projection& p, long long table_bytes) {
  const std::string why = s.in_place ? "" : "a column that is set is in an index, so every row is written anew: ";
  const std::string table = p.table < 0.005
                                ? "table does not grow"
                                : formatted("table grows by about {} ({})", percent(p.table),
                                            about_bytes(p.table * static_cast<double>(std::max(0LL, table_bytes))));
  const std::string indexes =
      p.indexes < 0.005 ? "indexes hardly" : formatted("indexes by up to {}", percent(p.indexes));
  return formatted("{}{}, {}; {}", why, table, indexes,
                   s.passes > 1 ? formatted("{} passes", s.passes) : std::string("1 pass"));
}

}  // namespace migration::backfill
