// A quoted name is one word wherever it stands and comes back as it was; a literal gives no names.
#include "plan/words.hpp"

#include "fuzz.hpp"

using namespace migration;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input in(data, size);
  const std::string first = in.until('\n');
  const std::string second = in.until('\n');
  const std::string quoted = quoted_name(first), other = quoted_name(second);
  CHECK(unquoted(quoted) == first);
  const auto words = words_of(quoted + " . " + other);
  CHECK(words.size() == 3);
  CHECK(words[0].name && words[0].text == first && words[2].name && words[2].text == second);
  CHECK(last_part(quoted + "." + other) == other);
  CHECK(first_parts(quoted + "." + other) == quoted);
  CHECK(mentions("SELECT " + quoted + " FROM t", quoted));
  std::string literal;
  for (const char c : first) literal += c == '\'' ? "''" : std::string(1, c);
  CHECK(words_of("'" + literal + "'").empty());
  for (const Word& word : words_of(in.rest())) CHECK(word.name || word.text.size() == 1);
  return 0;
}
