// What only the server's analysis of a text tells: is a lookup unique, does a select list give one row for each?
//
// What: the texts of a backfill put into a SELECT and analyzed, names and operators resolved under the search_path in
// force. Why not by words: `k.code = t.code` is a lookup by key only if this operator is the equality of the index, at
// its collation, over the column itself and not over a cast of it. Invariants: nothing is run, and nothing is planned;
// the analysis happens in a subtransaction that is rolled back, so the locks it takes are gone before anybody waits.
// Memory: trees die with the subtransaction. Locks: AccessShareLock for the time of the call.
#pragma once

#include <string>
#include <vector>

namespace migration::pg {

enum class LookupKey {
  unique,    ///< a row of the table meets at most one row of the lookup
  no_table,  ///< the lookup is no table with indexes of its own
  no_key,    ///< no unique index has all its columns equated
  unknown,   ///< not all that the condition names is there
};
struct LookupAnalysis {
  LookupKey key = LookupKey::unknown;
  unsigned table = 0, lookup = 0;
  std::string error;  ///< of unknown
};
/// `from`: the table and the lookup, as a FROM list has them. `condition` must hold; when it cannot be analyzed, only
/// those of `conjuncts` that can be count (columns that the plan will add are not there yet).
LookupAnalysis analyze_lookup(const std::string& from, const std::string& condition,
                              const std::vector<std::string>& conjuncts);

struct SelectAnalysis {
  bool known = false;
  std::string state, error;             ///< why not
  bool aggregates = false;              ///< or window functions
  bool sets = false;                    ///< a value of several rows
  std::vector<bool> constant_in_order;  ///< per value: the same again when it is asked again
};
/// A SELECT that is to give one row for each row it reads.
SelectAnalysis analyze_select(const std::string& sql);

/// One statement whose names and types are all there. Errors: the server's own.
void require_analyzable(const std::string& sql);

}  // namespace migration::pg
