// Ranges of a key; see key_ranges.hpp.
#include "worker/key_ranges.hpp"

#include <algorithm>

#include "pg/portal.hpp"
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
  std::vector<std::string> high;
  const bool last = next_range(high);
  job_.as_script([&] { job.rows_done += static_cast<long long>(change_->run(parameters(high))); });
  return move_on(high, last);
}

bool KeyRanges::careful_batch() {
  catalog::JobRecord& job = job_.record;
  if (job.end_key.empty()) return false;
  job.batch_size = std::min(job.batch_size, careful_rows);
  std::vector<std::string> high;
  const bool last = next_range(high);
  pg::Prepared listing(backfill::key_list_of(job_.target, job_.key, job.next_key.empty()));
  std::vector<std::vector<std::string>> keys;
  job_.as_script([&] {
    BackfillJob::plain_keys();
    listing.run(parameters(high), keys);
  });
  // Ranges from one listed key to another: a row that arrives in between belongs to the range around it.
  const std::vector<std::string> low = job.next_key;
  const auto change = [&](std::size_t from, std::size_t to) {
    job.next_key = from == 0 ? low : keys[from - 1];
    prepare();
    long long changed = 0;
    job_.as_script_raw([&] {
      pg::run_statement("SET CONSTRAINTS ALL IMMEDIATE", false);
      changed = static_cast<long long>(change_->run(parameters(to == keys.size() ? high : keys[to - 1])));
    });
    job.rows_done += changed;
  };
  bisect(keys.size(), change, [&](std::size_t item, const pg::PgError& error) {
    job_.set_aside(job_.target.relation, keys[item], "", error);
  });
  job.next_key = low;
  return move_on(high, last);
}

}  // namespace migration
