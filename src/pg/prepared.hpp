// A statement prepared once and executed many times with binary parameters.
//
// What: the statement of a batch. It is parsed and planned at its first execution, under the search_path and the role
// in force then, and afterwards only executed with other ranges; the server itself plans it anew when the table
// changes. Why not pg::query(): the text is put together at run time, row ids travel in thousands, and text forms would
// cost more than the update. Invariant: an execution needs a transaction; the plan survives it. Memory: the plan
// belongs to this object; results are copied out.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "pg/sql.hpp"

struct _SPI_plan;  // NOLINT(bugprone-reserved-identifier): the server's name for it

namespace migration::pg {

/// Where a row version is: block and line pointer (from 1).
struct RowId {
  std::uint32_t block = 0;
  std::uint16_t offset = 0;
};

/// `tid`, `tid[]`, or text that the statement casts itself.
using Parameter = std::variant<RowId, const std::vector<RowId>*, Value>;

/// A row by its table and its place there, the transaction that made the version there, and where its key is among the
/// texts of all.
struct KeyedRow {
  std::uint32_t table = 0;
  RowId id;
  std::uint32_t version = 0, fraction = 0, key = 0;
};

/// A plan of the server that outlives its transaction.
class SavedPlan {
 public:
  SavedPlan() = default;
  ~SavedPlan();
  SavedPlan(const SavedPlan&) = delete;
  SavedPlan& operator=(const SavedPlan&) = delete;
  /// Between SPI_connect() and SPI_finish(), inside pg_call: the plan, made by the first call; `parallel`: of a query
  /// that the server may let several processes work on. Errors: the statement's.
  _SPI_plan* get(const char* sql, const unsigned* types, int parameters, bool parallel = false);

 private:
  _SPI_plan* plan_ = nullptr;
};

class Prepared {
 public:
  explicit Prepared(std::string sql) : sql_(std::move(sql)) {}
  /// A query, planned and executed with up to `parallel` processes of the server besides this one, whatever it thinks
  /// of the price: a look at a whole table by a backfill that has as many workers. 0: none.
  Prepared(std::string sql, int parallel) : sql_(std::move(sql)), parallel_(parallel) {}
  /// Executes it; returns the rows changed or read. The types of the parameters must be the same every time.
  std::uint64_t run(const std::vector<Parameter>& parameters);
  /// Executes a statement with one column of type tid.
  std::uint64_t run(const std::vector<Parameter>& parameters, std::vector<RowId>& ids);
  /// Executes a statement with columns of type text only; NULL comes as an empty text.
  std::uint64_t run(const std::vector<Parameter>& parameters, std::vector<std::vector<std::string>>& rows);
  /// Executes a statement with the columns table (oid), place (tid), version (xid), fraction (bigint), and those of a
  /// key, as text.
  std::uint64_t run(const std::vector<Parameter>& parameters, std::vector<KeyedRow>& rows, std::string& texts);
  /// Executes a statement with one boolean column; counts how often it is true.
  std::uint64_t run(const std::vector<Parameter>& parameters, std::uint64_t& marked);
  const std::string& sql() const { return sql_; }

 private:
  struct Receiver;
  std::uint64_t execute(const std::vector<Parameter>& parameters, Receiver* receiver);
  std::string sql_;
  int parallel_ = 0;
  SavedPlan plan_;
};

}  // namespace migration::pg
