// UPDATE, DELETE and migration_backfill() cut into their parts; see classify.hpp.
//
// The texts are slices of the script, found by tokens: the tree knows what there is, the tokens where it is. Clauses
// are looked for outside parentheses only, behind the name of the table, because most of these words may also be names.
#include <fmt/format.h>

#include <string_view>
#include <vector>

#include "pg/classify.hpp"
#include "pg/compat.hpp"

extern "C" {
#include "utils/builtins.h"
#include "utils/regproc.h"
#include "utils/varlena.h"
}

namespace migration::pg {

namespace {

/// Conjuncts `c IS NULL` at the top of a condition; its nesting may be deep, so no recursion.
void collect_null_tests(Node* condition, RowChange& change) {
  std::vector<Node*> open{condition};
  while (!open.empty()) {
    Node* const node = open.back();
    open.pop_back();
    if (node == nullptr) continue;
    if (nodeTag(node) == T_BoolExpr && reinterpret_cast<BoolExpr*>(node)->boolop == AND_EXPR) {
      List* const args = reinterpret_cast<BoolExpr*>(node)->args;
      for (int i = list_length(args); i-- > 0;) open.push_back(static_cast<Node*>(list_nth(args, i)));
    } else if (nodeTag(node) == T_NullTest) {
      auto* test = reinterpret_cast<NullTest*>(node);
      Node* const arg = reinterpret_cast<Node*>(test->arg);
      if (test->nulltesttype != IS_NULL || arg == nullptr || nodeTag(arg) != T_ColumnRef) continue;
      List* const fields = reinterpret_cast<ColumnRef*>(arg)->fields;
      Node* const last = static_cast<Node*>(llast(fields));
      if (list_length(fields) <= 2 && nodeTag(last) == T_String) change.null_tests.push_back(name_of(last));
    }
  }
}

/// Does an expression read one of these columns? By name: a column of that name reached through anything else counts,
/// too, which is on the safe side, and so does the whole row.
struct ReadsOf {
  const std::vector<std::string>& columns;
  bool found = false;

