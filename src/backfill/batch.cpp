// Texts and arithmetic of batches; see batch.hpp.
#include "backfill/batch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace migration::backfill {

std::string literal(const std::string& text) {
  std::string out = "'";
  for (char c : text) {
    if (c == '\'') out += '\'';
    out += c;
  }
  return out + "'";
}

namespace {

std::string name_of(const Target& t) {
  return t.alias.empty() ? t.relation : t.alias;
}

/// UPDATE/DELETE with `range` as the first condition; ONLY for a single leaf.
std::string statement(const Target& t, const std::string& relation, bool only, const std::string& range) {
  std::string sql = t.deletes ? "DELETE FROM " : "UPDATE ";
  if (only) sql += "ONLY ";
  sql += relation;
  // Without an alias of its own the leaf is called what the texts call the table: its bare name.
  if (!t.alias.empty()) sql += " AS " + t.alias;
  if (!t.deletes) sql += " SET " + t.assignments + "\n";
  std::string where = range;
  if (!t.condition.empty()) where += (where.empty() ? "(" : " AND (") + t.condition + "\n)";
  if (!where.empty()) sql += " WHERE " + where;
  return sql;
}

std::string key_list(const Target& t, const std::vector<std::string>& keys) {
  std::string out;
  for (const std::string& key : keys) out += (out.empty() ? "" : ", ") + name_of(t) + "." + key;
  return out;
}

std::string value_list(const std::vector<std::string>& values) {
  std::string out;
  for (const std::string& value : values) out += (out.empty() ? "" : ", ") + literal(value);
  return out;
}

std::string compare(const Target& t, const std::vector<std::string>& keys, const char* op,
                    const std::vector<std::string>& values) {
  // Qualified where that is certain: an operator of the same name, found first on the script's path, must not be met.
  const std::string qualified = t.core_keys ? fmt::format("OPERATOR(pg_catalog.{})", op) : op;
  return fmt::format("({}) {} ({})", key_list(t, keys), qualified, value_list(values));
}

}  // namespace

std::string block_batch(const Target& t, const std::string& leaf, long long from, long long to) {
  const std::string name = t.alias.empty() ? leaf : t.alias;
  return statement(t, leaf, true,
                   fmt::format("{}.ctid OPERATOR(pg_catalog.>=) '({},0)'::pg_catalog.tid AND {}.ctid "
                               "OPERATOR(pg_catalog.<) '({},0)'::pg_catalog.tid",
                               name, from, name, to));
}

std::string key_bound(const Target& t, const std::vector<std::string>& keys, const std::vector<std::string>& low,
                      const std::vector<std::string>& end, long long rows) {
  std::string columns;
  for (const std::string& key : keys)
    columns += fmt::format("{}{}.{}::pg_catalog.text", columns.empty() ? "" : ", ", name_of(t), key);
  std::string where = compare(t, keys, "<=", end);
  if (!low.empty()) where += " AND " + compare(t, keys, ">", low);
  return fmt::format("SELECT {} FROM {}{} WHERE {} ORDER BY {} OFFSET {} LIMIT 1", columns, t.relation,
                     t.alias.empty() ? "" : " AS " + t.alias, where, key_list(t, keys), rows - 1);
}

std::string key_batch(const Target& t, const std::vector<std::string>& keys, const std::vector<std::string>& low,
                      const std::vector<std::string>& high) {
  std::string where = compare(t, keys, "<=", high);
  if (!low.empty()) where += " AND " + compare(t, keys, ">", low);
  return statement(t, t.relation, false, where);
}

std::string last_key(const Target& t, const std::vector<std::string>& keys) {
  std::string columns, order;
  for (const std::string& key : keys) {
    columns += fmt::format("{}{}.{}::pg_catalog.text", columns.empty() ? "" : ", ", name_of(t), key);
    order += fmt::format("{}{}.{} DESC", order.empty() ? "" : ", ", name_of(t), key);
  }
  return fmt::format("SELECT {} FROM {}{} ORDER BY {} LIMIT 1", columns, t.relation,
                     t.alias.empty() ? "" : " AS " + t.alias, order);
}

std::string whole(const Target& t) {
  return statement(t, t.relation, false, "");
}

long long next_size(long long size, double elapsed_ms, double target_ms, long long limit) {
  const double factor = std::clamp(target_ms / std::max(elapsed_ms, 0.01), 0.25, 2.0);
  const double next = std::floor(static_cast<double>(size) * factor);
  return std::clamp(static_cast<long long>(std::min(next, 1e15)), 1LL, std::max(1LL, limit));
}

std::string bar(double percent) {
  const double p = std::clamp(percent, 0.0, 100.0);
  const int full = static_cast<int>(p / 5.0);
  return fmt::format("[{}{}] {:.1f} %", std::string(static_cast<std::size_t>(full), '#'),
                     std::string(static_cast<std::size_t>(20 - full), '.'), p);
}

}  // namespace migration::backfill
