// Reading targets.
//
// What and why: see the header. Ids and labels cannot contain `@ + - :`, comma or white space, so the first such
// character always belongs to the grammar. Invariant: linear in the text, any bytes allowed. Memory: owned strings.
#include "revision/target_text.hpp"

#include <algorithm>

#include "revision/graph_error.hpp"
#include "statement/formatted.hpp"

namespace migration {

namespace {

constexpr std::string_view blanks = " \t\r\n\f\v";
constexpr std::int64_t most_steps = 1'000'000'000'000;  // far beyond any graph, far from overflow

std::string trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(blanks) - first + 1));
}

RelativePart parse_relative(std::string_view part, std::string_view whole) {
  RelativePart out{std::string(part), 0};
  std::size_t i = 1;
  for (; i < part.size() && part[i] >= '0' && part[i] <= '9'; ++i) {
    out.steps = std::min<std::int64_t>(out.steps * 10 + (part[i] - '0'), most_steps);
  }
  if (i == 1 || i < part.size()) {
    throw GraphError(GraphErrorKind::revision_error, formatted("Can't locate revision identified by '{}'", whole),
                     formatted("A relative target ends with + or - and a number; '{}' does not.", part),
                     look_at_history);
  }
  if (part[0] == '-') out.steps = -out.steps;
  return out;
}

}  // namespace

std::string RelativePart::count() const {
  const std::size_t first = text.find_first_not_of('0', 1);
  return first == std::string::npos ? "0" : text.substr(first);
}

Target parse_target(std::string_view text, bool relative) {
  Target out;
  out.text = std::string(text);
  std::string_view rest = text;
  if (const std::size_t at = rest.find('@'); at != std::string_view::npos) {
    out.label = std::string(rest.substr(0, at));
    rest = rest.substr(at + 1);
  }
  if (const std::size_t sign = rest.find_first_of("+-"); relative && sign != std::string_view::npos) {
    out.relative = parse_relative(rest.substr(sign), text);
    rest = rest.substr(0, sign);
  }
  out.symbol = std::string(rest);
  return out;
}

std::vector<std::string> split_targets(std::string_view text) {
  if (text.find(',') == std::string_view::npos) return {std::string(text)};
  std::vector<std::string> items;
  for (std::size_t start = 0;;) {
    const std::size_t comma = text.find(',', start);
    items.push_back(trimmed(text.substr(start, comma - start)));
    if (comma == std::string_view::npos) return items;
    start = comma + 1;
  }
}

std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> items;
  const std::string separators = std::string(blanks) + ",";
  std::size_t start = text.find_first_not_of(separators);
  while (start != std::string_view::npos) {
    const std::size_t end = text.find_first_of(separators, start);
    items.emplace_back(text.substr(start, end - start));
    start = text.find_first_not_of(separators, end);
  }
  if (items.empty()) items.emplace_back();
  return items;
}

std::optional<std::pair<std::string, std::string>> split_range(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || text.find(':', colon + 1) != std::string_view::npos) return std::nullopt;
  return std::pair{trimmed(text.substr(0, colon)), trimmed(text.substr(colon + 1))};
}

}  // namespace migration