  static bool walk(Node* node, void* context) {
    auto* self = static_cast<ReadsOf*>(context);
    if (node == nullptr || self->found) return self->found;
    if (nodeTag(node) == T_ColumnRef) {
      for (Node* field : items<Node>(reinterpret_cast<ColumnRef*>(node)->fields)) {
        if (nodeTag(field) == T_A_Star) self->found = true;
        if (nodeTag(field) != T_String) continue;
        const char* const name = strVal(field);
        for (const std::string& column : self->columns) self->found = self->found || column == name;
      }
      // A bare name may be the table itself: its whole row.
      if (list_length(reinterpret_cast<ColumnRef*>(node)->fields) == 1 && !self->table.empty()) {
        Node* const only = static_cast<Node*>(linitial(reinterpret_cast<ColumnRef*>(node)->fields));
        if (nodeTag(only) == T_String && self->table == strVal(only)) self->found = true;
      }
      return self->found;
    }
    return compat_walk_raw(node, walk, context);
  }
  std::string table;
};

bool reads(Node* expression, const std::vector<std::string>& columns, const std::string& table) {
  ReadsOf search{columns, false, table};
  Node* const node = expression;
  pg_call([&] { ReadsOf::walk(node, &search); });
  return search.found;
}

/// Does an expression hold a parameter ($1)? In a batch it would be bound to the batch's range.
bool has_parameter(Node* expression) {
  struct Search {
    static bool walk(Node* node, void* context) {
      if (node == nullptr) return false;
      return nodeTag(node) == T_ParamRef || compat_walk_raw(node, walk, context);
    }
  };
  return pg_call([&] { return Search::walk(expression, nullptr); });
}

const Token* behind_relation(const Piece& piece, const RangeVar* relation) {
  const Token* at = piece.first;
  while (at < piece.last && at->start < relation->location) ++at;
  ++at;
  while (at + 1 < piece.last && at->is('.')) at += 2;
  while (at < piece.last && (at->is('*') || at->is(')'))) ++at;
  if (at < piece.last && at->is("as")) return at + 2;
  if (relation->alias != nullptr && at < piece.last) return at + 1;
  return at;
}

/// The keyword outside parentheses in [from, to); `to` if it is not there. The FROM of IS DISTINCT FROM is none.
const Token* clause(const Token* from, const Token* to, std::string_view word) {
  int depth = 0;
  for (; from < to; ++from) {
    if (from->is('(') || from->is('[')) ++depth;
    if (from->is(')') || from->is(']')) --depth;
    if (depth == 0 && from->is(word) && !(word == "from" && (from - 1)->is("distinct"))) return from;
  }
  return to;
}

bool has_subselect(const Piece& piece) {
  for (const Token* at = piece.first; at < piece.last; ++at)
    if (at->is("select") || (at > piece.first && (at - 1)->is('(') && (at->is("values") || at->is("table"))))
      return true;
  return false;
}

/// The values of a SET list, one per target; none when a target is more than a column or a value is DEFAULT.
std::vector<std::string> values_of(const Piece& piece, const Token* from, const Token* to) {
  std::vector<std::string> out;
  while (from < to) {
    const Token* end = from;
    for (int depth = 0; end < to && !(depth == 0 && end->is(',')); ++end) {
      if (end->is('(') || end->is('[')) ++depth;
      if (end->is(')') || end->is(']')) --depth;
    }
    if (end - from < 3 || !(from + 1)->is('=') || from->is('(') || (end - from == 3 && (from + 2)->is("default"))) {
      return {};
    }
    out.emplace_back(piece.slice(from + 2, end));
    from = end + 1;
  }
  return out;
}

Unfit unfit(const char* state, std::string message, int location) {
  return {
      state, std::move(message),
      "SELECT migration_backfill('my_table', 'c = 1', 'c IS NULL');  -- in a revision: a statement of its own, with "
      "constants only",
      location};
}

/// The value of a constant argument; nullopt for NULL.
std::optional<std::string> constant(const Piece& piece, Node* node) {
  int const location = piece.first->start;
  while (node != nullptr && nodeTag(node) == T_TypeCast) {
    std::string const type = type_text(reinterpret_cast<TypeCast*>(node)->typeName);
    if (type != "regclass" && type != "text" && type != "jsonb" && type != "pg_catalog.regclass" &&
        type != "pg_catalog.text" && type != "pg_catalog.jsonb")
      throw unfit(sqlstate::feature_not_supported,
                  fmt::format("argument of migration_backfill() is cast to {} inside a revision", type), location);
    node = reinterpret_cast<TypeCast*>(node)->arg;
  }
  if (node != nullptr && nodeTag(node) == T_A_Const) {
    auto* value = reinterpret_cast<A_Const*>(node);
    if (value->isnull) return std::nullopt;
    if (nodeTag(&value->val.node) == T_String) return std::string(value->val.sval.sval);
  }
  throw unfit(sqlstate::feature_not_supported, "arguments of migration_backfill() inside a revision must be constants",
              location);
}

std::string relation_name(const Piece& piece, const std::string& text) {
  const char* const given = text.c_str();
  try {
    List* const names = pg_call([&] {
      char* const copy = pstrdup(given);
      return stringToQualifiedNameList(copy COMPAT_NO_ESCONTEXT);
    });
    return name_of(names);
  } catch (const PgError& e) {
    throw unfit(sqlstate::invalid_parameter, e.message(), piece.first->start);
  }
}

/// The UPDATE that a backfill amounts to, for its columns and tests; also proves that the texts parse.
void describe_backfilled(const Piece& piece, Statement& out) {
  bool const deletes = out.backfill->assignments.empty();
  std::string text = deletes ? fmt::format("DELETE FROM {}\n", out.backfill->relation)
                             : fmt::format("UPDATE {} SET {}\n", out.backfill->relation, out.backfill->assignments);
  if (out.backfill->condition) text += fmt::format("WHERE {}\n", *out.backfill->condition);
  std::vector<Piece> pieces;
  Scan scanned;
  try {
    scanned = scan(text);
    pieces = cut(scanned);
  } catch (const PgError& e) {
    if (!e.state().starts_with("42")) throw;
    throw unfit("42601", fmt::format("assignments or condition of migration_backfill(): {}", e.message()),
                piece.first->start);
  }
  if (pieces.size() != 1 || nodeTag(pieces[0].node) != (deletes ? T_DeleteStmt : T_UpdateStmt))
    throw unfit("42601", "assignments or condition of migration_backfill() are more than one expression each",
                piece.first->start);
  Statement update;
  describe_row_change(pieces[0], update);
  if (update.change->condition.empty() == out.backfill->condition.has_value() ||
      (deletes ? reinterpret_cast<DeleteStmt*>(pieces[0].node)->usingClause
               : reinterpret_cast<UpdateStmt*>(pieces[0].node)->fromClause) != nullptr)
    throw unfit("42601", "assignments of migration_backfill() contain a clause of their own", piece.first->start);
  // The slices end with a token, so a comment at the end cannot swallow what is put behind them.
  out.backfill->assignments = update.change->assignments;
  if (out.backfill->condition) out.backfill->condition = update.change->condition;
  out.change = std::move(update.change);
}

}  // namespace

void describe_row_change(const Piece& piece, Statement& out) {
  bool const updates = nodeTag(piece.node) == T_UpdateStmt;
  auto* update = reinterpret_cast<UpdateStmt*>(piece.node);
  auto* removal = reinterpret_cast<DeleteStmt*>(piece.node);
  RangeVar* const relation = updates ? update->relation : removal->relation;
  Node* const condition = updates ? update->whereClause : removal->whereClause;
  List* const others = updates ? update->fromClause : removal->usingClause;
  WithClause* const with = updates ? update->withClause : removal->withClause;

  RowChange& change = out.change.emplace();
  change.relation = out.relation = name_of(relation);
  if (relation->alias != nullptr) change.alias = quoted(relation->alias->aliasname);

  const Token* const behind = behind_relation(piece, relation);
  const Token* const returning = clause(behind, piece.last, "returning");
  const Token* const where = condition == nullptr ? returning : clause(behind, returning, "where");
  if (where < returning) change.condition = piece.slice(where + 1, returning);
  if (updates) {
    const Token* const set = clause(behind, where, "set");
    const Token* const from = others == nullptr ? where : clause(set, where, "from");
    if (set < from) change.assignments = piece.slice(set + 1, from);
    if (set < from) change.values = values_of(piece, set + 1, from);
    for (ResTarget* target : items<ResTarget>(update->targetList)) change.set_columns.push_back(quoted(target->name));
  }
  if (updates) {
    std::vector<std::string> columns;
    for (ResTarget* target : items<ResTarget>(update->targetList)) columns.emplace_back(target->name);
    const std::string table = relation->alias != nullptr ? relation->alias->aliasname : relation->relname;
    for (ResTarget* target : items<ResTarget>(update->targetList)) {
      change.reads_own = change.reads_own || reads(target->val, columns, table);
    }
    change.tests_own = condition != nullptr && reads(condition, columns, table);
  }
  collect_null_tests(condition, change);
  change.volatile_marks = condition != nullptr && nodeTag(condition) == T_CurrentOfExpr;
  change.simple = others == nullptr && with == nullptr && returning == piece.last && relation->inh &&
                  !change.volatile_marks && !has_subselect(piece) && !has_parameter(condition);
  if (updates && change.simple) {
    for (ResTarget* target : items<ResTarget>(update->targetList)) {
      if (has_parameter(target->val)) change.simple = false;
    }
  }
}

namespace {

/// Does the text call migration_backfill()? Told by tokens: a raw tree has no walker that knows every statement.
bool calls_backfill(const Token* from, const Token* to) {
  for (; from + 1 < to; ++from)
    if (from->code == token_ident && (from + 1)->is('(') && std::string_view(from->word) == "migration_backfill")
      return true;
  return false;
}

}  // namespace

void refuse_inner_backfill(const Piece& piece) {
  bool calls = false;
  switch (nodeTag(piece.node)) {
    case T_SelectStmt:
    case T_InsertStmt:
    case T_UpdateStmt:
    case T_DeleteStmt:
    case T_MergeStmt:
    case T_CreateTableAsStmt:
    case T_ExplainStmt:
    case T_PrepareStmt:
    case T_DeclareCursorStmt:
    case T_CallStmt:
    case T_CopyStmt:
      calls = calls_backfill(piece.first, piece.last);
      break;
    case T_DoStmt:
      for (const Token* at = piece.first; at < piece.last && !calls; ++at)
        if (at->code == token_string) {
          Scan const body = scan(at->word, true);
          calls = calls_backfill(body.tokens.begin(), body.tokens.end());
        }
      break;
    default:
      break;
  }
  if (!calls) return;
  throw unfit(sqlstate::feature_not_supported, "migration_backfill() must stand alone in its statement",
              piece.first->start);
}

bool describe_backfill_call(const Piece& piece, SelectStmt* select, Statement& out) {
  if (select->op != SETOP_NONE || list_length(select->targetList) != 1) return false;
  Node* const value = linitial_node(ResTarget, select->targetList)->val;
  if (value == nullptr || nodeTag(value) != T_FuncCall) return false;
  auto* call = reinterpret_cast<FuncCall*>(value);
  std::string const name = name_of(call->funcname);
  if (name != "migration_backfill" && name != "pg_catalog.migration_backfill") return false;
  int const location = piece.first->start;
  if (select->fromClause != nullptr || select->whereClause != nullptr || select->withClause != nullptr ||
      select->groupClause != nullptr || select->havingClause != nullptr || select->sortClause != nullptr ||
      select->limitCount != nullptr || select->limitOffset != nullptr || select->distinctClause != nullptr)
    return false;

  constexpr std::string_view names[] = {"relation", "assignments", "condition", "options"};
  Node* given[4] = {};
  size_t next = 0;
  for (Node* argument : items<Node>(call->args)) {
    size_t at = next++;
    if (nodeTag(argument) == T_NamedArgExpr) {
      auto* named = reinterpret_cast<NamedArgExpr*>(argument);
      for (at = 0; at < 4 && names[at] != named->name;) ++at;
      argument = reinterpret_cast<Node*>(named->arg);
    }
    if (at >= 4 || given[at] != nullptr)
      throw unfit(sqlstate::invalid_parameter, "migration_backfill() does not take these arguments", location);
    given[at] = argument;
  }
  std::optional<std::string> values[4];
  for (size_t i = 0; i < 4; ++i)
    if (given[i] != nullptr) values[i] = constant(piece, given[i]);
  if (!values[0]) throw unfit(sqlstate::null_not_allowed, "migration_backfill() needs a table", location);
  BackfillCall& backfill = out.backfill.emplace();
  backfill.relation = out.relation = relation_name(piece, *values[0]);
  // None: rows are deleted. The options have to say so, too.
  backfill.assignments = values[1].value_or("");
  backfill.condition = values[2];
  backfill.options = values[3];
  describe_backfilled(piece, out);
  return true;
}

}  // namespace migration::pg
