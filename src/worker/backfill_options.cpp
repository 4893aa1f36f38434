// Reading options; see backfill_options.hpp.
#include "worker/backfill_options.hpp"

#include <fmt/format.h>

#include <vector>

#include "backfill/batch.hpp"
#include "catalog/tuning.hpp"
#include "statement/error.hpp"
#include "worker/user_check.hpp"

namespace migration {

namespace {

/// Deleting rows because an argument was forgotten would be a pity.
void require_action(const backfill::Settings& settings, const std::string& table, bool deletes) {
  const std::string form =
      fmt::format("SELECT migration_backfill({}, NULL, 'c IS NULL', '{{\"action\": \"delete\"}}');", table);
  if (deletes && settings.action != "delete") {
    throw MigrationError(sqlstate::null_not_allowed, "argument \"assignments\" must not be null",
                         "Only option \"action\": \"delete\" does without.", form);
  }
  if (!deletes && settings.action == "delete") {
    throw MigrationError(sqlstate::invalid_parameter, "a backfill that deletes rows takes no assignments", {}, form);
  }
}

}  // namespace

backfill::Settings read_options(const backfill::Settings& base, const std::string& relation,
                                const std::optional<std::string>& options, bool deletes) {
  backfill::Settings settings = base;
  const std::string table = backfill::literal(relation);
  if (!options || *options == "{}") {
    require_action(settings, table, deletes);
    return settings;
  }
  const std::string form = fmt::format("SELECT migration_backfill({}, 'c = 1', 'c IS NULL', '{{}}');", table);
  backfill::apply(settings, base, catalog::json_entries(*options), backfill::Use::create, form);
  catalog::check_with_server(settings, form);
  if (!settings.check.empty()) require_one_expression(settings.check, form);
  if (settings.action == "copy" || !settings.from.empty()) {
    throw MigrationError(sqlstate::feature_not_supported,
                         settings.action == "copy" ? "a backfill cannot copy rows to another table"
                                                   : "a backfill cannot join another table",
                         "It changes rows of one table. A function can look values up.",
                         fmt::format("SELECT migration_backfill({}, 'c = lookup(d)', 'c IS NULL');", table));
  }
  require_action(settings, table, deletes);
  return settings;
}

void check_options(const std::vector<Statement>& statements) {
  for (const Statement& s : statements) {
    if (s.backfill) read_options({}, s.backfill->relation, s.backfill->options, s.backfill->assignments.empty());
  }
}

}  // namespace migration
