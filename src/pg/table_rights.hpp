// Acting as the owner of a table.
//
// What: OwnerRights lets texts run with the rights of a table's owner. Why: an UPDATE fires the triggers of its table
// and calls the functions of its constraints, defaults, generated columns and indexes, all of which the owner chose;
// run as somebody with more rights, such a function would have them, in the background and unseen. Logical replication
// has the same worry and the same answer. Invariants: nothing in the frame can change roles (42501); unless the owner
// could become the present role anyway, nothing of the session can be changed for later either (temporary tables,
// LISTEN, deferred triggers: 42501). Settings of our own are made before it is entered. Locks: owner_of_table() leaves
// ACCESS SHARE on the table, so that the answer holds to the end of the transaction. Memory: plain values.
#pragma once

namespace migration::pg {

/// The owner, locked against ALTER TABLE ... OWNER TO; 0 when the table is gone. Errors: 55P03.
unsigned owner_of_table(unsigned relation);

/// From here to the end of the transaction triggers and constraints fire behind their statement, those that wait now
/// at once: a trigger that waited for the commit would run with the rights in force then.
void fire_deferred();

/// The rights of `owner`; with the present role itself, no more than a script's frame (see ScriptRights).
class OwnerRights {
 public:
  explicit OwnerRights(unsigned owner);
  ~OwnerRights();
  OwnerRights(const OwnerRights&) = delete;
  OwnerRights& operator=(const OwnerRights&) = delete;

 private:
  int exceptions_;
  unsigned user_;
  int context_;
};

/// What stands behind GRANT role TO member, so that the member may act as the role.
const char* with_set();

}  // namespace migration::pg
