// From a target to a plan, with everything the ledger knows.
//
// What: resolves a target against the graph and the applied set, loads the scripts on the path, checks that the
// executing role may run them, cuts them into steps. Used by the session that runs or shows a plan and by the worker
// that runs it. Invariant: reads only. Memory: plain values.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "catalog/revisions.hpp"
#include "pg/identity.hpp"
#include "plan/plan.hpp"
#include "revision/target.hpp"

namespace migration {

struct PlannedRevision {
  catalog::StoredRevision stored;
  std::vector<std::string> parents;  ///< effective, for "Running upgrade a -> b"
};

struct PlannedRun {
  bool up = true;
  std::string target;
  std::vector<PlannedRevision> revisions;  ///< in execution order; scripts emptied once cut when not kept
  Plan plan;
};

enum class PlanUse {
  run,            ///< refuse what must not run: untrusted text, missing downgrades
  run_untrusted,  ///< refuse missing downgrades only: for scripts that a person reads before running them
  show,           ///< show everything
};

/// Errors: 42704, MX001, MX003, MX004 (target), MX030 (no downgrade), 42501 (trust), 42601 (stored script damaged).
PlannedRun plan_run(bool up, const std::string& target, bool online, const pg::Role& executor, PlanUse use);

/// The same from one target to another, whatever is applied. Sets `up`.
PlannedRun plan_range(const std::string& from, const std::string& to, const pg::Role& executor, bool& up);

/// Everything a downgrade along the plan would lose, in words.
std::vector<std::string> data_losses(const PlannedRun& run);
/// Errors: MX030 with the list, unless allowed or nothing is lost.
void require_loss_consent(const PlannedRun& run, bool allowed);

/// Sets search_path to what the script was registered under, pg_temp last.
void apply_script_path(const std::string& script_path);

/// The path as a function can keep it: "$user" would be whoever writes a row, not who runs the script.
std::string fixed_path(const std::string& script_path, const pg::Role& executor);

/// 'Running upgrade a, b -> m, message', as Alembic's log has it.
std::string running_line(bool up, const PlannedRevision& r);

/// How a revision is called in messages and hints.
std::string literal(const std::string& text);

}  // namespace migration
