// SELECT migration_backfill(...) as a statement of a script; see classify.hpp.
//
// What: reads the constants of the call and parses its texts as what they are: a SET list or a select list, one table
// to look values up in, one condition. Why each text by itself first, and the whole statement after that: a text that
// is complete alone cannot open or close a clause of its neighbour, whatever it holds, and put together they must still
// be one statement with the clauses they stand for. Invariant: nothing of a text is used but slices that end with a
// token, so a comment at an end cannot swallow what follows. Memory: trees live in the caller's Scratch. Locks: none.
#include <string_view>
#include <vector>

#include "backfill/call_text.hpp"
#include "backfill/settings.hpp"
#include "pg/classify.hpp"
#include "pg/compat.hpp"
#include "pg/json.hpp"
#include "pg/parse.hpp"
#include "statement/formatted.hpp"

extern "C" {
#include "utils/builtins.h"
#include "utils/regproc.h"
#include "utils/varlena.h"
}

namespace migration::pg {

namespace {

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
                  formatted("argument of migration_backfill() is cast to {} inside a revision", type), location);
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

/// Does an expression hold a sub-select or a parameter?
bool holds_more(Node* expression) {
  struct Search {
    static bool walk(Node* node, void* context) {
      if (node == nullptr) return false;
      return nodeTag(node) == T_SubLink || nodeTag(node) == T_ParamRef || compat_walk_raw(node, walk, context);
    }
  };
  return pg_call([&] { return Search::walk(expression, nullptr); });
}

/// One statement of this kind, or what is wrong with the argument that the text holds.
Piece only_piece(const Piece& piece, const Scan& scanned, NodeTag kind, const char* what) {
  std::vector<Piece> pieces;
  try {
    pieces = cut(scanned);
  } catch (const PgError& e) {
    if (!e.state().starts_with("42")) throw;
    throw unfit("42601", formatted("{} of migration_backfill(): {}", what, e.message()), piece.first->start);
  }
  if (pieces.size() == 1 && nodeTag(pieces[0].node) == kind) return pieces[0];
  throw unfit("42601", formatted("{} of migration_backfill(): more than one of its kind", what), piece.first->start);
}

Scan scan_text(const Piece& piece, const std::string& text, const char* what) {
  try {
    return scan(text);
  } catch (const PgError& e) {
    if (!e.state().starts_with("42")) throw;
    throw unfit("42601", formatted("{} of migration_backfill(): {}", what, e.message()), piece.first->start);
  }
}

/// Tokens of the text behind the words put before it, as they stand; no comment at either end.
std::string bare_text(const Piece& parsed, int words) {
  return std::string(parsed.slice(parsed.first + words, parsed.last));
}

[[noreturn]] void refuse_clause(const Piece& piece, const char* what, const char* is) {
  throw unfit("42601", formatted("{} of migration_backfill() must be {} and nothing else", what, is),
              piece.first->start);
}

void refuse_subselect(const Piece& piece, const char* what) {
  throw unfit(sqlstate::feature_not_supported,
              formatted("{} of migration_backfill() must not hold a sub-select or a parameter", what),
              piece.first->start);
}

/// A text behind SELECT, or SELECT WHERE, that brings no clause of its own.
std::string expression_text(const Piece& piece, const std::string& text, bool condition, const char* what) {
  const Scan scanned = scan_text(piece, formatted("SELECT{}\n{}\n", condition ? " WHERE" : "", text), what);
  const Piece parsed = only_piece(piece, scanned, T_SelectStmt, what);
  auto* select = reinterpret_cast<SelectStmt*>(parsed.node);
  const bool clean = select->op == SETOP_NONE && select->distinctClause == nullptr && select->intoClause == nullptr &&
                     select->fromClause == nullptr && select->groupClause == nullptr &&
                     select->havingClause == nullptr && select->windowClause == nullptr &&
                     select->valuesLists == nullptr && select->sortClause == nullptr &&
                     select->limitOffset == nullptr && select->limitCount == nullptr &&
                     select->lockingClause == nullptr && select->withClause == nullptr;
  if (condition) {
    if (!clean || select->targetList != nullptr || select->whereClause == nullptr) {
      refuse_clause(piece, what, "one boolean expression");
    }
    if (holds_more(select->whereClause)) refuse_subselect(piece, what);
    return bare_text(parsed, 2);
  }
  if (!clean || select->targetList == nullptr || select->whereClause != nullptr) {
    refuse_clause(piece, what, "a select list");
  }
  for (ResTarget* target : items<ResTarget>(select->targetList)) {
    if (holds_more(target->val)) refuse_subselect(piece, what);
  }
  return bare_text(parsed, 1);
}

/// The FROM list of a lookup: one table.
std::string lookup_text(const Piece& piece, const std::string& text) {
  const char* const what = "option \"from\"";
  const Scan scanned = scan_text(piece, formatted("DELETE FROM t USING\n{}\n", text), what);
  const Piece parsed = only_piece(piece, scanned, T_DeleteStmt, what);
  Statement alone;
  describe_row_change(parsed, alone);
  if (alone.change->lookup.empty() || !alone.change->simple || !alone.change->condition.empty()) {
    refuse_clause(piece, what, "one table with or without an alias");
  }
  return alone.change->from;
}

/// A SET list that brings no clause of its own.
std::string assignments_text(const Piece& piece, const std::string& text) {
  const char* const what = "assignments";
  const Scan scanned = scan_text(piece, formatted("UPDATE t SET\n{}\n", text), what);
  const Piece parsed = only_piece(piece, scanned, T_UpdateStmt, what);
  Statement alone;
  describe_row_change(parsed, alone);
  if (!alone.change->from.empty() || !alone.change->condition.empty()) {
    refuse_clause(piece, what, "a list of assignments");
  }
  if (!alone.change->simple) refuse_subselect(piece, what);
  return alone.change->assignments;
}

/// The options that say what is done. What is wrong with others is told when all of them are read.
backfill::Settings options_of(const Piece& piece, const BackfillCall& call) {
  backfill::Settings settings;
  if (!call.options) return settings;
  backfill::Entries entries;
  for (const char* name : {"action", "from", "into", "columns", "on_conflict"}) {
    if (auto value = json_member(*call.options, name)) entries.emplace_back(name, *value);
  }
  try {
    backfill::apply(settings, settings, entries, backfill::Use::create,
                    formatted("SELECT migration_backfill({}, 'c = 1', 'c IS NULL', '{{}}');",
                              pg::quote_literal(std::string_view(call.relation))));
  } catch (const MigrationError& e) {
    throw Unfit{"22023", e.message() + ": " + e.detail(), e.hint(), piece.first->start};
  }
  return settings;
}

/// Rows are copied: the texts parse, and what they say is a RowChange of its own kind.
void describe_copied(const Piece& piece, const backfill::Settings& settings, Statement& out) {
  BackfillCall& call = *out.backfill;
  RowChange& change = out.change.emplace();
  change.relation = call.relation;
  RowCopy& copy = change.copy.emplace();
  if (settings.into.empty()) {
    throw unfit(sqlstate::invalid_parameter, "option \"into\" of migration_backfill() names the table to copy to",
                piece.first->start);
  }
  copy.into = relation_name(piece, settings.into);
  for (const std::string& column : settings.columns)
    copy.columns.push_back(pg::quote_identifier(std::string_view(column)));
  copy.keeps_present = settings.on_conflict == "nothing";
  if (!call.assignments.empty()) copy.values = expression_text(piece, call.assignments, false, "values");
  if (!copy.values.empty() && copy.columns.empty()) {
    throw unfit(sqlstate::invalid_parameter, "option \"columns\" of migration_backfill() says where the values go",
                piece.first->start);
  }
  if (call.condition) change.condition = expression_text(piece, *call.condition, true, "condition");
  if (call.condition) call.condition = change.condition;
  call.assignments = copy.values;
  change.simple = true;
}

/// The statement that a backfill amounts to, for its columns and tests; also proves that the texts parse.
void describe_backfilled(const Piece& piece, Statement& out) {
  BackfillCall& call = *out.backfill;
  const backfill::Settings settings = options_of(piece, call);
  if (settings.action == "copy") return describe_copied(piece, settings, out);
  bool const deletes = call.assignments.empty();
  if (!settings.from.empty()) {
    call.from = lookup_text(piece, settings.from);
    if (!deletes) call.assignments = assignments_text(piece, call.assignments);
    if (call.condition) call.condition = expression_text(piece, *call.condition, true, "condition");
  }
  const std::string text = backfill::text_to_parse(call);
  std::vector<Piece> pieces;
  Scan scanned;
  try {
    scanned = scan(text);
    pieces = cut(scanned);
  } catch (const PgError& e) {
    if (!e.state().starts_with("42")) throw;
    throw unfit("42601", formatted("assignments or condition of migration_backfill(): {}", e.message()),
                piece.first->start);
  }
  if (pieces.size() != 1 || nodeTag(pieces[0].node) != (deletes ? T_DeleteStmt : T_UpdateStmt))
    throw unfit("42601", "assignments or condition of migration_backfill() are more than one expression each",
                piece.first->start);
  Statement update;
  describe_row_change(pieces[0], update);
  if (update.change->condition.empty() == out.backfill->condition.has_value() || update.change->from != call.from)
    throw unfit("42601", "assignments of migration_backfill() contain a clause of their own", piece.first->start);
  if (call.from.empty() && !update.change->simple)
    throw unfit(sqlstate::feature_not_supported,
                "migration_backfill() takes one table, a SET list and one condition, without sub-selects or RETURNING",
                piece.first->start);
  // The slices end with a token, so a comment at the end cannot swallow what is put behind them.
  out.backfill->assignments = update.change->assignments;
  if (out.backfill->condition) out.backfill->condition = update.change->condition;
  out.change = std::move(update.change);
}

}  // namespace

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
