// Throttles: each grips above its limit, lets go at a fraction of it, and never takes the unknown for healthy.
#include "run/throttle.hpp"

#include <gtest/gtest.h>

using namespace migration;

namespace {

constexpr long long mb = 1 << 20;

/// Everything off, so that a test sees only what it switches on.
backfill::Settings quiet() {
  backfill::Settings s;
  s.max_lag.reset();
  s.max_slot_retention.reset();
  s.max_archive_backlog.reset();
  s.max_waiters.reset();
  return s;
}

std::string key_of(const std::optional<Hold>& hold) {
  return hold ? hold->key : "";
}

/// Feeds values one after another; gives "1" where it held.
template <class Put>
std::string held(const backfill::Settings& s, std::initializer_list<double> values, Put put) {
  Throttle throttle;
  std::string out;
  double now = 0;
  for (const double value : values) {
    Signals signals;
    put(signals, value);
    out += throttle.decide(s, signals, now += 1000) ? '1' : '0';
  }
  return out;
}

Signals with_standby(long long primary, std::optional<long long> replayed, std::optional<double> lag = {}) {
  Signals signals;
  signals.wal_position = primary;
  signals.standbys.push_back({"s1", replayed, lag, true});
  return signals;
}

}  // namespace

TEST(Throttle, NothingSeenNothingHeld) {
  Throttle throttle;
  EXPECT_FALSE(throttle.decide(backfill::Settings(), Signals(), 0));
}

TEST(Throttle, EachLimitHasItsHysteresis) {
  backfill::Settings s = quiet();
  s.max_active = 10;
  const auto active = [](Signals& n, double v) { n.active = static_cast<long long>(v); };
  EXPECT_EQ(held(s, {10, 11, 10, 9, 8, 9, 10, 11}, active), "01110001") << "above 10, until 8";
  s = quiet();
  s.max_waiters = 0;
  EXPECT_EQ(held(s, {0, 1, 0, 2, 1, 0}, [](Signals& n, double v) { n.waiters = static_cast<long long>(v); }), "010110");
  s = quiet();
  s.max_slot_retention = 1000;
  EXPECT_EQ(held(s, {1000, 1001, 901, 900, 950},
                 [](Signals& n, double v) {
                   n.slots = {{"a", 5, true}, {"b", static_cast<long long>(v), false}};
                 }),
            "01100");
  s = quiet();
  s.max_archive_backlog = 64;
  EXPECT_EQ(held(s, {64, 65, 33, 32, 64}, [](Signals& n, double v) { n.archive_backlog = static_cast<long long>(v); }),
            "01100");
  s = quiet();
  s.max_wal_rate = 1000000;
  EXPECT_EQ(held(s, {1e6, 1000001, 800001, 800000}, [](Signals& n, double v) { n.other_wal_rate = v; }), "0110");
  s = quiet();
  s.max_xmin_age_ms = 10000;
  EXPECT_EQ(held(s, {10, 10.1, 9, 8}, [](Signals& n, double v) { n.xmin_age_s = v; }), "0110");
  s = quiet();
  s.max_size = 100 * mb;
  EXPECT_EQ(held(s, {100, 101, 96, 95}, [](Signals& n, double v) { n.table_bytes = static_cast<long long>(v) * mb; }),
            "0110");
}

TEST(Throttle, ALimitChangedOrSwitchedOffCountsAtOnce) {
  Throttle throttle;
  backfill::Settings s = quiet();
  s.max_active = 10;
  Signals n;
  n.active = 20;
  EXPECT_TRUE(throttle.decide(s, n, 0));
  s.max_active = 100;
  EXPECT_FALSE(throttle.decide(s, n, 1));
  s.max_active = 10;
  EXPECT_TRUE(throttle.decide(s, n, 2));
  s.max_active.reset();
  EXPECT_FALSE(throttle.decide(s, n, 3));
  s.max_active = 22;
  EXPECT_FALSE(throttle.decide(s, n, 4)) << "between the two, and not held before";
}

