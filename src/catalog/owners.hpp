// Who owns a table and its partitions.
//
// What: the owner of a table, and of each partition below it that belongs to somebody else. Invariant: reads only, by
// a fixed statement as the ledger's owner. Memory: plain values.
#pragma once

#include <string>
#include <vector>

namespace migration::catalog {

struct TableOwner {
  std::string table;  ///< schema-qualified, quoted
  unsigned role = 0;
  std::string name;  ///< of the role, not quoted
};
/// The table itself first, then the partitions with storage and another owner, by name. Empty: there is no such table.
std::vector<TableOwner> owners_of(unsigned relation);

}  // namespace migration::catalog
