// Lists of names as people and JSON write them.
//
// What: reads 'a, b' and '["a", "b"]' and writes the latter. Why not by the server's json: settings are checked where
// no server is. Invariant: what show_list() writes, parse_list() reads to the same names, whatever is in them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace migration::backfill {

/// A JSON array of strings or numbers, or names between commas; at most 100, none of them empty.
std::optional<std::vector<std::string>> parse_list(std::string_view text);
std::string show_list(const std::vector<std::string>& items);

}  // namespace migration::backfill
