// The grammar of targets, as text only.
//
// What: splitting lists and ranges, and cutting one target into label, symbol and relative part. Why apart from the
// resolution: reading needs no graph, and every surprising input is decided here. Invariant: the whole text is
// accounted for; nothing after the digits of a relative part is ever ignored. Memory: owned strings.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace migration {

struct RelativePart {
  std::string text;           ///< as written, e.g. "+2"
  std::int64_t steps = 0;     ///< signed; saturates far beyond any graph
  std::string count() const;  ///< its absolute value, as text
};

struct Target {
  std::string text;                  ///< the whole item, for messages
  std::optional<std::string> label;  ///< before the first @
  std::string symbol;                ///< head, heads, base, current, an id, a prefix; empty in '+1'
  std::optional<RelativePart> relative;
  /// Relative to what is applied?
  bool from_current() const { return relative && (symbol.empty() || symbol == "current"); }
};

/// With `relative` false, '+' and '-' are ordinary characters of the symbol (read commands).
Target parse_target(std::string_view text, bool relative);

/// Items of a comma-separated list, trimmed. A text without a comma is one item, taken verbatim.
std::vector<std::string> split_targets(std::string_view text);
/// Items separated by commas, white space or both.
std::vector<std::string> split_words(std::string_view text);
/// The ends of 'a:b', trimmed; nullopt unless there is exactly one colon.
std::optional<std::pair<std::string, std::string>> split_range(std::string_view text);

}  // namespace migration
