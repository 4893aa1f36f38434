// The actions of an ALTER TABLE, with the slices of the script that belong to each; see classify.hpp.
//
// `scans` and `rewrites` are what the syntax alone cannot rule out: a default that is neither a constant nor one of
// the stable clock functions may be volatile, a change of type may rewrite. The planner narrows them with the catalog.
#include <array>
#include <string_view>
#include <utility>

#include "pg/classify.hpp"
#include "pg/compat.hpp"

namespace migration::pg {

namespace {

constexpr std::pair<AlterTableType, const char*> kinds[] = {
    {AT_AddColumn, "add column"},
    {AT_DropNotNull, "drop not null"},
    {AT_SetNotNull, "set not null"},
    {AT_DropExpression, "drop expression"},
    {AT_SetStatistics, "set statistics"},
    {AT_SetOptions, "set options"},
    {AT_ResetOptions, "reset options"},
    {AT_SetStorage, "set storage"},
    {AT_SetCompression, "set compression"},
    {AT_DropColumn, "drop column"},
    {AT_AddConstraint, "add constraint"},
    {AT_AlterConstraint, "alter constraint"},
    {AT_ValidateConstraint, "validate constraint"},
    {AT_DropConstraint, "drop constraint"},
    {AT_AlterColumnType, "alter type"},
    {AT_ChangeOwner, "owner"},
    {AT_ClusterOn, "cluster on"},
    {AT_DropCluster, "set without cluster"},
    {AT_SetLogged, "set logged"},
    {AT_SetUnLogged, "set unlogged"},
    {AT_SetAccessMethod, "set access method"},
    {AT_SetTableSpace, "set tablespace"},
    {AT_SetRelOptions, "set parameters"},
    {AT_ResetRelOptions, "reset parameters"},
    {AT_EnableTrig, "enable trigger"},
    {AT_EnableAlwaysTrig, "enable always trigger"},
    {AT_EnableReplicaTrig, "enable replica trigger"},
    {AT_DisableTrig, "disable trigger"},
    {AT_EnableTrigAll, "enable trigger all"},
    {AT_DisableTrigAll, "disable trigger all"},
    {AT_EnableTrigUser, "enable trigger user"},
    {AT_DisableTrigUser, "disable trigger user"},
    {AT_EnableRule, "enable rule"},
    {AT_EnableAlwaysRule, "enable always rule"},
    {AT_EnableReplicaRule, "enable replica rule"},
    {AT_DisableRule, "disable rule"},
    {AT_AddInherit, "inherit"},
    {AT_DropInherit, "no inherit"},
    {AT_AddOf, "of"},
    {AT_DropOf, "not of"},
    {AT_ReplicaIdentity, "replica identity"},
    {AT_EnableRowSecurity, "enable row security"},
    {AT_DisableRowSecurity, "disable row security"},
    {AT_ForceRowSecurity, "force row security"},
    {AT_NoForceRowSecurity, "no force row security"},
    {AT_GenericOptions, "options"},
    {AT_AlterColumnGenericOptions, "options"},
    {AT_AttachPartition, "attach partition"},
    {AT_DetachPartition, "detach partition"},
    {AT_DetachPartitionFinalize, "detach partition finalize"},
    {AT_AddIdentity, "add identity"},
    {AT_SetIdentity, "set identity"},
    {AT_DropIdentity, "drop identity"},
};

bool any_of(const Token& token, std::initializer_list<std::string_view> words) {
  for (auto const& word : words)
    if (token.is(word)) return true;
  return false;
}

/// First token in [from, to) outside brackets that is one of the words; `to` if there is none.
const Token* find(const Token* from, const Token* to, std::initializer_list<std::string_view> words) {
  int depth = 0;
  for (; from < to; ++from) {
    if (from->is('(') || from->is('[')) ++depth;
    if (from->is(')') || from->is(']')) --depth;
    if (depth == 0 && any_of(*from, words)) return from;
  }
  return to;
}

/// First token of what may follow the type or the default of a column.
const Token* end_of_part(const Token* from, const Token* to) {
  for (const Token* at = from; at < to;) {
    at = find(at, to,
              {"constraint", "not", "null", "unique", "primary", "check", "default", "generated", "references",
               "deferrable", "initially", "collate", "storage", "compression", "options"});
    if (at < to && at > from && (at - 1)->is("is")) {  // IS NOT DISTINCT FROM
      ++at;
      continue;
    }
    return at == from && at < to ? end_of_part(from + 1, to) : at;
  }
  return to;
}

/// Tokens inside the first parentheses in [from, to).
std::string_view in_parentheses(const Piece& piece, const Token* from, const Token* to) {
  while (from < to && !from->is('(')) ++from;
  int depth = 0;
  for (const Token* at = from; at < to; ++at) {
    if (at->is('(')) ++depth;
    if (at->is(')') && --depth == 0) return piece.slice(from + 1, at);
  }
  return {};
}

/// The first token behind `ALTER TABLE [IF EXISTS] [ONLY] name [*]`.
const Token* first_action(const Piece& piece, const RangeVar* relation) {
  const Token* at = piece.first;
  while (at < piece.last && at->start < relation->location) ++at;
  ++at;
  while (at + 1 < piece.last && at->is('.')) at += 2;
  while (at < piece.last && (at->is('*') || at->is(')'))) ++at;
  return at;
}

/// A default that is computed once for all rows, as far as the text alone can tell.
bool surely_stable(Node* expression) {
  while (expression != nullptr && nodeTag(expression) == T_TypeCast)
    expression = reinterpret_cast<TypeCast*>(expression)->arg;
  if (expression == nullptr) return true;
  switch (nodeTag(expression)) {
    case T_A_Const:
    case T_SQLValueFunction:
      return true;
    case T_A_ArrayExpr:
      return list_length(reinterpret_cast<A_ArrayExpr*>(expression)->elements) == 0;
    case T_FuncCall: {
      auto* call = reinterpret_cast<FuncCall*>(expression);
      if (call->args != nullptr) return false;
      std::string const name = name_of(call->funcname);
      return name == "now" || name == "pg_catalog.now" || name == "transaction_timestamp" ||
             name == "statement_timestamp";
    }
    default:
      return false;
  }
}

bool is_serial(const TypeName* type) {
  if (type == nullptr || list_length(type->names) != 1) return false;
  std::string const name = name_of(type->names);
  for (auto const* serial : {"serial", "bigserial", "smallserial", "serial4", "serial8", "serial2"})
    if (name == serial) return true;
  return false;
}

void describe_column(const Piece& piece, ColumnDef* column, const Token* from, const Token* to, AlterAction& out) {
  out.name = quoted(column->colname);
  out.identity = is_serial(column->typeName);
  if (out.identity) out.not_null = true;
  Node* fallback = column->raw_default;
  bool foreign = false;
  for (Constraint* constraint : items<Constraint>(column->constraints)) {
    if (nodeTag(constraint) != T_Constraint) continue;
    switch (constraint->contype) {
      case CONSTR_NOTNULL:
        out.not_null = true;
        break;
      case CONSTR_DEFAULT:
        fallback = constraint->raw_expr;
        break;
      case CONSTR_IDENTITY:
        out.identity = out.not_null = true;
        break;
      case CONSTR_GENERATED:
        out.generated = true;
        if (!compat_virtual_column(constraint)) out.rewrites = true;
        break;
      case CONSTR_CHECK:
        out.scans = out.scans || compat_enforced(constraint);
        break;
      case CONSTR_PRIMARY:
        out.not_null = true;
        out.scans = true;
        break;
      case CONSTR_UNIQUE:
        out.scans = true;
        break;
      case CONSTR_FOREIGN:
        foreign = true;
        out.references = name_of(constraint->pktable);
        break;
      default:
        break;
    }
  }
  if (out.identity || (fallback != nullptr && !surely_stable(fallback))) out.rewrites = true;
  if (foreign && (fallback != nullptr || out.rewrites)) out.scans = true;
  if (from >= to) return;
  const Token* at = from + 1;  // ADD [COLUMN] [IF NOT EXISTS] name type ...
  while (at < to && at->start < column->location) ++at;
  const Token* const type = at + 1;
  const Token* const behind = end_of_part(type, to);
  out.type = piece.slice(type, behind);
  if (const Token* const word = find(behind, to, {"default"}); fallback != nullptr && word < to)
    out.expression = piece.slice(word + 1, end_of_part(word + 1, to));
  else if (out.generated)
    out.expression = in_parentheses(piece, find(behind, to, {"generated"}), to);
}

void describe_constraint(const Piece& piece, Constraint* constraint, const Token* from, const Token* to,
                         AlterAction& out) {
  out.name = quoted(constraint->conname);
  out.not_valid = constraint->skip_validation;
  out.index = quoted(constraint->indexname);
  out.references = name_of(constraint->pktable);
  bool const checks = !out.not_valid && compat_enforced(constraint);
  switch (constraint->contype) {
    case CONSTR_CHECK:
      out.detail = "check";
      out.scans = checks;
      out.expression = in_parentheses(piece, find(from, to, {"check"}), to);
      break;
    case CONSTR_FOREIGN:
      out.detail = "foreign key";
      out.scans = checks;
      break;
    case CONSTR_UNIQUE:
      out.detail = "unique";
      out.scans = out.index.empty();
      break;
    case CONSTR_PRIMARY:
      out.detail = "primary key";
      out.scans = true;
      break;
    case CONSTR_EXCLUSION:
      out.detail = "exclude";
      out.scans = true;
      break;
    case CONSTR_NOTNULL:
      out.detail = "not null";
      out.scans = checks;
      break;
    default:
      break;
  }
}

AlterAction describe_action(const Piece& piece, AlterTableCmd* cmd, const Token* from, const Token* to) {
  AlterAction out;
  for (auto const& [subtype, kind] : kinds)
    if (subtype == cmd->subtype) out.kind = kind;
  out.name = quoted(cmd->name);
  out.if_exists = cmd->missing_ok;
  out.cascade = cmd->behavior == DROP_CASCADE;
  out.text = piece.slice(from, to);
  switch (cmd->subtype) {
    case AT_AddColumn:
      describe_column(piece, reinterpret_cast<ColumnDef*>(cmd->def), from, to, out);
      break;
    case AT_ColumnDefault:
      out.kind = cmd->def != nullptr ? "set default" : "drop default";
      if (const Token* const word = find(from, to, {"default"}); cmd->def != nullptr && word < to)
        out.expression = piece.slice(word + 1, to);
      break;
    case AT_AlterColumnType: {
      out.scans = out.rewrites = true;
      const Token* word = from + 2;  // a column may be called "type"
      if (word < to && (word - 1)->is("column")) ++word;
      word = find(word, to, {"type"});
      if (word >= to) break;
      const Token* const use = find(word + 1, to, {"using"});
      out.type = piece.slice(word + 1, find(word + 1, use, {"collate"}));
      if (use < to) out.expression = piece.slice(use + 1, to);
      break;
    }
    case AT_SetNotNull:
    case AT_ValidateConstraint:
      out.scans = true;
      break;
    case AT_SetLogged:
    case AT_SetUnLogged:
    case AT_SetAccessMethod:
    case AT_SetTableSpace:
      out.rewrites = true;
      break;
    case AT_AddConstraint:
      if (nodeTag(cmd->def) == T_Constraint)
        describe_constraint(piece, reinterpret_cast<Constraint*>(cmd->def), from, to, out);
      break;
    case AT_AttachPartition:
    case AT_DetachPartition:
    case AT_DetachPartitionFinalize:
      out.name = out.references = name_of(reinterpret_cast<PartitionCmd*>(cmd->def)->name);
      out.scans = cmd->subtype == AT_AttachPartition;
      break;
    case AT_AddInherit:
    case AT_DropInherit:
      out.name = out.references = name_of(reinterpret_cast<RangeVar*>(cmd->def));
      break;
    default:
      if (out.kind.empty()) {
        // SET EXPRESSION came in 17 and has no name in older headers; whatever comes later is "other".
        bool const expression = find(from, to, {"expression"}) < to;
        out.kind = expression ? "set expression" : "other";
        out.rewrites = expression;
        if (expression) out.expression = in_parentheses(piece, from, to);
      }
      break;
  }
  return out;
}

}  // namespace

void describe_alter_table(const Piece& piece, AlterTableStmt* alter, Statement& out) {
  bool const type = alter->objtype == OBJECT_TYPE;
  (type ? out.object : out.relation) = name_of(alter->relation);
  out.if_exists = alter->missing_ok;
  out.only = !type && !alter->relation->inh;
  bool const table =
      alter->objtype == OBJECT_TABLE || alter->objtype == OBJECT_FOREIGN_TABLE || alter->objtype == OBJECT_MATVIEW;
  if (table) out.kind = StatementKind::alter_table;
  const Token* from = first_action(piece, alter->relation);
  bool validate = true;
  for (AlterTableCmd* cmd : items<AlterTableCmd>(alter->cmds)) {
    const Token* to = from;
    int depth = 0;
    for (; to < piece.last; ++to) {
      if (to->is('(') || to->is('[')) ++depth;
      if (to->is(')') || to->is(']')) --depth;
      if (depth == 0 && to->is(',')) break;
    }
    AlterAction action = describe_action(piece, cmd, from, to);
    action.inverse = inverse_of_action(alter, cmd, action);
    out.cascade = out.cascade || action.cascade;
    if (cmd->subtype != AT_ValidateConstraint) validate = false;
    bool const detach = cmd->subtype == AT_DetachPartition && reinterpret_cast<PartitionCmd*>(cmd->def)->concurrent;
    if (detach) out.concurrently = true;
    if (detach || cmd->subtype == AT_DetachPartitionFinalize) out.kind = StatementKind::detach_concurrently;
    out.actions.push_back(std::move(action));
    from = to < piece.last ? to + 1 : to;
  }
  if (table && validate) out.kind = StatementKind::validate;
}

}  // namespace migration::pg