TEST(Throttle, LagInBytesComesFirst) {
  Throttle throttle;
  backfill::Settings s = quiet();
  s.max_lag = 256 * mb;
  s.max_lag_time_ms = 10000;
  s.max_active = 1;
  Signals n = with_standby(1000 * mb, 700 * mb, 30.0);
  n.active = 5;
  const auto hold = throttle.decide(s, n, 0);
  ASSERT_TRUE(hold);
  EXPECT_EQ(hold->key, "max_lag");
  EXPECT_EQ(hold->reason, "max_lag: standby \"s1\" has 300 MB to replay (limit 256MB); also: max_lag_time, max_active");
  EXPECT_EQ(key_of(throttle.decide(s, with_standby(1000 * mb, 872 * mb, 30.0), 1000)), "max_lag_time") << "128 MB";
  EXPECT_FALSE(throttle.decide(s, with_standby(1000 * mb, 1000 * mb, 5.0), 2000));
}

TEST(Throttle, AnUnknownLagIsNotZero) {
  Throttle throttle;
  backfill::Settings s = quiet();
  s.max_lag_time_ms = 10000;
  // The server gives no lag, but the standby's position has been left behind for longer and longer.
  EXPECT_FALSE(throttle.decide(s, with_standby(100, 100), 0));
  EXPECT_FALSE(throttle.decide(s, with_standby(200, 100), 1000));
  EXPECT_FALSE(throttle.decide(s, with_standby(300, 100), 11000));
  EXPECT_EQ(key_of(throttle.decide(s, with_standby(300, 100), 11001)), "max_lag_time");
  // Idle: it has all there is, and no lag is measured any more.
  EXPECT_FALSE(throttle.decide(s, with_standby(300, 300), 12000));
  EXPECT_FALSE(throttle.decide(s, with_standby(300, 300), 99000));
  // A position that is not told does not count as one.
  EXPECT_FALSE(throttle.decide(s, with_standby(400, std::nullopt), 200000));
}

TEST(Throttle, AStandbyThatVanishesHolds) {
  backfill::Settings s = quiet();
  s.max_lag = 256 * mb;
  Throttle throttle;
  Signals n = with_standby(100, 100);
  n.standbys.push_back({"pg_basebackup", 100, {}, false});
  EXPECT_FALSE(throttle.decide(s, n, 0));
  EXPECT_FALSE(throttle.decide(s, with_standby(100, 100), 1000)) << "a backup may end";
  const auto hold = throttle.decide(s, Signals(), 2000);
  ASSERT_TRUE(hold);
  EXPECT_NE(hold->reason.find("standby \"s1\" is gone"), std::string::npos);
  EXPECT_FALSE(throttle.decide(s, with_standby(100, 100), 3000));
  Signals two = with_standby(100, 100);
  two.standbys.push_back({"late", 100, {}, true});
  EXPECT_FALSE(throttle.decide(s, two, 4000));
  EXPECT_FALSE(throttle.decide(s, with_standby(100, 100), 5000)) << "only those of the start";
  // Off and on: the standbys of now.
  EXPECT_TRUE(throttle.decide(s, Signals(), 6000));
  EXPECT_FALSE(throttle.decide(quiet(), Signals(), 7000));
  EXPECT_FALSE(throttle.decide(s, Signals(), 8000));
}

TEST(Throttle, WhatCannotBeReadHoldsAndNamesThePrivilege) {
  Throttle throttle;
  backfill::Settings s = quiet();
  Signals n;
  n.unreadable = {{"max_lag", "the replay position of standbys", "GRANT pg_monitor TO boss"},
                  {"autovacuum", "what autovacuum does", "GRANT pg_monitor TO boss"}};
  EXPECT_FALSE(throttle.decide(s, n, 0)) << "nobody asked";
  s.max_lag = mb;
  const auto hold = throttle.decide(s, n, 1);
  ASSERT_TRUE(hold);
  EXPECT_EQ(hold->reason, "max_lag: the replay position of standbys cannot be read; GRANT pg_monitor TO boss");
  s.max_lag.reset();
  s.autovacuum = "yield";
  EXPECT_EQ(key_of(throttle.decide(s, n, 2)), "autovacuum");
}

