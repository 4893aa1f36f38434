// The ledger's backfill jobs, typed.
//
// What: reads and writes of migration_ext.job. Invariant: the cursor moves in the transaction of its batch, fenced by
// the owner's epoch; a fenced-out owner learns it from a count of zero and must abort.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace migration::catalog {

struct JobRecord {
  long long job_id = 0, run_id = 0;
  int step = 0;
  std::string action, relation, alias, assignments, condition, cursor_kind;
  unsigned relation_oid = 0;
  std::vector<std::string> key_columns;
  std::vector<unsigned> leaves, leaf_files;
  std::vector<long long> leaf_blocks;
  int leaf = 1;
  long long next_block = 0;
  long long end_block = 0;  ///< of a range: where it ends
  std::vector<std::string> next_key, end_key;
  /// A window of keys that is gone through in passes: its last key, and how many of its backfill::key_parts are done. A
  /// window is open while `window_part` is above 0.
  std::vector<std::string> window_key;
  int window_part = 0;
  long long batch_size = 0, batches = 0, rows_done = 0, rows_seen = 0, rows_total = 0, blocks_done = 0,
            blocks_total = 0;
  long long wal_bytes = 0;  ///< written by its batches
  long long rows_hot = 0;   ///< rows whose new version stayed on its page
  std::string state;
  long long quarantined = 0;  ///< rows set aside
  unsigned into_oid = 0;      ///< of a copy: where the rows go
  std::vector<std::string> into_columns;
  /// What the tables were like when it began, or when somebody resumed it knowing of a change; empty: not looked at.
  std::string key_order, column_types, into_types, into_files;
};

long long insert_job(const JobRecord& job);
std::optional<JobRecord> load_job(long long job_id);
/// Writes table, leaves and block cursor anew (a job that came from another database).
void replace_tables(const JobRecord& job);
/// Writes the cursor anew, as one by key.
void use_keys(const JobRecord& job);
/// Writes where a copy goes anew.
void replace_into(const JobRecord& job);
/// Writes what the tables are like.
void keep_shape(const JobRecord& job);
/// Of the jobs of a run: what the tables are like now is what they go on with, but for the order of a key.
void accept_shape(long long run_id);
void claim_job(long long job_id, long long epoch);
/// Moves the cursor. False when another owner has the job.
bool advance_job(const JobRecord& job, long long epoch, double busy_ms);
void finish_job(long long job_id);

/// The tables with storage below `relation` (itself when plain), with blocks and file.
struct Leaf {
  unsigned oid = 0, file = 0;
  long long blocks = 0;
};
std::vector<Leaf> leaves_of(unsigned relation);
/// Present file of a leaf, 0 when the table is gone.
unsigned leaf_file(unsigned leaf);

}  // namespace migration::catalog
