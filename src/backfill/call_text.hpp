// The statement that a call of migration_backfill() stands for.
//
// What: its text, to be parsed, shown, or run in one piece. Why in one place: what a script for psql does, what
// `online => false` does, and what the batches do to each row must be the same. Invariant: texts of users stand on
// lines of their own, so that a comment in them cannot swallow what follows. Pure. Memory: plain values.
#pragma once

#include <string>

#include "backfill/batch.hpp"
#include "statement/statement.hpp"

namespace migration::backfill {

/// UPDATE or DELETE with nothing around the texts: what does not belong into one of them shows when it is parsed.
std::string text_to_parse(const BackfillCall& call);

/// What batches are made of. `columns` (quoted) are the columns of a copy, `relation` and `into` its tables.
Target target_of(const RowChange& change, const std::string& relation, const std::string& into,
                 const std::vector<std::string>& columns);

/// The whole of it. `columns`: of a copy that names none.
std::string one_statement(const Statement& call, const std::vector<std::string>& columns);

}  // namespace migration::backfill
