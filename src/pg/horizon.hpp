// Can dead row versions be taken away yet?
//
// What: own_transaction() is the transaction that leaves them behind, dead_to_all() says whether nobody can see them
// any more. Why: an update in place needs the room of the versions before it. Invariant: reads only, and what
// pruning goes by is as new as the answer. Locks: AccessShareLock on the relation to the end of the transaction.
#pragma once

namespace migration::pg {

/// Id of this transaction; 0 when it has written nothing.
unsigned own_transaction();
/// Are versions that transaction `xid` replaced in `relation` removable? That is a table with rows of its own, not a
/// partitioned one; of one that is gone the answer is that for a table which all databases share.
bool dead_to_all(unsigned relation, unsigned xid);

}  // namespace migration::pg
