// The rights of an owner; see table_rights.hpp.
#include "pg/table_rights.hpp"

#include <exception>

#include "pg/compat.hpp"
#include "pg/guard.hpp"
#include "pg/identity.hpp"

extern "C" {
#include "catalog/pg_class.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/syscache.h"
}

namespace migration::pg {

unsigned owner_of_table(unsigned relation) {
  return pg_call([&] {
    LockRelationOid(relation, AccessShareLock);
    HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
    if (!HeapTupleIsValid(tuple)) return InvalidOid;
    const Oid owner = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relowner;
    ReleaseSysCache(tuple);
    return owner;
  });
}

void fire_deferred() {
  pg_call([] {
    auto* all = makeNode(ConstraintsSetStmt);
    AfterTriggerSetState(all);  // no names, not deferred: ALL IMMEDIATE
    pfree(all);
  });
}

OwnerRights::OwnerRights(unsigned owner) : exceptions_(std::uncaught_exceptions()), user_(0), context_(0) {
  Oid user;
  GetUserIdAndSecContext(&user, &context_);
  user_ = user;
  int wanted = context_ | SECURITY_LOCAL_USERID_CHANGE;
  if (owner != user && !can_become(owner, user)) wanted |= SECURITY_RESTRICTED_OPERATION;
  SetUserIdAndSecContext(owner, wanted);
}

OwnerRights::~OwnerRights() {
  if (std::uncaught_exceptions() > exceptions_) return;
  SetUserIdAndSecContext(user_, context_);
}

const char* with_set() {
  return compat_with_set();
}

}  // namespace migration::pg
