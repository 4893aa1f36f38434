// Rows for the looking functions, as the ledger's SQL gives them.
//
// What: runs, log and progress as text rows in the order of the functions' columns. Invariant: reads only; progress is
// computed from committed batches, never from guesses, and is never above 100 per cent.
#pragma once

#include <optional>

#include "pg/sql.hpp"

namespace migration::catalog {

pg::Rows run_rows();
pg::Rows log_rows(std::optional<long long> run_id);
/// One row for the running step of the active run, when there is one.
pg::Rows progress_rows(long long run_id, int owner_pid);
/// Does process `owner_pid`, between two batches of a backfill of the run, vacuum its table?
bool is_vacuuming(long long run_id, int owner_pid);
/// The level's functions as 'name(args)'; level 'all' for every one that is not open to everybody.
std::vector<std::string> functions_of_level(const std::string& level);

}  // namespace migration::catalog
