// Arguments in, rows out: what a body of a SQL function needs.
//
// What: typed access to arguments and a builder of result rows by text. Why text: rows come out of the ledger as text
// already; each column's own input function turns them into its type, so the declared types in the install script are
// the only type table. Invariant: a table function materialises its rows in the caller's tuplestore, so nothing of ours
// stays alive between calls.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "pg/sql.hpp"

extern "C" {
#include "funcapi.h"
}

namespace migration::pg {

/// A text argument. Missing = SQL NULL. Errors: 54000 when longer than `limit` bytes.
std::optional<std::string> text_argument(FunctionCallInfo fcinfo, int n);
/// The same, refusing NULL with 22004; `name` is the argument's name, `hint` a statement that has one.
std::string required_text(FunctionCallInfo fcinfo, int n, const char* name, const char* hint);
[[noreturn]] void refuse_null(const char* name, const char* hint);
bool bool_argument(FunctionCallInfo fcinfo, int n, bool when_null);
std::optional<long long> bigint_argument(FunctionCallInfo fcinfo, int n);

Datum text_result(FunctionCallInfo fcinfo, const std::string& text);
/// A jsonb from the text of one.
Datum json_result(const std::string& text);
Datum array_result(FunctionCallInfo fcinfo, const std::vector<std::string>& items);
Datum null_result(FunctionCallInfo fcinfo);
inline Datum bigint_result(long long v) {
  return Int64GetDatum(v);
}
inline Datum bool_result(bool v) {
  return BoolGetDatum(v);
}

/// One row of a function with OUT arguments; values in text form.
Datum row_result(FunctionCallInfo fcinfo, const Row& row);

/// Rows of a set-returning function.
class ResultRows {
 public:
  explicit ResultRows(FunctionCallInfo fcinfo);
  /// Adds a row; values in the order of the declared columns, in text form.
  void add(const Row& row);
  Datum done() const { return static_cast<Datum>(0); }

 private:
  FunctionCallInfo fcinfo_;
  AttInMetadata* input_;
};

}  // namespace migration::pg
