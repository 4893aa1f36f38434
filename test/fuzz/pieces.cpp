// The words of whole SQL are those that were put into it.
#include "fuzz.hpp"
#include "plan/words.hpp"
#include "sql_pieces.hpp"

using namespace migration;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input in(data, size);
  const fuzz::Sql sql = fuzz::sql_pieces(in, size % 2 == 0);
  CHECK(fuzz::same(words_of(sql.text), sql.words));
  for (const Word& word : sql.words) CHECK(!word.name || mentions(sql.text, quoted_name(word.text)));
  CHECK(!mentions(sql.text, "nowhere"));
  return 0;
}
