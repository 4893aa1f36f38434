// The second table of a backfill: one to look values up in, or one to copy rows to.
//
// What: what the planner has to know of it, and the columns of a copy. Why apart from facts.hpp: a lookup is asked
// about with the condition that joins it, a copy with its select list; both need the server's analysis. Invariants:
// names are resolved under the search_path in force; nothing a user wrote is run; locks are gone before the call
// returns.
#pragma once

#include <string>
#include <vector>

#include "plan/plan.hpp"

namespace migration::catalog {

/// Of a lookup or a copy; what is not there yet is not known.
OtherTable other_table(const RowChange& change);

/// Where a copy goes, as it is now.
struct CopyTarget {
  unsigned oid = 0;
  std::string name;                  ///< qualified, quoted
  std::vector<std::string> columns;  ///< quoted, in the order of the values
};
/// Errors: 42P01, 42809 (no table), 0A000 (temporary, aggregates), 22023 (same table, columns), 42703, 428C9.
CopyTarget copy_target(const RowChange& change, const std::string& hint);
/// The columns of a copy for a text of it; empty when it names them, or is none. Errors: as copy_target.
std::vector<std::string> columns_by_name(const Statement& s);

}  // namespace migration::catalog
