// Who is who: roles of this session and whether one may stand in for another.
//
// What: the role that executes (current_user), the role that logged in, and the trust rule for stored text: E may run
// text registered by R iff R = E, R is a superuser, or R can become E anyway; text that R could run as E itself is no
// escalation. Why by name and OID: after a restore OIDs mean nothing, and a name alone may have been given to somebody
// else. Memory: plain values.
#pragma once

#include <string>

namespace migration::pg {

struct Role {
  std::string name;
  unsigned oid = 0;
};

Role current_role();
Role session_role();
/// OID of a role, 0 when there is none.
unsigned role_oid(const std::string& name);
std::string role_name(unsigned oid);  ///< empty when there is none
bool is_superuser(unsigned role);
/// The trust rule. False when `registrant` is gone or its name now belongs to another role.
bool trusts(const Role& executor, const Role& registrant);
/// Can `member` become `role`?
bool can_become(unsigned member, unsigned role);
/// Is there a schema of the role's name, which is what $user in a search_path means?
bool has_own_schema(const Role& role);
/// Does `role` own the ledger, or is it a superuser?
bool owns_ledger(unsigned role);

/// Errors: 25006 on a standby or in a read-only transaction.
void require_writable(const char* function);
bool in_recovery_now();

}  // namespace migration::pg
