// Helpers for arguments; see arguments.hpp.
#include "api/arguments.hpp"

#include <algorithm>
#include <cctype>

#include "pg/parse.hpp"
#include "statement/formatted.hpp"

extern "C" {
#include "common/pg_prng.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
}

namespace migration {

std::vector<std::string> split_names(std::string_view text) {
  std::vector<std::string> names;
  std::string name;
  const auto flush = [&] {
    if (!name.empty() && std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    name.clear();
  };
  for (char c : text) {
    if (c == ',' || std::isspace(static_cast<unsigned char>(c)) != 0) {
      flush();
    } else {
      name += c;
    }
  }
  flush();
  return names;
}

std::string json_argument(FunctionCallInfo fcinfo, int n) {
  if (PG_ARGISNULL(n)) return "{}";
  bool object = false;
  const char* text = pg::pg_call([&]() -> const char* {
    Jsonb* value = PG_GETARG_JSONB_P(n);
    object = JB_ROOT_IS_OBJECT(value);
    return JsonbToCString(nullptr, &value->root, static_cast<int>(VARSIZE(value)));
  });
  if (!object) {
    throw MigrationError(sqlstate::invalid_parameter, "options must be a JSON object", {},
                         "SELECT '{\"online\": false}'::jsonb;");
  }
  return text;
}

bool is_word(std::string_view text, std::string_view word) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())) != 0) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) text.remove_suffix(1);
  return std::equal(text.begin(), text.end(), word.begin(), word.end(), [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
  });
}

std::string new_revision_id(const std::vector<std::string>&) {
  return formatted("{:012x}", pg_prng_uint64(&pg_global_prng_state) & 0xffffffffffffULL);
}

namespace {

/// A dollar-quoted literal whose tag does not occur in the text.
std::string dollar_quoted(const std::string& text, std::string tag) {
  std::string mark = "$" + tag + "$";
  for (int i = 1; text.find("$" + tag) != std::string::npos; ++i) {
    tag = tag.substr(0, tag.find_first_of("0123456789")) + std::to_string(i);
    mark = "$" + tag + "$";
  }
  return mark + text + mark;
}

std::string name_list(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return names.empty() ? "NULL" : pg::quote_literal(out);
}

}  // namespace

std::string export_text(const catalog::StoredRevision& r) {
  std::string downgrade = "NULL";
  if (r.downgrade_kind == "given") downgrade = dollar_quoted(*r.downgrade, "down");
  if (r.downgrade_kind == "irreversible") downgrade = "'irreversible'";
  std::string call =
      formatted("SELECT migration_register({}, {}, {}, {}, {}", pg::quote_literal(r.node.id),
                pg::quote_literal(r.node.message), name_list(r.node.down), dollar_quoted(r.upgrade, "up"), downgrade);
  if (!r.node.labels.empty()) call += ",\n  branch_label => " + name_list(r.node.labels);
  if (!r.node.depends_on.empty()) call += ",\n  depends_on => " + name_list(r.node.depends_on);
  if (r.options != "{}") call += ",\n  options => " + pg::quote_literal(r.options) + "::jsonb";
  return call + ");\n";
}

}  // namespace migration
