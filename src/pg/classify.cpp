// What kind of statement it is, and what it is about; see classify.hpp.
//
// One switch over the node types. `relation` is the table (view, ...) a statement works on, `object` what it makes or
// changes when that is no relation. Names of CREATE ... IF NOT EXISTS stand in `creates` too (`if_exists` tells), those
// of CREATE OR REPLACE VIEW do not: after it nobody knows whether the view is new.
#include "pg/classify.hpp"

#include <string_view>

extern "C" {
#include "commands/defrem.h"
#include "nodes/parsenodes.h"
#include "tcop/cmdtag.h"
#include "tcop/utility.h"
}

namespace migration::pg {

namespace {

template <class T>
T* as(Node* node) {
  return reinterpret_cast<T*>(node);
}

void create(Statement& out, StatementKind kind, const RangeVar* relation, bool if_not_exists) {
  out.kind = kind;
  out.relation = name_of(relation);
  out.if_exists = if_not_exists;
  out.creates.push_back(out.relation);
}

void drop(Statement& out, const char* type, std::string name, bool missing_ok) {
  out.kind = StatementKind::drop;
  out.dropped.push_back({type, std::move(name)});
  out.if_exists = missing_ok;
}

bool is_relation(ObjectType type) {
  return type == OBJECT_TABLE || type == OBJECT_VIEW || type == OBJECT_MATVIEW || type == OBJECT_SEQUENCE ||
         type == OBJECT_FOREIGN_TABLE || type == OBJECT_INDEX;
}

bool belongs_to_relation(ObjectType type) {
  return type == OBJECT_TRIGGER || type == OBJECT_POLICY || type == OBJECT_RULE || type == OBJECT_COLUMN ||
         type == OBJECT_TABCONSTRAINT;
}

/// Of a list of names the relation in front of the last one, and that last one.
void split_member(List* names, std::string& relation, std::string& member) {
  if (list_length(names) < 2) return;
  List front = *names;
  front.length -= 1;
  relation = name_of(&front);
  member = name_of(static_cast<Node*>(llast(names)));
}

void describe_drop(DropStmt* stmt, Statement& out) {
  out.kind = StatementKind::drop;
  out.if_exists = stmt->missing_ok;
  out.cascade = stmt->behavior == DROP_CASCADE;
  out.concurrently = stmt->concurrent;
  for (Node* object : items<Node>(stmt->objects)) {
    DroppedObject dropped{words_of(stmt->removeType), name_of(object)};
    if (belongs_to_relation(stmt->removeType)) {
      split_member(as<List>(object), out.relation, dropped.name);
    } else if (stmt->removeType == OBJECT_CAST) {
      auto* types = as<List>(object);
      dropped.name = "(" + name_of(static_cast<Node*>(linitial(types))) + " AS " +
                     name_of(static_cast<Node*>(lsecond(types))) + ")";
    }
    out.dropped.push_back(std::move(dropped));
  }
  if (is_relation(stmt->removeType) && stmt->removeType != OBJECT_INDEX && out.dropped.size() == 1)
    out.relation = out.dropped[0].name;
  if (out.dropped.size() == 1) out.object = out.dropped[0].name;
}

void describe_rename(RenameStmt* stmt, Statement& out) {
  out.kind = StatementKind::rename;
  out.if_exists = stmt->missing_ok;
  out.cascade = stmt->behavior == DROP_CASCADE;
  if (stmt->relation != nullptr) {
    out.relation = name_of(stmt->relation);
    out.object = stmt->subname != nullptr ? quoted(stmt->subname) : out.relation;
    out.new_name = stmt->subname != nullptr ? quoted(stmt->newname) : sibling(stmt->relation, stmt->newname);
    return;
  }
  out.object = stmt->object != nullptr ? name_of(stmt->object) : quoted(stmt->subname);
  bool const list = stmt->object != nullptr && nodeTag(stmt->object) == T_List;
  out.new_name = list ? sibling(as<List>(stmt->object), stmt->newname) : quoted(stmt->newname);
}

/// The object of COMMENT, SECURITY LABEL, OWNER TO, SET SCHEMA.
void describe_target(ObjectType type, RangeVar* relation, Node* object, Statement& out) {
  if (relation != nullptr) {
    out.relation = name_of(relation);
  } else if (object != nullptr && nodeTag(object) == T_List && is_relation(type)) {
    out.relation = name_of(object);
  } else if (object != nullptr && nodeTag(object) == T_List && belongs_to_relation(type)) {
    split_member(as<List>(object), out.relation, out.object);
  } else {
    out.object = name_of(object);
  }
}

void describe_select(const Piece& piece, SelectStmt* select, Statement& out) {
  out.kind = StatementKind::select;
  SelectStmt* leaf = select;
  while (leaf->op != SETOP_NONE && leaf->larg != nullptr) leaf = leaf->larg;
  if (leaf->intoClause != nullptr) {
    create(out, StatementKind::create_table_as, leaf->intoClause->rel, false);
    out.tag = "SELECT INTO";
  } else if (describe_backfill_call(piece, select, out)) {
    out.kind = StatementKind::backfill_call;
  }
}

void describe_reindex(ReindexStmt* stmt, Statement& out) {
  out.kind = StatementKind::reindex;
  for (DefElem* option : items<DefElem>(stmt->params))
    if (std::string_view(option->defname) == "concurrently")
      out.concurrently = pg_call([&] { return defGetBoolean(option); });
  if (stmt->kind == REINDEX_OBJECT_TABLE)
    out.relation = name_of(stmt->relation);
  else
    out.object = stmt->relation != nullptr ? name_of(stmt->relation) : quoted(stmt->name);
}

void describe_grant(GrantStmt* stmt, Statement& out) {
  if (list_length(stmt->objects) != 1 || stmt->targtype != ACL_TARGET_OBJECT) return;
  Node* const object = static_cast<Node*>(linitial(stmt->objects));
  if (nodeTag(object) == T_RangeVar)
    out.relation = name_of(object);
  else
    out.object = name_of(object);
}

/// Statements about rows and tables; false if it is none of them.
bool classify_relation(const Piece& piece, Statement& out) {
  Node* const node = piece.node;
  switch (nodeTag(node)) {
    case T_CreateStmt:
      create(out, StatementKind::create_table, as<CreateStmt>(node)->relation, as<CreateStmt>(node)->if_not_exists);
      return true;
    case T_CreateForeignTableStmt: {
      CreateStmt* const base = &as<CreateForeignTableStmt>(node)->base;
      create(out, StatementKind::create_table, base->relation, base->if_not_exists);
      return true;
    }
    case T_CreateTableAsStmt: {
      auto* stmt = as<CreateTableAsStmt>(node);
      create(out, StatementKind::create_table_as, stmt->into->rel, stmt->if_not_exists);
      return true;
    }
    case T_ViewStmt:
      out.kind = StatementKind::create_view;
      out.relation = name_of(as<ViewStmt>(node)->view);
      if (!as<ViewStmt>(node)->replace) out.creates.push_back(out.relation);
      return true;
    case T_IndexStmt: {
      auto* stmt = as<IndexStmt>(node);
      out.kind = StatementKind::create_index;
      out.relation = name_of(stmt->relation);
      out.object = quoted(stmt->idxname);
      out.concurrently = stmt->concurrent;
      out.if_exists = stmt->if_not_exists;
      out.only = !stmt->relation->inh;
      if (stmt->idxname != nullptr) out.creates.push_back(sibling(stmt->relation, stmt->idxname));
      return true;
    }
    case T_AlterTableStmt:
      describe_alter_table(piece, as<AlterTableStmt>(node), out);
      return true;
    case T_SelectStmt:
      describe_select(piece, as<SelectStmt>(node), out);
      return true;
    case T_UpdateStmt:
      out.kind = StatementKind::update;
      describe_row_change(piece, out);
      return true;
    case T_DeleteStmt:
      out.kind = StatementKind::delete_;
      describe_row_change(piece, out);
      return true;
    case T_InsertStmt:
      out.kind = StatementKind::insert;
      out.relation = name_of(as<InsertStmt>(node)->relation);
      return true;
    case T_MergeStmt:
      out.kind = StatementKind::insert;
      out.relation = name_of(as<MergeStmt>(node)->relation);
      return true;
    case T_TruncateStmt: {
      auto* stmt = as<TruncateStmt>(node);
      out.kind = StatementKind::truncate;
      out.cascade = stmt->behavior == DROP_CASCADE;
      if (list_length(stmt->relations) == 1) out.relation = name_of(static_cast<Node*>(linitial(stmt->relations)));
      return true;
    }
    case T_VacuumStmt: {
      auto* stmt = as<VacuumStmt>(node);
      out.kind = StatementKind::vacuum;
      if (list_length(stmt->rels) == 1) out.relation = name_of(linitial_node(VacuumRelation, stmt->rels)->relation);
      return true;
    }
    case T_ReindexStmt:
      describe_reindex(as<ReindexStmt>(node), out);
      return true;
    case T_RefreshMatViewStmt:
      out.kind = StatementKind::refresh;
      out.relation = name_of(as<RefreshMatViewStmt>(node)->relation);
      out.concurrently = as<RefreshMatViewStmt>(node)->concurrent;
      return true;
    case T_CopyStmt:
      out.relation = name_of(as<CopyStmt>(node)->relation);
      return true;
    case T_ClusterStmt:
      out.relation = name_of(as<ClusterStmt>(node)->relation);
      return true;
    default:
      return false;
  }
}

void classify_rest(Node* node, Statement& out) {
  switch (nodeTag(node)) {
    case T_DropStmt:
      describe_drop(as<DropStmt>(node), out);
      break;
    case T_DropRoleStmt:
      for (const RoleSpec* role : items<RoleSpec>(as<DropRoleStmt>(node)->roles))
        drop(out, "ROLE", quoted(role->rolename), as<DropRoleStmt>(node)->missing_ok);
      break;
    case T_DropOwnedStmt:
      drop(out, "OWNED", {}, false);
      break;
    case T_DropdbStmt:
      drop(out, "DATABASE", quoted(as<DropdbStmt>(node)->dbname), as<DropdbStmt>(node)->missing_ok);
      break;
    case T_DropTableSpaceStmt:
      drop(out, "TABLESPACE", quoted(as<DropTableSpaceStmt>(node)->tablespacename),
           as<DropTableSpaceStmt>(node)->missing_ok);
      break;
    case T_DropSubscriptionStmt:
      drop(out, "SUBSCRIPTION", quoted(as<DropSubscriptionStmt>(node)->subname),
           as<DropSubscriptionStmt>(node)->missing_ok);
      break;
    case T_DropUserMappingStmt:
      drop(out, "USER MAPPING", quoted(as<DropUserMappingStmt>(node)->servername),
           as<DropUserMappingStmt>(node)->missing_ok);
      break;
    case T_RenameStmt:
      describe_rename(as<RenameStmt>(node), out);
      break;
    case T_AlterEnumStmt: {
      auto* stmt = as<AlterEnumStmt>(node);
      out.kind = stmt->oldVal == nullptr ? StatementKind::enum_add_value : StatementKind::rename;
      out.object = name_of(stmt->typeName);
      out.if_exists = stmt->skipIfNewValExists;
      break;
    }
    case T_VariableSetStmt: {
      auto* stmt = as<VariableSetStmt>(node);
      std::string_view const name(stmt->name == nullptr ? "" : stmt->name);
      if (!stmt->is_local && name != "TRANSACTION" && name != "TRANSACTION SNAPSHOT") out.kind = StatementKind::set;
      if (stmt->kind != VAR_SET_MULTI) out.object = quoted(stmt->name);
      break;
    }
    case T_DoStmt:
    case T_CallStmt:
      out.kind = StatementKind::code_block;
      break;
    case T_AlterObjectSchemaStmt: {
      auto* stmt = as<AlterObjectSchemaStmt>(node);
      describe_target(stmt->objectType, stmt->relation, stmt->object, out);
      out.if_exists = stmt->missing_ok;
      out.sets_schema = true;
      if (stmt->relation != nullptr) out.new_name = quoted(stmt->newschema) + "." + quoted(stmt->relation->relname);
      break;
    }
    case T_AlterOwnerStmt: {
      auto* stmt = as<AlterOwnerStmt>(node);
      describe_target(stmt->objectType, stmt->relation, stmt->object, out);
      break;
    }
    case T_CommentStmt:
      describe_target(as<CommentStmt>(node)->objtype, nullptr, as<CommentStmt>(node)->object, out);
      out.object_type = words_of(as<CommentStmt>(node)->objtype);
      break;
    case T_SecLabelStmt:
      describe_target(as<SecLabelStmt>(node)->objtype, nullptr, as<SecLabelStmt>(node)->object, out);
      out.object_type = words_of(as<SecLabelStmt>(node)->objtype);
      break;
    case T_AlterFunctionStmt:
      out.object = signature(as<AlterFunctionStmt>(node)->func);
      break;
    case T_AlterDomainStmt:
      out.object = name_of(as<AlterDomainStmt>(node)->typeName);
      break;
    case T_AlterTypeStmt:
      out.object = name_of(as<AlterTypeStmt>(node)->typeName);
      break;
    case T_AlterSeqStmt:
      out.relation = name_of(as<AlterSeqStmt>(node)->sequence);
      break;
    case T_AlterPolicyStmt:
      out.relation = name_of(as<AlterPolicyStmt>(node)->table);
      out.object = quoted(as<AlterPolicyStmt>(node)->policy_name);
      break;
    case T_GrantStmt:
      describe_grant(as<GrantStmt>(node), out);
      break;
    default:
      break;
  }
}

}  // namespace

void classify(const Piece& piece, Statement& out) {
  out.tag = pg_call([&] { return GetCommandTagName(CreateCommandTag(piece.node)); });
  if (!classify_relation(piece, out) && !describe_create(piece.node, out)) classify_rest(piece.node, out);
  if (out.kind != StatementKind::backfill_call) refuse_inner_backfill(piece);
  collect_locks(piece, out);
  derive_inverse(piece, out);
}

}  // namespace migration::pg
