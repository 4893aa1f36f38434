// How large a table will be after a backfill, before it starts.
//
// What: which share of the rows will leave their page, and what that does to the table and its indexes. A row leaves
// its page when its new version does not fit there: all of them without passes, except what free space takes; with
// passes those that the first one moves, or those that the wider rows crowd out, whichever are more. Every row that
// leaves writes into every index; up to about a twelfth of the entries finds room in the leaves until dead ones are
// taken away, about a quarter splits them all. Measured on PostgreSQL 15 with 200,000 rows of 100 to 1000 bytes: the
// table within 5 points of what is said here, the indexes within 10. Invariants: never negative; an estimate for
// people, nothing depends on it. Pure.
#pragma once

#include <string>

namespace migration::backfill {

struct TableShape {
  long long rows = 0;       ///< on an average page
  long long free = 0;       ///< bytes free on an average page
  long long row_bytes = 0;  ///< with line pointer
  int growth = 0;           ///< bytes that a new version is longer
  int passes = 1;
  bool in_place = true;  ///< updates can be HOT: no index holds a column that is set
  int vacuum = -1;       ///< option `vacuum`, see VacuumCase
  long long blocks = 0;  ///< of the table
};

struct Projection {
  double moved = 0;    ///< share of the rows that leave their page
  double table = 0;    ///< growth of the table, 0.07 = 7 %
  double indexes = 0;  ///< growth of each index
};

Projection project(const TableShape& shape);

/// For people: "table grows by about 7 % (8 MB), indexes by about 10 %; 10 passes".
std::string to_text(const TableShape& shape, const Projection& projection, long long table_bytes);

}  // namespace migration::backfill
