// From a parse tree to a Statement: the pieces of that work.
//
// What: classify() fills a Statement from its tree and tokens; the rest of the functions are its parts, one file each.
// Why: the trees are the server's, everything to the right of this room works on plain data. Invariant: no catalog is
// read; a name comes out quoted and as far qualified as the script says it. Memory: trees are read in place, texts are
// copied. Only C of the server runs inside pg_call; lists are read by its inline functions, which cannot fail.
#pragma once

#include <string>

#include "pg/script.hpp"
#include "statement/statement.hpp"

namespace migration::pg {

/// A statement that parses but cannot be part of a revision; parse_script() adds where it stands.
struct Unfit {
  const char* state;
  std::string message, hint;
  int offset;
};

void classify(const Piece& piece, Statement& out);
/// CREATE of what is no relation (and sequences); false if the statement is none of them.
bool describe_create(Node* node, Statement& out);
void describe_alter_table(const Piece& piece, AlterTableStmt* alter, Statement& out);
void describe_row_change(const Piece& piece, Statement& out);
/// SELECT migration_backfill(...) as a statement of its own? Then fills it in.
bool describe_backfill_call(const Piece& piece, SelectStmt* select, Statement& out);
/// Errors: Unfit when migration_backfill() is called as a part of something else.
void refuse_inner_backfill(const Piece& piece);
void collect_locks(const Piece& piece, Statement& out);
void derive_inverse(const Piece& piece, Statement& out);
std::optional<std::string> inverse_of_rename(RenameStmt* rename);
std::optional<std::string> inverse_of_action(AlterTableStmt* alter, AlterTableCmd* cmd, const AlterAction& action);

// names.cpp: names and types as SQL text
std::string quoted(const char* name);
std::string name_of(const RangeVar* relation);
std::string name_of(List* names);
std::string name_of(Node* object);  ///< whatever DROP, COMMENT and RENAME use to name an object
std::string type_text(const TypeName* type);
std::string signature(const ObjectWithArgs* function);
std::string signature(const CreateFunctionStmt* function);
/// The name with its last part replaced, or with its schema replaced.
std::string sibling(const RangeVar* relation, const char* name);
std::string sibling(List* names, const char* name);
/// 'TABLE', 'MATERIALIZED VIEW', ...: the words for a kind of object after ALTER, DROP and COMMENT ON.
const char* words_of(ObjectType type);

/// A List of the server as a range.
template <class T>
struct Items {
  const ListCell *from, *to;
  struct Iterator {
    const ListCell* cell;
    T* operator*() const { return static_cast<T*>(cell->ptr_value); }
    Iterator& operator++() {
      ++cell;
      return *this;
    }
    bool operator!=(const Iterator& o) const { return cell != o.cell; }
  };
  Iterator begin() const { return {from}; }
  Iterator end() const { return {to}; }
};
template <class T>
Items<T> items(const List* list) {
  if (list == nullptr) return {nullptr, nullptr};
  return {list->elements, list->elements + list->length};
}

}  // namespace migration::pg
