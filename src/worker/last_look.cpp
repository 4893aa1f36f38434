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

namespace migration {

namespace {

/// Remembered of one look: a few hundred kB.
constexpr long long most_rows = 50000;
/// Changed at once: what the application may have to wait for, and what a deadlock takes back.
constexpr std::size_t rows_at_once = 100;
constexpr int rounds = 8;

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

std::string LastLook::change_some() {
  const long long before = job_.record.rows_done;
  std::string state;
  unmoved_now_.clear();
  try {
    pg::in_transaction([&] {
      begin_look(job_);
      change();
      job_.advance(0);
    });
    unmoved_.insert(unmoved_now_.begin(), unmoved_now_.end());
  } catch (const MigrationError& e) {
    state = e.state();
    if (!is_row_error(state) && !is_transient(state)) throw;
  } catch (const pg::PgError& e) {
    state = e.state();
    if (!is_row_error(state) && !is_transient(state)) throw;
  }
  if (!state.empty()) job_.record.rows_done = before;
  auto& ids = found_.begin()->second;
  ids.resize(ids.size() - std::min(ids.size(), at_once_));
  if (ids.empty()) found_.erase(found_.begin());
  return state;
}

LastLook::End LastLook::settle(const std::function<bool()>& go_on, const std::function<void()>& end) {
  if (job_.record.quarantined > 0) return End::rows_fail;
  int tries = 0;
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
    if (!all) return End::rows_left;
    while (!found_.empty()) {
      if (!go_on()) return End::stopped;
      const std::string state = change_some();
      if (state.empty()) continue;
      // What a lock was not to be had for is found again by the next look, and does not keep its neighbours from it.
      at_once_ = 1;
      if (is_row_error(state)) return End::rows_fail;
      if (++tries > job_.run.lock_retries) return End::rows_left;
    }
  }
  return End::rows_left;
}

}  // namespace migration
