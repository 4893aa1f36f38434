// The expression with which a user decides whether a backfill may go on.
//
// What: asks it once, as the run's own role, under the script's search_path, in a subtransaction that may only read,
// with a time limit. Why so fenced: the text is the user's, it is run again and again, and whatever goes wrong in it
// must hold the backfill back, not end it. Invariant: never under the ledger owner's rights; a cancel by a person is
// passed on.
#pragma once

#include <optional>
#include <string>

#include "catalog/runs.hpp"

namespace migration {

/// Nothing when it is true, else what it was instead. Inside a transaction, outside of pg::Scope.
std::optional<std::string> ask_user_check(const std::string& expression, const catalog::StepRecord& step);

/// Refuses what is not one expression. Errors: 22023, or 42601 of the parser.
void require_one_expression(const std::string& expression, const std::string& hint);

}  // namespace migration
