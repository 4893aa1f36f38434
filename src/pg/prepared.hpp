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

class Prepared {
 public:
  /// `parallel`: the server may read with several processes, as setting max_parallel_workers_per_gather has it.
  explicit Prepared(std::string sql, bool parallel = false) : sql_(std::move(sql)), parallel_(parallel) {}
  ~Prepared();
  Prepared(const Prepared&) = delete;
  Prepared& operator=(const Prepared&) = delete;

  /// Executes it; returns the rows changed or read. The types of the parameters must be the same every time.
  std::uint64_t run(const std::vector<Parameter>& parameters);
  /// Executes a statement with one column of type tid.
  std::uint64_t run(const std::vector<Parameter>& parameters, std::vector<RowId>& ids);
  /// Executes a statement with columns of type text only; NULL comes as an empty text.
  std::uint64_t run(const std::vector<Parameter>& parameters, std::vector<std::vector<std::string>>& rows);
  /// Executes a statement with one boolean column; counts how often it is true.
  std::uint64_t run(const std::vector<Parameter>& parameters, std::uint64_t& marked);
  const std::string& sql() const { return sql_; }

 private:
  struct Receiver;
  std::uint64_t execute(const std::vector<Parameter>& parameters, Receiver* receiver);
  std::string sql_;
  bool parallel_;
  _SPI_plan* plan_ = nullptr;
};

}  // namespace migration::pg
