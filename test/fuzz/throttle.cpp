// The control loops of a backfill keep their promises whatever they see: a size is one that can be had, a rest is long
// enough and no longer, a limit that is passed or cannot be read holds, and when everything is well nothing does.
// Input: limits, then one moment after another.
#include "run/throttle.hpp"

#include <cmath>

#include "fuzz.hpp"
#include "run/feedback.hpp"

using namespace migration;
using backfill::Settings;
using fuzz::Input;

namespace {

struct Limit {
  const char* key;
  std::optional<long long> Settings::*setting;
  std::optional<long long> Signals::*value;
};
// Those that are one number of the moment against one of the settings.
constexpr Limit plain[] = {{"max_archive_backlog", &Settings::max_archive_backlog, &Signals::archive_backlog},
                           {"max_active", &Settings::max_active, &Signals::active},
                           {"max_waiters", &Settings::max_waiters, &Signals::waiters},
                           {"max_size", &Settings::max_size, &Signals::table_bytes}};

std::optional<long long> maybe(Input& in, std::size_t bytes) {
  const std::uint64_t n = in.number(bytes);
  return n % 4 == 0 ? std::nullopt : std::optional(static_cast<long long>(n >> 2));
}

bool names(const std::optional<Hold>& hold, const std::string& key) {
  return hold && hold->reason.find(key) != std::string::npos;
}

void check_throttle(Settings settings, Input& in) {
  settings.max_archive_backlog = maybe(in, 2);
  settings.max_active = maybe(in, 2);
  settings.max_waiters = maybe(in, 1);
  settings.max_size = maybe(in, 6);
  settings.max_lag = maybe(in, 4);
  settings.max_lag_time_ms = maybe(in, 3);
  settings.max_slot_retention = maybe(in, 4);
  settings.check = in.number(1) % 2 == 0 ? "" : "true";
  Throttle throttle;
  double now = 0;
  for (int moments = 0; moments < 200 && !in.empty(); ++moments) {
    now += static_cast<double>(in.number(2));
    Signals seen;
    const std::uint64_t choices = in.number(1);
    seen.wal_position = static_cast<long long>(in.number(5));
    for (const Limit& limit : plain) seen.*limit.value = maybe(in, 3);
    if (choices & 1) {
      StandbySignal standby{"s", maybe(in, 5), {}, true};
      standby.counts_when_gone = false;
      seen.standbys = {standby};
    }
    if (choices & 2) seen.slots = {{"slot", static_cast<long long>(in.number(5)), true}};
    if (choices & 4) seen.check = (choices & 8) != 0;
    const Limit& lost = plain[(choices >> 4) % std::size(plain)];
    const bool unreadable = choices & 128;
    if (unreadable) seen.unreadable = {{lost.key, "a number", "GRANT"}};
    const std::optional<Hold> hold = throttle.decide(settings, seen, now);
    if (hold) CHECK(hold->reason.starts_with(hold->key + ": "));
    for (const Limit& limit : plain) {
      const auto most = settings.*limit.setting;
      const auto value = seen.*limit.value;
      if (!most) CHECK(!names(hold, limit.key));
      const bool is_lost = unreadable && limit.key == lost.key;
      if (most && is_lost) CHECK(names(hold, limit.key));
      if (most && value && *value > *most) CHECK(names(hold, limit.key));
      if (most && value && !is_lost && *value == 0) CHECK(!names(hold, limit.key));
    }
    if (choices & 2 && settings.max_slot_retention && seen.slots[0].retained > *settings.max_slot_retention) {
      CHECK(names(hold, "max_slot_retention"));
    }
    if (choices & 1 && settings.max_lag && seen.standbys[0].position &&
        seen.wal_position - *seen.standbys[0].position > *settings.max_lag) {
      CHECK(names(hold, "max_lag"));
    }
    if (!settings.check.empty() && seen.check == false) CHECK(names(hold, "check"));
    // What has let go holds no more, and nothing but these can hold.
    if (choices & 64) continue;
    Signals well;
    well.check = true;
    for (int i = 0; i < 2; ++i) throttle.decide(settings, well, now);
    CHECK(!throttle.decide(settings, well, now));
  }
}

void check_feedback(Settings settings, Input& in) {
  settings.batch_target_ms = static_cast<int>(in.number(2)) + 1;
  settings.max_batch_wal = maybe(in, 4);
  if (settings.max_batch_wal == 0) settings.max_batch_wal = 1;
  settings.max_wal_rate = static_cast<long long>(in.number(4)) + 1;
  settings.workers = static_cast<int>(in.number(1) % 16) + 1;
  Feedback feedback;
  const auto limit = static_cast<long long>(in.number(4)) + 1;
  long long size = 1, ours = 0, server = 0;
  double now = 0;
  for (int batches = 0; batches < 200 && !in.empty(); ++batches) {
    BatchCost cost;
    cost.elapsed_ms = static_cast<double>(in.number(3)) / 16;
    cost.wal_bytes = static_cast<long long>(in.number(4));
    cost.waited_for = in.number(1) % 4 == 0;
    const long long next = feedback.next_size(settings, size, cost, limit);
    CHECK(1 <= next && next <= limit);
    CHECK(next <= 4 * size);
    CHECK(next >= std::min(limit, size / 4));
    if (cost.waited_for) CHECK(next <= std::max(1LL, size / 4));
    const double aim = feedback.aim_ms(settings);
    CHECK(0.5 <= aim && aim <= std::max(0.5, static_cast<double>(settings.batch_target_ms)));
    size = next;

    now += cost.elapsed_ms;
    ours += cost.wal_bytes;
    server += cost.wal_bytes + static_cast<long long>(in.number(4));
    feedback.saw_wal(settings, now, ours, server);
    const double rest = feedback.rest_ms(settings, now, ours);
    CHECK(std::isfinite(rest) && rest >= 0);
    // After that rest nothing is owed, and not before.
    if (rest <= 1) continue;
    Feedback early = feedback;
    CHECK(early.rest_ms(settings, now + rest / 2, ours) > 0);
    CHECK(feedback.rest_ms(settings, now + rest, ours) <= 1e-3 * rest);
    now += rest;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input in(data, size);
  if (in.number(1) % 2 == 0) {
    check_feedback(Settings(), in);
  } else {
    check_throttle(Settings(), in);
  }
  return 0;
}
