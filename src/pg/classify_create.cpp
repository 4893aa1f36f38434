// CREATE of what is no table, view or index; see classify.hpp.
//
// `object` is the name of what is created, for functions with the types of their arguments; things that belong to a
// table (trigger, policy, rule, statistics) name it in `relation`. A sequence is both: object and relation.
#include <utility>

#include "pg/classify.hpp"

namespace migration::pg {

namespace {

template <class T>
T* as(Node* node) {
  return reinterpret_cast<T*>(node);
}

void create_object(Statement& out, std::string name, bool if_not_exists = false) {
  out.kind = StatementKind::create_object;
  out.object = std::move(name);
  out.if_exists = if_not_exists;
}

}  // namespace

bool describe_create(Node* node, Statement& out) {
  switch (nodeTag(node)) {
    case T_CreateSeqStmt: {
      auto* stmt = as<CreateSeqStmt>(node);
      create_object(out, name_of(stmt->sequence), stmt->if_not_exists);
      out.relation = out.object;
      out.creates.push_back(out.object);
      return true;
    }
    case T_CreateSchemaStmt: {
      auto* stmt = as<CreateSchemaStmt>(node);
      const char* name = stmt->schemaname;
      if (name == nullptr && stmt->authrole != nullptr) name = stmt->authrole->rolename;
      create_object(out, quoted(name), stmt->if_not_exists);
      return true;
    }
    case T_CreateFunctionStmt:
      create_object(out, signature(as<CreateFunctionStmt>(node)));
      return true;
    case T_CreateEnumStmt:
      create_object(out, name_of(as<CreateEnumStmt>(node)->typeName));
      return true;
    case T_CreateRangeStmt:
      create_object(out, name_of(as<CreateRangeStmt>(node)->typeName));
      return true;
    case T_CompositeTypeStmt:
      create_object(out, name_of(as<CompositeTypeStmt>(node)->typevar));
      return true;
    case T_CreateDomainStmt:
      create_object(out, name_of(as<CreateDomainStmt>(node)->domainname));
      return true;
    case T_DefineStmt:
      create_object(out, name_of(as<DefineStmt>(node)->defnames), as<DefineStmt>(node)->if_not_exists);
      return true;
    case T_CreateExtensionStmt:
      create_object(out, quoted(as<CreateExtensionStmt>(node)->extname), as<CreateExtensionStmt>(node)->if_not_exists);
      return true;
    case T_CreateTrigStmt:
      create_object(out, quoted(as<CreateTrigStmt>(node)->trigname));
      out.relation = name_of(as<CreateTrigStmt>(node)->relation);
      return true;
    case T_CreatePolicyStmt:
      create_object(out, quoted(as<CreatePolicyStmt>(node)->policy_name));
      out.relation = name_of(as<CreatePolicyStmt>(node)->table);
      return true;
    case T_RuleStmt:
      create_object(out, quoted(as<RuleStmt>(node)->rulename));
      out.relation = name_of(as<RuleStmt>(node)->relation);
      return true;
    case T_CreateStatsStmt: {
      auto* stmt = as<CreateStatsStmt>(node);
      create_object(out, name_of(stmt->defnames), stmt->if_not_exists);
      if (list_length(stmt->relations) == 1) out.relation = name_of(static_cast<Node*>(linitial(stmt->relations)));
      return true;
    }
    case T_CreateRoleStmt:
      create_object(out, quoted(as<CreateRoleStmt>(node)->role));
      return true;
    case T_CreatePublicationStmt:
      create_object(out, quoted(as<CreatePublicationStmt>(node)->pubname));
      return true;
    case T_CreateSubscriptionStmt:
      create_object(out, quoted(as<CreateSubscriptionStmt>(node)->subname));
      return true;
    case T_CreateEventTrigStmt:
      create_object(out, quoted(as<CreateEventTrigStmt>(node)->trigname));
      return true;
    case T_CreateFdwStmt:
      create_object(out, quoted(as<CreateFdwStmt>(node)->fdwname));
      return true;
    case T_CreateForeignServerStmt:
      create_object(out, quoted(as<CreateForeignServerStmt>(node)->servername),
                    as<CreateForeignServerStmt>(node)->if_not_exists);
      return true;
    case T_CreateUserMappingStmt:
      create_object(out, quoted(as<CreateUserMappingStmt>(node)->servername),
                    as<CreateUserMappingStmt>(node)->if_not_exists);
      return true;
    case T_CreatedbStmt:
      create_object(out, quoted(as<CreatedbStmt>(node)->dbname));
      return true;
    case T_CreateTableSpaceStmt:
      create_object(out, quoted(as<CreateTableSpaceStmt>(node)->tablespacename));
      return true;
    case T_CreateOpClassStmt:
      create_object(out, name_of(as<CreateOpClassStmt>(node)->opclassname));
      return true;
    case T_CreateOpFamilyStmt:
      create_object(out, name_of(as<CreateOpFamilyStmt>(node)->opfamilyname));
      return true;
    case T_CreateConversionStmt:
      create_object(out, name_of(as<CreateConversionStmt>(node)->conversion_name));
      return true;
    case T_CreateAmStmt:
      create_object(out, quoted(as<CreateAmStmt>(node)->amname));
      return true;
    case T_CreatePLangStmt:
      create_object(out, quoted(as<CreatePLangStmt>(node)->plname));
      return true;
    case T_CreateCastStmt:
    case T_CreateTransformStmt:
      create_object(out, {});
      return true;
    default:
      return false;
  }
}

}  // namespace migration::pg
