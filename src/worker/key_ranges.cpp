// Ranges of a key; see key_ranges.hpp.
#include "worker/key_ranges.hpp"

#include <algorithm>

#include "backfill/passes.hpp"
#include "pg/portal.hpp"
#include "pg/settings.hpp"
#include "pg/usage.hpp"
#include "worker/bisect.hpp"

namespace migration {

namespace {

/// Rows among which bad ones are looked for.
constexpr long long careful_rows = 5000;

}  // namespace

void KeyRanges::prepare() {
  const bool first = job_.record.next_key.empty();
  if (bound_ && first == first_ && generation_ == job_.generation) return;
  generation_ = job_.generation;
  first_ = first;
  bound_ = std::make_unique<pg::Prepared>(backfill::key_bound(job_.target, job_.key, first));
  change_ = std::make_unique<pg::Prepared>(backfill::key_batch(job_.target, job_.key, first));
  of_part_.reset();
}

pg::Prepared& KeyRanges::change_of_part() {
  prepare();
  if (!of_part_) of_part_ = std::make_unique<pg::Prepared>(backfill::key_part_batch(job_.target, job_.key, first_));
  return *of_part_;
}

void KeyRanges::add_interval(std::vector<pg::Parameter>& to, int parts) const {
  constexpr long long fractions = (1LL << 31) / backfill::key_parts;
  to.emplace_back(pg::sql_int(job_.record.window_part * fractions));
  to.emplace_back(pg::sql_int(parts * fractions));
}

std::vector<pg::Parameter> KeyRanges::parameters(const std::vector<std::string>& high) const {
  std::vector<pg::Parameter> out;
  for (const std::string& value : job_.record.next_key) out.emplace_back(pg::Value(value));
  for (const std::string& value : high) out.emplace_back(pg::Value(value));
  return out;
}

bool KeyRanges::next_range(std::vector<std::string>& high) {
  catalog::JobRecord& job = job_.record;
  prepare();
  std::vector<std::vector<std::string>> bound;
  job_.as_script([&] {
    BackfillJob::plain_keys();
    std::vector<pg::Parameter> given = parameters(job.end_key);
    given.emplace_back(pg::sql_int(job.batch_size - 1));
    bound_->run(given, bound);
  });
  high = bound.empty() ? job.end_key : bound[0];
  return bound.empty();
}

bool KeyRanges::move_on(const std::vector<std::string>& high, bool last) {
  catalog::JobRecord& job = job_.record;
  job.next_key = high;
  job.rows_seen = last ? std::max(job.rows_seen, job.rows_total) : job.rows_seen + job.batch_size;
  return !last && high != job.end_key;
}

bool KeyRanges::batch() {
  catalog::JobRecord& job = job_.record;
  if (job.end_key.empty()) return false;  // the table was empty
  if (in_window()) return pass(false);
  std::vector<std::string> high;
  const bool last = next_range(high);
  if (passes_.pay(parameters(high))) {
    job.window_key = high;
    passes_.begin_window();
    return pass(false);
  }
  job_.as_script([&] { job.rows_done += static_cast<long long>(change_->run(parameters(high))); });
  return move_on(high, last);
}

bool KeyRanges::pass(bool careful) {
  catalog::JobRecord& job = job_.record;
  if (in_window() && !careful && !passes_.ready()) return true;
  const int parts = passes_.parts();
  if (careful) {
    change_carefully(job.window_key, parts);
    return end_of_pass(parts);
  }
  const unsigned leaf = job.leaves.size() == 1 ? job.leaves[0] : 0;
  const long long hot_before = leaf != 0 ? pg::own_hot_updates(leaf) : 0;
  pg::Prepared& change = change_of_part();
  std::vector<pg::Parameter> given = parameters(job.window_key);
  add_interval(given, parts);
  long long rows = 0;
  job_.as_script([&] { rows = static_cast<long long>(change.run(given)); });
  job.rows_done += rows;
  passes_.changed(rows, leaf != 0 ? pg::own_hot_updates(leaf) - hot_before : -1);
  return end_of_pass(parts);
}

bool KeyRanges::end_of_pass(int parts) {
  catalog::JobRecord& job = job_.record;
  if ((job.window_part += parts) < backfill::key_parts) return true;
  const std::vector<std::string> high = std::move(job.window_key);
  job.window_key.clear();
  job.window_part = 0;
  return move_on(high, high == job.end_key);
}

void KeyRanges::measured(long long rows) {
  proposed_ = proposed_ == 0 ? rows : std::min(proposed_, rows);
  if (in_window()) return;
  job_.record.batch_size = proposed_;
  proposed_ = 0;
}

void KeyRanges::change_carefully(const std::vector<std::string>& high, int parts) {
  catalog::JobRecord& job = job_.record;
  const bool from_start = job.next_key.empty();
  pg::Prepared listing(parts > 0 ? backfill::key_part_list_of(job_.target, job_.key, from_start)
                                 : backfill::key_list_of(job_.target, job_.key, from_start));
  const auto with_interval = [&](std::vector<pg::Parameter> given) {
    if (parts > 0) add_interval(given, parts);
    return given;
  };
  std::vector<std::vector<std::string>> keys;
  job_.as_script([&] {
    BackfillJob::plain_keys();
    listing.run(with_interval(parameters(high)), keys);
  });
  // Ranges from one listed key to another: a row that arrives in between belongs to the range around it.
  const std::vector<std::string> low = job.next_key;
  const auto change = [&](std::size_t from, std::size_t to) {
    job.next_key = from == 0 ? low : keys[from - 1];
    prepare();
    pg::Prepared& statement = parts > 0 ? change_of_part() : *change_;
    long long changed = 0;
    job_.as_script_raw([&] {
      pg::run_statement("SET CONSTRAINTS ALL IMMEDIATE", false);
      changed =
          static_cast<long long>(statement.run(with_interval(parameters(to == keys.size() ? high : keys[to - 1]))));
    });
    job.rows_done += changed;
  };
  bisect(keys.size(), change, [&](std::size_t item, const pg::PgError& error) {
    job_.set_aside(job_.target.relation, keys[item], "", error);
  });
  job.next_key = low;
}

bool KeyRanges::careful_batch() {
  catalog::JobRecord& job = job_.record;
  if (job.end_key.empty()) return false;
  if (in_window()) return pass(true);
  job.batch_size = std::min(job.batch_size, careful_rows);
  std::vector<std::string> high;
  const bool last = next_range(high);
  change_carefully(high, 0);
  return move_on(high, last);
}

}  // namespace migration
