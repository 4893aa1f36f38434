// Counting invalidations; see catalog_changes.hpp.
#include "pg/catalog_changes.hpp"

#include "pg/guard.hpp"

extern "C" {
#include "utils/inval.h"
#include "utils/syscache.h"
}

namespace migration::pg {

namespace {

std::uint64_t changes = 0;

void relation_changed(Datum, Oid) {
  ++changes;
}

void schema_changed(Datum, int, uint32) {
  ++changes;
}

}  // namespace

std::uint64_t catalog_changes() {
  if (changes == 0) {
    pg_call([] {
      CacheRegisterRelcacheCallback(relation_changed, 0);
      CacheRegisterSyscacheCallback(NAMESPACEOID, schema_changed, 0);
    });
    changes = 1;
  }
  return changes;
}

}  // namespace migration::pg
