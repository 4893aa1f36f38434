// SQL of the fuzzer's choice whose words are known.
//
// What: Pieces puts whole tokens together (names, quoted names, literals, dollar quotes, comments) and notes which
// words the text has. Why: bytes that are made up at random hardly ever close a quote; here every text is whole, and
// what words_of() has to say of it is known beforehand. Invariant: the text ends with a token unless `remarks` allows a
// comment behind it; then it may end with one that only a new line ends.
#pragma once

#include <string>
#include <vector>

#include "fuzz.hpp"
#include "plan/words.hpp"

namespace migration::fuzz {

struct Sql {
  std::string text;
  std::vector<Word> words;
};

inline bool same(const std::vector<Word>& a, const std::vector<Word>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].name != b[i].name || a[i].text != b[i].text) return false;
  }
  return true;
}

namespace detail {

/// `mark` doubled where it occurs, and backslashes too when they mean something.
inline std::string doubled(const std::string& text, char mark, bool backslashes) {
  std::string out;
  for (const char c : text) {
    if (c == mark || (backslashes && c == '\\')) out += c;
    out += c;
  }
  return out;
}

inline std::string without(std::string text, const std::string& bad) {
  for (std::size_t at = text.find(bad); at != std::string::npos; at = text.find(bad)) text.erase(at, bad.size());
  return text;
}

}  // namespace detail

/// Of a part of the input up to the next zero byte: a letter says which token, up to the next `;` goes what is in it.
inline Sql sql_pieces(Input& in, bool remarks) {
  using detail::doubled;
  using detail::without;
  Sql sql;
  Input part(in.part('\0'));
  const auto name = [&](const std::string& text, const std::string& word) {
    sql.text += text;
    sql.words.push_back(Word{true, word});
  };
  name("c", "c");
  while (!part.empty()) {
    const std::uint64_t kind = part.number(1);
    const std::string inside = part.until(';');
    // A comma, because two literals on two lines are one.
    sql.text += kind & 0x80 ? "\n, " : ",";
    sql.words.push_back(Word{false, ","});
    switch (kind % 10) {
      case 0:
        name("\"q" + doubled(inside, '"', false) + "\"", "q" + inside);
        break;
      case 1:
        name("Abc_1$", "abc_1$");
        break;
      case 2:
        sql.text += "'" + doubled(inside, '\'', false) + "'";
        break;
      case 3:
        sql.text += "E'" + doubled(inside, '\'', true) + "\\''";
        break;
      case 4: {
        // The closing quote is the first one; what stands before it may not run into it.
        const std::string tag = inside.size() % 2 ? "$q$" : "$$";
        const std::string body = without(inside, tag);
        sql.text += tag + (tag == "$$" ? without(body, "$") : body) + " " + tag;
        break;
      }
      case 5:
        sql.text += "/*" + without(without(inside, "*"), "/") + "/* */ */";
        break;
      case 6:
        sql.text += "--" + without(without(inside, "\n"), "\r") + (inside.size() % 2 ? "\n" : "\r");
        break;
      case 7:
        sql.text += "U&'" + doubled(inside, '\'', false) + "'";
        sql.words.push_back(Word{true, "u"});
        sql.words.push_back(Word{false, "&"});
        break;
      case 8:
        // A literal that goes on in the next line, where escapes still count.
        sql.text += "e'a' -- '\n 'b\\'" + doubled(inside, '\'', true) + "'";
        break;
      default:
        sql.text += "($1)";
        for (const char* one : {"(", "$", "1", ")"}) sql.words.push_back(Word{false, one});
    }
  }
  name(" d", "d");
  if (remarks) sql.text += " -- and '\"(";
  return sql;
}

}  // namespace migration::fuzz
