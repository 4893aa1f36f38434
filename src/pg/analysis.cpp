// Asking the server's analysis; see analysis.hpp.
#include "pg/analysis.hpp"

#include "pg/compat.hpp"
#include "pg/guard.hpp"
#include "statement/formatted.hpp"

extern "C" {
#include "access/stratnum.h"
#include "access/table.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/analyze.h"
#include "parser/parser.h"
#include "tcop/tcopprot.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
}

namespace migration::pg {

namespace {

/// Of more a condition may have, the rest proves nothing.
constexpr int most_equalities = 128;

/// Plain data: it is filled inside pg_call.
struct Equality {
  AttrNumber column;
  Oid op, collation;
};
struct Equalities {
  Equality at[most_equalities];
  int count;
  Oid table, lookup;
  bool inherits;  ///< the lookup is read with the tables below it
  bool relation;
};

/// The lookup is the second entry of the range table, the table of the backfill the first.
constexpr int lookup_index = 2;

Node* bare(Node* node) {
  while (node != nullptr && IsA(node, RelabelType)) node = reinterpret_cast<Node*>(castNode(RelabelType, node)->arg);
  return node;
}

void take_side(OpExpr* equality, Node* side, Node* other, Equalities* out) {
  Node* const column = bare(side);
  if (column == nullptr || !IsA(column, Var) || out->count == most_equalities) return;
  Var* const var = castNode(Var, column);
  if (var->varno != lookup_index || var->varlevelsup != 0 || var->varattno <= 0) return;
  if (bms_is_member(lookup_index, pull_varnos(nullptr, other)) || contain_volatile_functions(other)) return;
  out->at[out->count++] = Equality{var->varattno, equality->opno, equality->inputcollid};
}

void collect(Node* node, Equalities* out) {
  check_stack_depth();
  if (node == nullptr) return;
  if (IsA(node, List)) {
    ListCell* cell;
    foreach (cell, reinterpret_cast<List*>(node)) collect(static_cast<Node*>(lfirst(cell)), out);
  } else if (IsA(node, BoolExpr) && castNode(BoolExpr, node)->boolop == AND_EXPR) {
    collect(reinterpret_cast<Node*>(castNode(BoolExpr, node)->args), out);
  } else if (IsA(node, OpExpr) && list_length(castNode(OpExpr, node)->args) == 2) {
    OpExpr* const op = castNode(OpExpr, node);
    Node* const left = static_cast<Node*>(linitial(op->args));
    Node* const right = static_cast<Node*>(lsecond(op->args));
    take_side(op, left, right, out);
    take_side(op, right, left, out);
  }
}

Query* analyze(const char* sql) {
  List* const raw = raw_parser(sql, RAW_PARSE_DEFAULT);
  if (list_length(raw) != 1) ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR), errmsg("more than one statement")));
  return parse_analyze_fixedparams(linitial_node(RawStmt, raw), sql, nullptr, 0, nullptr);
}

void collect_from(const char* sql, Equalities* out) {
  Query* const query = analyze(sql);
  out->relation = false;
  if (list_length(query->rtable) < lookup_index) return;
  RangeTblEntry* const table = linitial_node(RangeTblEntry, query->rtable);
  RangeTblEntry* const lookup = lsecond_node(RangeTblEntry, query->rtable);
  if (table->rtekind != RTE_RELATION || lookup->rtekind != RTE_RELATION) return;
  out->table = table->relid;
  out->lookup = lookup->relid;
  out->relation = lookup->relkind == RELKIND_RELATION || lookup->relkind == RELKIND_PARTITIONED_TABLE ||
                  lookup->relkind == RELKIND_MATVIEW;
  // An index of a parent says nothing about the rows of those that inherit from it; one of a partitioned table does.
  out->inherits = lookup->inh && lookup->relkind == RELKIND_RELATION && has_subclass(lookup->relid);
  collect(query->jointree->quals, out);
}

bool same_order(Oid a, Oid b) {
  if (a == b || !OidIsValid(b)) return true;
  return OidIsValid(a) && get_collation_isdeterministic(a) && get_collation_isdeterministic(b);
}

bool equated(const Equalities* equalities, AttrNumber column, Oid opclass, Oid collation) {
  Oid const family = get_opclass_family(opclass);
  for (int i = 0; i < equalities->count; ++i) {
    const Equality& e = equalities->at[i];
    if (e.column == column && get_op_opfamily_strategy(e.op, family) == BTEqualStrategyNumber &&
        same_order(e.collation, collation)) {
      return true;
    }
  }
  return false;
}

