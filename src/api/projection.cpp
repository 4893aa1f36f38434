// Asking the table; see projection.hpp.
#include "api/projection.hpp"

#include <algorithm>

#include "backfill/passes.hpp"
#include "backfill/projection.hpp"
#include "backfill/settings.hpp"
#include "backfill/units.hpp"
#include "catalog/facts.hpp"
#include "catalog/jobs.hpp"
#include "catalog/other_table.hpp"
#include "catalog/tuning.hpp"
#include "pg/heap_pages.hpp"
#include "statement/formatted.hpp"

namespace migration {

namespace {

constexpr long long short_table_blocks = 16, block_bytes = 8192;
/// Correlation from which rows that are neighbours in the key are taken to be neighbours on pages.
constexpr double key_in_order = 0.9;

/// A copy makes the table grow that it goes to, by what is read at most.
std::string size_of_copy(const RowChange& change) {
  const unsigned source = catalog::resolve_relation(change.relation);
  const unsigned into = catalog::resolve_relation(change.copy->into);
  if (source == 0 || into == 0) return {};
  long long blocks = 0;
  for (const catalog::Leaf& leaf : catalog::leaves_of(source)) blocks += leaf.blocks;
  if (blocks < short_table_blocks) return {};
  return formatted("table {} grows by up to about {}, and its indexes by one entry for each row", change.copy->into,
                   backfill::about_bytes(static_cast<double>(blocks * block_bytes)));
}

backfill::Settings settings_of(const Statement& s) {
  backfill::Settings settings;
  if (!s.backfill || !s.backfill->options) return settings;
  backfill::apply(settings, settings, catalog::json_entries(*s.backfill->options), backfill::Use::create,
                  formatted("SELECT migration_backfill({}, 'c = 1', 'c IS NULL', '{{}}');",
                            backfill::literal(s.backfill->relation)));
  return settings;
}

}  // namespace

std::string projected_size(const Statement& s, const RelationFacts& facts) {
  const auto& change = s.change;
  if (change && change->copy) return size_of_copy(*change);
  if (!change || change->set_columns.empty()) return {};
  const unsigned relation = catalog::resolve_relation(change->relation);
  if (relation == 0) return {};
  const std::vector<catalog::Leaf> leaves = catalog::leaves_of(relation);
  const auto largest =
      std::max_element(leaves.begin(), leaves.end(), [](const auto& a, const auto& b) { return a.blocks < b.blocks; });
  if (largest == leaves.end() || largest->blocks < short_table_blocks) return {};
  const catalog::SetColumns columns = catalog::set_columns_of(largest->oid, change->set_columns);
  const pg::HeapShape shape = pg::heap_shape(largest->oid, columns.names);
  if (!shape.heap || shape.rows == 0) return {};
  const backfill::Settings settings = settings_of(s);
  backfill::TableShape table{shape.rows, shape.free_bytes, shape.row_bytes, columns.growth,
                             1,          !shape.indexed,   settings.vacuum, largest->blocks};
  OtherTable other;
  if (!change->from.empty()) other = catalog::other_table(*change);
  CursorChoice cursor = CursorChoice::none;
  try {
    cursor = choose_cursor(*change, facts, settings.cursor, other).choice;
  } catch (const MigrationError&) {
    return {};  // refused, as the plan says beside it
  }
  // A key has passes where its rows lie in its order; the backfill looks at the rows, a plan asks the statistics.
  const bool in_passes =
      cursor == CursorChoice::ctid || (cursor == CursorChoice::keyset && !facts.key_columns.empty() &&
                                       catalog::correlation_of(largest->oid, facts.key_columns[0]) > key_in_order);
  if (in_passes && settings.passes > 0) {
    table.passes = settings.passes;
  } else if (in_passes && !shape.indexed) {
    table.passes = backfill::choose_passes(shape.rows, shape.rows, shape.free_bytes, shape.row_bytes);
  }
  // TOAST is not written anew.
  long long blocks = 0;
  for (const catalog::Leaf& leaf : leaves) blocks += leaf.blocks;
  return backfill::to_text(table, backfill::project(table), blocks * block_bytes);
}

}  // namespace migration
