// The control loops; see feedback.hpp.
#include "run/feedback.hpp"

#include <algorithm>
#include <cmath>

namespace migration {

using backfill::Settings;

namespace {

constexpr double least_share = 1.0 / 256;  ///< of 200 ms: less than one
constexpr double retreat = 4;              ///< when somebody has waited
constexpr double recovery = 1.02;          ///< per undisturbed batch: waits settle at one batch in seventy
constexpr double far_from_aim = 8;
constexpr double burst_s = 0.25;       ///< of the budget may be saved up
constexpr double least_budget = 0.02;  ///< of the limit, whatever others do

}  // namespace

double Feedback::aim_ms(const Settings& s) const {
  return std::max(0.5, s.batch_target_ms * share_);
}

long long Feedback::next_size(const Settings& s, long long size, const BatchCost& cost, long long limit) {
  share_ = cost.waited_for ? std::max(least_share, share_ / retreat) : std::min(1.0, share_ * recovery);
  double factor = aim_ms(s) / std::max(cost.elapsed_ms, 0.01);
  if (s.max_batch_wal && cost.wal_bytes > 0) {
    factor = std::min(factor, static_cast<double>(*s.max_batch_wal) / static_cast<double>(cost.wal_bytes));
  }
  // Far from the aim a wrong guess still ends below it.
  const double most = cost.waited_for ? 1 / retreat : factor >= far_from_aim ? 4.0 : 2.0;
  factor = std::clamp(factor, 0.25, most);
  const double next = std::floor(static_cast<double>(size) * factor);
  return std::clamp(static_cast<long long>(std::min(next, 1e15)), 1LL, std::max(1LL, limit));
}

void Feedback::saw_wal(const Settings& s, double now_ms, long long ours, std::optional<long long> server) {
  if (!server) return;
  const auto own = static_cast<double>(ours);
  const auto all = static_cast<double>(*server);
  if (seen_ms_ >= 0 && now_ms - seen_ms_ >= 100) {
    const double seconds = (now_ms - seen_ms_) / 1000.0;
    const double now = std::max(0.0, (all - server_seen_) - (own - ours_seen_)) / seconds;
    // Several workers of one job see each other among the others. Damped by their number, their shares meet.
    const double weight = 1.0 / (1.0 + s.workers);
    others_ = others_ ? *others_ + (now - *others_) * weight : now;
  } else if (seen_ms_ >= 0) {
    return;
  }
  seen_ms_ = now_ms;
  server_seen_ = all;
  ours_seen_ = own;
}

double Feedback::budget(const Settings& s) const {
  const auto limit = static_cast<double>(*s.max_wal_rate);
  return std::max(limit * least_budget, limit - others_.value_or(0));
}

double Feedback::rest_ms(const Settings& s, double now_ms, long long ours) {
  const auto own = static_cast<double>(ours);
  if (!s.max_wal_rate || spent_ms_ < 0) {
    spent_ms_ = now_ms;
    spent_ours_ = own;
    debt_ = 0;
    return 0;
  }
  const double rate = budget(s);
  debt_ += own - spent_ours_ - rate * (now_ms - spent_ms_) / 1000.0;
  debt_ = std::max(debt_, -rate * burst_s);
  spent_ms_ = now_ms;
  spent_ours_ = own;
  return debt_ <= 0 ? 0 : debt_ / rate * 1000.0;
}

}  // namespace migration
