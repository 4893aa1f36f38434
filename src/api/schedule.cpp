// Starting runs in their order; see schedule.hpp.
#include "api/schedule.hpp"

#include "catalog/schedule.hpp"
#include "pg/alarm.hpp"
#include "pg/launcher.hpp"
#include "pg/lock.hpp"
#include "pg/process.hpp"
#include "statement/formatted.hpp"

namespace migration {

std::optional<Due> not_due(long long run_id) {
  const auto wait = catalog::waits_for(run_id);
  if (!wait) return std::nullopt;
  const std::string hint = formatted("SELECT migration_wait({});", run_id);
  if (wait->starts_with("run ")) return Due{formatted("It waits for {}.", *wait), hint};
  if (pg::launcher_registered()) return Due{formatted("It is due at {}.", *wait), hint};
  return Due{formatted("It is due at {} and does not start by itself: shared_preload_libraries does not have "
                       "migration_ext.",
                       *wait),
             formatted("SELECT migration_resume({});", run_id)};
}

std::string start_when_due(const catalog::RunRecord& run) {
  if (const auto due = not_due(run.run_id)) {
    if (const auto seconds = catalog::next_look_s(1)) pg::set_alarm_at_commit(*seconds);
    return due->when;
  }
  const auto first = catalog::next_due_run();
  const bool busy = pg::run_lock_held_elsewhere();
  if (!busy && (!first || first->run_id == run.run_id)) {
    pg::launch_at_commit(run.run_id);
    return "It starts when this transaction commits.";
  }
  // Whoever is at work starts the next one at the end; the probe is for the case that they end right now.
  pg::launch_due_at_commit();
  if (!busy) return "It starts when this transaction commits and the runs before it are done.";
  const auto active = catalog::active_run();
  return active && active->state == "running" ? formatted("It starts when run {} is done.", active->run_id)
                                              : "It starts when the migration at work is done.";
}

std::string not_by_itself() {
  return pg::launcher_registered()
             ? ""
             : "  -- it does not start by itself: shared_preload_libraries does not have migration_ext";
}

}  // namespace migration
