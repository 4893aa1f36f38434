// Asking for the owner's rights; see owner_rights.hpp.
#include "worker/owner_rights.hpp"

#include <algorithm>

#include "catalog/facts.hpp"
#include "catalog/owners.hpp"
#include "pg/parse.hpp"
#include "pg/table_rights.hpp"
#include "plan/words.hpp"
#include "statement/error.hpp"
#include "statement/formatted.hpp"

namespace migration {

namespace {

/// Nobody is told to hand out a superuser's rights: then the table can change hands.
std::string cure(const std::string& role, const pg::Role& owner, const std::string& table) {
  return pg::is_superuser(owner.oid) ? formatted("ALTER TABLE {} OWNER TO {};", table, pg::quote_identifier(role))
                                     : formatted("GRANT {} TO {}{};", pg::quote_identifier(owner.name),
                                                 pg::quote_identifier(role), pg::with_set());
}

[[noreturn]] void refuse(const std::string& role, const pg::Role& owner, const std::string& table,
                         const std::string& then) {
  throw MigrationError(
      sqlstate::insufficient_privilege,
      formatted("role \"{}\" cannot act as role \"{}\", the owner of table {}", role, owner.name, table),
      "A backfill changes rows as the owner of their table, so that triggers and functions of the table get no rights "
      "but the owner's.",
      cure(role, owner, table) + (then.empty() ? "" : "\n" + then));
}

bool may_act_as(unsigned role, unsigned owner) {
  return role == owner || pg::can_become(role, owner);
}

/// Could the statement give somebody a table or a membership?
bool changes_rights(const Statement& s) {
  return s.kind == StatementKind::code_block || mentions(s.text, "owner") || mentions(s.text, "owned") ||
         mentions(s.text, "grant") || mentions(s.text, "role");
}

}  // namespace

void require_owner_rights(unsigned table, bool by_blocks, const pg::Role& executor, const std::string& then) {
  for (const catalog::TableOwner& owner : catalog::owners_of(table)) {
    if (!may_act_as(executor.oid, owner.role))
      refuse(executor.name, pg::Role{owner.name, owner.role}, owner.table, then);
    if (!by_blocks) return;
  }
}

void require_owner_rights(const Plan& plan, const pg::Role& executor) {
  for (const Step& step : plan.steps) {
    for (const PlannedStatement& planned : step.statements) {
      if (step.kind == StepKind::backfill && !planned.table.empty()) {
        const auto& change = planned.statement.change;
        const std::string& written = change && change->copy ? change->copy->into : planned.table;
        if (const unsigned table = catalog::resolve_relation(written); table != 0) {
          // Options of a call may ask for a key; what its partitions are missing, the worker says.
          const bool by_blocks =
              planned.statement.kind != StatementKind::backfill_call && planned.statement.change &&
              (planned.statement.change->set_columns.empty() || fills_null(*planned.statement.change));
          require_owner_rights(table, by_blocks, executor, "");
        }
      }
      if (changes_rights(planned.statement)) return;
    }
  }
}

std::string owner_note(unsigned table, const pg::Role& executor) {
  const std::vector<catalog::TableOwner> owners = catalog::owners_of(table);
  if (owners.empty()) return {};
  std::string note;
  if (owners[0].role != executor.oid) {
    note = formatted("runs as owner \"{}\"", owners[0].name);
    if (!may_act_as(executor.oid, owners[0].role)) {
      note += formatted(", which role \"{}\" may not", executor.name);
    }
  }
  const bool others = std::any_of(owners.begin() + 1, owners.end(),
                                  [&](const catalog::TableOwner& owner) { return owner.role != owners[0].role; });
  if (others) note += formatted("{}partitions of other owners as these", note.empty() ? "" : ", ");
  return note;
}

unsigned acting_owner(unsigned table, const std::string& role_name, long long run_id) {
  const pg::Role me = pg::current_role();
  const unsigned owner = pg::owner_of_table(table);
  // A table that is gone is told by the text itself.
  if (owner == 0 || owner == me.oid) return me.oid;
  if (me.name.empty()) {
    throw MigrationError(sqlstate::undefined_object,
                         formatted("role \"{}\" of run {} does not exist", role_name, run_id), {},
                         formatted("SELECT migration_cancel({});", run_id));
  }
  if (!may_act_as(me.oid, owner)) {
    refuse(me.name, pg::Role{pg::role_name(owner), owner}, catalog::relation_name(table),
           formatted("SELECT migration_resume({});", run_id));
  }
  return owner;
}

}  // namespace migration
