// The error-class table: what happens after a step ended the way it did.
#include "run/decision.hpp"

#include <gtest/gtest.h>

using namespace migration;

namespace {

Action after(const std::string& state, int attempt = 1, int retries = 3) {
  Outcome o;
  o.state = state;
  o.attempt = attempt;
  o.retries = retries;
  return decide(o).action;
}

}  // namespace

TEST(Decision, SuccessGoesOn) {
  Outcome o;
  o.ok = true;
  EXPECT_EQ(decide(o).action, Action::go_on);
}

TEST(Decision, LocksDeadlocksAndSerializationAreTriedAgainButNotForEver) {
  for (const char* state : {"55P03", "40P01", "40001"}) {
    EXPECT_EQ(after(state, 1, 3), Action::retry) << state;
    EXPECT_EQ(after(state, 3, 3), Action::retry) << state;
    EXPECT_EQ(after(state, 4, 3), Action::fail) << state;
  }
  EXPECT_EQ(after("55P03", 1, 0), Action::fail);
}

TEST(Decision, APersonsCancelAndAFullDiskPause) {
  EXPECT_EQ(after("57014"), Action::pause);
  EXPECT_EQ(after("53100"), Action::pause);
  EXPECT_EQ(after("53400"), Action::pause);
  EXPECT_EQ(after("25006"), Action::pause);
}

TEST(Decision, WhatAnAdministratorMustDoFirstIsSaid) {
  for (const char* state : {"53100", "53400", "25006", "53200"}) {
    Outcome outcome;
    outcome.state = state;
    EXPECT_NE(decide(outcome).first, "") << state;
  }
  Outcome cancelled;
  cancelled.state = "57014";
  EXPECT_EQ(decide(cancelled).first, "");
}

TEST(Decision, AShutdownLeavesEverythingAsItIs) {
  EXPECT_EQ(after("57P01"), Action::leave);
  EXPECT_EQ(after("57P02"), Action::leave);
}

TEST(Decision, WrongSqlAndWrongDataFail) {
  for (const char* state : {"42601", "42P01", "42501", "23505", "22012", "0A000", "XX000", "53200"}) {
    EXPECT_EQ(after(state), Action::fail) << state;
  }
}

TEST(Backoff, GrowsStaysBoundedAndSpreads) {
  for (int attempt = 1; attempt < 40; ++attempt) {
    for (unsigned jitter : {0U, 1U, 12345U, 4000000000U}) {
      const int ms = backoff_ms(attempt, jitter);
      EXPECT_GE(ms, 25);
      EXPECT_LE(ms, 30000);
    }
  }
  EXPECT_GT(backoff_ms(8, 0), backoff_ms(2, 4000000000U));
  EXPECT_NE(backoff_ms(5, 0), backoff_ms(5, 100));
}
