// Running the server's scanner; see scan.hpp.
//
// Keywords: the scanner takes the token codes of keywords from a table of the caller (every parser numbers its own).
// Ours gives keyword number n the code 1000 + n, so that keywords are known from the code alone, whatever the server's
// list is. The end of a token is where the scanner has put its temporary NUL (pg_stat_statements relies on the same).
// State that changes during the scan lives in palloc'd memory: a longjmp out of the scanner must not lose it.
#include "pg/scan.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

extern "C" {
#include "common/keywords.h"
#include "mb/pg_wchar.h"
#include "parser/parser.h"
#include "parser/scanner.h"
#include "utils/builtins.h"
#include "utils/guc.h"
}

#include "pg/parse.hpp"

namespace migration::pg {

namespace {

std::array<uint16, 2048> keyword_codes;

struct Work {
  core_yy_extra_type extra;
  core_yyscan_t scanner;
  Tokens tokens;
  size_t space;
};

bool number_keywords() {
  if (static_cast<size_t>(ScanKeywords.num_keywords) > keyword_codes.size()) return false;
  if (keyword_codes[0] == 0)
    for (int n = 0; n < ScanKeywords.num_keywords; ++n)
      keyword_codes[static_cast<size_t>(n)] = static_cast<uint16>(token_first_keyword + n);
  return true;
}

/// C only: fills work->tokens until the end of the text or an ERROR.
void run_scanner(Work* work, const char* text) {
  work->space = std::min<size_t>(1024, strlen(text) + 1);  // no token is empty
  work->tokens.at = static_cast<Token*>(palloc(work->space * sizeof(Token)));
  work->scanner = scanner_init(text, &work->extra, &ScanKeywords, keyword_codes.data());
  for (;;) {
    core_YYSTYPE value;
    YYLTYPE location = 0;
    value.str = nullptr;
    int const code = core_yylex(&value, &location, work->scanner);
    if (code == 0) break;
    if (work->tokens.count % 100000 == 0) CHECK_FOR_INTERRUPTS();
    if (work->tokens.count == work->space) {
      work->space *= 2;
      work->tokens.at = static_cast<Token*>(repalloc_huge(work->tokens.at, work->space * sizeof(Token)));
    }
    Token* token = &work->tokens.at[work->tokens.count];
    token->code = code;
    token->start = location;
    token->end = location + static_cast<int>(strlen(work->extra.scanbuf + location));
    if (code >= token_first_keyword)
      token->word = value.keyword;
    else if (code >= token_ident && code <= token_operator)
      token->word = value.str;
    else
      token->word = nullptr;
    ++work->tokens.count;
  }
  scanner_finish(work->scanner);
  work->tokens.complete = true;
}

}  // namespace

Scratch::Scratch() : before_(CurrentMemoryContext), own_(nullptr) {
  own_ = pg_call([] { return AllocSetContextCreate(CurrentMemoryContext, "migration parse", ALLOCSET_DEFAULT_SIZES); });
  MemoryContextSwitchTo(own_);
}

Scratch::~Scratch() {
  MemoryContextSwitchTo(before_);
  MemoryContextDelete(own_);
}

ScannerSettings::ScannerSettings()
    : conforming_(standard_conforming_strings),
      warning_(escape_string_warning),
      backslash_(backslash_quote),
      client_(client_min_messages) {
  standard_conforming_strings = true;
  escape_string_warning = false;
  backslash_quote = BACKSLASH_QUOTE_SAFE_ENCODING;
  client_min_messages = ERROR;
}

ScannerSettings::~ScannerSettings() {
  standard_conforming_strings = conforming_;
  escape_string_warning = warning_;
  backslash_quote = backslash_;
  client_min_messages = client_;
}

Scan scan(std::string_view text, bool tolerant) {
  Scan result;
  result.text = pg_call([&] {
    if (!AllocSizeIsValid(text.size() + 1))
      ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("script is too long")));
    return pnstrdup(text.data(), text.size());
  });
  result.length = static_cast<int>(strlen(result.text));
  if (!number_keywords()) throw MigrationError(sqlstate::internal_error, "the server has too many keywords");
  auto* work = pg_call([] { return static_cast<Work*>(palloc0(sizeof(Work))); });
  std::optional<PgError> failed;
  {
    ScannerSettings const pinned;
    try {
      pg_call([&] { run_scanner(work, result.text); });
    } catch (const PgError& e) {
      failed = e;
    }
  }
  // Errors in the text (class 42, 22) end the tokens; a cancel or a lack of memory is nobody's to swallow.
  if (failed && (!tolerant || !(failed->state().starts_with("42") || failed->state().starts_with("22")))) throw *failed;
  result.tokens = work->tokens;
  return result;
}

int count_characters(const char* text, int length) {
  return pg_call([&] { return pg_mbstrlen_with_len(text, length); });
}

int byte_offset(const char* text, int length, int position) {
  return pg_call([&] { return position <= 1 ? 0 : pg_mbcharcliplen(text, length, position - 1); });
}

std::string quote_identifier(std::string_view name) {
  std::string const terminated(name);
  const char* given = terminated.c_str();
  auto* quoted = pg_call([&] { return ::quote_identifier(given); });
  std::string result(quoted);
  if (quoted != given) pg_call([&] { pfree(const_cast<char*>(quoted)); });
  return result;
}

std::string quote_literal(std::string_view text) {
  std::string const terminated(text);
  const char* given = terminated.c_str();
  char* quoted = pg_call([&] { return quote_literal_cstr(given); });
  std::string result(quoted);
  pg_call([&] { pfree(quoted); });
  return result;
}

}  // namespace migration::pg
