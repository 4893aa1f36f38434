// How many rows of a page one pass takes.
//
// What: the arithmetic of backfilling a window of blocks in several passes. Pass 0 moves a share of the rows of a full
// page away; once these are dead, pruning frees their room, and each later pass updates as many rows as fit into it, in
// place (HOT): no index is written, the table keeps its size. Why a share and not all: each row moved costs a write in
// every index and a place on another page; each pass costs a look at the page. With n rows on a page, k passes, m for
// the price of moving a row and p for that of pruning a page once, a page costs about m n / k + p k, which is least at
// k = sqrt(m n / p); measured on PostgreSQL 15, m is about 2-4 us and p about 5-7 us, so for 60 rows k is 4 to 8.
// Invariants: the smallest pass takes a row from each page that has rows left, so a window ends. Pure: no server here.
#pragma once

#include <cstddef>
#include <cstdint>

namespace migration::backfill {

struct PassPlan {
  int passes = 8;      ///< k: pass 0 moves at most 1/k of the rows of a full page
  int growth = 8;      ///< bytes a new version is longer than the old one
  bool force = true;   ///< take rows from pages without room, too: they move to other pages
  bool spread = true;  ///< what leaves a page does so in several passes when it is much: not where `passes` is a wish
  bool all = false;    ///< one pass: take everything that is left
};

/// Least passes worth their name, and most.
constexpr int least_passes = 2, most_passes = 64;

constexpr int line_pointer = 4;

/// Bytes a new version of `length` bytes takes, with its line pointer; `align` is the server's MAXALIGN, 8.
constexpr int room_of(int length, int growth) {
  return ((length + growth + 7) & ~7) + line_pointer;
}

/// Rows a pass moves away from a page without room, of `needing` rows it has.
constexpr int rows_to_move(int needing, int passes) {
  return passes <= 1 ? needing : (needing + passes - 1) / passes;
}

/// Rows that have to leave a page before all that stay are changed: each new version is `growth` bytes longer, and the
/// line pointer of the old one stays behind, as what leads to it. To take them away first is cheapest: every later pass
/// has their room, where a page that is short of room takes many passes of a row or two. `length` is that of a row;
/// `heap_only` of the rows have been updated in place before: a line pointer leads to them already, and of their old
/// version nothing stays behind.
constexpr int rows_to_leave(int rows, long long free, int length, int growth, int heap_only = 0) {
  const long long short_of = static_cast<long long>(rows) * (room_of(length, growth) - room_of(length, 0)) +
                             static_cast<long long>(rows - heap_only) * line_pointer - free;
  if (short_of <= 0) return 0;
  const int room = room_of(length, growth);
  // One more, as room is used in whole rows only.
  return static_cast<int>((short_of + room - 1) / room) + 1;
}

/// Of rows that are to leave a page of `rows`, those that do so in one pass; the others in the next ones, when the
/// versions that the first ones have left can be seen by nobody any more. In a key that rows lie in the order of,
/// neighbours on a page are neighbours in the index, and a leaf of it has a tenth of its room free; what is dead there
/// the server takes away before it splits the leaf (bottom-up deletion, nbtree/README).
int rows_that_leave_at_once(int rows, int leave);

/// Rows that leave a page in its first pass, besides those that fit: those that have to, and up to one of twelve more
/// where what they leave behind saves passes that are dearer. See docs/backfill.md.
int rows_that_leave(int rows, long long free, int length, int growth, int heap_only = 0);

/// Number of passes for pages of `rows` rows of which `needing` need the change; `free` bytes are free on an average
/// page and `row_bytes` is the size of a row. 1 when passes cannot pay: too few rows on a page, or all fit at once.
int choose_passes(long long rows, long long needing, long long free, long long row_bytes);

/// A window of keys is gone through in intervals of this many equal parts of its rows, spread evenly over its pages.
constexpr int key_parts = 1024;

/// An average page of such a window.
struct KeyPage {
  long long rows = 0, row_bytes = 0;  ///< row versions, and the room that one takes with its line pointer
  long long free_bytes = 0;
  int growth = 8;           ///< bytes a new version is longer
  long long heap_only = 0;  ///< row versions of updates in place, see rows_to_leave()
};

/// How many parts the next pass takes when `done` parts have been changed: first one `passes`-th, which moves away,
/// then what fits into the room that is left on a page, less `care` rows, as a page may hold more of a part than
/// another.
int next_parts(int done, int passes, const KeyPage& page, double care);

/// Is the measured share of in-place updates too small for passes to pay?
bool passes_fail(std::size_t stayed, std::size_t left);

}  // namespace migration::backfill
