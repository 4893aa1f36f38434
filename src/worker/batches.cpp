// A backfill: one UPDATE or DELETE, many transactions.
//
// What: makes or continues the job of a backfill step and works through its batches. Exactness: rows and cursor commit
// in one transaction, fenced by the owner's epoch, so a batch happens once or not at all, whatever dies. Block ranges
// serve fills that are harmless to repeat; everything else goes by ranges of an immutable unique key, each row once.
// The end is fixed when the job is made (blocks, or the greatest key): rows that come later were never part of the
// statement. A rewritten table (other file) starts over by blocks, because its rows have moved; a key cursor does not
// care. Several workers: the process that has the run leads, others are its helpers; each takes a range of the job at a
// time (shares.cpp) and goes through it as one alone would go through the table. Only the leader decides what becomes
// of the job: it goes from blocks to keys, proves, looks once more, and says that it is done, when nobody else is at
// work. Locks: each batch runs under lock_timeout. Between batches nothing is held, no snapshot either.
#include <algorithm>
#include <exception>
#include <optional>

#include "backfill/batch.hpp"
#include "catalog/jobs.hpp"
#include "pg/portal.hpp"
#include "pg/process.hpp"
#include "pg/snapshot.hpp"
#include "pg/sql.hpp"
#include "pg/watchdog.hpp"
#include "run/decision.hpp"
#include "statement/formatted.hpp"
#include "worker/backfill_job.hpp"
#include "worker/cursor.hpp"
#include "worker/executor.hpp"
#include "worker/last_look.hpp"
#include "worker/one_batch.hpp"
#include "worker/pace.hpp"
#include "worker/team.hpp"
#include "worker/verify.hpp"

namespace migration {

using catalog::StepRecord;

namespace {

/// How often the wish of a user is looked up while batches are shorter than that.
constexpr double wish_interval_ms = 100;
/// Between two looks at whether the other workers are done.
constexpr long others_nap_ms = 20;

catalog::WorkerProblem problem_in(const std::exception_ptr& error, bool met_again) {
  try {
    std::rethrow_exception(error);
  } catch (const MigrationError& e) {
    return {{e.state(), e.message(), e.detail(), e.hint()}, met_again};
  } catch (const pg::PgError& e) {
    return {{e.state(), e.message(), e.detail(), e.hint()}, met_again};
  }
}

class Backfill {
 public:
  Backfill(const catalog::RunRecord& run, StepRecord& step, int worker)
      : job_(run, step),
        cursor_(job_),
        proof_(job_),
        batch_(job_, cursor_, proof_, worker),
        team_(job_),
        worker_(worker) {}

  /// As the one that has the run.
  bool lead(const std::function<bool()>& wanted_stop, const std::function<void()>& complete) {
    std::exception_ptr error;
    try {
      return work_as_leader(wanted_stop, complete);
    } catch (...) {
      error = std::current_exception();
    }
    // What becomes of the run is said when nobody works on it any more.
    if (team_.at_work()) {
      pg::abort_transaction();
      team_.stop();
    }
    std::rethrow_exception(error);
  }

  /// As one of the others: until nothing is left to take, or it is not wanted any more.
  void help(const std::function<bool()>& wanted_stop) {
    pg::in_transaction([&] { job_.prepare_again(); });
    if (job_.whole || job_.record.job_id == 0) return;
    start_pace();
    int tries = 0;
    for (;;) {
      std::exception_ptr error;
      bool transient = false;
      const bool had_range = job_.range.has_value();  // NOLINT(clang-analyzer-deadcode.DeadStores): read after a throw
      try {
        if (!pace_->wait([&] { return asked(wanted_stop); }) || worker_ >= pace_->settings().workers) break;
        job_.settings = pace_->settings();
        if (next() != Next::work) break;
        go_on();
        tries = 0;  // NOLINT(clang-analyzer-deadcode.DeadStores): read after a throw
        continue;
      } catch (const MigrationError& e) {
        transient = is_transient(e.state());
        error = std::current_exception();
      } catch (const pg::PgError& e) {
        if (e.state().starts_with("57P")) throw;
        transient = is_transient(e.state());
        error = std::current_exception();
      }
      pg::abort_transaction();
      if (transient && ++tries <= job_.run.lock_retries) {
        if (!had_range) job_.range.reset();
        cursor_.forget();
        pg::pause(backoff_ms(tries, static_cast<unsigned>(worker_) * 7919U));
        continue;
      }
      const catalog::WorkerProblem problem = problem_in(error, met_again_);
      if (job_.range && problem.problem.state != sqlstate::admin_shutdown) {
        pg::in_transaction([&] { catalog::report_problem(job_.record.job_id, *job_.range, problem); });
      }
      return;
    }
    leave_range();
  }

 private:
  enum class Next { work, wait, none };

