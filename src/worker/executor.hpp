// A worker carrying out a stored run, step by step.
//
// What: takes the open steps of a run in order; each step knows how to be tried, observed and tried again. Invariants:
// this process holds the run lock for as long as the Executor lives; intent is committed before effect; a transactional
// step and its "succeeded" commit together; the version set of the graph moves only in the transaction that completes a
// revision's last step. State machine: queued -> running -> succeeded | failed | paused | cancelled; a run that is
// `running` while nobody holds the run lock was interrupted.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "catalog/runs.hpp"
#include "run/decision.hpp"
#include "statement/statement.hpp"

namespace migration {

class Executor {
 public:
  explicit Executor(catalog::RunRecord run) : run_(std::move(run)) {}
  /// Runs to an end or a stop. Leaves the outcome in the ledger; throws only when told to die.
  void execute();

 private:
  enum class StepEnd { done, stopped };

  void loop();

  StepEnd run_step(catalog::StepRecord step);
  /// One attempt; returns how it went. Fills `problem` on failure.
  Outcome attempt(catalog::StepRecord& step, int number, catalog::Problem& problem);
  void try_transaction(const catalog::StepRecord& step);
  void try_concurrent(catalog::StepRecord& step);
  bool try_backfill(catalog::StepRecord& step);  ///< false: asked to stop
  /// Inside a transaction: the step is done, and its revision with it when it is the last.
  void complete(const catalog::StepRecord& step);
  /// Handles pause and cancel. True when the run has been stopped.
  bool stop_if_wanted();
  void stop(const std::string& state, const catalog::Problem& problem, int step, const std::string& revision);
  void announce(const catalog::StepRecord& step);
  void log(const std::string& event, const catalog::StepRecord& step, double took_ms, const catalog::Problem& problem);
  double seconds_since_step_start() const;

  catalog::RunRecord run_;
  std::string announced_;
  double step_started_ms_ = 0, revision_started_ms_ = 0;
};

/// Milliseconds of a clock that never jumps.
double monotonic_ms();

/// A step's parsed statements; `what` names it in errors.
std::vector<Statement> parse_step(const catalog::StepRecord& step);

// concurrent.cpp
/// One top-level statement under the protocol observe, clean, try, observe. Throws PgError / MigrationError.
void run_concurrent(const catalog::RunRecord& run, catalog::StepRecord& step);

// batches.cpp
/// Runs or continues a backfill. Returns false when `wanted_stop` said so between two batches; calls `complete` in the
/// transaction that ends it.
bool run_batches(const catalog::RunRecord& run, catalog::StepRecord& step, const std::function<bool()>& wanted_stop,
                 const std::function<void()>& complete);
/// As one of several workers of the step's backfill (1 and more), until nothing is left to take or `wanted_stop` says
/// so. What goes wrong is left in the ledger for the one that has the run.
void help_with_batches(const catalog::RunRecord& run, catalog::StepRecord& step, int worker,
                       const std::function<bool()>& wanted_stop);

}  // namespace migration
