// The words of a piece of SQL, told without a server.
//
// What: which names a text mentions, for decisions by shape ("does this constraint name the column?"). Why not the
// server's scanner: the planner is pure. Invariant: comments, literals and dollar quotes give no names; a name comes
// out as the catalogs have it (folded, or without its quotes). A keyword is a name here like any other: asking too much
// is harmless where a mention only makes a plan more careful. Memory: plain values.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace migration {

struct Word {
  bool name = false;  ///< else one character of anything else
  std::string text;
};
std::vector<Word> words_of(std::string_view sql);

/// Is the quoted name mentioned as a name?
bool mentions(std::string_view sql, const std::string& quoted_name);

/// "a b" -> a b; a -> a.
std::string unquoted(const std::string& name);
/// Quotes where they are needed; keywords are not looked at.
std::string quoted_name(const std::string& name);
/// The last part of a qualified name, and what stands before it (empty when nothing does).
std::string last_part(const std::string& qualified);
std::string first_parts(const std::string& qualified);

}  // namespace migration
