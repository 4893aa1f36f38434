// UPDATE and DELETE cut into their parts; see classify.hpp.
//
// The texts are slices of the script, found by tokens: the tree knows what there is, the tokens where it is. Clauses
// are looked for outside parentheses only, behind the name of the table, because most of these words may also be names.

#include <string_view>
#include <vector>

#include "pg/classify.hpp"
#include "pg/compat.hpp"

namespace migration::pg {

namespace {

/// Conjuncts `c IS NULL` at the top of a condition; its nesting may be deep, so no recursion. With `table`, a qualified
/// column counts only as one of that.
void collect_null_tests(Node* condition, RowChange& change, const char* table) {
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
      if (list_length(fields) == 2 && table != nullptr) {
        Node* const first = static_cast<Node*>(linitial(fields));
        if (nodeTag(first) != T_String || std::string_view(strVal(first)) != table) continue;
      }
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
      if (self->is_of_lookup(reinterpret_cast<ColumnRef*>(node)->fields)) return false;
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
  /// Qualified by the name of the lookup table: none of ours.
  bool is_of_lookup(List* fields) const {
    if (lookup.empty() || list_length(fields) < 2) return false;
    Node* const first = static_cast<Node*>(linitial(fields));
    return nodeTag(first) == T_String && lookup == strVal(first);
  }
  std::string table, lookup;
};

bool reads(Node* expression, const std::vector<std::string>& columns, const std::string& table,
           const std::string& lookup) {
  ReadsOf search{columns, false, table, lookup};
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

/// What a condition ANDs together, by tokens; one text when that is not plain to see. Good enough to ask the server
/// about one part after the other; what they mean together is asked of the whole.
std::vector<std::string> conjuncts_of(const Piece& piece, const Token* from, const Token* to) {
  std::vector<std::string> out;
  int depth = 0;
  bool between = false;
  const Token* start = from;
  for (const Token* at = from; at < to; ++at) {
    if (at->is('(') || at->is('[') || at->is("case")) ++depth;
    if (at->is(')') || at->is(']') || at->is("end")) --depth;
    if (depth != 0) continue;
    if (at->is("or")) return {std::string(piece.slice(from, to))};
    if (at->is("between")) between = true;
    if (!at->is("and")) continue;
    if (!between) {
      out.emplace_back(piece.slice(start, at));
      start = at + 1;
    }
    between = false;
  }
  out.emplace_back(piece.slice(start, to));
  return out;
}

/// The one table of a FROM list, when it is that.
RangeVar* only_table(List* others) {
  if (list_length(others) != 1 || nodeTag(linitial(others)) != T_RangeVar) return nullptr;
  auto* table = static_cast<RangeVar*>(linitial(others));
  return table->alias != nullptr && table->alias->colnames != nullptr ? nullptr : table;
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

  RangeVar* const lookup = only_table(others);
  if (lookup != nullptr) change.lookup = name_of(lookup);
  const Token* const behind = behind_relation(piece, relation);
  const Token* const returning = clause(behind, piece.last, "returning");
  const Token* const where = condition == nullptr ? returning : clause(behind, returning, "where");
  if (where < returning) change.condition = piece.slice(where + 1, returning);
  if (where < returning && lookup != nullptr) change.conjuncts = conjuncts_of(piece, where + 1, returning);
  if (updates) {
    const Token* const set = clause(behind, where, "set");
    const Token* const from = others == nullptr ? where : clause(set, where, "from");
    if (set < from) change.assignments = piece.slice(set + 1, from);
    if (set < from) change.values = values_of(piece, set + 1, from);
    if (from < where) change.from = piece.slice(from + 1, where);
    for (ResTarget* target : items<ResTarget>(update->targetList)) change.set_columns.push_back(quoted(target->name));
  }
  if (!updates && others != nullptr) {
    const Token* const using_ = clause(behind, where, "using");
    if (using_ < where) change.from = piece.slice(using_ + 1, where);
  }
  const char* const table = relation->alias != nullptr ? relation->alias->aliasname : relation->relname;
  if (updates) {
    std::vector<std::string> columns;
    for (ResTarget* target : items<ResTarget>(update->targetList)) columns.emplace_back(target->name);
    std::string other;
    if (lookup != nullptr) other = lookup->alias != nullptr ? lookup->alias->aliasname : lookup->relname;
    for (ResTarget* target : items<ResTarget>(update->targetList)) {
      change.reads_own = change.reads_own || reads(target->val, columns, table, other);
    }
    change.tests_own = condition != nullptr && reads(condition, columns, table, other);
  }
  collect_null_tests(condition, change, others == nullptr ? nullptr : table);
  change.volatile_marks = condition != nullptr && nodeTag(condition) == T_CurrentOfExpr;
  change.simple = (others == nullptr || lookup != nullptr) && with == nullptr && returning == piece.last &&
                  relation->inh && !change.volatile_marks && !has_subselect(piece) && !has_parameter(condition);
  if (updates && change.simple) {
    for (ResTarget* target : items<ResTarget>(update->targetList)) {
      if (has_parameter(target->val)) change.simple = false;
    }
  }
}

}  // namespace migration::pg
