// Looking for rows that were missed; see last_look.hpp.
#include "worker/last_look.hpp"

#include <algorithm>
#include <charconv>

#include "catalog/facts.hpp"
#include "pg/horizon.hpp"
#include "pg/lock.hpp"
#include "pg/process.hpp"
#include "pg/settings.hpp"
#include "pg/sql.hpp"
#include "run/decision.hpp"
#include "statement/formatted.hpp"
#include "worker/executor.hpp"

namespace migration {

namespace {

/// Remembered of one look: a few hundred kB.
constexpr long long most_rows = 50000;
/// Changed at once: what the application may have to wait for, and what a deadlock takes back.
constexpr std::size_t rows_at_once = 100;
constexpr int rounds = 8;
/// Of a range, at first and at most; in between, as many as take as long as a batch.
constexpr double first_blocks = 8, most_blocks = 8192;

pg::RowId row_id_of(const std::string& text) {
  pg::RowId id;
  const char* const end = text.data() + text.size();
  const auto block = std::from_chars(text.data() + 1, end, id.block);
  std::from_chars(block.ptr + 1, end, id.offset);
  return id;
}

}  // namespace

void begin_look(BackfillJob& job) {
  pg::report_activity(
      formatted("migration run {} step {} job {}: last look", job.run.run_id, job.step.step, job.record.job_id));
  pg::lock_extension(pg::extension_oid());
  job.hold_table();
  // See Backfill::batch(); that all is done is the word of the step's last transaction.
  pg::set_local("synchronous_commit", "off");
}

LastLook::LastLook(BackfillJob& job) : job_(job), at_once_(rows_at_once) {}

bool LastLook::find() {
  if (!look_ || generation_ != job_.generation) {
    look_ = std::make_unique<pg::Prepared>(backfill::rows_needing(job_.target, most_rows), job_.settings.workers - 1);
    change_.clear();
    generation_ = job_.generation;
  }
  std::vector<std::vector<std::string>> rows;
  job_.as_script([&] { look_->run({}, rows); });
  found_.clear();
  for (const auto& row : rows) {
    const auto leaf = static_cast<unsigned>(std::stoul(row[0]));
    const pg::RowId id = row_id_of(row[1]);
    const auto xid = static_cast<unsigned>(std::stoul(row[2]));
    if (unmoved_.count({leaf, id.block, id.offset, xid}) == 0) found_[leaf].push_back(id);
  }
  return static_cast<long long>(rows.size()) < most_rows;
}

void LastLook::change() {
  const auto& [leaf, ids] = *found_.begin();
  auto& statement = change_[leaf];
  if (!statement) {
    const std::string name = catalog::relation_name(leaf);
    if (name.empty()) return;  // dropped, and its rows with it
    statement = std::make_unique<pg::Prepared>(job_.watched ? backfill::row_batch(job_.target, name, true)
                                                            : backfill::row_batch_telling(job_.target, name));
  }
  const std::size_t n = std::min(ids.size(), at_once_);
  const std::vector<pg::RowId> some(ids.end() - static_cast<std::ptrdiff_t>(n), ids.end());
  if (job_.watched) {
    job_.as_script([&] { job_.record.rows_done += job_.change(*statement, {&some}); }, leaf);
    return;
  }
  std::vector<std::vector<std::string>> changed;
  job_.as_script([&] { statement->run({&some}, changed); }, leaf);
  job_.record.rows_done += static_cast<long long>(changed.size());
  for (const auto& row : changed) {
    if (row[0].empty()) continue;
    const pg::RowId id = row_id_of(row[1]);
    unmoved_now_.emplace_back(static_cast<unsigned>(std::stoul(row[0])), id.block, id.offset, pg::own_transaction());
  }
}

std::string LastLook::try_to(const std::function<void()>& f) {
  const long long before = job_.record.rows_done;
  std::string state;
  try {
    pg::in_transaction([&] {
      begin_look(job_);
      f();
      job_.advance(0);
    });
  } catch (const MigrationError& e) {
    state = e.state();
    if (!is_row_error(state) && !is_transient(state)) throw;
  } catch (const pg::PgError& e) {
    state = e.state();
    if (!is_row_error(state) && !is_transient(state)) throw;
  }
  if (!state.empty()) job_.record.rows_done = before;
  return state;
}

std::string LastLook::change_some() {
  unmoved_now_.clear();
  std::string state = try_to([&] { change(); });
  if (state.empty()) unmoved_.insert(unmoved_now_.begin(), unmoved_now_.end());
  auto& ids = found_.begin()->second;
  ids.resize(ids.size() - std::min(ids.size(), at_once_));
  if (ids.empty()) found_.erase(found_.begin());
  return state;
}

LastLook::Through LastLook::go_through(const std::function<bool()>& go_on) {
  std::vector<catalog::Leaf> leaves;
  pg::in_transaction([&] { leaves = catalog::leaves_of(job_.record.relation_oid); });
  double size = first_blocks;
  for (const catalog::Leaf& leaf : leaves) {
    std::unique_ptr<pg::Prepared> statement;
    int generation = -1;
    for (long long block = 0; block < leaf.blocks;) {
      if (!go_on()) return Through::stopped;
      const long long end = std::min(leaf.blocks, block + static_cast<long long>(size));
      const double started = monotonic_ms();
      bool gone = false;
      const std::string state = try_to([&] {
        const std::string name = catalog::relation_name(leaf.oid);
        gone = name.empty();
        if (gone) return;
        if (!statement || generation != job_.generation) {
          statement = std::make_unique<pg::Prepared>(backfill::block_batch(job_.target, name, job_.watched));
          generation = job_.generation;
        }
        const std::vector<pg::Parameter> range = {pg::RowId{static_cast<std::uint32_t>(block), 0},
                                                  pg::RowId{static_cast<std::uint32_t>(end), 0}};
        job_.as_script([&] { job_.record.rows_done += job_.change(*statement, range); }, leaf.oid);
      });
      if (gone) break;
      if (is_row_error(state)) return Through::rows_fail;
      if (!state.empty()) {
        if (++tries_ > job_.run.lock_retries) return Through::rows_left;
        size = std::max(1.0, size / 4);
        continue;
      }
      const double factor = job_.settings.batch_target_ms / std::max(0.1, monotonic_ms() - started);
      size = std::clamp(size * std::clamp(factor, 0.25, 2.0), 1.0, most_blocks);
      block = end;
    }
  }
  return Through::yes;
}

LastLook::End LastLook::settle(const std::function<bool()>& go_on, const std::function<void()>& end) {
  if (job_.record.quarantined > 0) return End::rows_fail;
  for (int round = 0; round < rounds; ++round) {
    if (!go_on()) return End::stopped;
    bool none = false, all = true;
    pg::in_transaction([&] {
      begin_look(job_);
      all = find();
      none = all && found_.empty();
      if (none) end();
    });
    if (none) return End::none_left;
    if (!all) {
      found_.clear();
      const Through through = go_through(go_on);
      if (through == Through::stopped) return End::stopped;
      if (through != Through::yes) return through == Through::rows_fail ? End::rows_fail : End::rows_left;
    }
    while (!found_.empty()) {
      if (!go_on()) return End::stopped;
      const std::string state = change_some();
      if (state.empty()) continue;
      // What a lock was not to be had for is found again by the next look, and does not keep its neighbours from it.
      at_once_ = 1;
      if (is_row_error(state)) return End::rows_fail;
      if (++tries_ > job_.run.lock_retries) return End::rows_left;
    }
  }
  return End::rows_left;
}

}  // namespace migration
