// The limits, one by one; see throttle.hpp.
#include "run/throttle.hpp"

#include "statement/formatted.hpp"

#include <algorithm>
#include <cmath>

namespace migration {

using backfill::about_bytes;
using backfill::about_duration;
using backfill::Settings;
using backfill::show_bytes;
using backfill::show_duration;

namespace {

constexpr std::size_t most_moments = 2000;

std::string quoted(const std::string& name) {
  return name.empty() ? "without a name" : "\"" + name + "\"";
}

}  // namespace

double Throttle::release_at(const std::string& key) {
  // What drains while we rest may go well below, so that the next stretch of work is worth its start. What others
  // decide about lets go soon. A table hardly ever shrinks by much.
  if (key == "max_lag" || key == "max_lag_time" || key == "max_archive_backlog") return 0.5;
  if (key == "max_slot_retention") return 0.9;
  if (key == "max_size") return 0.95;
  return 0.8;
}

void Throttle::hold(const std::string& key, const std::string& text) {
  holds_.push_back(Hold{key, key + ": " + text});
}

/// One number against its limit.
void Throttle::judge(const Measure& m, const Signals& signals) {
  bool& engaged = engaged_[m.key];
  if (!m.limit) {
    engaged = false;
    return;
  }
  for (const Unreadable& missing : signals.unreadable) {
    if (missing.key != m.key) continue;
    engaged = true;
    hold(m.key, formatted("{} cannot be read; {}", missing.what, missing.cure));
    return;
  }
  if (!m.value) {
    // Nothing to measure (no standby, no slot, archiving off): not a zero by mistake, there is nothing to harm.
    engaged = false;
    return;
  }
  const auto limit = static_cast<double>(*m.limit);
  if (*m.value > limit) engaged = true;
  if (*m.value <= std::floor(limit * release_at(m.key))) engaged = false;
  if (engaged) hold(m.key, m.text);
}

/// For how long the primary has been past `position`: 0 when it is not, as far as it was watched.
double Throttle::seconds_since_passed(long long position, double now_ms) const {
  const auto first = std::upper_bound(past_.begin(), past_.end(), position,
                                      [](long long p, const Moment& m) { return p < m.wal_position; });
  return first == past_.end() ? 0 : std::max(0.0, (now_ms - first->at_ms) / 1000.0);
}

void Throttle::judge_lag(const Settings& s, const Signals& now, double now_ms) {
  if (past_.empty() || past_.back().wal_position < now.wal_position) past_.push_back({now_ms, now.wal_position});
  if (past_.size() > most_moments) {
    // Every other one is enough for what is long ago.
    std::size_t kept = 0;
    for (std::size_t i = 0; i < past_.size(); i += 2) past_[kept++] = past_[i];
    past_.resize(kept);
  }
  const StandbySignal* furthest = nullptr;
  const StandbySignal* oldest = nullptr;
  double lag_s = 0;
  for (const StandbySignal& standby : now.standbys) {
    if (!standby.position) continue;
    if (furthest == nullptr || *standby.position < *furthest->position) furthest = &standby;
    const double seconds = std::max(standby.replay_lag_s.value_or(0), seconds_since_passed(*standby.position, now_ms));
    if (oldest == nullptr || seconds > lag_s) {
      oldest = &standby;
      lag_s = seconds;
    }
  }
  Measure bytes{"max_lag", s.max_lag, {}, {}};
  if (furthest != nullptr) {
    bytes.value = static_cast<double>(std::max(0LL, now.wal_position - *furthest->position));
    bytes.text = formatted("standby {} has {} to replay (limit {})", quoted(furthest->name), about_bytes(*bytes.value),
                           show_bytes(s.max_lag.value_or(0)));
  }
  judge(bytes, now);
  Measure time{"max_lag_time", s.max_lag_time_ms, {}, {}};
  if (oldest != nullptr) {
    time.value = lag_s * 1000;
    time.text = formatted("standby {} is {} behind (limit {})", quoted(oldest->name), about_duration(lag_s * 1000),
                          show_duration(s.max_lag_time_ms.value_or(0)));
  }
  judge(time, now);
}

void Throttle::judge_standbys_gone(const Settings& s, const Signals& now) {
  if (!s.max_lag && !s.max_lag_time_ms) {
    // Nobody asks about standbys; whoever asks again later means those of then.
    at_start_.clear();
    started_ = false;
    return;
  }
  const std::string key = s.max_lag ? "max_lag" : "max_lag_time";
  for (const Unreadable& missing : now.unreadable) {
    if (missing.key == key) return;
  }
  std::map<std::string, int> present;
  for (const StandbySignal& standby : now.standbys) {
    if (standby.counts_when_gone) ++present[standby.name];
  }
  if (!started_) {
    at_start_ = present;
    started_ = true;
  }
  for (const auto& [name, count] : at_start_) {
    if (present[name] >= count) continue;
    hold(key, formatted("standby {} is gone, which was there at the start; to go on without it switch {} off and on",
                        quoted(name), key));
  }
}

void Throttle::judge_load(const Settings& s, const Signals& now) {
  const SlotSignal* slot = nullptr;
  for (const SlotSignal& each : now.slots) {
    if (slot == nullptr || each.retained > slot->retained) slot = &each;
  }
  Measure slots{"max_slot_retention", s.max_slot_retention, {}, {}};
  if (slot != nullptr) {
    slots.value = static_cast<double>(slot->retained);
    slots.text = formatted("{}slot {} holds {} of WAL (limit {})", slot->active ? "" : "inactive ", quoted(slot->name),
                           about_bytes(*slots.value), show_bytes(s.max_slot_retention.value_or(0)));
  }
  judge(slots, now);
  Measure archive{"max_archive_backlog", s.max_archive_backlog, {}, {}};
  if (now.archive_backlog) {
    archive.value = static_cast<double>(*now.archive_backlog);
    archive.text = formatted("{} WAL files wait for the archive (limit {}){}", *now.archive_backlog,
                             s.max_archive_backlog.value_or(0), now.archiver_failing ? ", whose command fails" : "");
  }
  judge(archive, now);
  Measure rate{"max_wal_rate", s.max_wal_rate, now.other_wal_rate, {}};
  if (now.other_wal_rate) {
    rate.text = formatted("others write {} of WAL per second (limit {}/s)", about_bytes(*now.other_wal_rate),
                          show_bytes(s.max_wal_rate.value_or(0)));
  }
  judge(rate, now);
  const auto count = [](const std::optional<long long>& n) {
    return n ? std::optional<double>(static_cast<double>(*n)) : std::nullopt;
  };
  judge(Measure{"max_active", s.max_active, count(now.active),
                formatted("{} sessions are active (limit {})", now.active.value_or(0), s.max_active.value_or(0))},
        now);
  judge(Measure{"max_waiters", s.max_waiters, count(now.waiters),
                formatted("{} sessions wait for a lock on the table (limit {}), first {}", now.waiters.value_or(0),
                          s.max_waiters.value_or(0), now.first_waiter)},
        now);
  // An anti-wraparound vacuum is always let pass: nothing may hold that one up.
  if (now.vacuum == TableVacuum::wraparound) {
    hold("autovacuum", "the table is vacuumed to prevent transaction id wraparound");
  } else if (s.autovacuum == "yield") {
    const auto missing = std::find_if(now.unreadable.begin(), now.unreadable.end(),
                                      [](const Unreadable& u) { return u.key == "autovacuum"; });
    if (missing != now.unreadable.end()) {
      hold("autovacuum", formatted("{} cannot be read; {}", missing->what, missing->cure));
    } else if (now.vacuum == TableVacuum::ordinary) {
      hold("autovacuum", "the table is being vacuumed");
    }
  }
  Measure xmin{"max_xmin_age", s.max_xmin_age_ms, {}, {}};
  if (now.xmin_age_s) {
    xmin.value = *now.xmin_age_s * 1000;
    xmin.text = formatted("a snapshot of {} is {} old and keeps dead rows (limit {})", now.xmin_holder,
                          about_duration(*xmin.value), show_duration(s.max_xmin_age_ms.value_or(0)));
  }
  judge(xmin, now);
  judge(Measure{"max_size", s.max_size, count(now.table_bytes),
                formatted("the table has {} (limit {})", about_bytes(static_cast<double>(now.table_bytes.value_or(0))),
                          show_bytes(s.max_size.value_or(0)))},
        now);
}

void Throttle::judge_user(const Settings& s, const Signals& now) {
  if (s.check.empty() || !now.check) {
    healthy_checks_ = 2;
  } else {
    // Twice in a row before it lets go: the expression has no hysteresis of its own.
    healthy_checks_ = *now.check ? std::min(2, healthy_checks_ + 1) : 0;
    if (healthy_checks_ < 2) hold("check", *now.check ? "it has only just become true" : now.check_problem);
  }
  if (s.throttle) hold("throttle", "switched on by hand");
  if (now.starts_in_s && *now.starts_in_s > 0) {
    hold("start_at", formatted("starts in {}", about_duration(*now.starts_in_s * 1000)));
  }
  bool open = s.windows.empty();
  for (std::size_t i = 0; i < s.windows.size() && i < now.local_times.size(); ++i) {
    open = open || backfill::is_open(s.windows[i], now.local_times[i].weekday, now.local_times[i].minute);
  }
  if (!open) hold("window", formatted("closed; open are {}", backfill::show_windows(s.windows)));
}

std::optional<double> closes_in_s(const std::vector<backfill::Window>& windows, const std::vector<LocalTime>& times) {
  constexpr int day = 24 * 60;
  if (windows.empty() || times.size() < windows.size()) return std::nullopt;
  for (int later = 0; later <= 7 * day; ++later) {
    bool open = false;
    for (std::size_t i = 0; i < windows.size() && !open; ++i) {
      const int minute = times[i].minute + later;
      open = backfill::is_open(windows[i], (times[i].weekday - 1 + minute / day) % 7 + 1, minute % day);
    }
    if (!open) return std::max(0.0, later * 60.0 - times[0].second);
  }
  return std::nullopt;
}

std::optional<Hold> Throttle::decide(const Settings& settings, const Signals& signals, double now_ms) {
  holds_.clear();
  judge_lag(settings, signals, now_ms);
  judge_standbys_gone(settings, signals);
  judge_load(settings, signals);
  judge_user(settings, signals);
  if (holds_.empty()) return std::nullopt;
  Hold first = holds_.front();
  std::string others;
  for (const Hold& h : holds_) {
    if (h.key != first.key && others.find(h.key) == std::string::npos) others += (others.empty() ? "" : ", ") + h.key;
  }
  if (!others.empty()) first.reason += "; also: " + others;
  return first;
}

}  // namespace migration
