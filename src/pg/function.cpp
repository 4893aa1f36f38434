// Arguments and result rows; see function.hpp.
#include "pg/function.hpp"

extern "C" {
#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/tuplestore.h"
}

namespace migration::pg {

std::optional<std::string> text_argument(FunctionCallInfo fcinfo, int n) {
  if (PG_ARGISNULL(n)) return std::nullopt;
  Datum datum = PG_GETARG_DATUM(n);
  text* value = pg_call([&] { return DatumGetTextPP(datum); });
  return std::string(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
}

std::string required_text(FunctionCallInfo fcinfo, int n, const char* name, const char* hint) {
  auto value = text_argument(fcinfo, n);
  if (!value) refuse_null(name, hint);
  return *value;
}

void refuse_null(const char* name, const char* hint) {
  throw MigrationError(sqlstate::null_not_allowed, std::string("argument \"") + name + "\" must not be null", {}, hint);
}

bool bool_argument(FunctionCallInfo fcinfo, int n, bool when_null) {
  return PG_ARGISNULL(n) ? when_null : PG_GETARG_BOOL(n);
}

std::optional<long long> bigint_argument(FunctionCallInfo fcinfo, int n) {
  if (PG_ARGISNULL(n)) return std::nullopt;
  return PG_GETARG_INT64(n);
}

Datum text_result(FunctionCallInfo, const std::string& text) {
  const char* data = text.data();
  const std::size_t size = text.size();
  return pg_call([&] { return PointerGetDatum(cstring_to_text_with_len(data, static_cast<int>(size))); });
}

Datum json_result(const std::string& text) {
  const char* data = text.c_str();
  return pg_call([&] { return DirectFunctionCall1(jsonb_in, CStringGetDatum(data)); });
}

Datum array_result(FunctionCallInfo, const std::vector<std::string>& items) {
  const int n = static_cast<int>(items.size());
  Datum* values = pg_call([&] { return static_cast<Datum*>(palloc(sizeof(Datum) * (n + 1))); });
  for (int i = 0; i < n; ++i) values[i] = text_result(nullptr, items[i]);
  return pg_call([&] { return PointerGetDatum(construct_array(values, n, TEXTOID, -1, false, TYPALIGN_INT)); });
}

Datum null_result(FunctionCallInfo fcinfo) {
  fcinfo->isnull = true;
  return static_cast<Datum>(0);
}

Datum row_result(FunctionCallInfo fcinfo, const Row& row) {
  constexpr int max_columns = 40;
  const char* values[max_columns];
  for (std::size_t i = 0; i < row.size() && i < max_columns; ++i) values[i] = row[i] ? row[i]->c_str() : nullptr;
  return pg_call([&] {
    TupleDesc description;
    if (get_call_result_type(fcinfo, nullptr, &description) != TYPEFUNC_COMPOSITE) {
      ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                      errmsg("function returning record called in a context that cannot accept it")));
    }
    AttInMetadata* input = TupleDescGetAttInMetadata(BlessTupleDesc(description));
    return HeapTupleGetDatum(BuildTupleFromCStrings(input, const_cast<char**>(values)));
  });
}

ResultRows::ResultRows(FunctionCallInfo fcinfo) : fcinfo_(fcinfo), input_(nullptr) {
  input_ = pg_call([&] {
    InitMaterializedSRF(fcinfo, 0);
    auto* info = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
    return TupleDescGetAttInMetadata(info->setDesc);
  });
}

void ResultRows::add(const Row& row) {
  auto* info = reinterpret_cast<ReturnSetInfo*>(fcinfo_->resultinfo);
  const int columns = info->setDesc->natts;
  if (static_cast<int>(row.size()) != columns) {
    throw MigrationError(sqlstate::internal_error, "row of " + std::to_string(row.size()) + " values for " +
                                                       std::to_string(columns) + " columns");
  }
  constexpr int max_columns = 40;
  const char* values[max_columns];
  for (int i = 0; i < columns; ++i) values[i] = row[i] ? row[i]->c_str() : nullptr;
  AttInMetadata* input = input_;
  pg_call([&] {
    HeapTuple tuple = BuildTupleFromCStrings(input, const_cast<char**>(values));
    tuplestore_puttuple(info->setResult, tuple);
    heap_freetuple(tuple);
  });
}

}  // namespace migration::pg
