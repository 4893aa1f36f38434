// When a backfill vacuums its table on the way.
//
// What: after how many percent of the table. A row that moves leaves a dead entry in every index, and a leaf of a btree
// has a tenth of its room free: rows up to a twelfth of the table find room for their new entries wherever they are in
// the index, then the dead ones have to be taken away, or pages split and the index grows by half or doubles. Where new
// versions do not stay on their pages, it is the table itself that finds the room of dead rows again. Why not always: a
// VACUUM reads every index, so it has to be worth that. Invariant: what a user asked for is what is done. Pure.
#pragma once

namespace migration::backfill {

struct VacuumCase {
  int setting = -1;  ///< option `vacuum`: -1 auto, 0 off, else percent
  bool passes = false, indexes = true;
  long long blocks = 0;  ///< of the table
  double moved = 0;      ///< share of its rows that get a place on another page, 0 to 1
};

/// Percent of the table from one VACUUM to the next; 0: none.
int vacuum_after(const VacuumCase& c);

}  // namespace migration::backfill
