// Reading options; see backfill_options.hpp.
#include "worker/backfill_options.hpp"

#include <fmt/format.h>

#include <vector>

#include "backfill/batch.hpp"
#include "catalog/tuning.hpp"
#include "statement/error.hpp"
#include "worker/user_check.hpp"

namespace migration {

backfill::Settings read_options(const backfill::Settings& base, const std::string& relation,
                                const std::optional<std::string>& options) {
  backfill::Settings settings = base;
  if (!options || *options == "{}") return settings;
  const std::string table = backfill::literal(relation);
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
  return settings;
}

void check_options(const std::vector<Statement>& statements) {
  for (const Statement& s : statements) {
    if (s.backfill) read_options({}, s.backfill->relation, s.backfill->options);
  }
}

}  // namespace migration