  bool asked(const std::function<bool()>& wanted_stop) {
    if (monotonic_ms() - asked_ms_ < wish_interval_ms) return false;
    if (team_.at_work()) {
      // Before it is said that the run is paused or cancelled, the others come to rest.
      catalog::RunWish wish;
      pg::in_transaction([&] { wish = catalog::load_wish(job_.run.run_id); });
      if (wish.desired != "run") team_.join();
    }
    const bool wanted = wanted_stop();
    asked_ms_ = monotonic_ms();
    return wanted;
  }

  void start_pace() {
    pace_.emplace(job_.run, job_.step, job_.record.job_id, job_.written_table(), job_.settings, worker_ == 0);
    asked_ms_ = -wish_interval_ms;
  }

  bool work_as_leader(const std::function<bool()>& wanted_stop, const std::function<void()>& complete) {
    pg::in_transaction([&] {
      job_.prepare();
      catalog::start_step(job_.run.run_id, job_.step.step, {});
      proof_.begin();
      shared_ = !job_.whole && catalog::has_ranges(job_.record.job_id);
    });
    start_pace();
    const auto stop = [&] { return asked(wanted_stop); };
    if (job_.whole) {
      // What cannot be cut is not in the way before its time, at least.
      if (!pace_->wait(stop)) return false;
      // Effect and mark in one transaction: a repeated statement might not be harmless.
      pg::in_transaction([&] {
        run_whole();
        complete();
      });
      return true;
    }
    pg::crash_point("backfill:start", job_.step.step);
    for (;;) {
      if (!pace_->wait(stop)) {
        leave_range();
        return false;
      }
      job_.settings = pace_->settings();
      // Whatever holds back batches holds that back as well, and may have come up meanwhile.
      if (worker_ == 0 && cursor_.vacuum_when_due(pace_->closes_in_ms())) continue;
      const Next then = next();
      if (then == Next::none) break;
      if (then == Next::wait) {
        pg::report_idle();
        pg::wait_latch(others_nap_ms);
        continue;
      }
      if (!go_on()) break;
    }
    if (shared_) {
      pg::in_transaction([&] { job_.load_whole(); });
    }
    const auto go_on = [&] { return pace_->wait(stop); };
    if (!proof_.scan(go_on, [&] { return settle(go_on, [] {}); })) return false;
    const auto end = [&] {
      catalog::finish_job(job_.record.job_id);
      complete();
      tell_quarantined();
    };
    bool sweeps = false;
    pg::in_transaction([&] {
      sweeps = cursor_.by_blocks() ? proof_.needs_sweep() : job_.sweeps_keys && job_.record.quarantined == 0;
      if (!sweeps) end();
    });
    if (sweeps && !settle(go_on, end)) return false;
    pg::report_idle();
    return true;
  }

  /// Changes what the application has moved out of the way of the batches. `end` runs in the transaction that has seen
  /// that nothing is left. False when told to stop.
  bool settle(const std::function<bool()>& go_on, const std::function<void()>& end) {
    // A copied row meets its condition for ever: it is the other table that knows it, in one statement.
    const LastLook::End outcome = job_.target.into.empty()      ? LastLook(job_).settle(go_on, end)
                                  : job_.record.quarantined > 0 ? LastLook::End::rows_fail
                                                                : LastLook::End::rows_left;
    if (outcome == LastLook::End::stopped) return false;
    if (outcome == LastLook::End::none_left) return true;
    pg::in_transaction([&] {
      sweep(outcome == LastLook::End::rows_fail);
      end();
    });
    return true;
  }

  /// What to do now: this sees to it that there is a range in hand, or the whole job.
  Next next() {
    if (worker_ == 0) heed_the_others();
    cursor_.blocks.one_at_a_time(worker_ == 0 && !shared_ && job_.settings.workers > 1);
    if (worker_ == 0 && !shared_) {
      // A window that was begun has no place in the ledger yet: to its end it is nobody else's.
      if (job_.settings.workers <= 1 || cursor_.in_window()) return Next::work;
      bool worth = false;
      pg::in_transaction([&] { worth = job_.worth_sharing(); });
      if (!worth) return Next::work;
      shared_ = true;
    }
    if (worker_ == 0) {
      team_.keep(job_.settings.workers - 1, [&] {
        bool left = false;
        pg::in_transaction([&] { left = job_.work_left(); });
        return left;
      });
    }
    const bool not_alone = worker_ > 0 || team_.at_work();
    if (job_.range) return Next::work;
    if (other_.range && !(not_alone && take_another_)) {
      change_hands();
      return Next::work;
    }
    bool taken = false;
    try {
      pg::in_transaction([&] { taken = job_.take_range(worker_, job_.settings.workers); });
    } catch (...) {
      job_.range.reset();
      throw;
    }
    cursor_.forget();
    if (taken) return Next::work;
    take_another_ = false;
    if (other_.range) {
      change_hands();
      return Next::work;
    }
    return worker_ == 0 && team_.at_work() ? Next::wait : Next::none;
  }

