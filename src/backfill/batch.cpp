// Texts and arithmetic of batches; see batch.hpp.
#include "backfill/batch.hpp"

#include "statement/formatted.hpp"

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

std::string where_of(const Target& t, const std::string& range) {
  std::string where = range;
  if (!t.condition.empty()) where += (where.empty() ? "(" : " AND (") + t.condition + "\n)";
  return where.empty() ? where : " WHERE " + where;
}

/// UPDATE/DELETE, or INSERT of what is read, with `range` as the first condition; ONLY for a single leaf.
std::string statement(const Target& t, const std::string& relation, bool only, const std::string& range) {
  // Without an alias of its own the leaf is called what the texts call the table: its bare name.
  const std::string table = (only ? "ONLY " : "") + relation + (t.alias.empty() ? "" : " AS " + t.alias);
  if (!t.into.empty()) {
    return formatted("INSERT INTO {}\nSELECT {}\nFROM {}{}{}", t.into, t.assignments, table, where_of(t, range),
                     t.keeps_present ? "\nON CONFLICT DO NOTHING" : "");
  }
  std::string sql = (t.deletes ? "DELETE FROM " : "UPDATE ") + table;
  if (!t.deletes) sql += " SET " + t.assignments + "\n";
  if (!t.from.empty()) sql += (t.deletes ? " USING " : " FROM ") + t.from + "\n";
  return sql + where_of(t, range);
}

/// The table as a FROM list reads it, with the lookup table.
std::string read_from(const Target& t, const std::string& relation) {
  return relation + (t.alias.empty() ? "" : " AS " + t.alias) + (t.from.empty() ? "" : ",\n" + t.from + "\n");
}

/// The condition over each new row.
std::string returning(const Target& t) {
  return t.condition.empty() ? " RETURNING true" : " RETURNING (" + t.condition + "\n)";
}

std::string key_list(const Target& t, const Key& key) {
  std::string out;
  for (const KeyColumn& k : key) out += (out.empty() ? "" : ", ") + name_of(t) + "." + k.name;
  return out;
}

std::string key_texts(const Target& t, const Key& key) {
  std::string out;
  for (const KeyColumn& k : key) {
    out += formatted("{}{}.{}::pg_catalog.text", out.empty() ? "" : ", ", name_of(t), k.name);
  }
  return out;
}

std::string parameter(const KeyColumn& k, std::size_t number) {
  return formatted("${}::{}", number, k.type);
}

/// (a, b) op ($first, ...). A row comparison takes one operator for all columns; where theirs differ (types of several
/// schemas), it is spelled out.
std::string compare(const Target& t, const Key& key, std::string KeyColumn::*op, std::size_t first) {
  const auto same = [&](const KeyColumn& k) { return k.*op == key[0].*op; };
  if (std::all_of(key.begin(), key.end(), same)) {
    std::string values;
    for (std::size_t i = 0; i < key.size(); ++i) values += (i == 0 ? "" : ", ") + parameter(key[i], first + i);
    return formatted("({}) {} ({})", key_list(t, key), key[0].*op, values);
  }
  std::string out, equal;
  for (std::size_t i = 0; i < key.size(); ++i) {
    const bool last = i + 1 == key.size();
    const std::string column = name_of(t) + "." + key[i].name;
    const std::string value = parameter(key[i], first + i);
    // Before the last column, "not above" and "above" are both decided by a strict comparison.
    // Equality is one column after the other.
    if (op == &KeyColumn::equal) {
      out += (i == 0 ? "" : " AND ") + formatted("{} {} {}", column, key[i].equal, value);
      continue;
    }
    const std::string decides = last || op == &KeyColumn::greater
                                    ? formatted("{} {} {}", column, key[i].*op, value)
                                    : formatted("NOT ({} {} {})", column, key[i].greater, value) +
                                          formatted(" AND NOT ({} {} {})", column, key[i].equal, value);
    out += formatted("{}({}{})", out.empty() ? "" : " OR ", equal, decides);
    equal += formatted("{} {} {} AND ", column, key[i].equal, value);
  }
  return "(" + out + ")";
}

}  // namespace

namespace {

/// The range of a leaf's blocks, as row ids.
std::string block_range(const std::string& name) {
  return formatted("{0}.ctid OPERATOR(pg_catalog.>=) $1 AND {0}.ctid OPERATOR(pg_catalog.<) $2", name);
}

const std::string& leaf_name(const Target& t, const std::string& leaf) {
  return t.alias.empty() ? leaf : t.alias;
}

}  // namespace

