// Lists of names; see list_text.hpp.
#include "backfill/list_text.hpp"

#include <algorithm>
#include <charconv>

#include "backfill/knobs.hpp"

namespace migration::backfill {

namespace {

constexpr std::size_t most_items = 100;

void append_utf8(std::string& to, unsigned code) {
  if (code < 0x80) {
    to += static_cast<char>(code);
    return;
  }
  if (code < 0x800) {
    to += static_cast<char>(0xC0 | code >> 6);
  } else {
    to += static_cast<char>(0xE0 | code >> 12);
    to += static_cast<char>(0x80 | (code >> 6 & 0x3F));
  }
  to += static_cast<char>(0x80 | (code & 0x3F));
}

/// What stands behind the backslash at `at` of a JSON string, which moves to its last character. Halves of a surrogate
/// pair are refused: the server has put whole characters in their place already.
bool append_escaped(std::string& to, std::string_view json, std::size_t& at) {
  static constexpr std::string_view letters = "bfnrt\"\\/", meant = "\b\f\n\r\t\"\\/";
  if (++at == json.size()) return false;
  if (const std::size_t known = letters.find(json[at]); known != std::string_view::npos) {
    to += meant[known];
    return true;
  }
  if (json[at] != 'u' || json.size() - at < 5) return false;
  unsigned code = 0;
  const char* const digits = json.data() + at + 1;
  const auto [end, error] = std::from_chars(digits, digits + 4, code, 16);
  if (error != std::errc() || end != digits + 4 || code == 0 || (code & 0xF800) == 0xD800) return false;
  append_utf8(to, code);
  at += 4;
  return true;
}

}  // namespace

std::optional<std::vector<std::string>> parse_list(std::string_view text) {
  std::vector<std::string> items;
  std::string_view t = trim(text);
  const bool json = !t.empty() && t.front() == '[';
  if (json) {
    if (t.back() != ']') return std::nullopt;
    t = trim(t.substr(1, t.size() - 2));
  }
  while (!t.empty()) {
    std::string item;
    if (json && t.front() == '"') {
      std::size_t i = 1;
      for (; i < t.size() && t[i] != '"'; ++i) {
        if (t[i] != '\\') {
          item += t[i];
        } else if (!append_escaped(item, t, i)) {
          return std::nullopt;
        }
      }
      if (i == t.size()) return std::nullopt;
      t = trim(t.substr(i + 1));
      if (!t.empty() && t.front() != ',') return std::nullopt;
    } else {
      const std::size_t comma = std::min(t.find(','), t.size());
      item = std::string(trim(t.substr(0, comma)));
      t = t.substr(comma);
    }
    if (item.empty() || items.size() == most_items) return std::nullopt;
    items.push_back(std::move(item));
    if (!t.empty()) {
      t = trim(t.substr(1));
      if (t.empty()) return std::nullopt;
    }
  }
  return items;
}

std::string show_list(const std::vector<std::string>& items) {
  std::string out = "[";
  for (const std::string& item : items) out += (out.size() > 1 ? ", " : "") + quote(item);
  return out + "]";
}

}  // namespace migration::backfill
