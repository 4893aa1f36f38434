// SPI behind a typed face; see sql.hpp.
#include "pg/sql.hpp"

#include <cstring>
#include <string_view>
#include <unordered_map>
#include <utility>

extern "C" {
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
}

namespace migration::pg {

namespace {

std::uint64_t g_processed = 0;

/// Text form of a value, in SPI memory; not terminated. NULL has no data.
struct RawValue {
  const char* data;
  std::size_t size;
};

/// Values of a finished SPI call, still in SPI memory: plain data, so that it may cross pg_call.
struct RawRows {
  std::uint64_t rows = 0;
  int columns = 0;
  RawValue* values = nullptr;
};

void check_code(int code, const char* what) {
  if (code < 0) {
    ereport(ERROR,
            (errcode(ERRCODE_INTERNAL_ERROR), errmsg_internal("%s failed: %s", what, SPI_result_code_string(code))));
  }
}

RawRows fetch_raw() {
  RawRows raw;
  g_processed = SPI_processed;
  if (SPI_tuptable == nullptr) return raw;
  raw.rows = SPI_tuptable->numvals;
  raw.columns = SPI_tuptable->tupdesc->natts;
  raw.values =
      static_cast<RawValue*>(palloc_extended(sizeof(RawValue) * (raw.rows * raw.columns + 1), MCXT_ALLOC_HUGE));
  // SPI_getvalue would look up the type and walk the row anew for every value.
  TupleDesc description = SPI_tuptable->tupdesc;
  auto* output = static_cast<FmgrInfo*>(palloc(sizeof(FmgrInfo) * (raw.columns + 1)));
  auto* data = static_cast<Datum*>(palloc(sizeof(Datum) * (raw.columns + 1)));
  auto* nulls = static_cast<bool*>(palloc(sizeof(bool) * (raw.columns + 1)));
  for (int c = 0; c < raw.columns; ++c) {
    Oid function;
    bool varlena;
    getTypeOutputInfo(TupleDescAttr(description, c)->atttypid, &function, &varlena);
    fmgr_info(function, &output[c]);
  }
  RawValue* value = raw.values;
  for (std::uint64_t r = 0; r < raw.rows; ++r) {
    heap_deform_tuple(SPI_tuptable->vals[r], description, data, nulls);
    for (int c = 0; c < raw.columns; ++c, ++value) {
      if (nulls[c]) {
        *value = RawValue{nullptr, 0};
      } else if (TupleDescAttr(description, c)->atttypid == TEXTOID) {
        text* found = DatumGetTextPP(data[c]);
        *value = RawValue{VARDATA_ANY(found), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(found))};
      } else {
        const char* found = OutputFunctionCall(&output[c], data[c]);
        *value = RawValue{found, strlen(found)};
      }
    }
  }
  return raw;
}

Rows copy_rows(const RawRows& raw) {
  Rows rows;
  rows.reserve(raw.rows);
  const RawValue* value = raw.values;
  for (std::uint64_t r = 0; r < raw.rows; ++r) {
    Row& row = rows.emplace_back();
    row.reserve(raw.columns);
    for (int c = 0; c < raw.columns; ++c, ++value) {
      if (value->data == nullptr) {
        row.emplace_back(std::nullopt);
      } else {
        row.emplace_back(std::in_place, value->data, value->size);
      }
    }
  }
  return rows;
}

/// Plans kept for the session; never destroyed (static destructors run in a dying backend).
std::unordered_map<const void*, SPIPlanPtr>& plans() {
  static auto* map = new std::unordered_map<const void*, SPIPlanPtr>();
  return *map;
}

/// SPI wants an active snapshot for anything but utility statements; workers start their transactions without one.
bool ensure_snapshot() {
  if (ActiveSnapshotSet()) return false;
  PushActiveSnapshot(GetTransactionSnapshot());
  return true;
}

}  // namespace

Rows query(const char* literal, std::initializer_list<Value> parameters) {
  constexpr int max_parameters = 40;
  Datum values[max_parameters];
  char nulls[max_parameters];
  Oid types[max_parameters];
  int n = 0;
  for (const Value& p : parameters) {
    if (n == max_parameters) throw MigrationError(sqlstate::internal_error, "too many parameters");
    const char* text = p ? p->data() : nullptr;
    const std::size_t size = p ? p->size() : 0;
    types[n] = TEXTOID;
    nulls[n] = p ? ' ' : 'n';
    values[n] =
        p ? pg_call([&] { return PointerGetDatum(cstring_to_text_with_len(text, static_cast<int>(size))); }) : 0;
    ++n;
  }
  auto known = plans().find(literal);
  SPIPlanPtr plan = known == plans().end() ? nullptr : known->second;
  bool pushed = false;
  const bool fresh = plan == nullptr;
  RawRows raw = pg_call([&] {
    pushed = ensure_snapshot();
    SPI_connect();
    if (plan == nullptr) {
      plan = SPI_prepare(literal, n, types);
      if (plan == nullptr) check_code(SPI_result, "SPI_prepare");
      check_code(SPI_keepplan(plan), "SPI_keepplan");
    }
    check_code(SPI_execute_plan(plan, values, nulls, false, 0), "SPI_execute_plan");
    return fetch_raw();
  });
  if (fresh) plans()[literal] = plan;
  Rows rows = copy_rows(raw);
  pg_call([&] {
    SPI_finish();
    if (pushed) PopActiveSnapshot();
  });
  for (int i = 0; i < n; ++i) {
    if (nulls[i] == ' ') pfree(DatumGetPointer(values[i]));
  }
  return rows;
}

