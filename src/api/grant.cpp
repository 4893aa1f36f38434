// migration_grant and migration_revoke: levels of rights as plain grants.
//
// What: reader, author, operator and admin are lists of functions; granting a level issues ordinary GRANT EXECUTE
// statements as the caller. Why no roles of our own: roles belong to the cluster, are not dumped with the database and
// not dropped with the extension. Invariant: nobody gets a right the caller could not have granted by hand.
#include "catalog/reports.hpp"
#include "pg/function.hpp"
#include "pg/identity.hpp"
#include "pg/parse.hpp"
#include "pg/portal.hpp"
#include "pg/settings.hpp"
#include "statement/formatted.hpp"

namespace migration {

namespace {

std::string role_argument(FunctionCallInfo fcinfo) {
  if (PG_ARGISNULL(0)) pg::refuse_null("role", "SELECT rolname FROM pg_roles;");
  const std::string name = pg::role_name(PG_GETARG_OID(0));
  if (name.empty()) {
    throw MigrationError(sqlstate::undefined_object, formatted("role with OID {} does not exist", PG_GETARG_OID(0)), {},
                         "SELECT rolname FROM pg_roles;");
  }
  return pg::quote_identifier(name);
}

void apply(const char* verb, const char* preposition, const std::vector<std::string>& functions,
           const std::string& role) {
  // The types in a signature are the server's, whatever the caller's path has of the same name.
  pg::SettingsFrame frame;
  pg::set_local("search_path", "pg_catalog, pg_temp");
  pg::ScriptRights rights;
  for (const std::string& f : functions) {
    // A signature from the catalogs, relative to pg_catalog.
    pg::run_statement(formatted("{} EXECUTE ON FUNCTION pg_catalog.{} {} {}", verb, f, preposition, role), false);
  }
}

}  // namespace

}  // namespace migration

using namespace migration;

/// migration_grant(role, level) -> text[]: the functions granted. Errors: 22023 (level), 42704 (role), 42501.
MIGRATION_FUNCTION(migration_grant) {
  pg::require_writable("migration_grant");
  const std::string role = role_argument(fcinfo);
  const std::string operator_form = formatted("SELECT migration_grant({}, 'operator');", pg::quote_literal(role));
  const std::string level = pg::required_text(fcinfo, 1, "level", operator_form.c_str());
  if (level != "reader" && level != "author" && level != "operator" && level != "admin") {
    throw MigrationError(sqlstate::invalid_parameter, formatted("there is no level \"{}\"", level.substr(0, 100)),
                         "Levels are reader, author, operator and admin.", operator_form);
  }
  const std::vector<std::string> functions = catalog::functions_of_level(level);
  apply("GRANT", "TO", functions, role);
  return pg::array_result(fcinfo, functions);
}

/// migration_revoke(role) -> text[]: the functions revoked. Errors: 42704 (role), 42501.
MIGRATION_FUNCTION(migration_revoke) {
  pg::require_writable("migration_revoke");
  const std::string role = role_argument(fcinfo);
  const std::vector<std::string> functions = catalog::functions_of_level("all");
  apply("REVOKE", "FROM", functions, role);
  return pg::array_result(fcinfo, functions);
}
