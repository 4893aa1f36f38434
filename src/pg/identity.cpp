// Roles and the trust rule; see identity.hpp.
#include "pg/identity.hpp"

#include "pg/compat.hpp"
#include "pg/settings.hpp"
#include "pg/sql.hpp"

extern "C" {
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "utils/acl.h"
#include "utils/syscache.h"
}

namespace migration::pg {

std::string role_name(unsigned oid) {
  const char* name = pg_call([&] { return GetUserNameFromId(oid, true); });
  return name == nullptr ? std::string() : std::string(name);
}

Role current_role() {
  return Role{role_name(GetUserId()), GetUserId()};
}
Role session_role() {
  return Role{role_name(GetSessionUserId()), GetSessionUserId()};
}

unsigned role_oid(const std::string& name) {
  const char* text = name.c_str();
  return pg_call([&] { return get_role_oid(text, true); });
}

bool is_superuser(unsigned role) {
  return pg_call([&] { return superuser_arg(role); });
}

bool can_become(unsigned member, unsigned role) {
  return pg_call([&] { return compat_can_become(member, role); });
}

bool trusts(const Role& executor, const Role& registrant) {
  const unsigned now = role_oid(registrant.name);
  if (now == 0 || now != registrant.oid) return false;
  return now == executor.oid || is_superuser(now) || can_become(now, executor.oid);
}

bool has_own_schema(const Role& role) {
  const char* const name = role.name.c_str();
  return pg_call([&] { return SearchSysCacheExists1(NAMESPACENAME, CStringGetDatum(name)); });
}

bool owns_ledger(unsigned role) {
  return is_superuser(role) || ledger_owner() == role;
}

void require_writable(const char* function) {
  if (in_recovery_now()) {
    throw MigrationError(sqlstate::read_only, std::string(function) + " cannot run on a standby",
                         "The server is in recovery.", "SELECT pg_is_in_recovery();  -- run it on the primary");
  }
  if (XactReadOnly) {
    throw MigrationError(sqlstate::read_only, std::string(function) + " cannot run in a read-only transaction", {},
                         "SET default_transaction_read_only = off;");
  }
}

bool in_recovery_now() {
  return RecoveryInProgress();
}

}  // namespace migration::pg