Rows query_text(const std::string& sql) {
  const char* text = sql.c_str();
  bool pushed = false;
  RawRows raw = pg_call([&] {
    pushed = ensure_snapshot();
    SPI_connect();
    check_code(SPI_execute(text, false, 0), "SPI_execute");
    return fetch_raw();
  });
  Rows rows = copy_rows(raw);
  pg_call([&] {
    SPI_finish();
    if (pushed) PopActiveSnapshot();
  });
  return rows;
}

std::uint64_t rows_processed() {
  return g_processed;
}

Scope::Scope() : exceptions_(std::uncaught_exceptions()), nest_level_(0), user_(InvalidOid), context_(0) {
  const Oid owner = ledger_owner();
  GetUserIdAndSecContext(&user_, &context_);
  nest_level_ = pg_call([] {
    int level = NewGUCNestLevel();
    set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
                      false);
    return level;
  });
  SetUserIdAndSecContext(owner, context_ | SECURITY_LOCAL_USERID_CHANGE);
}

Scope::~Scope() {
  if (std::uncaught_exceptions() > exceptions_) return;
  // Neither call can raise: AtEOXact_GUC(false) only restores values that were valid before.
  AtEOXact_GUC(false, nest_level_);
  SetUserIdAndSecContext(user_, context_);
}

Value sql_array(const std::vector<std::string>& items) {
  std::string out = "{";
  for (const std::string& item : items) {
    if (out.size() > 1) out += ',';
    out += '"';
    for (char c : item) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    out += '"';
  }
  return out + "}";
}

std::vector<std::string> parse_array(const Value& array) {
  std::vector<std::string> items;
  if (!array) return items;
  const std::string& s = *array;
  std::size_t i = 1;
  while (i + 1 < s.size()) {
    std::string item;
    if (s[i] == '"') {
      for (++i; i < s.size() && s[i] != '"'; ++i) {
        if (s[i] == '\\') ++i;
        item += s[i];
      }
      ++i;
    } else {
      for (; i < s.size() && s[i] != ',' && s[i] != '}'; ++i) item += s[i];
    }
    items.push_back(std::move(item));
    if (i < s.size() && s[i] == ',') ++i;
  }
  return items;
}

long long to_integer(const Value& v, long long when_null) {
  return v && !v->empty() ? std::stoll(*v) : when_null;
}

namespace {

/// The version of the SQL objects that this library goes with: default_version of the control file.
constexpr char library_version[] = "0.1.0";

struct Installed {
  Oid owner;
  char version[32];
};

}  // namespace

Oid extension_oid() {
  return pg_call([] { return get_extension_oid("migration_ext", true); });
}

Oid ledger_owner() {
  const Oid extension = extension_oid();
  if (!OidIsValid(extension)) {
    throw MigrationError(sqlstate::not_in_prerequisite_state,
                         "extension \"migration_ext\" is not installed in this database", {},
                         "CREATE EXTENSION migration_ext;");
  }
  // No syscache covers pg_extension; one index lookup, the way get_extension_schema() does it.
  const Installed installed = pg_call([&] {
    Installed found = {};
    Relation rel = table_open(ExtensionRelationId, AccessShareLock);
    ScanKeyData key;
    ScanKeyInit(&key, Anum_pg_extension_oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(extension));
    SysScanDesc scan = systable_beginscan(rel, ExtensionOidIndexId, true, nullptr, 1, &key);
    HeapTuple tuple = systable_getnext(scan);
    if (HeapTupleIsValid(tuple)) {
      found.owner = reinterpret_cast<Form_pg_extension>(GETSTRUCT(tuple))->extowner;
      bool null;
      Datum version = heap_getattr(tuple, Anum_pg_extension_extversion, RelationGetDescr(rel), &null);
      if (!null) {
        char* name = TextDatumGetCString(version);
        strncpy(found.version, name, sizeof found.version - 1);
        pfree(name);
      }
    }
    systable_endscan(scan);
    table_close(rel, AccessShareLock);
    return found;
  });
  // After an update of the package, or ALTER EXTENSION UPDATE, under a session or worker with the other library.
  if (std::string_view(installed.version) != library_version) {
    throw MigrationError(sqlstate::not_in_prerequisite_state,
                         std::string("extension \"migration_ext\" is version ") + installed.version +
                             " in this database, but the library in use is version " + library_version,
                         "Nothing was done. A run that was under way goes on with migration_resume() when they agree.",
                         "ALTER EXTENSION migration_ext UPDATE;  -- then connect again; restart the server when "
                         "shared_preload_libraries has migration_ext");
  }
  return installed.owner;
}

Oid ledger_relation(const char* name) {
  return pg_call([&] {
    Oid schema = get_namespace_oid("migration_ext", false);
    Oid relation = get_relname_relid(name, schema);
    if (!OidIsValid(relation)) {
      ereport(ERROR,
              (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("ledger table \"migration_ext.%s\" does not exist", name),
               errhint("ALTER EXTENSION migration_ext UPDATE;")));
    }
    return relation;
  });
}

}  // namespace migration::pg
