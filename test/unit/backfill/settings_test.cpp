// Settings of a backfill: units, windows, ranges, and that what is written is read back the same.
#include "backfill/settings.hpp"

#include <gtest/gtest.h>

#include "statement/error.hpp"

using namespace migration;
using namespace migration::backfill;

namespace {

const std::string example = "SELECT migration_tune(7, '{}');";

Settings with(const Entries& entries, Use use = Use::create) {
  Settings s;
  apply(s, Settings(), entries, use, example);
  return s;
}

MigrationError refused(const std::string& key, const std::string& value, Use use = Use::create) {
  try {
    with({{key, value}}, use);
  } catch (const MigrationError& e) {
    return e;
  }
  ADD_FAILURE() << key << " = " << value << " was accepted";
  return MigrationError("", "");
}

void expect_refused(const std::string& key, std::initializer_list<const char*> values) {
  for (const char* value : values) EXPECT_EQ(refused(key, value).state(), "22023") << key << " = " << value;
}

}  // namespace

TEST(Units, Bytes) {
  EXPECT_EQ(parse_bytes("0"), 0);
  EXPECT_EQ(parse_bytes("12"), 12);
  EXPECT_EQ(parse_bytes(" 256 MB "), 268435456);
  EXPECT_EQ(parse_bytes("1.5gb"), 1610612736);
  for (const char* bad : {"", "MB", "-1", "1 XB", "1MB2", "1e9999", "99999PB", "1 MB MB", "nan", "inf"}) {
    EXPECT_FALSE(parse_bytes(bad)) << bad;
  }
  for (const long long n : {0LL, 1LL, 1023LL, 1024LL, 1536LL, 1LL << 20, 16LL << 30, (1LL << 40) + 1}) {
    EXPECT_EQ(parse_bytes(show_bytes(n)), n) << n;
  }
  EXPECT_EQ(show_bytes(268435456), "256MB");
  EXPECT_EQ(about_bytes(311.4 * 1048576), "311 MB");
  EXPECT_EQ(about_bytes(0), "0 B");
}

TEST(Units, Durations) {
  EXPECT_EQ(parse_duration("200", 1), 200);
  EXPECT_EQ(parse_duration("200"), std::nullopt) << "no unit";
  EXPECT_EQ(parse_duration("0"), 0);
  EXPECT_EQ(parse_duration("1.5 s"), 1500);
  EXPECT_EQ(parse_duration("1h 30min"), 5400000);
  EXPECT_EQ(parse_duration("2 days 3 hours"), 183600000);
  EXPECT_EQ(parse_duration("01:30:00"), 5400000);
  EXPECT_EQ(parse_duration("00:10"), 600000);
  for (const char* bad : {"", "s", "-1s", "1x", "1s 2", "1:", ":1", "1:60", "00:00:61", "1:2:3:4", "9e99d"}) {
    EXPECT_FALSE(parse_duration(bad, 1)) << bad;
  }
  for (const long long n : {0LL, 1LL, 999LL, 1000LL, 90000LL, 86400000LL, 86400001LL}) {
    EXPECT_EQ(parse_duration(show_duration(n)), n) << n;
  }
  EXPECT_EQ(show_duration(200), "200ms");
  EXPECT_EQ(about_duration(200500), "3 min 20 s");
}

TEST(Windows, OverMidnightAndWeekdays) {
  const auto w = parse_windows("Mon-Fri 22:00-05:00, Sat 00:00-24:00 Europe/Berlin");
  ASSERT_TRUE(w);
  ASSERT_EQ(w->size(), 2U);
  EXPECT_EQ((*w)[0].zone, "Europe/Berlin") << "the zone that follows";
  const Window& night = (*w)[0];
  EXPECT_TRUE(is_open(night, 1, 22 * 60));
  EXPECT_FALSE(is_open(night, 1, 21 * 60 + 59));
  EXPECT_FALSE(is_open(night, 1, 60)) << "Monday 01:00 belongs to Sunday";
  EXPECT_TRUE(is_open(night, 6, 60)) << "Saturday 01:00 belongs to Friday";
  EXPECT_TRUE(is_open(night, 6, 299));
  EXPECT_FALSE(is_open(night, 6, 300));
  EXPECT_FALSE(is_open(night, 6, 23 * 60));
  const Window& saturday = (*w)[1];
  EXPECT_TRUE(is_open(saturday, 6, 0));
  EXPECT_TRUE(is_open(saturday, 6, 1439));
  EXPECT_FALSE(is_open(saturday, 7, 0));
  const auto over_sunday = parse_windows("Fri-Mon 01:00-02:00 UTC");
  ASSERT_TRUE(over_sunday);
  for (int day = 1; day <= 7; ++day) EXPECT_EQ(is_open((*over_sunday)[0], day, 90), day >= 5 || day == 1) << day;
  EXPECT_EQ(show_windows(*over_sunday), "Fri-Mon 01:00-02:00 UTC");
  EXPECT_EQ(show_windows(*w), "Mon-Fri 22:00-05:00 Europe/Berlin, Sat 00:00-24:00 Europe/Berlin");
  for (const char* bad : {"", "22:00-05:00", "22-05 UTC", "25:00-26:00 UTC", "10:00-10:00 UTC", "24:00-01:00 UTC",
                          "22:00-05:00 UTC,", "Xyz 22:00-05:00 UTC", "Mon- 22:00-05:00 UTC", "22:60-23:00 UTC"}) {
    EXPECT_FALSE(parse_windows(bad)) << bad;
  }
}