std::string block_batch(const Target& t, const std::string& leaf, bool again) {
  return statement(t, leaf, true, block_range(leaf_name(t, leaf))) + (again ? returning(t) : "");
}

std::string block_rows(const Target& t, const std::string& leaf) {
  const std::string& name = leaf_name(t, leaf);
  std::string sql = formatted("SELECT {}.ctid FROM ONLY {} WHERE {}", name, read_from(t, leaf), block_range(name));
  if (!t.condition.empty()) sql += " AND (" + t.condition + "\n)";
  return sql;
}

std::string row_batch(const Target& t, const std::string& leaf, bool again) {
  return statement(t, leaf, true, formatted("{}.ctid OPERATOR(pg_catalog.=) ANY ($1)", leaf_name(t, leaf))) +
         (again ? returning(t) : "");
}

std::string key_bound(const Target& t, const Key& key, bool from_start) {
  const std::size_t end = from_start ? 1 : key.size() + 1;
  std::string where = compare(t, key, &KeyColumn::less_equal, end);
  if (!from_start) where += " AND " + compare(t, key, &KeyColumn::greater, 1);
  return formatted("SELECT {} FROM {}{} WHERE {} ORDER BY {} OFFSET ${}::pg_catalog.int8 LIMIT 1", key_texts(t, key),
                   t.relation, t.alias.empty() ? "" : " AS " + t.alias, where, key_list(t, key), end + key.size());
}

namespace {

/// (low, high], from the table's first key on without a low.
std::string key_range(const Target& t, const Key& key, bool from_start) {
  std::string where = compare(t, key, &KeyColumn::less_equal, from_start ? 1 : key.size() + 1);
  if (!from_start) where += " AND " + compare(t, key, &KeyColumn::greater, 1);
  return where;
}

std::string part_condition(const Target& t, const Key& key, bool from_start) {
  const std::size_t from = (from_start ? 1 : 2) * key.size() + 1;
  // The distance from the first part on: one comparison, however dear the fraction is. Sub-selects, so that texts
  // become numbers once and not for each row.
  return formatted(
      " AND (({} OPERATOR(pg_catalog.-) (SELECT ${}::pg_catalog.int8)) OPERATOR(pg_catalog.&) "
      "2147483647::pg_catalog.int8) OPERATOR(pg_catalog.<) (SELECT ${}::pg_catalog.int8)",
      key_fraction(t, key), from, from + 1);
}

std::string listing(const Target& t, const Key& key, const std::string& where) {
  return formatted("SELECT {} FROM {}{} WHERE {} ORDER BY {}", key_texts(t, key), t.relation,
                   t.alias.empty() ? "" : " AS " + t.alias, where, key_list(t, key));
}

}  // namespace

std::string key_batch(const Target& t, const Key& key, bool from_start) {
  return statement(t, t.relation, false, key_range(t, key, from_start));
}

std::string key_list_of(const Target& t, const Key& key, bool from_start) {
  return listing(t, key, key_range(t, key, from_start));
}

std::string key_fraction(const Target& t, const Key& key) {
  const KeyColumn& last = key.back();
  if (last.type == "bigint" || last.type == "integer" || last.type == "smallint") {
    // 31 bits of the product with 2^31 / phi are a fraction; no step overflows.
    return formatted(
        "((({}.{}::pg_catalog.int8 OPERATOR(pg_catalog.&) 2147483647::pg_catalog.int8) OPERATOR(pg_catalog.*) "
        "1327217885::pg_catalog.int8) OPERATOR(pg_catalog.&) 2147483647::pg_catalog.int8)",
        name_of(t), last.name);
  }
  return formatted(
      "(pg_catalog.hash_record_extended(ROW({}), 0::pg_catalog.int8) OPERATOR(pg_catalog.&) "
      "2147483647::pg_catalog.int8)",
      key_list(t, key));
}

std::string key_part_batch(const Target& t, const Key& key, bool from_start) {
  return statement(t, t.relation, false, key_range(t, key, from_start) + part_condition(t, key, from_start));
}

std::string key_part_list_of(const Target& t, const Key& key, bool from_start) {
  return listing(t, key, key_range(t, key, from_start) + part_condition(t, key, from_start));
}

