// Ranges of a key; see key_ranges.hpp.
#include "worker/key_ranges.hpp"

#include <algorithm>

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
  of_class_.reset();
}

pg::Prepared& KeyRanges::change_of_class() {
  prepare();
  if (!of_class_ || classes_ != job_.record.passes) {
    classes_ = job_.record.passes;
    of_class_ = std::make_unique<pg::Prepared>(backfill::key_class_batch(job_.target, job_.key, first_, classes_));
  }
  return *of_class_;
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
  if (job.pass > 0) return pass(false);
  std::vector<std::string> high;
  const bool last = next_range(high);
  const int passes = passes_.choose(parameters(high));
  if (passes > 1) {
    job.window_key = high;
    job.passes = passes;
    passes_.begin_window();
    return pass(false);
  }
  job_.as_script([&] { job.rows_done += static_cast<long long>(change_->run(parameters(high))); });
  return move_on(high, last);
}

bool KeyRanges::pass(bool careful) {
  catalog::JobRecord& job = job_.record;
  if (job.pass > 0 && !careful && !passes_.ready()) return true;
  if (careful) {
    change_carefully(job.window_key, true);
    return end_of_pass();
  }
  const unsigned leaf = job.leaves.size() == 1 ? job.leaves[0] : 0;
  const long long hot_before = leaf != 0 ? pg::own_hot_updates(leaf) : 0;
  pg::Prepared& change = change_of_class();
  std::vector<pg::Parameter> given = parameters(job.window_key);
  given.emplace_back(pg::sql_int(job.pass));
  long long rows = 0;
  job_.as_script([&] { rows = static_cast<long long>(change.run(given)); });
  job.rows_done += rows;
  passes_.changed(job.pass, rows, leaf != 0 ? pg::own_hot_updates(leaf) - hot_before : -1);
  return end_of_pass();
}

bool KeyRanges::end_of_pass() {
  catalog::JobRecord& job = job_.record;
  if (++job.pass < job.passes) return true;
  const std::vector<std::string> high = std::move(job.window_key);
  job.window_key.clear();
  job.pass = job.passes = 0;
  return move_on(high, high == job.end_key);
}

void KeyRanges::measured(long long rows) {
  proposed_ = proposed_ == 0 ? rows : std::min(proposed_, rows);
  if (in_window()) return;
  job_.record.batch_size = proposed_;
  proposed_ = 0;
}

void KeyRanges::change_carefully(const std::vector<std::string>& high, bool of_class) {
  catalog::JobRecord& job = job_.record;
  const bool from_start = job.next_key.empty();
  pg::Prepared listing(of_class ? backfill::key_class_list_of(job_.target, job_.key, from_start, job.passes)
                                : backfill::key_list_of(job_.target, job_.key, from_start));
  const auto with_class = [&](std::vector<pg::Parameter> given) {
    if (of_class) given.emplace_back(pg::sql_int(job.pass));
    return given;
  };
  std::vector<std::vector<std::string>> keys;
  job_.as_script([&] {
    BackfillJob::plain_keys();
    listing.run(with_class(parameters(high)), keys);
  });
  // Ranges from one listed key to another: a row that arrives in between belongs to the range around it.
  const std::vector<std::string> low = job.next_key;
  const auto change = [&](std::size_t from, std::size_t to) {
    job.next_key = from == 0 ? low : keys[from - 1];
    prepare();
    pg::Prepared& statement = of_class ? change_of_class() : *change_;
    long long changed = 0;
    job_.as_script_raw([&] {
      pg::run_statement("SET CONSTRAINTS ALL IMMEDIATE", false);
      changed = static_cast<long long>(statement.run(with_class(parameters(to == keys.size() ? high : keys[to - 1]))));
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
  if (job.pass > 0) return pass(true);
  job.batch_size = std::min(job.batch_size, careful_rows);
  std::vector<std::string> high;
  const bool last = next_range(high);
  change_carefully(high, false);
  return move_on(high, last);
}

}  // namespace migration
