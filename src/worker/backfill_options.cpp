// Reading options; see backfill_options.hpp.
#include "worker/backfill_options.hpp"

#include <vector>

#include "backfill/batch.hpp"
#include "catalog/tuning.hpp"
#include "statement/error.hpp"
#include "statement/formatted.hpp"
#include "worker/user_check.hpp"

namespace migration {

namespace {

/// Options that mean nothing, or something else than was meant, with this action.
void require_action(const backfill::Settings& settings, const std::string& table, bool no_assignments) {
  const std::string purge =
      formatted("SELECT migration_backfill({}, NULL, 'c IS NULL', '{{\"action\": \"delete\"}}');", table);
  const std::string copy = formatted(
      "SELECT migration_backfill({}, NULL, 'c > 0', '{{\"action\": \"copy\", \"into\": \"target\"}}');", table);
  if (settings.action == "copy") {
    if (settings.into.empty()) {
      throw MigrationError(sqlstate::invalid_parameter, "option \"into\" names the table to copy to", {}, copy);
    }
    if (!no_assignments && settings.columns.empty()) {
      throw MigrationError(sqlstate::invalid_parameter, "option \"columns\" says where the values go",
                           "Without values, columns are copied by their names.", copy);
    }
    if (!settings.from.empty() || settings.trigger == "on" || settings.verify != "off") {
      throw MigrationError(sqlstate::feature_not_supported,
                           "options \"from\", \"trigger\" and \"verify\" are not for copying",
                           "A copy reads one table; its condition says which rows.", copy);
    }
    return;
  }
  // Deleting rows because an argument was forgotten would be a pity.
  if (no_assignments && settings.action != "delete") {
    throw MigrationError(sqlstate::null_not_allowed, "argument \"assignments\" must not be null",
                         "Only option \"action\": \"delete\" does without.", purge);
  }
  if (!no_assignments && settings.action == "delete") {
    throw MigrationError(sqlstate::invalid_parameter, "a backfill that deletes rows takes no assignments", {}, purge);
  }
  if (!settings.into.empty() || !settings.columns.empty() || settings.on_conflict != "error") {
    throw MigrationError(sqlstate::invalid_parameter,
                         "options \"into\", \"columns\" and \"on_conflict\" are for \"action\": \"copy\"", {}, copy);
  }
  if (!settings.from.empty() && settings.verify == "constraint") {
    throw MigrationError(
        sqlstate::feature_not_supported, "a constraint cannot look at another table",
        "With option \"from\" the proof is a scan.",
        formatted("SELECT migration_backfill({}, 'c = k.c', 'k.id = k_id AND c IS NULL', '{{\"from\": \"k\", "
                  "\"verify\": \"scan\"}}');",
                  table));
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
  const std::string form = formatted("SELECT migration_backfill({}, 'c = 1', 'c IS NULL', '{{}}');", table);
  backfill::apply(settings, base, catalog::json_entries(*options), backfill::Use::create, form);
  catalog::check_with_server(settings, form);
  if (!settings.check.empty()) require_one_expression(settings.check, form);
  require_action(settings, table, deletes);
  return settings;
}

void refuse_lookup(const RowChange& change, const OtherTable& other, const std::string& hint) {
  throw MigrationError(sqlstate::feature_not_supported,
                       formatted("a backfill cannot look values up in {} by batches", change.lookup),
                       other.obstacle.empty() ? "The table, or the columns that the condition equates, are not there."
                                              : other.obstacle + ".",
                       hint);
}

void check_options(const std::vector<Statement>& statements) {
  for (const Statement& s : statements) {
    if (s.backfill) read_options({}, s.backfill->relation, s.backfill->options, s.backfill->assignments.empty());
  }
}

}  // namespace migration
