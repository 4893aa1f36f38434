// Asking for the horizon; see horizon.hpp.
#include "pg/horizon.hpp"

#include "pg/guard.hpp"

extern "C" {
#include "access/relation.h"
#include "access/transam.h"
#include "access/xact.h"
#include "storage/procarray.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
}

namespace migration::pg {

unsigned own_transaction() {
  return GetTopTransactionIdIfAny();
}

bool dead_to_all(unsigned relation, unsigned xid) {
  if (!TransactionIdIsNormal(xid)) return true;
  return pg_call([&] {
    Relation opened = try_relation_open(relation, AccessShareLock);
    // Worked out anew: the server's own approximation is only brought up to date after a transaction that wrote, and
    // what holds us back may be one that only reads.
    const bool removable = TransactionIdPrecedes(xid, GetOldestNonRemovableTransactionId(opened));
    if (opened != nullptr) relation_close(opened, NoLock);
    return removable;
  });
}

}  // namespace migration::pg
