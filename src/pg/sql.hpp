// Typed SPI: the only place that talks SQL to the server from C++.
//
// What: query() runs one statement and returns copied values; Scope is the frame in which the ledger is read and
// written. Why text values: every parameter is cast by the statement itself (`$1::bigint`), every result is the type's
// own text form, so there is one conversion and no type table here. Invariant: no SPI memory leaves this room; plans of
// literal statements are prepared once per session and kept. Statements are fully qualified and run under the pinned
// search_path of Scope, so nothing a user created can shadow them.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "pg/guard.hpp"

namespace migration::pg {

using Value = std::optional<std::string>;
using Row = std::vector<Value>;
using Rows = std::vector<Row>;

/// Runs a statement that is a string literal (its plan is kept under the literal's address).
/// Returns the rows of a SELECT or a RETURNING; empty otherwise. Parameters are text.
Rows query(const char* literal, std::initializer_list<Value> parameters = {});

/// Runs a statement put together at run time, without parameters. `read_only` uses the active snapshot.
Rows query_text(const std::string& sql);

/// Rows processed by the last query() or query_text() of this session.
std::uint64_t rows_processed();

/// The frame of ledger access: the ledger owner's rights and search_path = pg_catalog, pg_temp, undone at its end.
/// Never alive while text of a user runs. While an exception is in flight it does nothing: the abort restores all.
class Scope {
 public:
  Scope();
  ~Scope();
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

 private:
  int exceptions_;
  int nest_level_;
  Oid user_;
  int context_;
};

/// 'true'/'false', numbers and arrays as parameters.
inline Value sql_bool(bool b) {
  return std::string(b ? "true" : "false");
}
template <class Integer>
Value sql_int(Integer i) {
  return std::to_string(i);
}
/// A text[] literal: {"a","b"}.
Value sql_array(const std::vector<std::string>& items);
/// The items of a text[] in its text form.
std::vector<std::string> parse_array(const Value& array);

/// Missing value as an empty string.
inline std::string text_or_empty(const Value& v) {
  return v ? *v : std::string();
}
long long to_integer(const Value& v, long long when_null = 0);
inline bool to_bool(const Value& v) {
  return v && (*v == "t" || *v == "true");
}

/// OID of the extension, InvalidOid when it is not installed (dropped under us).
Oid extension_oid();
/// Owner of the ledger (the extension's owner); errors with 55000 when the extension is gone.
Oid ledger_owner();
/// OID of a relation of schema migration_ext.
Oid ledger_relation(const char* name);

}  // namespace migration::pg
