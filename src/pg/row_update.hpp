// UPDATE of single rows by their places, page by page.
//
// What: runs `UPDATE ONLY t SET ... WHERE t.ctid = ANY ($1) AND (...)`. The server plans it, checks rights and sets the
// executor up; the loop over the rows is ours: a page is pinned once, its row versions are judged under one share lock,
// and each new version is made from the old one where it lies. Why: the executor looks every row up three times (TID
// scan, the old version for the assignment, the update itself), each time with a search for its page, and passes rows
// through an array, a sort and two slots on the way; together a quarter of what a row costs. Invariants: what is done
// to a row, and in which order, is what ExecUpdate() in nodeModifyTable.c does: condition, assignments, BEFORE
// triggers, generated columns, partition constraint, constraints, new version, index entries, AFTER triggers,
// RETURNING; a row that somebody else has just changed is locked in its newest version and judged once more. Whatever
// is not such a plain plan (a join, a sub-select, statement triggers, row security, another access method) goes to the
// executor as it is. The one trigger that may be left out is the caller's own, which would do what the statement does
// (see leaves_out). Locks: those of the statement; the page stays pinned, not locked, while its rows are changed.
// Memory: the executor's.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "pg/prepared.hpp"

struct RelationData;
struct SnapshotData;

namespace migration::pg {

/// Rows of one page. The page is pinned and share-locked by whoever names them, and let go by whoever takes them.
struct PageRows {
  int buffer = 0;
  std::uint32_t block = 0;
  const std::uint16_t* offsets = nullptr;
  std::size_t count = 0;
};

/// Says which rows are to be changed, page by page. Called in the middle of a statement: an error jumps over it.
class RowSource {
 public:
  /// The next page with rows; false when there is none.
  virtual bool next(RelationData* relation, SnapshotData* snapshot, PageRows& rows) = 0;

 protected:
  ~RowSource() = default;
};

class RowUpdate {
 public:
  /// Any statement on `table` with one parameter of type tid[]; `leaves_out` names (not quoted) a BEFORE row trigger
  /// whose function has the same name, and which gives a row no other values than the statement itself: it is not fired
  /// where it is the only one (another may change what it computes from).
  RowUpdate(unsigned table, std::string sql, std::string leaves_out = {})
      : table_(table), statement_(std::move(sql)), leaves_out_(std::move(leaves_out)) {}

  /// Rows were chosen by these columns (unquoted): one whose newest version has others is not changed.
  void chosen_by(std::vector<std::string> columns) { same_ = std::move(columns); }
  /// Will run() go through the pages itself? Otherwise it names all rows first, and then executes the statement.
  bool is_plain();
  /// Executes it in a new command of the transaction; returns the rows changed. Errors: those of the statement.
  std::uint64_t run(RowSource& source);
  /// Executes a statement that returns one boolean column; counts how often it is true.
  std::uint64_t run(RowSource& source, std::uint64_t& marked);
  /// The same for rows whose ids are known; in the order of their blocks they cost least.
  std::uint64_t run(const std::vector<RowId>& ids);
  std::uint64_t run(const std::vector<RowId>& ids, std::uint64_t& marked);

 private:
  void plan_by_place();
  bool directly(RowSource* source, std::uint64_t& rows, std::uint64_t& marked);
  std::vector<RowId> all_of(RowSource& source) const;
  unsigned table_;
  Prepared statement_;  ///< for what is not so plain
  std::string leaves_out_;
  std::vector<std::string> same_;
  SavedPlan plan_;
};

}  // namespace migration::pg
