// Cutting SQL into words; see words.hpp.
#include "plan/words.hpp"

#include <algorithm>

namespace migration {

namespace {

bool starts_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}
bool in_name(char c) {
  return starts_name(c) || (c >= '0' && c <= '9') || c == '$';
}
bool is_space(char c) {
  return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}
char folded(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

constexpr std::string_view line_ends = "\n\r";

/// A literal goes on in another line (SQL:2016 5.3): where its next part begins, npos when that was the last.
std::size_t next_part(std::string_view sql, std::size_t at) {
  bool other_line = false;
  for (; at < sql.size(); ++at) {
    if (sql.substr(at, 2) == "--") at = std::min(sql.find_first_of(line_ends, at), sql.size());
    if (at == sql.size()) break;
    other_line = other_line || line_ends.find(sql[at]) != std::string_view::npos;
    if (sql[at] == '\'' && other_line) return at;
    if (!is_space(sql[at])) break;
  }
  return std::string_view::npos;
}

/// Behind the literal that begins at `at`; with `escapes` a backslash hides the next character. That holds behind a
/// doubled quote and in all parts, too.
std::size_t behind_literal(std::string_view sql, std::size_t at, bool escapes) {
  for (++at; at < sql.size(); ++at) {
    if ((escapes && sql[at] == '\\') || sql.substr(at, 2) == "''") {
      ++at;
    } else if (sql[at] == '\'') {
      const std::size_t next = next_part(sql, at + 1);
      if (next == std::string_view::npos) return at + 1;
      at = next;
    }
  }
  return sql.size();
}

std::size_t behind_comment(std::string_view sql, std::size_t at) {
  int depth = 0;
  for (; at + 1 < sql.size(); ++at) {
    if (sql[at] == '/' && sql[at + 1] == '*') {
      ++depth, ++at;
    } else if (sql[at] == '*' && sql[at + 1] == '/') {
      ++at;
      if (--depth == 0) return at + 1;
    }
  }
  return sql.size();
}

/// Behind a dollar quote; `at` itself when there is none (a parameter, $1).
std::size_t behind_dollars(std::string_view sql, std::size_t at) {
  std::size_t end = at + 1;
  while (end < sql.size() && sql[end] != '$' && in_name(sql[end])) ++end;
  if (end >= sql.size() || sql[end] != '$' || (end > at + 1 && !starts_name(sql[at + 1]))) return at;
  const std::string_view tag = sql.substr(at, end + 1 - at);
  const std::size_t close = sql.find(tag, end + 1);
  return close == std::string_view::npos ? sql.size() : close + tag.size();
}

}  // namespace

std::vector<Word> words_of(std::string_view sql) {
  std::vector<Word> out;
  for (std::size_t at = 0; at < sql.size();) {
    const char c = sql[at];
    if (c == '-' && sql.substr(at, 2) == "--") {
      at = std::min(sql.size(), sql.find_first_of(line_ends, at));
    } else if (c == '/' && sql.substr(at, 2) == "/*") {
      at = behind_comment(sql, at);
    } else if (c == '\'') {
      at = behind_literal(sql, at, false);
    } else if (c == '"') {
      Word word{true, {}};
      for (++at; at < sql.size(); ++at) {
        if (sql[at] == '"' && (++at >= sql.size() || sql[at] != '"')) break;
        word.text += sql[at];
      }
      out.push_back(std::move(word));
    } else if (starts_name(c)) {
      Word word{true, {}};
      for (; at < sql.size() && in_name(sql[at]); ++at) word.text += folded(sql[at]);
      if (at < sql.size() && sql[at] == '\'') {
        at = behind_literal(sql, at, word.text == "e");
      } else {
        out.push_back(std::move(word));
      }
    } else if (c == '$' && behind_dollars(sql, at) > at) {
      at = behind_dollars(sql, at);
    } else {
      if (!is_space(c)) out.push_back(Word{false, std::string(1, c)});
      ++at;
    }
  }
  return out;
}

bool mentions(std::string_view sql, const std::string& quoted) {
  const std::string name = unquoted(quoted);
  const std::vector<Word> words = words_of(sql);
  return std::any_of(words.begin(), words.end(), [&](const Word& w) { return w.name && w.text == name; });
}

std::string unquoted(const std::string& name) {
  if (name.size() < 2 || name.front() != '"') return name;
  std::string out;
  for (std::size_t i = 1; i + 1 < name.size(); ++i) {
    out += name[i];
    if (name[i] == '"') ++i;
  }
  return out;
}

std::string quoted_name(const std::string& name) {
  const bool plain = !name.empty() && !(name[0] >= '0' && name[0] <= '9') &&
                     std::all_of(name.begin(), name.end(),
                                 [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
  if (plain) return name;
  std::string out = "\"";
  for (char c : name) {
    if (c == '"') out += c;
    out += c;
  }
  return out + "\"";
}

namespace {

std::size_t last_dot(const std::string& qualified) {
  bool inside = false;
  std::size_t dot = std::string::npos;
  for (std::size_t i = 0; i < qualified.size(); ++i) {
    if (qualified[i] == '"') inside = !inside;
    if (qualified[i] == '.' && !inside) dot = i;
  }
  return dot;
}

}  // namespace

std::string last_part(const std::string& qualified) {
  const std::size_t dot = last_dot(qualified);
  return dot == std::string::npos ? qualified : qualified.substr(dot + 1);
}

std::string first_parts(const std::string& qualified) {
  const std::size_t dot = last_dot(qualified);
  return dot == std::string::npos ? std::string() : qualified.substr(0, dot);
}

}  // namespace migration
