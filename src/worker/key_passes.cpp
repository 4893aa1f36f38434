// Judging windows of keys; see key_passes.hpp.
#include "worker/key_passes.hpp"

#include <algorithm>

#include "backfill/passes.hpp"
#include "catalog/facts.hpp"
#include "pg/heap_pages.hpp"
#include "pg/horizon.hpp"
#include "statement/formatted.hpp"

namespace migration {

namespace {

/// As for blocks: what fits into the processor's reach, and tables that are not worth it.
constexpr long long window_blocks = 1024, short_table_blocks = 16;
constexpr int look_again_windows = 32;
/// Share of the rows of a pass that may leave their pages before the next ones take less.
constexpr double few_leave = 0.02;
constexpr const char* sqlstate_undefined_function = "42883";
constexpr int longest_patience_ms = 2000, longest_pause_ms = 100;

}  // namespace

/// All leaves must be heaps whose indexes a change does not touch; the largest says how full the pages are.
void KeyPasses::look_at_table() {
  generation_ = job_.generation;
  passes_ = 1;
  page_ = {};
  windows_ = 0;
  pg::HeapShape largest;
  long long most = 0;
  for (std::size_t i = 0; i < job_.record.leaves.size(); ++i) {
    const unsigned leaf = job_.record.leaves[i];
    if (catalog::relation_name(leaf).empty()) continue;
    const pg::HeapShape shape = pg::heap_shape(leaf, job_.set_columns);
    if (!shape.heap || shape.indexed) return;
    if (job_.record.leaf_blocks[i] <= most) continue;
    most = job_.record.leaf_blocks[i];
    largest = shape;
  }
  if (most < short_table_blocks) return;
  page_ = {largest.rows, largest.row_bytes, largest.free_bytes, 8, largest.heap_only};
  passes_ = backfill::choose_passes(largest.rows, largest.rows, largest.free_bytes, largest.row_bytes);
}

bool KeyPasses::lie_together(const std::vector<pg::Parameter>& window) {
  pg::Prepared pages(backfill::key_pages(job_.target, job_.key, job_.record.next_key.empty()));
  std::vector<std::vector<std::string>> found;
  try {
    pg::in_subtransaction([&] { job_.as_script_raw([&] { pages.run(window, found); }); });
  } catch (const pg::PgError& e) {
    // A column type without a hash function has no fraction.
    if (e.state() != sqlstate_undefined_function) throw;
    off_ = true;
    return false;
  }
  const long long rows = std::stoll(found.at(0).at(0)), on = std::stoll(found[0].at(1));
  return on > 0 && rows >= on * std::max(4LL, page_.rows / 4);
}

bool KeyPasses::pay(const std::vector<pg::Parameter>& window) {
  if (off_ || job_.target.deletes || !job_.target.into.empty() || job_.settings.passes == 1) return false;
  if (generation_ != job_.generation) look_at_table();
  if (wanted() <= 1) return false;
  // What was asked for is not judged, but a fraction of the key needs to be possible.
  if (windows_++ % look_again_windows == 0) together_ = lie_together(window);
  return !off_ && (together_ || job_.settings.passes > 0);
}

int KeyPasses::wanted() const {
  return job_.settings.passes > 0 ? job_.settings.passes : passes_;
}

int KeyPasses::parts() {
  // Another process may have opened the window.
  if (generation_ != job_.generation) look_at_table();
  const int done = job_.record.window_part;
  // Rows that will move anyway are moved by as many at a time as the first ones.
  return std::min(backfill::next_parts(gave_up_ ? 0 : done, wanted(), page_, care_), backfill::key_parts - done);
}

long long KeyPasses::limit() const {
  if (passes_ <= 1 || !together_) return job_.settings.max_batch_rows;
  const long long blocks = job_.settings.window_blocks > 0 ? job_.settings.window_blocks : window_blocks;
  return std::min(job_.settings.max_batch_rows, blocks * std::max(1LL, page_.rows));
}

void KeyPasses::begin_window() {
  turn_ = {};
}

bool KeyPasses::ready() {
  gave_up_ = false;
  // A partitioned table has no rows of its own; what holds for one leaf holds for all.
  const unsigned leaf = job_.record.leaves.empty() ? job_.record.relation_oid : job_.record.leaves[0];
  if (pg::dead_to_all(leaf, turn_.last)) {
    if (turn_.stuck == 0) patience_ms_ = std::min(longest_patience_ms, patience_ms_ + 100);
    turn_.stuck = 0;
    return true;
  }
  if (turn_.waited_ms < patience_ms_) {
    ++turn_.stuck;
    return false;
  }
  turn_.stuck = 0;
  patience_ms_ /= 2;
  gave_up_ = true;
  if (told_) return true;
  told_ = true;
  const std::string holder = catalog::horizon_holder();
  job_.tell(formatted("table {}: old row versions cannot be pruned, rows move to new pages", job_.target.relation),
            holder.empty() ? "" : "Held back by " + holder + ".");
  return true;
}

int KeyPasses::pause_ms() {
  if (turn_.stuck == 0) return 0;
  const int pause = std::min(longest_pause_ms, 1 << std::min(turn_.stuck - 1, 7));
  turn_.waited_ms += pause;
  return pause;
}

void KeyPasses::changed(long long rows, long long hot) {
  turn_.last = pg::own_transaction();
  // The first pass moves rows on purpose, and so does giving up on the horizon.
  if (job_.record.window_part == 0 || gave_up_ || hot < 0 || rows <= 0) return;
  // Rows that had to leave say that a page holds more of a part than an average one, or that rows grow more.
  const double left = 1 - static_cast<double>(hot) / static_cast<double>(rows);
  care_ = std::clamp(care_ + (left > few_leave ? 0.1 : -0.1), least_care, most_care);
  stayed_ += static_cast<std::size_t>(std::min(hot, rows));
  left_ += static_cast<std::size_t>(std::max(0LL, rows - hot));
  if (off_ || job_.settings.passes > 0 || !backfill::passes_fail(stayed_, left_)) return;
  off_ = true;
  job_.tell(formatted("table {}: new row versions do not stay on their pages, going on without passes",
                      job_.target.relation));
}

}  // namespace migration
