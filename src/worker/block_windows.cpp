// Windows of blocks and their passes; see block_windows.hpp.
#include "worker/block_windows.hpp"

#include <algorithm>

#include "catalog/facts.hpp"
#include "pg/catalog_changes.hpp"
#include "pg/horizon.hpp"
#include "pg/portal.hpp"
#include "pg/process.hpp"
#include "pg/settings.hpp"
#include "pg/sql.hpp"
#include "pg/usage.hpp"
#include "statement/formatted.hpp"

namespace migration {

namespace {

/// A window is read once per pass: it has to stay in the processor's reach, and 8 MB do.
constexpr long long pass_window_blocks = 1024, least_window = 64;
constexpr long long window_blocks = 8192;
/// The first pass of a window takes as long as all others together, and the transaction of a worker keeps the others
/// from pruning for as long as it takes: it is made in pieces.
constexpr std::size_t first_pieces = 4, least_piece = 64;
/// Shorter tables grow by a few pages at most, whatever is done.
constexpr long long short_table_blocks = 16;
/// When one row of this many is left in a window, on the few pages that are shortest of room, the rest of them move: a
/// transaction for a row or two of each page is dearer than that.
constexpr std::size_t stragglers = 100;
/// Of this many rows all but one need the change: then looking for them costs more than it saves.
constexpr long long dense_by = 20;
constexpr int longest_patience_ms = 2000, longest_pause_ms = 100;

}  // namespace

void BlockWindows::enter_leaf(std::size_t i) {
  Leaf leaf;
  wanted_passes_ = job_.settings.passes;
  generation_ = job_.generation;
  leaf.oid = job_.record.leaves[i];
  leaf.name = catalog::relation_name(leaf.oid);
  bool indexes = false;
  if (!leaf.name.empty()) {
    leaf.whole = std::make_unique<pg::Prepared>(backfill::block_batch(job_.target, leaf.name, job_.watched));
    leaf.look = std::make_unique<pg::Prepared>(backfill::block_rows(job_.target, leaf.name));
    leaf.rows = std::make_unique<pg::RowUpdate>(leaf.oid, backfill::row_batch(job_.target, leaf.name, job_.watched),
                                                job_.own_trigger);
    if (!job_.target.deletes && job_.target.into.empty()) {
      const pg::HeapShape shape = pg::heap_shape(leaf.oid, job_.set_columns);
      const bool can = shape.heap && !shape.indexed && job_.record.leaf_blocks[i] >= short_table_blocks;
      leaf.passes = can ? backfill::choose_passes(shape.rows, shape.rows, shape.free_bytes, shape.row_bytes) : 1;
      if (job_.settings.passes > 0) leaf.passes = shape.heap ? job_.settings.passes : 1;
      indexes = shape.indexes;
    }
  }
  stayed_ = left_ = 0;
  vacuuming_.of({leaf.oid, leaf.name, job_.record.leaf_blocks[i], indexes, leaf.passes > 1});
  leaf_ = std::move(leaf);
}

void BlockWindows::forget() {
  lanes_.clear();
  lane_ = 0;
  proposed_ = 0;
  waits_ = ended_ = false;
}

void BlockWindows::next_leaf() {
  catalog::JobRecord& job = job_.record;
  const long long end = job_.end_of_leaf();
  job.blocks_done += std::max(0LL, end - job.next_block);
  lanes_.clear();
  if (job_.range) {
    job.next_block = end;
    return;
  }
  job.next_block = 0;
  ++job.leaf;
  leaf_.reset();
}

/// Rewritten or truncated meanwhile: the rows have moved, so the leaf starts over with its present size.
void BlockWindows::start_over(std::size_t i, unsigned file) {
  catalog::JobRecord& job = job_.record;
  job_.tell(formatted("table {} was rewritten, its backfill starts over", leaf_->name));
  long long blocks = 0;
  for (const catalog::Leaf& now : catalog::leaves_of(job.leaves[i])) {
    if (now.oid == job.leaves[i]) blocks = now.blocks;
  }
  forget();
  if (job_.range) {
    job_.restart_leaf(static_cast<int>(i) + 1, file, blocks);
    return;
  }
  job.leaf_files[i] = file;
  job.blocks_done -= job.next_block;
  job.next_block = 0;
  job.leaf_blocks[i] = blocks;
  enter_leaf(i);
}

bool BlockWindows::leaves_left() const {
  if (job_.range) return !job_.range_gone && job_.record.next_block < job_.record.end_block;
  return job_.record.leaf <= static_cast<int>(job_.record.leaves.size());
}

bool BlockWindows::at_leaf() {
  catalog::JobRecord& job = job_.record;
  if (!leaves_left()) return false;
  const std::size_t i = static_cast<std::size_t>(job.leaf) - 1;
  if (!leaf_ || leaf_->oid != job.leaves[i]) enter_leaf(i);
  const std::uint64_t changes = pg::catalog_changes();
  const bool known = leaf_->known == changes && generation_ == job_.generation;
  const unsigned file = known ? leaf_->file : leaf_->name.empty() ? 0 : catalog::leaf_file(job.leaves[i]);
  if (!known && file != 0 && (generation_ != job_.generation || catalog::relation_name(leaf_->oid) != leaf_->name)) {
    forget();
    enter_leaf(i);
  }
  if (file == 0) {
    next_leaf();  // the partition was dropped: its rows are gone with it
    return false;
  }
  if (file != job.leaf_files[i]) start_over(i, file);
  if (job_.range_gone) return false;
  if (job_.settings.passes != wanted_passes_) enter_leaf(i);  // tuned
  leaf_->file = file;
  leaf_->known = changes;
  return true;
}

/// The blocks up to `to` are done.
bool BlockWindows::move_on(long long to) {
  catalog::JobRecord& job = job_.record;
  moved_ = true;
  const long long blocks = job.leaf_blocks[static_cast<std::size_t>(job.leaf) - 1];
  if (blocks > 0)
    vacuuming_.passed(static_cast<double>(std::max(0LL, to - job.next_block)) / static_cast<double>(blocks));
  job.blocks_done += std::max(0LL, to - job.next_block);
  job.next_block = std::max(job.next_block, to);
  if (job.next_block >= job_.end_of_leaf()) next_leaf();
  return leaves_left();
}

/// One more window behind the others, if there are blocks for it.
bool BlockWindows::open_lane() {
  const catalog::JobRecord& job = job_.record;
  Lane lane;
  lane.from = lanes_.empty() ? job.next_block : lanes_.back().to;
  // Where others are at work, shorter ones: there are more to choose from, and nobody's transaction lasts long.
  const bool shorter = most_lanes_ > 1 && job_.range && job_.settings.window_blocks == 0;
  const long long most = shorter ? std::max(1LL, limit() / 2) : limit();
  lane.to = std::min(job_.end_of_leaf(), lane.from + std::min(job.batch_size, most));
  if (lane.from >= lane.to) return false;
  lanes_.push_back(std::move(lane));
  waited_ms_ = 0;
  return true;
}

/// The lane whose turn it is: the next one after the last whose dead rows can be pruned, a new one where there is none,
/// and once the patience is over one that cannot. Null: wait.
BlockWindows::Lane* BlockWindows::next_lane() {
  Lane* waiting = nullptr;
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    lane_ = (lane_ + 1) % lanes_.size();
    Lane& lane = lanes_[lane_];
    if (lane.done()) continue;
    if (lane.first() || (lane.stuck == 0 && pg::dead_to_all(leaf_->oid, lane.last))) return &lane;
    if (waiting == nullptr) waiting = &lane;
  }
  const bool impatient = waited_ms_ >= patience_ms_;
  if (waiting != nullptr && impatient) return waiting;
  if (lanes_.size() < most_lanes_ && open_lane()) {
    lane_ = lanes_.size() - 1;
    return &lanes_.back();
  }
  // Whatever kept a page from being pruned may be over.
  for (Lane& lane : lanes_) lane.stuck = 0;
  return nullptr;
}

