// Names, types and signatures of parse trees as SQL text; see classify.hpp.
//
// Types of pg_catalog that have an SQL name come out under that name (the parser has already turned `int` into
// pg_catalog.int4, so what was written is lost). Type modifiers are left out: they are no part of an identity.
#include <string_view>
#include <utility>

#include "pg/classify.hpp"
#include "pg/parse.hpp"

namespace migration::pg {

namespace {

constexpr std::pair<std::string_view, const char*> sql_types[] = {
    {"bool", "boolean"},
    {"int2", "smallint"},
    {"int4", "integer"},
    {"int8", "bigint"},
    {"float4", "real"},
    {"float8", "double precision"},
    {"numeric", "numeric"},
    {"varchar", "character varying"},
    {"bpchar", "character"},
    {"timestamp", "timestamp without time zone"},
    {"timestamptz", "timestamp with time zone"},
    {"time", "time without time zone"},
    {"timetz", "time with time zone"},
    {"interval", "interval"},
    {"varbit", "bit varying"},
    {"bit", "bit"},
    {"json", "json"},
    {"xml", "xml"},
};

const char* text_of(const Node* node) {
  return reinterpret_cast<const String*>(node)->sval;
}

}  // namespace

std::string quoted(const char* name) {
  return name == nullptr ? std::string() : quote_identifier(name);
}

std::string name_of(const RangeVar* relation) {
  if (relation == nullptr) return {};
  std::string name;
  if (relation->catalogname != nullptr) name += quoted(relation->catalogname) + ".";
  if (relation->schemaname != nullptr) name += quoted(relation->schemaname) + ".";
  return name + quoted(relation->relname);
}

std::string name_of(List* names) {
  std::string name;
  for (const Node* part : items<Node>(names)) {
    if (part == nullptr || nodeTag(part) != T_String) continue;
    if (!name.empty()) name += ".";
    name += quoted(text_of(part));
  }
  return name;
}

std::string name_of(Node* object) {
  if (object == nullptr) return {};
  switch (nodeTag(object)) {
    case T_String:
      return quoted(text_of(object));
    case T_List:
      return name_of(reinterpret_cast<List*>(object));
    case T_TypeName:
      return type_text(reinterpret_cast<TypeName*>(object));
    case T_ObjectWithArgs:
      return signature(reinterpret_cast<ObjectWithArgs*>(object));
    case T_RangeVar:
      return name_of(reinterpret_cast<RangeVar*>(object));
    default:
      return {};
  }
}

std::string type_text(const TypeName* type) {
  if (type == nullptr) return {};
  std::string text = type->setof ? "SETOF " : "";
  const char* sql = nullptr;
  if (list_length(type->names) == 2 &&
      std::string_view(text_of(static_cast<Node*>(linitial(type->names)))) == "pg_catalog")
    for (auto const& [name, spelled] : sql_types)
      if (name == text_of(static_cast<Node*>(lsecond(type->names)))) sql = spelled;
  text += sql != nullptr ? std::string(sql) : name_of(type->names);
  if (type->pct_type) text += "%TYPE";
  for (int i = 0; i < list_length(type->arrayBounds); ++i) text += "[]";
  return text;
}

std::string signature(const ObjectWithArgs* function) {
  std::string text = name_of(function->objname);
  if (function->args_unspecified) return text;
  text += "(";
  bool more = false;
  for (const TypeName* type : items<TypeName>(function->objargs)) {
    if (more) text += ", ";
    more = true;
    text += type == nullptr ? "NONE" : type_text(type);
  }
  return text + ")";
}

std::string signature(const CreateFunctionStmt* function) {
  std::string text = name_of(function->funcname) + "(";
  bool more = false;
  for (const FunctionParameter* parameter : items<FunctionParameter>(function->parameters)) {
    bool const out = parameter->mode == FUNC_PARAM_OUT;
    if (parameter->mode == FUNC_PARAM_TABLE || (out && !function->is_procedure)) continue;
    if (more) text += ", ";
    more = true;
    if (out) text += "OUT ";
    text += type_text(parameter->argType);
  }
  return text + ")";
}

std::string sibling(const RangeVar* relation, const char* name) {
  std::string text;
  if (relation->catalogname != nullptr) text += quoted(relation->catalogname) + ".";
  if (relation->schemaname != nullptr) text += quoted(relation->schemaname) + ".";
  return text + quoted(name);
}

std::string sibling(List* names, const char* name) {
  std::string text;
  int left = list_length(names);
  for (const Node* part : items<Node>(names))
    if (--left > 0) text += quoted(text_of(part)) + ".";
  return text + quoted(name);
}

const char* words_of(ObjectType type) {
  switch (type) {
    case OBJECT_ACCESS_METHOD:
      return "ACCESS METHOD";
    case OBJECT_AGGREGATE:
      return "AGGREGATE";
    case OBJECT_ATTRIBUTE:
      return "ATTRIBUTE";
    case OBJECT_CAST:
      return "CAST";
    case OBJECT_COLUMN:
      return "COLUMN";
    case OBJECT_COLLATION:
      return "COLLATION";
    case OBJECT_CONVERSION:
      return "CONVERSION";
    case OBJECT_DATABASE:
      return "DATABASE";
    case OBJECT_DOMAIN:
      return "DOMAIN";
    case OBJECT_DOMCONSTRAINT:
      return "CONSTRAINT";
    case OBJECT_EVENT_TRIGGER:
      return "EVENT TRIGGER";
    case OBJECT_EXTENSION:
      return "EXTENSION";
    case OBJECT_FDW:
      return "FOREIGN DATA WRAPPER";
    case OBJECT_FOREIGN_SERVER:
      return "SERVER";
    case OBJECT_FOREIGN_TABLE:
      return "FOREIGN TABLE";
    case OBJECT_FUNCTION:
      return "FUNCTION";
    case OBJECT_INDEX:
      return "INDEX";
    case OBJECT_LANGUAGE:
      return "LANGUAGE";
    case OBJECT_LARGEOBJECT:
      return "LARGE OBJECT";
    case OBJECT_MATVIEW:
      return "MATERIALIZED VIEW";
    case OBJECT_OPCLASS:
      return "OPERATOR CLASS";
    case OBJECT_OPERATOR:
      return "OPERATOR";
    case OBJECT_OPFAMILY:
      return "OPERATOR FAMILY";
    case OBJECT_POLICY:
      return "POLICY";
    case OBJECT_PROCEDURE:
      return "PROCEDURE";
    case OBJECT_PUBLICATION:
      return "PUBLICATION";
    case OBJECT_ROLE:
      return "ROLE";
    case OBJECT_ROUTINE:
      return "ROUTINE";
    case OBJECT_RULE:
      return "RULE";
    case OBJECT_SCHEMA:
      return "SCHEMA";
    case OBJECT_SEQUENCE:
      return "SEQUENCE";
    case OBJECT_SUBSCRIPTION:
      return "SUBSCRIPTION";
    case OBJECT_STATISTIC_EXT:
      return "STATISTICS";
    case OBJECT_TABCONSTRAINT:
      return "CONSTRAINT";
    case OBJECT_TABLE:
      return "TABLE";
    case OBJECT_TABLESPACE:
      return "TABLESPACE";
    case OBJECT_TRANSFORM:
      return "TRANSFORM";
    case OBJECT_TRIGGER:
      return "TRIGGER";
    case OBJECT_TSCONFIGURATION:
      return "TEXT SEARCH CONFIGURATION";
    case OBJECT_TSDICTIONARY:
      return "TEXT SEARCH DICTIONARY";
    case OBJECT_TSPARSER:
      return "TEXT SEARCH PARSER";
    case OBJECT_TSTEMPLATE:
      return "TEXT SEARCH TEMPLATE";
    case OBJECT_TYPE:
      return "TYPE";
    case OBJECT_USER_MAPPING:
      return "USER MAPPING";
    case OBJECT_VIEW:
      return "VIEW";
    default:
      return "";
  }
}

}  // namespace migration::pg
