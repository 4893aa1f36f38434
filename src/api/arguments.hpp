// Arguments of the API that need more than a type.
//
// What: lists of names, options, generated ids, the exported form of a revision. Memory: plain values.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "catalog/revisions.hpp"
#include "pg/function.hpp"

namespace migration {

/// 'b2, c3' or 'b2 c3' as names, in order, without repeats.
std::vector<std::string> split_names(std::string_view text);
/// A jsonb argument in its text form; '{}' for NULL. Errors: 22023 when it is no object.
std::string json_argument(FunctionCallInfo fcinfo, int n);
/// Is the text nothing but this word, whatever the case and white space?
bool is_word(std::string_view text, std::string_view word);
/// Twelve hex digits from the parents, the clock and the server's random numbers.
std::string new_revision_id(const std::vector<std::string>& parents);
/// The migration_register call for a revision.
std::string export_text(const catalog::StoredRevision& r);

}  // namespace migration