std::string key_places(const Target& t, const Key& key, bool from_start) {
  const std::string name = name_of(t);
  return formatted("SELECT {0}.tableoid, {0}.ctid, {0}.xmin, {1}, {2} FROM {3}{4} WHERE {5}", name,
                   key_fraction(t, key), key_texts(t, key), t.relation, t.alias.empty() ? "" : " AS " + t.alias,
                   key_range(t, key, from_start));
}

std::string key_pages(const Target& t, const Key& key, bool from_start) {
  return formatted(
      "SELECT pg_catalog.count(*)::pg_catalog.text, pg_catalog.count(DISTINCT ({0}.tableoid, "
      "({0}.ctid::pg_catalog.text::pg_catalog.point)[0]))::pg_catalog.text, pg_catalog.count(*) FILTER (WHERE {1} "
      "OPERATOR(pg_catalog.>=) 0::pg_catalog.int8)::pg_catalog.text FROM {2}{3} WHERE {4}",
      name_of(t), key_fraction(t, key), t.relation, t.alias.empty() ? "" : " AS " + t.alias,
      key_range(t, key, from_start));
}

std::string key_exact(const Target& t, const Key& key) {
  return statement(t, t.relation, false, compare(t, key, &KeyColumn::equal, 1));
}

std::string key_image(const Target& t, const Key& key) {
  return formatted("SELECT pg_catalog.to_jsonb({})::pg_catalog.text FROM {}{} WHERE {}", name_of(t), t.relation,
                   t.alias.empty() ? "" : " AS " + t.alias, compare(t, key, &KeyColumn::equal, 1));
}

std::string row_image(const std::string& leaf) {
  return formatted(
      "SELECT pg_catalog.to_jsonb(migration_row)::pg_catalog.text FROM ONLY {} AS migration_row WHERE "
      "migration_row.ctid OPERATOR(pg_catalog.=) $1::pg_catalog.tid",
      leaf);
}

std::string last_key(const Target& t, const Key& key) {
  std::string order;
  for (const KeyColumn& k : key) {
    order += formatted("{}{}.{} DESC", order.empty() ? "" : ", ", name_of(t), k.name);
  }
  return formatted("SELECT {} FROM {}{} ORDER BY {} LIMIT 1", key_texts(t, key), t.relation,
                   t.alias.empty() ? "" : " AS " + t.alias, order);
}

std::string whole(const Target& t, bool again) {
  return statement(t, t.relation, false, "") + (again ? returning(t) : "");
}

std::string row_batch_telling(const Target& t, const std::string& leaf) {
  const std::string& name = leaf_name(t, leaf);
  const std::string meets = t.condition.empty() ? "true" : "(" + t.condition + "\n)";
  // Of a deleted row nothing is left.
  if (t.deletes) return row_batch(t, leaf) + " RETURNING ''::pg_catalog.text, ''::pg_catalog.text";
  return row_batch(t, leaf) +
         formatted(" RETURNING CASE WHEN {0} THEN {1}.tableoid::pg_catalog.text END, {1}.ctid::pg_catalog.text", meets,
                   name);
}

std::string rows_needing(const Target& t, long long rows) {
  std::string sql =
      formatted("SELECT {0}.tableoid::pg_catalog.text, {0}.ctid::pg_catalog.text, {0}.xmin::pg_catalog.text FROM {1}",
                name_of(t), read_from(t, t.relation));
  if (!t.condition.empty()) sql += " WHERE (" + t.condition + "\n)";
  return sql + formatted(" LIMIT {}", rows);
}

std::string count_needing(const Target& t) {
  std::string sql = "SELECT pg_catalog.count(*)::pg_catalog.text FROM " + read_from(t, t.relation);
  if (!t.condition.empty()) sql += " WHERE (" + t.condition + "\n)";
  return sql;
}

std::string sample(const Target& t, long long rows) {
  // A sub-select by ctid: rows of partitions may share one, which makes the sample larger, never wrong.
  return statement(t, t.relation, false,
                   formatted("{}.ctid OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT {}.ctid FROM {} WHERE ({}\n) LIMIT {}))",
                             name_of(t), name_of(t), read_from(t, t.relation), t.condition, rows)) +
         returning(t);
}

std::string bar(double percent) {
  const double p = std::clamp(percent, 0.0, 100.0);
  const int full = static_cast<int>(p / 5.0);
  return formatted("[{}{}] {:.1f} %", std::string(static_cast<std::size_t>(full), '#'),
                   std::string(static_cast<std::size_t>(20 - full), '.'), p);
}

}  // namespace migration::backfill