  /// Two ranges of keys are gone through in turn, as two windows of blocks are (see BlockWindows::one_at_a_time): while
  /// the dead rows of one pass cannot be pruned because of somebody else's transaction, there is another to go on with.
  struct Hand {
    catalog::JobRecord record;
    std::optional<catalog::Claim> range;
    KeyRanges::Turn turn;
  };

  void change_hands() {
    if (!other_.range) other_.record = job_.record;
    std::swap(job_.record, other_.record);
    std::swap(job_.range, other_.range);
    cursor_.keys.change_turn(other_.turn);
  }

  /// Others that have ended, and why.
  void heed_the_others() {
    if (!team_.at_work()) return;
    const auto problem = team_.reap();
    if (!problem) return;
    if (!problem->met_again) {
      const catalog::Problem& p = problem->problem;
      throw MigrationError(p.state, p.message, p.detail, p.hint);
    }
    job_.met_again = true;
    if (!go_by_keys()) {
      const catalog::Problem& p = problem->problem;
      throw MigrationError(p.state, p.message, p.detail, p.hint);
    }
  }

  /// A batch, and what comes between two. False when a worker that has the whole job is at its end.
  bool go_on() {
    batch_.make_wal_files();
    const OneBatch::End end = batch_.run(*pace_);
    if (end == OneBatch::End::met_again) {
      met_again_ = true;
      if (worker_ > 0 || !go_by_keys()) std::rethrow_exception(batch_.why());
    }
    const bool more = end != OneBatch::End::done;
    pg::crash_point("backfill:batch", job_.step.step);
    if (!more && !job_.range) return false;
    if (!more) {
      job_.range.reset();
      cursor_.forget();
      take_another_ = true;
      return true;
    }
    batch_.await_durability();
    const bool in_turn = !cursor_.by_blocks() && cursor_.in_window() && job_.range && (worker_ > 0 || team_.at_work());
    const int wait_ms = cursor_.pause_ms();
    if (in_turn) change_hands();
    // With two in hand, waiting is for when neither can go on.
    if (wait_ms > 0 && (!in_turn || !job_.range || cursor_.keys.is_stuck())) pg::pause(wait_ms);
    return true;
  }

  void leave_range() {
    for (int hand = 0; hand < 2; ++hand) {
      if (job_.range) pg::in_transaction([&] { catalog::leave_range(job_.record.job_id, *job_.range); });
      job_.range.reset();
      if (other_.range) change_hands();
    }
  }

  /// Rows that were changed would be met again: the rest goes by key, from the start. Only the leader can see to that.
  bool go_by_keys() {
    team_.stop();
    bool switched = false;
    pg::in_transaction([&] {
      if (shared_) {
        catalog::drop_ranges(job_.record.job_id);
        job_.load_whole();
      }
      switched = job_.switch_to_keys();
    });
    shared_ = false;
    job_.met_again = false;
    cursor_.forget();
    return switched;
  }

  void tell_quarantined() {
    if (job_.record.quarantined == 0) return;
    pg::report(WARNING, "01000",
               formatted("{} rows of table {} could not be changed and were set aside", job_.record.quarantined,
                         job_.target.relation),
               "", formatted("SELECT * FROM migration_quarantine({});", job_.record.job_id));
  }

  void run_whole() {
    pg::Prepared whole(backfill::whole(job_.target, job_.watched));
    job_.as_script([&] { job_.record.rows_done += job_.change(whole, {}); });
  }

  /// What an application updates while the blocks are gone through can move to blocks already passed, or behind the
  /// last one, before it was filled. One statement over the whole table sees every such row.
  /// Not needed where a fill trigger stood all the time: see verify.hpp.
  void sweep(bool rows_fail) {
    begin_look(job_);
    if (rows_fail && cursor_.by_blocks()) {
      cursor_.blocks.careful_sweep();
    } else {
      run_whole();
    }
    job_.advance(0);
  }

  BackfillJob job_;
  Cursor cursor_;
  FillProof proof_;
  OneBatch batch_;
  Team team_;
  Hand other_;
  bool take_another_ = true;  ///< there may be a range to take
  const int worker_;          ///< 0 leads
  bool shared_ = false;       ///< goes by ranges
  bool met_again_ = false;    ///< why a helper ends
  double asked_ms_ = 0;
  std::optional<Pace> pace_;
};

}  // namespace

bool run_batches(const catalog::RunRecord& run, StepRecord& step, const std::function<bool()>& wanted_stop,
                 const std::function<void()>& complete) {
  return Backfill(run, step, 0).lead(wanted_stop, complete);
}

void help_with_batches(const catalog::RunRecord& run, StepRecord& step, int worker,
                       const std::function<bool()>& wanted_stop) {
  Backfill(run, step, worker).help(wanted_stop);
}

}  // namespace migration