/// In one statement. One that reads other tables, too, finds its own way through the rows of a range.
long long BlockWindows::change_whole(long long from, long long to) {
  if (!job_.target.deletes && job_.target.into.empty() && leaf_->rows->is_plain()) {
    pg::EveryRow rows(from, to);
    return job_.change(*leaf_->rows, rows);
  }
  return job_.change(*leaf_->whole,
                     {pg::RowId{static_cast<std::uint32_t>(from), 0}, pg::RowId{static_cast<std::uint32_t>(to), 0}});
}

bool BlockWindows::batch() {
  catalog::JobRecord& job = job_.record;
  waits_ = ended_ = moved_ = false;
  if (!at_leaf()) return leaves_left();
  last_had_passes_ = leaf_->passes > 1;
  if (!last_had_passes_) {
    lanes_.clear();
    window_end_ = std::min(job_.end_of_leaf(), job.next_block + std::min(job.batch_size, limit()));
    if (window_end_ > job.next_block) {
      job_.as_script([&] { job.rows_done += change_whole(job.next_block, window_end_); }, leaf_->oid);
    }
    return move_on(window_end_);
  }
  if (Lane* const lane = next_lane()) {
    if (!lane->window && leaf_->dense) lane->window = pg::make_window(lane->from, lane->to);
    lane->window ? pass(*lane) : look(*lane);
    ended_ = lane->done();
  } else {
    waits_ = !lanes_.empty();
  }
  long long to = job.next_block;
  while (!lanes_.empty() && lanes_.front().done()) {
    to = lanes_.front().to;
    lanes_.pop_front();
    if (lane_ > 0) --lane_;
  }
  return waits_ || (!lanes_.empty() && to == job.next_block) || move_on(to);
}

