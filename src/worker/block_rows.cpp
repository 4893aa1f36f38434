// Blocks of which a row makes a batch fail, and the last look row by row; see block_windows.hpp.
//
// The rows that need the change are looked for first, then changed in halves of halves until what fails stands alone.
#include <algorithm>
#include <limits>

#include "catalog/facts.hpp"
#include "pg/portal.hpp"
#include "pg/sql.hpp"
#include "statement/formatted.hpp"
#include "worker/bisect.hpp"
#include "worker/block_windows.hpp"

namespace migration {

namespace {

/// Window in which bad rows are looked for.
constexpr long long careful_blocks = 64;
constexpr int careful_rounds = 10;

}  // namespace

long long BlockWindows::change_carefully(long long from, long long to) {
  long long failed = 0;
  std::vector<pg::RowId> needing;
  job_.as_script(
      [&] {
        leaf_->look->run({pg::RowId{static_cast<std::uint32_t>(from), 0}, pg::RowId{static_cast<std::uint32_t>(to), 0}},
                         needing);
      },
      leaf_->oid);
  std::vector<pg::RowId> part;
  bisect(
      needing.size(),
      [&](std::size_t first, std::size_t last) {
        part.assign(needing.begin() + static_cast<std::ptrdiff_t>(first),
                    needing.begin() + static_cast<std::ptrdiff_t>(last));
        long long changed = 0;
        job_.as_script_raw(
            [&] {
              pg::run_statement("SET CONSTRAINTS ALL IMMEDIATE", false);
              changed = job_.change(*leaf_->rows, part);
            },
            leaf_->oid);
        job_.record.rows_done += changed;
      },
      [&](std::size_t item, const pg::PgError& error) {
        job_.set_aside(leaf_->name, {}, formatted("({},{})", needing[item].block, needing[item].offset), error);
        ++failed;
      });
  return failed;
}

bool BlockWindows::careful_batch() {
  catalog::JobRecord& job = job_.record;
  forget();
  if (!at_leaf()) return leaves_left();
  window_end_ = std::min(job_.end_of_leaf(), job.next_block + std::min(job.batch_size, careful_blocks));
  change_carefully(job.next_block, window_end_);
  return move_on(window_end_);
}

void BlockWindows::careful_sweep() {
  pg::Prepared count(backfill::count_needing(job_.target));
  std::vector<std::vector<std::string>> rows;
  for (int round = 0; round < careful_rounds; ++round) {
    long long failed = 0;
    for (std::size_t i = 0; i < job_.record.leaves.size(); ++i) {
      if (catalog::leaf_file(job_.record.leaves[i]) == 0) continue;
      enter_leaf(i);
      if (leaf_->name.empty()) continue;
      failed += change_carefully(0, std::numeric_limits<std::uint32_t>::max() - 1);
    }
    if (!job_.target.into.empty()) return;  // copied rows go on meeting the condition
    // Rows that writers moved between a look and the change that followed it are found here.
    job_.as_script([&] { count.run({}, rows); });
    if (std::stoll(rows.at(0).at(0)) <= failed) return;
  }
  throw MigrationError(
      sqlstate::not_in_prerequisite_state,
      formatted("table {} still has rows to change: writers move them all the time", job_.target.relation),
      formatted("{} rows, after {} looks.", rows[0][0], careful_rounds),
      formatted("SELECT migration_resume({});", job_.run.run_id));
}

}  // namespace migration
