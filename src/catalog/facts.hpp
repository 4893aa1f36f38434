// Facts about the user's schema that the planner and the downgrade guard ask for.
//
// What: relation facts by name, what a downgrade would lose, invalid indexes, whether a database has tables of its own.
// Why here: names are resolved with the search_path in force, catalogs are read by fixed statements as the ledger's
// owner. Invariant: nothing a user wrote runs here; a look for rows reads the table itself, past policies and rules.
#pragma once

#include <string>
#include <vector>

#include "backfill/batch.hpp"
#include "plan/plan.hpp"

namespace migration::catalog {

/// OID of a relation by quoted name under the current search_path, 0 when there is none.
unsigned resolve_relation(const std::string& quoted_name);
/// The quoted names of `columns` when they are, in this order, a unique key fit for a cursor; empty otherwise.
std::vector<std::string> unique_key(unsigned oid, const std::vector<std::string>& columns);
/// The columns of a key with their types and operators of the default order. Errors: 42703, 42883.
backfill::Key key_of(unsigned oid, const std::vector<std::string>& quoted_columns);
/// schema-qualified, quoted name of a relation; empty when gone.
std::string relation_name(unsigned oid);
RelationFacts relation_facts(const std::string& quoted_name);

/// The columns an UPDATE sets: their names without quotes, and the bytes that a row gets longer when those that are
/// NULL in most rows are filled. A column that does not exist yet counts as 8 bytes.
struct SetColumns {
  std::vector<std::string> names;
  int growth = 0;
};
SetColumns set_columns_of(unsigned relation, const std::vector<std::string>& quoted_columns);

/// Does a validated CHECK constraint, or NOT NULL, say that the column holds no NULL?
bool proven_not_null(const std::string& quoted_relation, const std::string& quoted_column);

/// What would be lost by a statement of a downgrade, in words; empty when nothing.
/// Example: table "users" holds rows (about 1200).
std::vector<std::string> losses_of(const Statement& s);

/// How nearly the rows of a table lie in the order of a column, 0 to 1, as far as the statistics know.
double correlation_of(unsigned oid, const std::string& quoted_column);
/// Who keeps dead rows of this database from being pruned longest, in words; empty when nobody is older than this
/// transaction.
std::string horizon_holder();

/// What a table is called now, and the types of some of its columns in words, with their numbers, because a column that
/// was dropped and made again is another one; empty when it is gone.
struct TableIdentity {
  std::string name;  ///< schema-qualified, quoted
  std::string column_types;
};
TableIdentity table_identity(unsigned oid, const std::vector<std::string>& columns);

struct InvalidIndex {
  std::string name, table;
};
std::vector<InvalidIndex> invalid_indexes();
/// Are there tables outside system schemas and extensions?
bool has_user_tables();

struct IndexState {
  unsigned oid = 0;
  std::string name;  ///< schema-qualified, quoted
  bool valid = false;
  bool being_built = false;  ///< a live backend works on it
};
/// All indexes of a table (with its partitions when `deep`).
std::vector<IndexState> indexes_of(unsigned table, bool deep);

}  // namespace migration::catalog
