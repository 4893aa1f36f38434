// The control loops settle: batch time, WAL per batch, waiters, WAL per second.
#include "run/feedback.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

using namespace migration;

namespace {

/// A table where `ms` and `wal` go by the row; gives the sizes of 60 batches.
std::vector<long long> sizes(const backfill::Settings& s, long long start, double ms, long long wal, int waiters) {
  Feedback feedback;
  std::vector<long long> out{start};
  for (int i = 0; i < 60; ++i) {
    const auto rows = out.back();
    const BatchCost cost{ms * static_cast<double>(rows), wal * rows, i < waiters};
    out.push_back(feedback.next_size(s, rows, cost, 1000000));
  }
  return out;
}

}  // namespace

TEST(Feedback, BatchesReachTheTarget) {
  backfill::Settings s;
  EXPECT_NEAR(static_cast<double>(sizes(s, 1, 0.1, 1, 0).back()), 2000, 20);
  EXPECT_NEAR(static_cast<double>(sizes(s, 100000, 0.1, 1, 0).back()), 2000, 20);
  EXPECT_EQ(sizes(s, 64, 1000, 1, 0).back(), 1) << "down to one row";
  EXPECT_EQ(sizes(s, 64, 0, 0, 0).back(), 1000000) << "the limit";
}

TEST(Feedback, WalPerBatchIsCapped) {
  backfill::Settings s;
  s.max_batch_wal = 1 << 20;
  EXPECT_NEAR(static_cast<double>(sizes(s, 1, 0.001, 1024, 0).back()), 1024, 4);
}

TEST(Feedback, GrowsQuicklyWhenFarFromTheAimAndNeverBeyondIt) {
  backfill::Settings s;
  Feedback feedback;
  EXPECT_EQ(feedback.next_size(s, 8, {1, 0, false}, 100000), 32);
  EXPECT_EQ(feedback.next_size(s, 32, {30, 0, false}, 100000), 64);
  EXPECT_EQ(feedback.next_size(s, 64, {100, 0, false}, 100000), 128);
}

TEST(Feedback, WhoWaitsShrinksTheAimAndItComesBackSlowly) {
  backfill::Settings s;
  Feedback feedback;
  EXPECT_EQ(feedback.next_size(s, 1000, {200, 0, true}, 100000), 250);
  EXPECT_DOUBLE_EQ(feedback.aim_ms(s), 50);
  EXPECT_EQ(feedback.next_size(s, 250, {50, 0, true}, 100000), 62);
  EXPECT_EQ(feedback.next_size(s, 62, {12.5, 0, false}, 100000), 63) << "not doubled back at once";
  for (int i = 0; i < 30; ++i) feedback.next_size(s, 100, {100, 0, false}, 100000);
  EXPECT_LT(feedback.aim_ms(s), 25) << "nor soon";
  for (int i = 0; i < 120; ++i) feedback.next_size(s, 100, {100, 0, false}, 100000);
  EXPECT_DOUBLE_EQ(feedback.aim_ms(s), 200);
  for (int i = 0; i < 30; ++i) feedback.next_size(s, 100, {100, 0, true}, 100000);
  EXPECT_GE(feedback.aim_ms(s), 0.5);
  EXPECT_LE(feedback.aim_ms(s), 1);
}

TEST(Feedback, WalStaysWithinTheBudget) {
  backfill::Settings s;
  s.max_wal_rate = 10 << 20;
  for (const double others : {0.0, 4.0 * (1 << 20)}) {
    Feedback feedback;
    double now = 0, server = 0;
    long long ours = 0;
    double from_ms = 0;
    long long from_ours = 0;
    for (int i = 0; i < 400; ++i) {
      const double rest = feedback.rest_ms(s, now, ours);
      feedback.saw_wal(s, now, ours, static_cast<long long>(server));
      // A batch of 100 ms and 4 MB: four times the limit when it does not rest.
      const double took = rest + 100;
      now += took;
      ours += 4 << 20;
      server += (4 << 20) + others * took / 1000.0;
      if (i == 200) from_ms = now, from_ours = ours;
    }
    const double rate = static_cast<double>(ours - from_ours) / (now - from_ms) * 1000.0;
    EXPECT_NEAR(rate, 10.0 * (1 << 20) - others, 0.05 * 10 * (1 << 20)) << others;
  }
}

TEST(Feedback, ItGetsOnWhateverOthersDo) {
  backfill::Settings s;
  s.max_wal_rate = 1 << 20;
  Feedback feedback;
  feedback.saw_wal(s, 0, 0, 0);
  feedback.saw_wal(s, 1000, 0, 100 << 20);
  EXPECT_NEAR(*feedback.other_wal_rate(), 100.0 * (1 << 20), 1);
  feedback.rest_ms(s, 1000, 0);
  EXPECT_LE(feedback.rest_ms(s, 1000, 1 << 20), 50001);
  s.max_wal_rate.reset();
  EXPECT_EQ(feedback.rest_ms(s, 1001, 1 << 20), 0);
}

TEST(Feedback, WorkersShareTheBudget) {
  backfill::Settings s;
  s.workers = 4;
  s.max_wal_rate = 8 << 20;
  std::vector<Feedback> workers(4);
  std::vector<double> ours(4, 0), free_at(4, 0);
  double server = 0;
  // Steps of 10 ms; each worker writes 1 MB, then rests as it is told; all look once a second.
  for (int tick = 0; tick < 20000; ++tick) {
    const double now = tick * 10.0;
    for (int w = 0; w < 4; ++w) {
      if (tick % 100 == w) workers[w].saw_wal(s, now, static_cast<long long>(ours[w]), static_cast<long long>(server));
      if (now < free_at[w]) continue;
      ours[w] += 1 << 20;
      server += 1 << 20;
      free_at[w] = now + workers[w].rest_ms(s, now, static_cast<long long>(ours[w]));
    }
  }
  EXPECT_NEAR(server / 200.0, 8.0 * (1 << 20), 0.15 * 8 * (1 << 20));
  for (const double each : ours) EXPECT_NEAR(each / server, 0.25, 0.1);
}
