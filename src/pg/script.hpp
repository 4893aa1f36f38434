// A script cut into statements, before anybody asks what they do.
//
// What: the tokens of the script, the parser's trees and for each statement the tokens that are its own. Why: parsing,
// comparing scripts and classifying all start from the same cut. Memory: trees and tokens live in the current Scratch.
#pragma once

#include <string_view>
#include <vector>

#include "pg/scan.hpp"

extern "C" {
#include "nodes/parsenodes.h"
}

namespace migration::pg {

/// One statement of a script: its tree and its tokens [first, last).
struct Piece {
  const Scan* script = nullptr;
  Node* node = nullptr;
  const Token* first = nullptr;
  const Token* last = nullptr;
  int start = 0;  ///< byte where its text begins: first->start, or the directive comment before it
  bool as_written = false;

  std::string_view text() const { return {script->text + start, static_cast<size_t>((last - 1)->end - start)}; }
  std::string_view slice(const Token* from, const Token* to) const { return script->slice(from, to); }
};

/// Parses a scanned script. An error of the parser is thrown as it is.
std::vector<Piece> cut(const Scan& script);

}  // namespace migration::pg
