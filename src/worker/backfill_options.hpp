// The options of a backfill, read and checked.
//
// What: lays the JSON text of migration_backfill's options over the defaults, and checks what only the server knows
// (zones, timestamps, that an expression is one). Used where a revision is registered, where a backfill is asked for
// and where its job is made, so that a mistake is told before anything runs. Needs a transaction.
#pragma once

#include <optional>
#include <string>

#include "backfill/settings.hpp"
#include "plan/plan.hpp"
#include "statement/statement.hpp"

namespace migration {

/// `deletes`: there are no assignments. Errors: 22023 naming the option, 22004 (no assignments, and no delete asked
/// for), 0A000 for what this version cannot do.
backfill::Settings read_options(const backfill::Settings& base, const std::string& relation,
                                const std::optional<std::string>& options, bool deletes);
/// Errors: 0A000, saying why the lookup of a backfill cannot be cut into batches.
[[noreturn]] void refuse_lookup(const RowChange& change, const OtherTable& other, const std::string& hint);
/// Checks the options of a script's migration_backfill() calls.
void check_options(const std::vector<Statement>& statements);

}  // namespace migration
