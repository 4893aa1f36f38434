// Statements of a step in one transaction; see transact.hpp.
#include "worker/transact.hpp"

#include <string_view>

#include "pg/settings.hpp"
#include "pg/snapshot.hpp"
#include "pg/sql.hpp"
#include "run/decision.hpp"
#include "statement/formatted.hpp"
#include "worker/planning.hpp"

extern "C" {
#include "common/pg_prng.h"
}

namespace migration {

namespace {

std::string first_line(const std::string& text) {
  std::string line = text.substr(0, text.find('\n'));
  if (line.size() > 120) {
    std::size_t cut = 117;
    while (cut > 0 && (static_cast<unsigned char>(line[cut]) & 0xC0) == 0x80) --cut;
    line = line.substr(0, cut) + "...";
  } else if (line.size() < text.size()) {
    line += " ...";
  }
  return line;
}

}  // namespace

MigrationError step_error(const StepText& step, int statement, const std::string& text, const pg::PgError& cause,
                          const std::string& more_detail, const std::string& hint) {
  std::string detail = formatted("Statement {}: {}", statement, first_line(text));
  if (cause.position() > 0) detail += formatted(" (at character {})", cause.position());
  detail += ".";
  if (!cause.detail().empty()) detail += " " + cause.detail();
  const auto close = [&] {
    if (std::string_view(".!?").find(detail.back()) == std::string_view::npos) detail += ".";
  };
  close();
  // The HINT is a statement; advice of the server, which is prose, goes here.
  if (!cause.hint().empty() && !hint.empty()) detail += " " + cause.hint();
  close();
  if (!more_detail.empty()) detail += " " + more_detail;
  return MigrationError(cause.state(),
                        step.revision.empty() ? "backfill failed: " + cause.message()
                                              : formatted("step {} of revision \"{}\" failed: {}", step.step,
                                                          step.revision, cause.message()),
                        detail, hint.empty() ? cause.hint() : hint);
}

std::vector<pg::LockTarget> locks_of(const StepText& step, const std::vector<RelationUse>& uses) {
  pg::SettingsFrame frame;
  apply_script_path(step.script_path);
  for (const std::string& setting : step.settings) pg::run_statement(setting, false);
  return pg::resolve_locks(uses);
}

void take_locks_patiently(const std::vector<pg::LockTarget>& targets, const LockPatience& patience) {
  if (targets.empty()) return;
  for (int attempt = 1;; ++attempt) {
    std::exception_ptr error;
    try {
      pg::in_subtransaction([&] {
        pg::set_local("lock_timeout", std::to_string(patience.lock_timeout_ms));
        pg::take_locks(targets);
      });
      return;
    } catch (const pg::PgError& e) {
      if (!is_transient(e.state()) || attempt > patience.retries) throw;
      error = std::current_exception();
    }
    const std::string holders = pg::describe_holders(targets);
    if (patience.waiting) patience.waiting(attempt, holders);
    pg::pause(backoff_ms(attempt, pg_prng_uint32(&pg_global_prng_state)));
  }
}

void run_step_statements(const StepText& step, int lock_timeout_ms, const std::string& failure_detail,
                         const std::string& failure_hint) {
  pg::SettingsFrame frame;
  apply_script_path(step.script_path);
  pg::set_local("lock_timeout", std::to_string(lock_timeout_ms));
  pg::ScriptRights rights;
  const std::size_t settings = step.settings.size();
  const std::size_t total = settings + step.statements.size();
  for (std::size_t i = 0; i < total; ++i) {
    pg::check_interrupts();
    const std::string& text = i < settings ? step.settings[i] : step.statements[i - settings];
    const int number = i < settings ? 0 : static_cast<int>(i - settings) + 1;
    const bool plain = i >= settings && i - settings < step.plain.size() && step.plain[i - settings];
    std::optional<MigrationError> failure;
    try {
      pg::run_statement(text, false, plain ? pg::Forms::plain : pg::Forms::as_written);
    } catch (const pg::PgError& e) {
      // A cancel or a shutdown stays what it is; it says nothing about the step.
      if (e.state() == "57P01" || e.state() == "57014") throw;
      failure.emplace(step_error(step, number, text, e, failure_detail, failure_hint));
    }
    if (failure) throw *failure;
  }
}

}  // namespace migration
