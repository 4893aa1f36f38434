// When queued runs start, and in which order.
//
// What: start_at, every, priority and after of runs; which run is next; the next occurrence of one that repeats. A run
// is due when it is queued, its time has come and the runs it waits for have succeeded. One run at a time goes on in a
// database, so the due ones wait for each other: the highest priority first, then the oldest. Who starts them: the
// transaction that queues a run, the process whose run ends, the launcher, or whoever calls migration_resume().
// Invariants: what a repetition comes to is in the ledger in the transaction that ends the run before it, once, because
// `every` moves on with it; times are start_at + n * every, so nothing drifts, and missed ones are skipped.
#pragma once

#include <optional>
#include <string>

#include "backfill/settings.hpp"
#include "catalog/runs.hpp"

/// SQL, true of a run r that is queued and whose time has not come. Of others: false.
#define MIGRATION_WAITS_FOR_ITS_TIME                                                                                 \
  "(r.state = 'queued' AND NOT r.by_hand AND (coalesce(r.start_at > pg_catalog.clock_timestamp(), false) OR EXISTS " \
  "(SELECT FROM "                                                                                                    \
  "pg_catalog.unnest(r.after) a(id) WHERE NOT EXISTS (SELECT FROM migration_ext.run b WHERE b.run_id = a.id AND "    \
  "b.state = 'succeeded')))) "

namespace migration::catalog {

/// Fills run.schedule from the settings of a backfill, start_at checked by the server and made independent of this
/// session's settings, also in `settings`. Errors: 22023 (not a timestamp; `after` names a run that does not exist or
/// was cancelled) with `hint`.
void schedule_run(RunRecord& run, backfill::Settings& settings, const std::string& hint);
/// What migration_tune changed of it. `keys` are those that were given.
void reschedule_run(long long run_id, const backfill::Settings& settings, const backfill::Entries& keys);

struct NextRun {
  long long run_id = 0;
  unsigned session_oid = 0;
};
/// Somebody starts it by its number: it is due from now on, whatever becomes of the process that is started for it.
void start_by_hand(long long run_id);
/// The run that is due and goes first, of those made here by a role that still exists.
std::optional<NextRun> next_due_run();
/// Does this run wait for its time? What for, in words: "2030-01-31 22:00:00+01", "run 7, which is paused".
std::optional<std::string> waits_for(long long run_id);
/// Seconds until somebody should look again: until the next start_at, or `blocked` when a run is due already.
std::optional<double> next_look_s(double blocked);

/// Of a run that ended: queues the next one, if it repeats.
void queue_next(long long run_id);

}  // namespace migration::catalog
