// Members of JSON objects; see json.hpp.
#include "pg/json.hpp"

#include <cstring>

#include "pg/compat.hpp"
#include "pg/guard.hpp"

extern "C" {
#include "lib/stringinfo.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
}

namespace migration::pg {

std::optional<std::string> json_member(const std::string& json, const char* name) {
  const char* const text = json.c_str();
  struct Found {
    const char* at;
    int length;
  };
  Found found{nullptr, 0};
  try {
    found = pg_call([&]() -> Found {
      Jsonb* const object = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
      if (!JB_ROOT_IS_OBJECT(object)) return {nullptr, 0};
      JsonbValue* const value =
          getKeyJsonValueFromContainer(&object->root, name, static_cast<int>(strlen(name)), nullptr);
      if (value == nullptr || value->type == jbvNull) return {nullptr, 0};
      if (value->type == jbvString) return {value->val.string.val, value->val.string.len};
      Jsonb* const part = JsonbValueToJsonb(value);
      StringInfoData out;
      initStringInfo(&out);
      JsonbToCString(&out, &part->root, VARSIZE(part));
      return {out.data, out.len};
    });
  } catch (const PgError& e) {
    if (!e.state().starts_with("22")) throw;
  }
  if (found.at == nullptr) return std::nullopt;
  return std::string(found.at, static_cast<std::size_t>(found.length));
}

}  // namespace migration::pg
