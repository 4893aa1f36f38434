// Rows that a backfill could not change, set aside with their errors.
//
// What: reads and writes of migration_ext.quarantine. Invariants: a row is set aside in the transaction whose batch
// changed its neighbours, so nothing is passed over without being on the list; a row that fails again replaces its own
// entry. Every call opens its own pg::Scope.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "pg/sql.hpp"

namespace migration::catalog {

struct BadRow {
  long long job_id = 0;
  std::string relation;              ///< table or partition, qualified, quoted
  std::vector<std::string> key;      ///< texts of the key columns; empty when the job goes by blocks
  std::string row_id;                ///< ctid when it failed; empty when the job goes by key
  std::optional<std::string> image;  ///< the row as JSON; nothing when it could not be written as that
  std::string sqlstate, message;
};

void set_aside(const BadRow& row);
bool is_quarantined(const BadRow& row);
std::vector<BadRow> load_quarantined(long long job_id);
/// Takes an entry off the list: its row has been changed, or is gone.
void release(const BadRow& row);
/// Takes all entries of a job off the list and its count down to nothing.
void release_all(long long job_id);
/// Counts one more entry in the job and returns how many there are, those of its other workers among them. The job's
/// row stays locked to the end of the transaction, so that no two workers take the last that is allowed.
long long count_one_more(long long job_id);
/// Writes the count of a job's entries into it.
void count_again(long long job_id);
/// Rows for people, newest last; of all jobs without an id. Key, image and message hold the row's values: they are
/// shown only to who may read the table, all of it.
pg::Rows quarantine_rows(std::optional<long long> job_id, unsigned reader);

}  // namespace migration::catalog