TEST(Throttle, AntiWraparoundVacuumAlwaysYields) {
  Throttle throttle;
  backfill::Settings s = quiet();
  Signals n;
  n.vacuum = TableVacuum::ordinary;
  EXPECT_FALSE(throttle.decide(s, n, 0));
  n.vacuum = TableVacuum::wraparound;
  EXPECT_EQ(key_of(throttle.decide(s, n, 1)), "autovacuum");
  s.autovacuum = "yield";
  n.vacuum = TableVacuum::ordinary;
  EXPECT_EQ(key_of(throttle.decide(s, n, 2)), "autovacuum");
}

TEST(Throttle, TheUsersCheckLetsGoAfterTwoGoodAnswers) {
  Throttle throttle;
  backfill::Settings s = quiet();
  s.check = "quiet_hours()";
  Signals good, bad;
  good.check = true;
  bad.check = false;
  bad.check_problem = "division by zero";
  EXPECT_FALSE(throttle.decide(s, good, 0));
  EXPECT_EQ(throttle.decide(s, bad, 1)->reason, "check: division by zero");
  EXPECT_TRUE(throttle.decide(s, good, 2));
  EXPECT_FALSE(throttle.decide(s, good, 3));
  EXPECT_TRUE(throttle.decide(s, bad, 4));
  EXPECT_FALSE(throttle.decide(quiet(), Signals(), 5)) << "taken away";
}

TEST(Throttle, HandWindowAndStart) {
  Throttle throttle;
  backfill::Settings s = quiet();
  s.throttle = true;
  EXPECT_EQ(key_of(throttle.decide(s, Signals(), 0)), "throttle");
  s.throttle = false;
  EXPECT_FALSE(throttle.decide(s, Signals(), 1)) << "no hysteresis for a hand";
  s.windows = *backfill::parse_windows("22:00-05:00 Europe/Berlin, Sat 08:00-12:00 UTC");
  Signals n;
  n.local_times = {{6, 600}, {6, 540}};
  EXPECT_FALSE(throttle.decide(s, n, 2)) << "the second is open";
  n.local_times = {{5, 600}, {5, 540}};
  EXPECT_EQ(throttle.decide(s, n, 3)->reason,
            "window: closed; open are 22:00-05:00 Europe/Berlin, Sat 08:00-12:00 UTC");
  EXPECT_TRUE(throttle.decide(s, Signals(), 4)) << "not knowing the time is no opening";
  // A window ends with the minute before its end, in its own zone; where one goes over into another, with that one.
  const auto closes = [](const char* windows, std::vector<LocalTime> times) {
    return closes_in_s(*backfill::parse_windows(windows), times);
  };
  EXPECT_EQ(closes("22:00-05:00 UTC", {{7, 4 * 60 + 58, 30}}), 90);
  EXPECT_EQ(closes("22:00-05:00 UTC", {{7, 22 * 60, 0}}), 7 * 3600);
  EXPECT_EQ(closes("22:00-05:00 UTC", {{1, 12 * 60, 7}}), 0);
  EXPECT_EQ(closes("Sat 08:00-12:00 UTC", {{6, 8 * 60, 0}}), 4 * 3600);
  EXPECT_EQ(closes("Sun 22:00-05:00 UTC", {{1, 4 * 60, 0}}), 3600) << "of the day before";
  EXPECT_EQ(closes("22:00-24:00 UTC, 01:00-05:00 Europe/Berlin", {{1, 23 * 60, 0}, {2, 1, 0}}), 5 * 3600 - 60);
  EXPECT_EQ(closes("00:00-24:00 UTC", {{1, 0, 0}}), std::nullopt);
  EXPECT_EQ(closes_in_s({}, {}), std::nullopt);

  s.windows.clear();
  n.starts_in_s = 90;
  EXPECT_EQ(throttle.decide(s, n, 5)->reason, "start_at: starts in 1 min 30 s");
  n.starts_in_s = -1;
  EXPECT_FALSE(throttle.decide(s, n, 6));
}
