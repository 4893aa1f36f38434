// Ranges of a key; see key_ranges.hpp.
#include "worker/key_ranges.hpp"

#include <algorithm>

namespace migration {

void KeyRanges::prepare() {
  const bool first = job_.record.next_key.empty();
  if (bound_ && first == first_) return;
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

bool KeyRanges::batch() {
  catalog::JobRecord& job = job_.record;
  if (job.end_key.empty()) return false;  // the table was empty
  prepare();
  std::vector<std::vector<std::string>> bound;
  job_.as_script([&] {
    BackfillJob::plain_keys();
    std::vector<pg::Parameter> given = parameters(job.end_key);
    given.emplace_back(pg::sql_int(job.batch_size - 1));
    bound_->run(given, bound);
  });
  const bool last = bound.empty();
  const std::vector<std::string> high = last ? job.end_key : bound[0];
  if (!last) job.rows_seen += job.batch_size;
  job_.as_script([&] { job.rows_done += static_cast<long long>(change_->run(parameters(high))); });
  job.next_key = high;
  if (last) job.rows_seen = std::max(job.rows_seen, job.rows_total);
  return !last && high != job.end_key;
}

}  // namespace migration