void BlockWindows::look(Lane& lane) {
  std::vector<pg::RowId> needing;
  job_.as_script(
      [&] {
        leaf_->look->run(
            {pg::RowId{static_cast<std::uint32_t>(lane.from), 0}, pg::RowId{static_cast<std::uint32_t>(lane.to), 0}},
            needing);
      },
      leaf_->oid);
  lane.window = pg::make_window(std::move(needing));
}

void BlockWindows::pass(Lane& lane) {
  backfill::PassPlan plan;
  plan.passes = leaf_->passes;
  plan.growth = leaf_->growth;
  plan.spread = job_.settings.passes == 0;
  const std::size_t pages = lane.window->pages.size();
  pg::PageSpan span{0, pages};
  if (lane.first()) {
    span = {lane.begun, std::min(pages, lane.begun + std::max(least_piece, (pages + first_pieces - 1) / first_pieces))};
    lane.begun = span.to;
  } else {
    const bool held_back = waited_ms_ >= patience_ms_ && (lane.stuck > 0 || !pg::dead_to_all(leaf_->oid, lane.last));
    if (held_back) {
      tell_holder();
      patience_ms_ /= 2;
    } else {
      patience_ms_ = std::min(longest_patience_ms, patience_ms_ + 100);
    }
    plan.all = held_back || lane.window->open * stragglers < lane.window->open + lane.chosen;
    ++lane.passes;
  }
  pg::Pass rows(*lane.window, span, plan);
  long long changed = 0;
  const long long hot_before = pg::own_hot_updates(leaf_->oid);
  job_.as_script([&] { changed = job_.change(*leaf_->rows, rows); }, leaf_->oid);
  vacuuming_.saw(static_cast<long long>(rows.end().live), changed - (pg::own_hot_updates(leaf_->oid) - hot_before));
  const pg::PassLook& look = rows.end();
  // A row that turned out not to need the change has not moved, and tells nothing of those that have.
  const bool telling = lane.changed * 10 >= static_cast<long long>(lane.chosen) * 9;
  if (telling) learn(look, lane, plan.all);
  job_.record.rows_done += changed;
  lane.changed += changed;
  lane.chosen += look.chosen;
  lane.live += look.live;
  if (lane.done()) learn_density(lane);
  if (look.chosen == 0) {
    lane.stuck += look.waiting > 0 ? 1 : 0;
    return;
  }
  lane.stuck = 0;
  lane.last = pg::own_transaction();
}

/// Where nearly all rows of a window needed the change, those of the next one will.
void BlockWindows::learn_density(const Lane& lane) {
  if (lane.live > 0) leaf_->dense = lane.changed * dense_by >= static_cast<long long>(lane.live) * (dense_by - 1);
}

/// The size of new versions and the share that stays in place show only after the update.
void BlockWindows::learn(const pg::PassLook& look, const Lane& lane, bool all) {
  if (look.stayed > 16 && look.growth != 0) {
    leaf_->growth = static_cast<int>(look.growth / static_cast<long long>(look.stayed));
  }
  // The first pass moves rows on purpose, and so does giving up on the horizon.
  if (lane.passes > 1 && !after_all_) {
    stayed_ += look.stayed;
    left_ += look.left;
  }
  after_all_ = all;
  if (backfill::passes_fail(stayed_, left_)) {
    leaf_->passes = 1;
    job_.tell(formatted("table {}: new row versions do not stay on their pages, going on without passes", leaf_->name));
  }
}

/// Dead rows are pruned only when nobody can see them any more.
void BlockWindows::tell_holder() {
  if (told_) return;
  told_ = true;
  const std::string holder = catalog::horizon_holder();
  job_.tell(formatted("table {}: old row versions cannot be pruned, rows move to new pages", leaf_->name),
            holder.empty() ? "" : "Held back by " + holder + ".");
}

long long BlockWindows::limit() const {
  if (!last_had_passes_) return window_blocks;
  if (job_.settings.window_blocks > 0) return job_.settings.window_blocks;
  const std::size_t at = static_cast<std::size_t>(job_.record.leaf) - 1;
  if (at >= job_.record.leaf_blocks.size()) return pass_window_blocks;
  return std::clamp<long long>(vacuuming_.most_of(job_.record.leaf_blocks[at]), least_window, pass_window_blocks);
}

void BlockWindows::measured(long long blocks) {
  proposed_ = proposed_ == 0 ? blocks : std::min(proposed_, blocks);
  if (in_window() && !ended_) return;
  job_.record.batch_size = proposed_;
  proposed_ = 0;
}

int BlockWindows::pause_ms() {
  waits_in_a_row_ = waits_ ? waits_in_a_row_ + 1 : 0;
  if (!waits_) return 0;
  const int pause = std::min(longest_pause_ms, 1 << std::min((waits_in_a_row_ - 1) / 2, 7));
  waited_ms_ += pause;
  return pause;
}

}  // namespace migration
