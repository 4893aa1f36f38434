// Finding the rows that make a batch fail.
//
// What: bisect() applies a change to a range of items; where it fails, to its halves, down to the single item, which is
// handed on with its error. Why not row by row: with b bad rows among n it costs about 2 b log2(n / b) statements.
// Invariant: each half runs in a subtransaction, so a failed one leaves nothing behind; items are tried in order.
#pragma once

#include <cstddef>
#include <functional>

#include "pg/guard.hpp"

namespace migration {

/// Changes items [from, to).
using ChangeRange = std::function<void(std::size_t from, std::size_t to)>;
/// Takes note of one item that fails. May throw to end it all.
using BadItem = std::function<void(std::size_t item, const pg::PgError& error)>;

/// Errors: whatever is no fault of a row (see is_row_error) goes on to the caller.
void bisect(std::size_t count, const ChangeRange& change, const BadItem& bad);

}  // namespace migration
