// The size of a table after a backfill, for migration_plan.
//
// What: looks at a few pages of the table and at its catalogs and says in words how much the table and its indexes will
// grow, and in how many passes it is gone through. Locks: ACCESS SHARE on the largest partition to the end of the
// transaction. Invariant: names are resolved with the search_path in force.
#pragma once

#include <string>

#include "plan/plan.hpp"

namespace migration {

/// Empty when there is nothing to say: a DELETE, a short table, another access method, a table that is not there yet.
std::string projected_size(const Statement& s, const RelationFacts& facts);

}  // namespace migration
