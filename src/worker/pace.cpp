// Looking, resting and saying so; see pace.hpp.
#include "worker/pace.hpp"

#include <algorithm>
#include <memory>

#include "catalog/health.hpp"
#include "catalog/tuning.hpp"
#include "pg/process.hpp"
#include "pg/settings.hpp"
#include "pg/snapshot.hpp"
#include "pg/sql.hpp"
#include "pg/usage.hpp"
#include "statement/formatted.hpp"
#include "worker/executor.hpp"
#include "worker/user_check.hpp"

namespace migration {

namespace {

constexpr double settings_every_ms = 100;  ///< batches are often shorter than that
constexpr double look_every_ms = 1000;
constexpr double look_share = 20;  ///< a look that takes long is taken seldom
constexpr double longest_nap_ms = 500;
constexpr double show_again_ms = 10000;  ///< the same reason with newer numbers; readers count on it (reports.cpp)
constexpr double calm_ms = 5000;         ///< without a rest, until resting is no longer shown

/// Nobody has to wait for the disk, or a standby that is just what holds us back, because of these.
void ledger_transaction(const std::function<void()>& f) {
  pg::in_transaction([&] {
    pg::set_local("synchronous_commit", "off");
    f();
  });
}

bool same_but_numbers(std::string a, std::string b) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  std::erase_if(a, is_digit);
  std::erase_if(b, is_digit);
  return a == b;
}

}  // namespace

backfill::Settings Pace::base_of(const catalog::RunRecord& run) {
  backfill::Settings base;
  base.batch_target_ms = run.batch_target_ms;
  return base;
}

Pace::Pace(const catalog::RunRecord& run, const catalog::StepRecord& step, long long job_id, unsigned relation,
           backfill::Settings base, bool leader)
    : run_(run),
      step_(step),
      job_id_(job_id),
      relation_(relation),
      base_(std::move(base)),
      settings_(base_),
      leader_(leader),
      // What an owner before us may have left there is not known: the first word is always said.
      shown_key_("?") {}

/// True when something was tuned since.
bool Pace::reread_settings(bool now) {
  if (!now && monotonic_ms() - settings_read_ms_ < settings_every_ms) return false;
  backfill::Entries tuned;
  pg::in_transaction([&] { tuned = catalog::load_tuned(run_.run_id); });
  settings_read_ms_ = monotonic_ms();
  if (tuned == tuned_) return false;
  settings_ = base_;
  backfill::apply(settings_, base_, tuned, backfill::Use::tune,
                  formatted("SELECT migration_tune({}, '{{}}');", run_.run_id));
  tuned_ = std::move(tuned);
  return true;
}

Signals Pace::read() const {
  Signals signals;
  pg::in_transaction([&] {
    signals = catalog::read_signals(settings_, relation_);
    if (settings_.check.empty()) return;
    const auto problem = ask_user_check(settings_.check, step_);
    signals.check = !problem;
    signals.check_problem = problem.value_or("");
  });
  return signals;
}

void Pace::look(bool now) {
  const double started = monotonic_ms();
  if (!now && started < next_look_ms_) return;
  std::string problem;
  std::unique_ptr<pg::PgError> fatal;
  Signals signals;
  try {
    signals = read();
  } catch (const pg::PgError& e) {
    problem = e.message();
    if (e.state().starts_with("57")) fatal = std::make_unique<pg::PgError>(e);
  }
  if (fatal) throw pg::PgError(*fatal);
  const double ended = monotonic_ms();
  local_times_ = signals.local_times;
  looked_ms_ = ended;
  next_look_ms_ = ended + std::max(look_every_ms, (ended - started) * look_share);
  if (!problem.empty()) {
    hold_ = Hold{"health", "health: the state of the server cannot be read: " + problem};
    return;
  }
  feedback_.saw_wal(settings_, ended, pg::own_wal_bytes(), signals.wal_position);
  signals.other_wal_rate = feedback_.other_wal_rate();
  hold_ = throttle_.decide(settings_, signals, ended);
}

std::optional<double> Pace::closes_in_ms() const {
  const std::optional<double> seconds = closes_in_s(settings_.windows, local_times_);
  if (!seconds) return std::nullopt;
  return std::max(0.0, *seconds * 1000 - (monotonic_ms() - looked_ms_));
}

/// Sleeps, at most half a second, or until somebody wakes us.
void Pace::rest(double ms) {
  const double started = monotonic_ms();
  pg::wait_latch(std::max(1L, static_cast<long>(std::min(ms, longest_nap_ms))));
  last_rest_ms_ = monotonic_ms();
  rested_ms_ += last_rest_ms_ - started;
}

/// Makes visible what holds the job back; an empty key: nothing.
void Pace::show(const std::string& key, const std::string& reason) {
  const double now = monotonic_ms();
  const bool changed = key != shown_key_;
  const bool known = !changed && same_but_numbers(reason, shown_reason_);
  if (!leader_ || (known && (key.empty() || now - shown_ms_ < show_again_ms))) return;
  ledger_transaction([&] {
    catalog::set_throttle(job_id_, reason, rested_ms_);
    if (reason != shown_reason_) catalog::set_waiting(run_.run_id, hold_ ? reason : "");
    if (!changed) return;
    if (!key.empty()) {
      catalog::log_event({run_.run_id, step_.revision, step_.step, "throttled", run_.role_name, -1,
                          catalog::Problem{"", reason, "", ""}});
    } else if (shown_key_ != "?") {
      catalog::log_event({run_.run_id, step_.revision, step_.step, "unthrottled", run_.role_name, now - shown_since_ms_,
                          catalog::Problem{"", shown_reason_, "", ""}});
    }
  });
  rested_ms_ = 0;
  shown_ms_ = now;
  if (changed && (shown_key_.empty() || shown_key_ == "?")) shown_since_ms_ = now;
  shown_key_ = key;
  shown_reason_ = reason;
}

bool Pace::wait(const std::function<bool()>& wanted_stop) {
  bool woken = false;
  for (;;) {
    if (wanted_stop()) {
      // It has been said what became of the run; here only that nothing holds the job any more.
      if (leader_ && !shown_key_.empty()) {
        ledger_transaction([&] { catalog::set_throttle(job_id_, "", rested_ms_); });
      }
      return false;
    }
    const bool tuned = reread_settings(woken);
    look(tuned);
    if (hold_) {
      show(hold_->key, hold_->reason);
      pg::report_idle();
      rest(longest_nap_ms);
      woken = true;
      continue;
    }
    const double now = monotonic_ms();
    const double rest_ms = feedback_.rest_ms(settings_, now, pg::own_wal_bytes());
    if (rest_ms < 1) {
      const bool resting = settings_.max_wal_rate && shown_key_ == "max_wal_rate" && now - last_rest_ms_ < calm_ms;
      if (!resting) show("", "");
      break;
    }
    show("max_wal_rate", formatted("max_wal_rate: rests between batches, for at most {} per second",
                                   backfill::show_bytes(*settings_.max_wal_rate)));
    rest(rest_ms);
    woken = true;
  }
  wal_before_batch_ = pg::own_wal_bytes();
  return true;
}

long long Pace::next_size(long long size, double elapsed_ms, long long limit) {
  BatchCost cost;
  cost.elapsed_ms = elapsed_ms;
  cost.wal_bytes = pg::own_wal_bytes() - wal_before_batch_;
  cost.waited_for = pg::somebody_waits();
  return feedback_.next_size(settings_, size, cost, limit);
}

}  // namespace migration
