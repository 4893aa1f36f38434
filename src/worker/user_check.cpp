// Asking the user's expression; see user_check.hpp.
#include "worker/user_check.hpp"

#include <memory>

#include "pg/deadline.hpp"
#include "pg/parse.hpp"
#include "pg/portal.hpp"
#include "pg/settings.hpp"
#include "pg/sql.hpp"
#include "statement/formatted.hpp"
#include "worker/planning.hpp"

namespace migration {

namespace {

constexpr int limit_ms = 1000;

/// A message is the user's own text and may be of any length.
std::string shortened(std::string text) {
  if (text.size() <= 300) return text;
  std::size_t n = 297;
  while (n > 0 && (static_cast<unsigned char>(text[n]) & 0xC0) == 0x80) --n;
  return text.substr(0, n) + "...";
}

}  // namespace

std::optional<std::string> ask_user_check(const std::string& expression, const catalog::StepRecord& step) {
  std::unique_ptr<pg::PgError> error;
  std::string answer;
  try {
    pg::in_subtransaction([&] {
      pg::SettingsFrame frame;
      apply_script_path(step.script_path);
      for (const std::string& setting : step.settings) pg::run_statement(setting, false);
      // By statement: PostgreSQL 16 takes this parameter from nobody who saves it and puts it back.
      pg::run_statement("SET LOCAL transaction_read_only = on", false);
      pg::set_local("lock_timeout", std::to_string(limit_ms / 2));
      pg::ScriptRights rights;
      pg::Deadline deadline(limit_ms);
      // AND, so that it must be a boolean.
      const pg::Rows rows = pg::query_text(formatted("SELECT (\n{}\n) AND true", expression));
      answer = rows.size() == 1 && rows[0][0] ? *rows[0][0] : "";
    });
  } catch (const pg::PgError& e) {
    error = std::make_unique<pg::PgError>(e);
  }
  if (!error) {
    if (answer == "t") return std::nullopt;
    return answer == "f" ? "it is false" : "it is null";
  }
  const bool late = error->state() == "57014" && pg::Deadline::fired();
  if (error->state().starts_with("57") && !late) throw pg::PgError(*error);
  return late ? formatted("no answer within {} ms", limit_ms) : "error: " + shortened(error->message());
}

void require_one_expression(const std::string& expression, const std::string& hint) {
  // Parentheses alone could be closed and opened again by the text; between CASE WHEN and THEN that does not parse.
  for (const char* form : {"SELECT (\n{}\n)", "SELECT CASE WHEN\n{}\nTHEN 1 END"}) {
    const auto statements = pg::parse_script(formatted(fmt::runtime(form), expression), "check", hint);
    if (statements.size() == 1) continue;
    throw MigrationError(sqlstate::invalid_parameter,
                         "invalid value for backfill setting \"check\": it is more than one expression",
                         "It takes one boolean SQL expression (true = go on), or 'off'.", hint);
  }
}

}  // namespace migration
