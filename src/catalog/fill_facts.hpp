// What the catalogs say about fill triggers and the constraints of their proofs.
//
// What: does a fill trigger stand, everywhere; which are left over; is a constraint's expression immutable. Invariant:
// reads only, by fixed statements as the ledger's owner.
#pragma once

#include <string>
#include <vector>

namespace migration::catalog {

struct TriggerState {
  unsigned oid = 0;     ///< 0: there is none
  bool always = false;  ///< fires for every writer, on every partition
};
/// The trigger of this name (not quoted) on a table and its partitions.
TriggerState trigger_state(unsigned relation, const std::string& name);

/// Does the CHECK constraint call anything that may say something else tomorrow? False when there is no such
/// constraint.
bool check_is_mutable(unsigned relation, const std::string& name);
/// Is there a CHECK constraint of this name?
bool has_check(unsigned relation, const std::string& name);

/// What a backfill left behind that no unfinished run has a use for.
struct FillLeftover {
  std::string name, table;  ///< quoted
  std::string function;     ///< of a trigger: schema-qualified, quoted; empty: a constraint
};
std::vector<FillLeftover> fill_leftovers();

/// What was noted at the start of a step, for the steps after it; see start_step().
void set_before_image(long long run_id, int step, const std::vector<std::string>& image);

}  // namespace migration::catalog
