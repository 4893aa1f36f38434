// May a backfill act as the owner of its table?
//
// What: rows are changed as the owner of the table, by the present role, which must be able to SET ROLE to that owner.
// Asked when a backfill is called and when its plan is made, so that nobody learns it in the middle, and by the worker
// before each text, because owners and memberships change. Invariant: a table of the present role itself is never
// refused. A partition that is gone through by its own blocks counts by its own owner; whatever goes through the parent
// (a key, the last look) by the parent's. Memory: plain values.
#pragma once

#include <string>
#include <vector>

#include "pg/identity.hpp"
#include "plan/plan.hpp"

namespace migration {

/// `by_blocks`: partitions are gone through by themselves. `then`: what to type after the GRANT; may be empty.
/// Errors: 42501.
void require_owner_rights(unsigned table, bool by_blocks, const pg::Role& executor, const std::string& then);
/// The same for the backfills of a plan, as far as their tables exist and no statement of the plan changes rights.
/// Errors: 42501.
void require_owner_rights(const Plan& plan, const pg::Role& executor);
/// Who changes the rows, when that is not the executor: 'runs as owner "x"'; empty otherwise.
std::string owner_note(unsigned table, const pg::Role& executor);

/// For one text of a run: the owner of `table`, locked. Errors: 42501, 42704 (the run's role is gone).
unsigned acting_owner(unsigned table, const std::string& role_name, long long run_id);

}  // namespace migration
