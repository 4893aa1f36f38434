// Has anything changed about tables since we last looked?
//
// What: counts the invalidations of relations and schemas that this process has heard of. What was read from the
// catalogs about a relation that exists (name, file, columns) still holds while the count is the same. Why: a batch
// asks for the same few facts as the one before it, hundreds of times a second, and the server already tells every
// process what it has to read again. Invariant: invalidations are heard when a transaction starts and when a lock is
// taken, so ask after that. Memory: a number.
#pragma once

#include <cstdint>

namespace migration::pg {

/// Never 0.
std::uint64_t catalog_changes();

}  // namespace migration::pg
