// When a backfill holds back, and why.
//
// What: Signals is what was seen of the server at one moment; Throttle compares it with the limits and says which of
// them hold the backfill back. Why pure: a brake that fails to grip, or never lets go, is found in a test with made-up
// signals, not on a production standby. Rules: each limit has its own hysteresis (it grips above the limit and lets go
// at or below a fraction of it, see `release_at`), so that a job does not flutter around a limit; what could not be
// read is never taken for healthy: a limit that is on and cannot be watched grips and names the missing privilege; an
// unknown replay lag is no lag of zero: how long ago the standby's position was the primary's own is measured here as
// well; a standby seen at the start that is gone is the worst lag of all. Time: a clock that never jumps.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "backfill/settings.hpp"

namespace migration {

struct StandbySignal {
  std::string name;                    ///< application_name
  std::optional<long long> position;   ///< replayed up to here; nothing: not told
  std::optional<double> replay_lag_s;  ///< as the server measures it; nothing: no recent measurement
  bool counts_when_gone = true;        ///< not a backup or an initial table copy, which end by themselves
};

struct SlotSignal {
  std::string name;
  long long retained = 0;
  bool active = false;
};

struct Unreadable {
  std::string key;   ///< the limit that cannot be watched
  std::string what;  ///< "the replay position of standbys"
  std::string cure;  ///< "role boss lacks pg_monitor: GRANT pg_monitor TO boss"
};

enum class TableVacuum { none, ordinary, wraparound };

struct LocalTime {
  int weekday = 1, minute = 0;
  double second = 0;
};
/// Until the last of the windows that are open closes; nothing: not within a week. 0: all are closed. `times`: one per
/// window, in its zone; a clock that is changed meanwhile is not foreseen.
std::optional<double> closes_in_s(const std::vector<backfill::Window>& windows, const std::vector<LocalTime>& times);

struct Signals {
  long long wal_position = 0;  ///< of the primary
  std::vector<StandbySignal> standbys;
  std::vector<SlotSignal> slots;
  std::optional<long long> archive_backlog;
  bool archiver_failing = false;
  std::optional<double> other_wal_rate;  ///< bytes per second that are not ours
  std::optional<long long> active, waiters;
  std::string first_waiter;
  TableVacuum vacuum = TableVacuum::none;
  std::optional<double> xmin_age_s;
  std::string xmin_holder;
  std::optional<long long> table_bytes;
  std::optional<bool> check;           ///< the user's expression; nothing: not asked
  std::string check_problem;           ///< why it is not true
  std::vector<LocalTime> local_times;  ///< one per window
  std::optional<double> starts_in_s;
  std::vector<Unreadable> unreadable;
};

struct Hold {
  std::string key;     ///< the setting behind it: "max_lag"
  std::string reason;  ///< the whole text, beginning with the key
};

class Throttle {
 public:
  /// What holds the backfill back now; nothing = go on. Remembers, for hysteresis: call it with every new Signals.
  std::optional<Hold> decide(const backfill::Settings& settings, const Signals& signals, double now_ms);

  /// The fraction of its limit at which a throttle lets go.
  static double release_at(const std::string& key);

 private:
  struct Measure {
    const char* key;
    std::optional<long long> limit;
    std::optional<double> value;
    std::string text;
  };
  void judge(const Measure& measure, const Signals& signals);
  void hold(const std::string& key, const std::string& text);
  void judge_lag(const backfill::Settings& settings, const Signals& signals, double now_ms);
  void judge_standbys_gone(const backfill::Settings& settings, const Signals& signals);
  void judge_load(const backfill::Settings& settings, const Signals& signals);
  void judge_user(const backfill::Settings& settings, const Signals& signals);
  double seconds_since_passed(long long position, double now_ms) const;

  struct Moment {
    double at_ms;
    long long wal_position;
  };
  std::deque<Moment> past_;
  std::map<std::string, bool> engaged_;
  std::map<std::string, int> at_start_;
  bool started_ = false;
  int healthy_checks_ = 2;
  std::vector<Hold> holds_;
};

}  // namespace migration