TEST(Settings, WhatIsWrittenIsReadBackTheSame) {
  const Settings odd = with({{"action", "copy"},
                             {"into", "public.\"Odd \"\"name\""},
                             {"columns", "[\"a\", \"b \\\"x\\\"\"]"},
                             {"key", "a, b"},
                             {"after", "[3, 4]"},
                             {"batch_target", "1.5s"},
                             {"max_batch_wal", "off"},
                             {"passes", "8"},
                             {"window_blocks", "500"},
                             {"vacuum", "20%"},
                             {"workers", "4"},
                             {"max_lag", "0"},
                             {"max_lag_time", "10s"},
                             {"max_slot_retention", "off"},
                             {"max_archive_backlog", "0"},
                             {"max_wal_rate", "20MB"},
                             {"max_active", "16"},
                             {"max_waiters", "off"},
                             {"autovacuum", "yield"},
                             {"max_xmin_age", "00:10:00"},
                             {"max_size", "1TB"},
                             {"check", "1 < 2"},
                             {"throttle", "true"},
                             {"window", "22:00-05:00 Europe/Berlin"},
                             {"start_at", "2030-01-01 00:00Z"},
                             {"every", "1d"}});
  EXPECT_EQ(odd.columns[1], "b \"x\"");
  EXPECT_EQ(odd.key, (std::vector<std::string>{"a", "b"}));
  for (const Settings& s : {Settings(), odd}) {
    Entries again;
    for (const auto& [key, value] : entries(s, Use::create)) again.emplace_back(key, value);
    EXPECT_EQ(entries(with(again), Use::create), entries(s, Use::create));
  }
  // Null puts the default back.
  Settings s = odd;
  Entries nulls;
  for (const auto& [key, value] : entries(s, Use::create)) nulls.emplace_back(key, std::nullopt);
  apply(s, Settings(), nulls, Use::create, example);
  EXPECT_EQ(entries(s, Use::create), entries(Settings(), Use::create));
}

TEST(Settings, ListsReadTheEscapesOfJson) {
  const Settings s = with({{"key", R"(["a\nb\tc\"\\\/\u0001", "\u00e9\u20AC"])"}});
  EXPECT_EQ(s.key, (std::vector<std::string>{"a\nb\tc\"\\/\x01", "\xC3\xA9\xE2\x82\xAC"}));
  for (const auto& [key, value] : entries(s, Use::create)) {
    EXPECT_TRUE(key != "key" || with({{key, value}}).key == s.key) << value;
  }
  expect_refused("key", {R"(["\x"])", R"(["\u12"])", R"(["\u00g0"])", R"(["\u0000"])", R"(["\ud800"])", R"(["a\)"});
}

TEST(Settings, OutOfRange) {
  expect_refused("batch_target", {"0", "0ms", "61min", "-5", "fast", "", "1 MB"});
  expect_refused("max_batch_rows", {"0", "1.5", "100000001", "many"});
  expect_refused("max_batch_wal", {"0", "1kB", "1 day"});
  expect_refused("passes", {"0", "1", "65", "on"});
  expect_refused("window_blocks", {"7", "131073"});
  expect_refused("vacuum", {"0%", "101%", "20", "%"});
  expect_refused("workers", {"0", "65", "2 workers"});
  expect_refused("synchronous_commit", {"maybe", "true"});
  expect_refused("max_errors", {"-1", "1000001"});
  expect_refused("max_lag", {"-1MB", "10s"});
  expect_refused("max_lag_time", {"10", "0s", "31d", "10MB"});
  expect_refused("max_archive_backlog", {"-1", "64MB"});
  expect_refused("max_wal_rate", {"1kB", "20MB/s"});
  expect_refused("autovacuum", {"on"});
  expect_refused("throttle", {"maybe", ""});
  expect_refused("window", {"", "now", "22:00-05:00"});
  expect_refused("key", {"[\"a\"", "a,,b", "[\"a\" \"b\"]", "a,"});
  expect_refused("after", {"[0]", "[\"x\"]"});
  expect_refused("cursor", {"block"});
}

TEST(Settings, ErrorsSayWhatIsPossible) {
  const MigrationError range = refused("batch_target", "2h");
  EXPECT_NE(range.message().find("batch_target"), std::string::npos);
  EXPECT_NE(range.detail().find("1ms to 1h"), std::string::npos);
  EXPECT_EQ(range.hint(), "SELECT migration_tune(7, '{\"batch_target\": \"200ms\"}');");
  const MigrationError unknown = refused("batch_targt", "1s");
  EXPECT_NE(unknown.message().find("batch_targt"), std::string::npos);
  EXPECT_NE(unknown.detail().find("max_lag_time"), std::string::npos);
  const MigrationError fixed = refused("cursor", "ctid", Use::tune);
  EXPECT_NE(fixed.message().find("fixed"), std::string::npos);
  EXPECT_EQ(fixed.detail().find("cursor"), std::string::npos);
  for (const auto& [key, value] : entries(Settings(), Use::tune)) EXPECT_TRUE(is_tunable(key));
  EXPECT_FALSE(is_tunable("action"));
  EXPECT_FALSE(is_tunable("nonsense"));
}

TEST(Settings, Json) {
  const Settings s = with({{"check", "a = 'x\"\n'"}, {"workers", "2"}});
  EXPECT_EQ(to_json(s, Entries{{"check", ""}, {"workers", ""}, {"max_lag", std::nullopt}}),
            "{\"check\": \"a = 'x\\\"\\u000a'\", \"workers\": 2, \"max_lag\": null}");
}