/// Are all columns of this index equated, and is it unique over all rows, now?
bool covers(Oid index, const Equalities* equalities) {
  HeapTuple const tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
  HeapTuple const relation = SearchSysCache1(RELOID, ObjectIdGetDatum(index));
  bool found = false;
  if (HeapTupleIsValid(tuple) && HeapTupleIsValid(relation)) {
    auto* form = reinterpret_cast<Form_pg_index>(GETSTRUCT(tuple));
    Oid const method = reinterpret_cast<Form_pg_class>(GETSTRUCT(relation))->relam;
    found = form->indisunique && form->indisvalid && form->indimmediate && method == BTREE_AM_OID &&
            heap_attisnull(tuple, Anum_pg_index_indpred, nullptr) &&
            heap_attisnull(tuple, Anum_pg_index_indexprs, nullptr);
    if (found) {
      bool null;
      auto* classes = reinterpret_cast<oidvector*>(
          DatumGetPointer(SysCacheGetAttr(INDEXRELID, tuple, Anum_pg_index_indclass, &null)));
      auto* collations = reinterpret_cast<oidvector*>(
          DatumGetPointer(SysCacheGetAttr(INDEXRELID, tuple, Anum_pg_index_indcollation, &null)));
      for (int i = 0; found && i < form->indnkeyatts; ++i) {
        found = equated(equalities, form->indkey.values[i], classes->values[i], collations->values[i]);
      }
    }
  }
  if (HeapTupleIsValid(tuple)) ReleaseSysCache(tuple);
  if (HeapTupleIsValid(relation)) ReleaseSysCache(relation);
  return found;
}

bool some_index_covers(const Equalities* equalities) {
  Relation const relation = table_open(equalities->lookup, AccessShareLock);
  List* const indexes = RelationGetIndexList(relation);
  bool found = false;
  ListCell* cell;
  foreach (cell, indexes) found = found || covers(lfirst_oid(cell), equalities);
  table_close(relation, AccessShareLock);
  return found;
}

struct Undo {};

/// Runs `f` and takes back what it has locked. False, with the error, when the server refuses.
template <class F>
bool try_and_undo(std::string& state, std::string& error, F&& f) {
  try {
    in_subtransaction([&] {
      pg_call([] {
        if (!ActiveSnapshotSet()) PushActiveSnapshot(GetTransactionSnapshot());
      });
      pg_call(f);
      throw Undo();
    });
  } catch (const Undo&) {
    return true;
  } catch (const PgError& e) {
    // Whatever cannot be found or does not fit: syntax error or access rule violation.
    if (!e.state().starts_with("42") && !e.state().starts_with("0A")) throw;
    state = e.state();
    error = e.message();
  }
  return false;
}

}  // namespace

LookupAnalysis analyze_lookup(const std::string& from, const std::string& condition,
                              const std::vector<std::string>& conjuncts) {
  LookupAnalysis out;
  Equalities equalities{};
  bool covered = false;
  std::string state;
  const auto collect_all = [&](const std::string& sql) {
    const char* const text = sql.c_str();
    Equalities* const to = &equalities;
    bool* const yes = &covered;
    return try_and_undo(state, out.error, [=] {
      collect_from(text, to);
      if (to->relation && !to->inherits) *yes = some_index_covers(to);
    });
  };
  const std::string head = "SELECT FROM " + from + "\n";
  bool known = collect_all(condition.empty() ? head : head + "WHERE (" + condition + "\n)");
  if (!known) {
    for (const std::string& conjunct : conjuncts) {
      known = collect_all(formatted("{}WHERE ({}\n)", head, conjunct)) || known;
    }
  }
  if (!known) return out;
  out.table = equalities.table;
  out.lookup = equalities.lookup;
  if (!equalities.relation || equalities.inherits) {
    out.key = LookupKey::no_table;
  } else {
    out.key = covered ? LookupKey::unique : LookupKey::no_key;
  }
  return out;
}

SelectAnalysis analyze_select(const std::string& sql) {
  SelectAnalysis out;
  constexpr int most_values = 1664;
  bool constant[most_values] = {};
  int count = 0;
  const char* const text = sql.c_str();
  out.known = try_and_undo(out.state, out.error, [&] {
    Query* const query = analyze(text);
    out.aggregates = query->hasAggs || query->hasWindowFuncs;
    out.sets = query->hasTargetSRFs;
    ListCell* cell;
    foreach (cell, query->targetList) {
      TargetEntry* const entry = lfirst_node(TargetEntry, cell);
      if (!entry->resjunk && count < most_values) {
        constant[count++] = !contain_mutable_functions(reinterpret_cast<Node*>(entry->expr));
      }
    }
  });
  out.constant_in_order.assign(constant, constant + count);
  return out;
}

void require_analyzable(const std::string& sql) {
  const char* const text = sql.c_str();
  try {
    in_subtransaction([&] {
      pg_call([=] {
        List* const raw = raw_parser(text, RAW_PARSE_DEFAULT);
        if (list_length(raw) != 1) ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR), errmsg("more than one statement")));
        // Rewriting tells what analysis does not: a column that is set twice.
        pg_analyze_and_rewrite_fixedparams(linitial_node(RawStmt, raw), text, nullptr, 0, nullptr);
      });
      throw Undo();
    });
  } catch (const Undo&) {
  }
}

}  // namespace migration::pg
