// The server's scanner over a script: an array of tokens with byte positions.
//
// What: scan() runs core_yylex to the end of a text and keeps where every token begins and ends. Why: the parser tells
// where statements begin, but only tokens tell where a clause ends, what a comment is and whether two scripts are the
// same. Invariant: tokens are in the order of the text; `code` 1000 and above is a keyword of this server and `word`
// its lower-case spelling, below that it is the scanner's own code and `word` its value. Memory: everything lives in
// the current memory context, which is a Scratch of the caller; nothing here is freed one by one.
#pragma once

#include <string>
#include <string_view>

#include "pg/guard.hpp"

namespace migration::pg {

/// A memory context for one piece of work, current while this object lives and deleted with it. It is deleted also
/// when an exception is on its way: no resource owner knows of it, and deleting a context cannot fail.
class Scratch {
 public:
  Scratch();
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

 private:
  MemoryContext before_, own_;
};

/// Pins what the scanner takes from settings (standard_conforming_strings on, no warnings about escapes) and keeps
/// notices about long identifiers to itself while it lives.
class ScannerSettings {
 public:
  ScannerSettings();
  ~ScannerSettings();
  ScannerSettings(const ScannerSettings&) = delete;
  ScannerSettings& operator=(const ScannerSettings&) = delete;

 private:
  bool conforming_, warning_;
  int backslash_, client_;
};

/// Token codes of the scanner; the same in every parser built on it (parser/scanner.h).
enum TokenCode : int {
  token_ident = 258,
  token_uident,
  token_float,
  token_string,
  token_ustring,
  token_bits,
  token_hex,
  token_operator,
  token_integer,
  token_param,
  token_first_keyword = 1000,
};

struct Token {
  const char* word;  ///< keyword, identifier (folded) or value of a string; nullptr for the rest
  int start, end;    ///< bytes
  int code;

  bool keyword() const { return code >= token_first_keyword; }
  /// Is it this keyword (lower case)?
  bool is(std::string_view name) const { return keyword() && name == word; }
  bool is(char c) const { return code == static_cast<unsigned char>(c); }
};

struct Tokens {
  Token* at = nullptr;
  size_t count = 0;
  bool complete = false;  ///< false: the scanner raised an error behind the last token

  const Token* begin() const { return at; }
  const Token* end() const { return at + count; }
};

/// A text with its tokens.
struct Scan {
  const char* text = nullptr;  ///< NUL-terminated copy
  int length = 0;
  Tokens tokens;

  /// Text of the tokens [from, to).
  std::string_view slice(const Token* from, const Token* to) const {
    if (from >= to) return {};
    return {text + from->start, static_cast<size_t>((to - 1)->end - from->start)};
  }
};

/// Scans a text. With `tolerant`, an error of the scanner ends the list instead of being thrown.
Scan scan(std::string_view text, bool tolerant = false);

/// Number of characters in `length` bytes.
int count_characters(const char* text, int length);

/// Byte offset of a 1-based character position; the end of the text if there is no such character.
int byte_offset(const char* text, int length, int position);

}  // namespace migration::pg
