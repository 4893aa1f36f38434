// What undoes a statement, as far as the statement alone tells; see classify.hpp.
//
// An inverse is given only when it brings back what was there, under the one assumption that the statement did
// something (SET NOT NULL on a column that already was is not undone to the letter). Whatever depends on the state
// before (an old default, an old type, rows, what IF NOT EXISTS met) has none; the derived downgrade of an applied
// revision then comes from the two schema snapshots. REVOKE has none: a GRANT could give away more than was taken.
#include <string_view>
#include <unordered_set>

#include "pg/classify.hpp"
#include "pg/parse.hpp"

namespace migration::pg {

namespace {

template <class T>
T* as(Node* node) {
  return reinterpret_cast<T*>(node);
}

const char* words_of_definition(ObjectType kind) {
  switch (kind) {
    case OBJECT_COLLATION:
    case OBJECT_TSCONFIGURATION:
    case OBJECT_TSDICTIONARY:
    case OBJECT_TSPARSER:
    case OBJECT_TSTEMPLATE:
      return words_of(kind);
    default:
      return nullptr;
  }
}

/// GRANT of named privileges on named objects, with TO turned into FROM.
std::optional<std::string> inverse_of_grant(const Piece& piece, GrantStmt* grant) {
  if (!grant->is_grant || grant->grant_option || grant->privileges == nullptr || grant->targtype != ACL_TARGET_OBJECT)
    return std::nullopt;
  const Token* to = piece.last;
  for (const Token* at = piece.first; at < piece.last; ++at)
    if (at->is("to")) to = at;  // nothing behind the roles holds another TO
  if (to == piece.last) return std::nullopt;
  return "REVOKE " + std::string(piece.slice(piece.first + 1, to)) + " FROM " +
         std::string(piece.slice(to + 1, piece.last));
}

std::optional<std::string> inverse_of_set_schema(AlterObjectSchemaStmt* stmt) {
  std::string const type = words_of(stmt->objectType);
  if (stmt->missing_ok || type.empty()) return std::nullopt;
  if (stmt->relation != nullptr) {
    if (stmt->relation->schemaname == nullptr) return std::nullopt;
    return "ALTER " + type + " " + quoted(stmt->newschema) + "." + quoted(stmt->relation->relname) + " SET SCHEMA " +
           quoted(stmt->relation->schemaname);
  }
  if (stmt->object == nullptr || stmt->objectType == OBJECT_OPCLASS || stmt->objectType == OBJECT_OPFAMILY ||
      stmt->objectType == OBJECT_OPERATOR || stmt->objectType == OBJECT_AGGREGATE)
    return std::nullopt;
  List* names = nullptr;
  std::string arguments;
  if (nodeTag(stmt->object) == T_List) {
    names = as<List>(stmt->object);
  } else if (nodeTag(stmt->object) == T_ObjectWithArgs) {
    names = as<ObjectWithArgs>(stmt->object)->objname;
    arguments = signature(as<ObjectWithArgs>(stmt->object)).substr(name_of(names).size());
  }
  if (list_length(names) != 2) return std::nullopt;
  return "ALTER " + type + " " + quoted(stmt->newschema) + "." + name_of(static_cast<Node*>(lsecond(names))) +
         arguments + " SET SCHEMA " + name_of(static_cast<Node*>(linitial(names)));
}

std::optional<std::string> inverse_of_domain(AlterDomainStmt* stmt, bool& harmless) {
  std::string const begin = "ALTER DOMAIN " + name_of(stmt->typeName);
  switch (stmt->subtype) {
    case 'N':
      return begin + " SET NOT NULL";
    case 'O':
      return begin + " DROP NOT NULL";
    case 'C': {
      auto* constraint = as<Constraint>(stmt->def);
      if (constraint == nullptr || constraint->conname == nullptr) return std::nullopt;
      return begin + " DROP CONSTRAINT " + quoted(constraint->conname);
    }
    case 'V':
      harmless = true;
      return std::nullopt;
    default:
      return std::nullopt;
  }
}

/// A query that calls nothing but set_config() leaves nothing behind.
bool calls_nothing(const Piece& piece) {
  for (const Token* at = piece.first + 1; at < piece.last; ++at)
    if (at->is('(') && (at - 1)->code == token_ident && std::string_view((at - 1)->word) != "set_config") return false;
  return true;
}

/// The inverse of CREATE of what is no table.
std::optional<std::string> inverse_of_create(Node* node, const Statement& out) {
  switch (nodeTag(node)) {
    case T_CreateSeqStmt:
      return "DROP SEQUENCE " + out.relation;
    case T_CreateSchemaStmt:
      if (out.object.empty() || as<CreateSchemaStmt>(node)->schemaElts != nullptr) return std::nullopt;
      return "DROP SCHEMA " + out.object;
    case T_CreateFunctionStmt: {
      auto* stmt = as<CreateFunctionStmt>(node);
      for (const FunctionParameter* parameter : items<FunctionParameter>(stmt->parameters))
        if (parameter->argType->pct_type) return std::nullopt;
      if (stmt->replace) return std::nullopt;
      return (stmt->is_procedure ? "DROP PROCEDURE " : "DROP FUNCTION ") + out.object;
    }
    case T_CreateEnumStmt:
    case T_CreateRangeStmt:
    case T_CompositeTypeStmt:
      return "DROP TYPE " + out.object;
    case T_CreateDomainStmt:
      return "DROP DOMAIN " + out.object;
    case T_DefineStmt: {
      auto* stmt = as<DefineStmt>(node);
      const char* const words = words_of_definition(stmt->kind);
      if (words != nullptr && !stmt->replace) return std::string("DROP ") + words + " " + out.object;
      if (stmt->kind == OBJECT_TYPE && stmt->definition == nullptr) return "DROP TYPE " + out.object;
      return std::nullopt;
    }
    case T_CreateExtensionStmt:
      for (DefElem* option : items<DefElem>(as<CreateExtensionStmt>(node)->options))
        if (std::string_view(option->defname) == "cascade") return std::nullopt;
      return "DROP EXTENSION " + out.object;
    case T_CreateTrigStmt:
      if (as<CreateTrigStmt>(node)->replace) return std::nullopt;
      return "DROP TRIGGER " + out.object + " ON " + out.relation;
    case T_CreatePolicyStmt:
      return "DROP POLICY " + out.object + " ON " + out.relation;
    case T_RuleStmt:
      if (as<RuleStmt>(node)->replace) return std::nullopt;
      return "DROP RULE " + out.object + " ON " + out.relation;
    case T_CreateStatsStmt:
      if (out.object.empty()) return std::nullopt;
      return "DROP STATISTICS " + out.object;
    case T_CreatePublicationStmt:
      return "DROP PUBLICATION " + out.object;
    case T_CreateEventTrigStmt:
      return "DROP EVENT TRIGGER " + out.object;
    case T_CreateFdwStmt:
      return "DROP FOREIGN DATA WRAPPER " + out.object;
    case T_CreateForeignServerStmt:
      return "DROP SERVER " + out.object;
    case T_CreateCastStmt: {
      auto* stmt = as<CreateCastStmt>(node);
      return "DROP CAST (" + type_text(stmt->sourcetype) + " AS " + type_text(stmt->targettype) + ")";
    }
    default:
      return std::nullopt;
  }
}

std::optional<std::string> inverse_of_alter(AlterTableStmt* stmt, const Statement& out, bool& harmless) {
  if (stmt->missing_ok) return std::nullopt;
  std::unordered_set<std::string> columns;
  for (auto const& action : out.actions)
    if (action.kind == "add column" && !action.if_exists) columns.insert(action.name);
  std::string actions;
  for (size_t i = out.actions.size(); i-- > 0;) {
    auto const& action = out.actions[i];
    if (!action.inverse) {
      // A column that this statement adds takes everything about it along.
      bool const added =
          columns.contains(action.name) &&
          (action.kind == "set default" || action.kind == "drop default" || action.kind.starts_with("set "));
      if (!added) return std::nullopt;
      continue;
    }
    if (action.inverse->empty()) continue;
    if (!actions.empty()) actions += ", ";
    actions += *action.inverse;
  }
  if (actions.empty()) {
    harmless = true;
    return std::nullopt;
  }
  return std::string("ALTER ") + words_of(stmt->objtype) + (out.only ? " ONLY " : " ") + name_of(stmt->relation) + " " +
         actions;
}

bool leaves_nothing(const Piece& piece, const Statement& out) {
  switch (nodeTag(piece.node)) {
    case T_VariableSetStmt:
    case T_VariableShowStmt:
    case T_ConstraintsSetStmt:
    case T_VacuumStmt:
    case T_ReindexStmt:
    case T_RefreshMatViewStmt:
    case T_CheckPointStmt:
    case T_ListenStmt:
    case T_UnlistenStmt:
    case T_NotifyStmt:
    case T_LockStmt:
    case T_LoadStmt:
    case T_DiscardStmt:
    case T_PrepareStmt:
    case T_DeallocateStmt:
      return true;
    case T_SelectStmt:
      return out.kind == StatementKind::select && calls_nothing(piece);
    default:
      return false;
  }
}

}  // namespace

std::optional<std::string> inverse_of_action(AlterTableStmt* alter, AlterTableCmd* cmd, const AlterAction& action) {
  bool const type = alter->objtype == OBJECT_TYPE;
  std::string const column = "ALTER COLUMN " + action.name;
  switch (cmd->subtype) {
    case AT_AddColumn:
      if (action.if_exists) return std::nullopt;
      return (type ? "DROP ATTRIBUTE " : "DROP COLUMN ") + action.name;
    case AT_SetNotNull:
      return column + " DROP NOT NULL";
    case AT_DropNotNull:
      return column + " SET NOT NULL";
    case AT_AddIdentity:
      return column + " DROP IDENTITY";
    case AT_AddConstraint:
      if (action.name.empty() || !action.index.empty()) return std::nullopt;
      return "DROP CONSTRAINT " + action.name;
    case AT_ValidateConstraint:
      return std::string();
    case AT_EnableTrig:
      return "DISABLE TRIGGER " + action.name;
    case AT_DisableTrig:
      return "ENABLE TRIGGER " + action.name;
    case AT_EnableTrigAll:
      return "DISABLE TRIGGER ALL";
    case AT_DisableTrigAll:
      return "ENABLE TRIGGER ALL";
    case AT_EnableTrigUser:
      return "DISABLE TRIGGER USER";
    case AT_DisableTrigUser:
      return "ENABLE TRIGGER USER";
    case AT_EnableRule:
      return "DISABLE RULE " + action.name;
    case AT_DisableRule:
      return "ENABLE RULE " + action.name;
    case AT_EnableRowSecurity:
      return "DISABLE ROW LEVEL SECURITY";
    case AT_DisableRowSecurity:
      return "ENABLE ROW LEVEL SECURITY";
    case AT_ForceRowSecurity:
      return "NO FORCE ROW LEVEL SECURITY";
    case AT_NoForceRowSecurity:
      return "FORCE ROW LEVEL SECURITY";
    case AT_SetLogged:
      return "SET UNLOGGED";
    case AT_SetUnLogged:
      return "SET LOGGED";
    case AT_AddInherit:
      return "NO INHERIT " + action.name;
    case AT_DropInherit:
      return "INHERIT " + action.name;
    case AT_AddOf:
      return "NOT OF";
    case AT_AttachPartition:
      if (alter->objtype == OBJECT_INDEX) return std::nullopt;
      return "DETACH PARTITION " + action.name;
    default:
      return std::nullopt;
  }
}

std::optional<std::string> inverse_of_rename(RenameStmt* stmt) {
  if (stmt->missing_ok) return std::nullopt;
  std::string const old = quoted(stmt->subname != nullptr ? stmt->subname : "");
  std::string const now = quoted(stmt->newname);
  std::string const type = words_of(stmt->renameType);
  switch (stmt->renameType) {
    case OBJECT_COLUMN:
      return std::string("ALTER ") + words_of(stmt->relationType) + (stmt->relation->inh ? " " : " ONLY ") +
             name_of(stmt->relation) + " RENAME COLUMN " + now + " TO " + old;
    case OBJECT_ATTRIBUTE:
      return "ALTER TYPE " + name_of(stmt->relation) + " RENAME ATTRIBUTE " + now + " TO " + old +
             (stmt->behavior == DROP_CASCADE ? " CASCADE" : "");
    case OBJECT_TABCONSTRAINT:
      return "ALTER TABLE " + name_of(stmt->relation) + " RENAME CONSTRAINT " + now + " TO " + old;
    case OBJECT_DOMCONSTRAINT:
      return "ALTER DOMAIN " + name_of(stmt->object) + " RENAME CONSTRAINT " + now + " TO " + old;
    case OBJECT_POLICY:
    case OBJECT_RULE:
    case OBJECT_TRIGGER:
      return "ALTER " + type + " " + now + " ON " + name_of(stmt->relation) + " RENAME TO " + old;
    case OBJECT_OPCLASS:
    case OBJECT_OPFAMILY:
    case OBJECT_AGGREGATE:
      return std::nullopt;
    default:
      break;
  }
  if (type.empty()) return std::nullopt;
  std::string const begin = "ALTER " + type + " ";
  if (stmt->relation != nullptr)
    return begin + sibling(stmt->relation, stmt->newname) + " RENAME TO " + quoted(stmt->relation->relname);
  if (stmt->object == nullptr) return begin + now + " RENAME TO " + old;  // schema, role, database, tablespace
  switch (nodeTag(stmt->object)) {
    case T_String:
      return begin + now + " RENAME TO " + name_of(stmt->object);
    case T_List: {
      List* const names = as<List>(stmt->object);
      return begin + sibling(names, stmt->newname) + " RENAME TO " + name_of(static_cast<Node*>(llast(names)));
    }
    case T_ObjectWithArgs: {
      auto* function = as<ObjectWithArgs>(stmt->object);
      std::string const arguments = signature(function).substr(name_of(function->objname).size());
      return begin + sibling(function->objname, stmt->newname) + arguments + " RENAME TO " +
             name_of(static_cast<Node*>(llast(function->objname)));
    }
    default:
      return std::nullopt;
  }
}

void derive_inverse(const Piece& piece, Statement& out) {
  Node* const node = piece.node;
  bool harmless = leaves_nothing(piece, out);
  bool const certain = !out.if_exists;  // IF NOT EXISTS: the object may have been there before
  switch (nodeTag(node)) {
    case T_CreateStmt:
      if (certain) out.inverse = "DROP TABLE " + out.relation;
      break;
    case T_CreateForeignTableStmt:
      if (certain) out.inverse = "DROP FOREIGN TABLE " + out.relation;
      break;
    case T_CreateTableAsStmt:
      if (certain)
        out.inverse = std::string("DROP ") + words_of(as<CreateTableAsStmt>(node)->objtype) + " " + out.relation;
      break;
    case T_SelectStmt:
      if (out.kind == StatementKind::create_table_as) out.inverse = "DROP TABLE " + out.relation;
      break;
    case T_ViewStmt:
      if (!as<ViewStmt>(node)->replace) out.inverse = "DROP VIEW " + out.relation;
      break;
    case T_IndexStmt:
      if (certain && !out.creates.empty())
        out.inverse = std::string("DROP INDEX ") + (out.concurrently ? "CONCURRENTLY " : "") + out.creates[0];
      break;
    case T_AlterTableStmt:
      out.inverse = inverse_of_alter(as<AlterTableStmt>(node), out, harmless);
      break;
    case T_RenameStmt:
      out.inverse = inverse_of_rename(as<RenameStmt>(node));
      break;
    case T_AlterEnumStmt: {
      auto* stmt = as<AlterEnumStmt>(node);
      if (stmt->oldVal == nullptr) break;
      const char *now = stmt->newVal, *old = stmt->oldVal;
      out.inverse = "ALTER TYPE " + out.object + " RENAME VALUE " + quote_literal(now) + " TO " + quote_literal(old);
      break;
    }
    case T_AlterObjectSchemaStmt:
      out.inverse = inverse_of_set_schema(as<AlterObjectSchemaStmt>(node));
      break;
    case T_AlterDomainStmt:
      out.inverse = inverse_of_domain(as<AlterDomainStmt>(node), harmless);
      break;
    case T_GrantStmt:
      out.inverse = inverse_of_grant(piece, as<GrantStmt>(node));
      break;
    default:
      if (certain) out.inverse = inverse_of_create(node, out);
      break;
  }
  out.harmless_inverse = harmless && !out.inverse;
}

}  // namespace migration::pg
