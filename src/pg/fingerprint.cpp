// Telling scripts apart by their tokens, and taking CONCURRENTLY out of a statement.
//
// The canonical form of a token is one byte for its kind, the length of its value and the value. Words are kept as
// the scanner folds them whether they are keywords or not, so a word that becomes a keyword in the next major version
// does not change the fingerprint of an applied revision. A quoted identifier counts as the same word without quotes
// when leaving the quotes out would not change the meaning; keywords that came after 15 do not count against that.
// Strings count by value: 'a', E'a' and $$a$$ are one, U&'..' is another kind as its escapes are not decoded here.
// Numbers count as they are written. Semicolons separate, so leading, trailing and repeated ones do not count.
#include <cstring>
#include <string>
#include <vector>

#include "pg/compat.hpp"
#include "pg/parse.hpp"
#include "pg/scan.hpp"
#include "pg/script.hpp"

extern "C" {
#include "common/keywords.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
}

namespace migration::pg {

namespace {

/// Would the identifier mean the same without its quotes?
bool plain_word(const char* word) {
  if (!((*word >= 'a' && *word <= 'z') || *word == '_')) return false;
  for (const char* c = word; *c != 0; ++c)
    if (!((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '_' || *c == '$')) return false;
  if (strncmp(word, "json", 4) == 0 || strcmp(word, "merge_action") == 0 || strcmp(word, "system_user") == 0)
    return true;
  int const number = ScanKeywordLookup(word, &ScanKeywords);
  return number < 0 || ScanKeywordCategories[number] == UNRESERVED_KEYWORD;
}

/// C only: appends kind, length and value.
void append_part(StringInfo out, char kind, const char* value, int length) {
  appendStringInfoChar(out, kind);
  for (int shift = 24; shift >= 0; shift -= 8)
    appendStringInfoChar(out, static_cast<char>((static_cast<unsigned>(length) >> shift) & 0xff));
  appendBinaryStringInfo(out, value, length);
}

/// C only: the canonical form of tokens [from, to).
void append_canonical(StringInfo out, const char* text, const Token* from, const Token* to) {
  bool separate = false;
  for (const Token* token = from; token < to; ++token) {
    if (token->is(';')) {
      separate = true;
      continue;
    }
    if (separate && out->len > 0) appendStringInfoChar(out, ';');
    separate = false;
    const char* const source = text + token->start;
    switch (token->code) {
      case token_string:
        append_part(out, 's', token->word, static_cast<int>(strlen(token->word)));
        break;
      case token_ustring:
        append_part(out, 'u', token->word, static_cast<int>(strlen(token->word)));
        break;
      case token_bits:
      case token_hex:
        append_part(out, 'b', token->word, static_cast<int>(strlen(token->word)));
        break;
      case token_uident:
        append_part(out, 'U', token->word, static_cast<int>(strlen(token->word)));
        break;
      default:
        if (token->keyword() || token->code == token_ident) {
          char const kind = *source == '"' && !plain_word(token->word) ? 'q' : 'w';
          append_part(out, kind, token->word, static_cast<int>(strlen(token->word)));
        } else if (token->code == token_operator && strcmp(token->word, "!=") == 0) {
          append_part(out, 't', "<>", 2);
        } else {
          append_part(out, 't', source, token->end - token->start);
        }
    }
  }
}

struct Bytes {
  const char* data = nullptr;
  int length = 0;
  bool operator==(const Bytes& o) const { return length == o.length && memcmp(data, o.data, size_t(length)) == 0; }
};

Bytes canonical(const Scan& script, const Token* from, const Token* to) {
  auto* out = pg_call([&] {
    StringInfo made = makeStringInfo();
    append_canonical(made, script.text, from, to);
    return made;
  });
  return {out->data, out->len};
}

/// The statements of a script by tokens; the whole script as one when the parser of this server refuses it.
std::vector<Piece> pieces_of(const Scan& script) {
  try {
    return cut(script);
  } catch (const PgError& e) {
    if (!e.state().starts_with("42")) throw;
  }
  std::vector<Piece> whole;
  if (script.tokens.count > 0) {
    Piece& all = whole.emplace_back();
    all.script = &script;
    all.first = script.tokens.begin();
    all.last = script.tokens.end();
    all.start = all.first->start;
  }
  return whole;
}

/// The token CONCURRENTLY of the statement, outside parentheses, or as an option of REINDEX.
const Token* find_concurrently(const Scan& s) {
  int depth = 0;
  bool const reindex = s.tokens.count > 0 && s.tokens.at[0].is("reindex");
  for (const Token& token : s.tokens) {
    if (token.is('(')) ++depth;
    if (token.is(')')) --depth;
    if ((depth == 0 || (depth == 1 && reindex)) && token.is("concurrently")) return &token;
  }
  return nullptr;
}

}  // namespace

std::string fingerprint(std::string_view script) {
  Scratch const scratch;
  Scan const scanned = scan(script);
  Bytes const bytes = canonical(scanned, scanned.tokens.begin(), scanned.tokens.end());
  auto* digest = pg_call([&] {
    bytea* input = static_cast<bytea*>(palloc(static_cast<Size>(bytes.length) + VARHDRSZ));
    SET_VARSIZE(input, bytes.length + VARHDRSZ);
    memcpy(VARDATA(input), bytes.data, static_cast<size_t>(bytes.length));
    return DatumGetByteaPP(DirectFunctionCall1(sha256_bytea, PointerGetDatum(input)));
  });
  static constexpr char digits[] = "0123456789abcdef";
  std::string hex;
  for (size_t i = 0; i < VARSIZE_ANY_EXHDR(digest); ++i) {
    auto const byte = static_cast<unsigned char>(VARDATA_ANY(digest)[i]);
    hex += digits[byte >> 4];
    hex += digits[byte & 15];
  }
  return hex;
}

Difference first_difference(std::string_view stored, std::string_view given) {
  Scratch const scratch;
  Scan const one = scan(stored), two = scan(given);
  auto const before = pieces_of(one), after = pieces_of(two);
  size_t const most = before.size() > after.size() ? before.size() : after.size();
  for (size_t i = 0; i < most; ++i) {
    bool const have_one = i < before.size(), have_two = i < after.size();
    if (have_one && have_two &&
        canonical(one, before[i].first, before[i].last) == canonical(two, after[i].first, after[i].last))
      continue;
    return {static_cast<int>(i) + 1, have_one ? std::string(before[i].text()) : std::string(),
            have_two ? std::string(after[i].text()) : std::string()};
  }
  return {};
}

std::string without_concurrently(std::string_view statement) {
  Scratch const scratch;
  Scan const scanned = scan(statement);
  const Token* const found = find_concurrently(scanned);
  if (found == nullptr) return std::string(statement);
  const Token *from = found, *to = found + 1;  // tokens taken out
  const Token* const begin = scanned.tokens.begin();
  const Token* const end = scanned.tokens.end();
  if (found > begin && ((found - 1)->is('(') || (found - 1)->is(','))) {  // an option of REINDEX, with its value
    while (to < end && !to->is(',') && !to->is(')')) ++to;
    bool const opens = (from - 1)->is('('), closes = to < end && to->is(')');
    if (opens) {
      if (closes) --from;
      if (to < end) ++to;
    } else {
      --from;
    }
  }
  std::string text(statement.substr(0, static_cast<size_t>(from->start)));
  if (to < end) {
    text += statement.substr(static_cast<size_t>(to->start));
  } else {
    while (!text.empty() && isspace(static_cast<unsigned char>(text.back()))) text.pop_back();
    text += statement.substr(static_cast<size_t>((to - 1)->end));
  }
  return text;
}

}  // namespace migration::pg
