// Ranges of a key; see key_ranges.hpp.
#include "worker/key_ranges.hpp"

#include <algorithm>

#include "backfill/passes.hpp"
#include "catalog/facts.hpp"
#include "pg/catalog_changes.hpp"
#include "pg/portal.hpp"
#include "pg/settings.hpp"
#include "pg/table_rights.hpp"
#include "pg/usage.hpp"
#include "plan/words.hpp"
#include "worker/bisect.hpp"

namespace migration {

namespace {

/// Rows among which bad ones are looked for.
constexpr long long careful_rows = 5000;
/// A window that a VACUUM makes shorter has so many at least.
constexpr long long least_window_rows = 4096;
/// Of 2^31, in one part of a window.
constexpr std::uint32_t fractions = (1U << 31) / backfill::key_parts;

}  // namespace

void KeyRanges::prepare() {
  const bool first = job_.record.next_key.empty();
  if (bound_ && first == first_ && generation_ == job_.generation) return;
  if (generation_ != job_.generation) {
    placed_.clear();
    exact_.reset();
  }
  generation_ = job_.generation;
  first_ = first;
  bound_ = std::make_unique<pg::Prepared>(backfill::key_bound(job_.target, job_.key, first));
  change_ = std::make_unique<pg::Prepared>(backfill::key_batch(job_.target, job_.key, first));
  of_part_.reset();
  places_.reset();
}

pg::Prepared& KeyRanges::change_of_part() {
  prepare();
  if (!of_part_) of_part_ = std::make_unique<pg::Prepared>(backfill::key_part_batch(job_.target, job_.key, first_));
  return *of_part_;
}

void KeyRanges::add_interval(std::vector<pg::Parameter>& to, int parts) const {
  to.emplace_back(pg::sql_int(static_cast<long long>(job_.record.window_part) * fractions));
  to.emplace_back(pg::sql_int(static_cast<long long>(parts) * fractions));
}

std::vector<pg::Parameter> KeyRanges::parameters(const std::vector<std::string>& high) const {
  std::vector<pg::Parameter> out;
  for (const std::string& value : job_.record.next_key) out.emplace_back(pg::Value(value));
  for (const std::string& value : high) out.emplace_back(pg::Value(value));
  return out;
}

bool KeyRanges::next_range(std::vector<std::string>& high) {
  catalog::JobRecord& job = job_.record;
  prepare();
  std::vector<std::vector<std::string>> bound;
  job_.as_script([&] {
    BackfillJob::plain_keys();
    std::vector<pg::Parameter> given = parameters(job.end_key);
    given.emplace_back(pg::sql_int(job.batch_size - 1));
    bound_->run(given, bound);
  });
  high = bound.empty() ? job.end_key : bound[0];
  return bound.empty();
}

bool KeyRanges::move_on(const std::vector<std::string>& high, bool last) {
  catalog::JobRecord& job = job_.record;
  const long long before = job.rows_seen;
  job.next_key = high;
  job.rows_seen = last ? std::max(job.rows_seen, job.rows_total) : job.rows_seen + job.batch_size;
  vacuuming_.of({job.relation_oid, job_.target.relation, job.blocks_total, true, passes_.in_place()});
  if (const long long all = rows_in_all(); all > 0) {
    vacuuming_.passed(static_cast<double>(job.rows_seen - before) / static_cast<double>(all));
  }
  return !last && high != job.end_key;
}

bool KeyRanges::batch() {
  catalog::JobRecord& job = job_.record;
  if (job.end_key.empty()) return false;  // the table was empty
  if (in_window()) return pass(false);
  std::vector<std::string> high;
  const bool last = next_range(high);
  if (passes_.pay(parameters(high))) {
    job.window_key = high;
    passes_.begin_window();
    return pass(false);
  }
  job_.as_script([&] { job.rows_done += static_cast<long long>(change_->run(parameters(high))); });
  return move_on(high, last);
}

bool KeyRanges::is_noted() {
  const catalog::JobRecord& job = job_.record;
  std::vector<unsigned> files;
  for (const unsigned table : noted_.rows.tables) files.push_back(catalog::leaf_file(table));
  return noted_.generation == generation_ && noted_.low == job.next_key && noted_.high == job.window_key &&
         noted_.files == files;
}

void KeyRanges::note_window() {
  const catalog::JobRecord& job = job_.record;
  if (!places_) places_ = std::make_unique<pg::Prepared>(backfill::key_places(job_.target, job_.key, first_));
  noted_ = {{}, job.next_key, job.window_key, {}, generation_};
  job_.as_script([&] {
    BackfillJob::plain_keys();
    noted_.rows = pg::read_window(*places_, parameters(job.window_key));
  });
  for (const unsigned table : noted_.rows.tables) noted_.files.push_back(catalog::leaf_file(table));
}

bool KeyRanges::are_plain() {
  // A table that others inherit from shares its keys with them: what is looked for by a key may be changed already.
  const auto& leaves = job_.record.leaves;
  const bool has_rows = std::find(leaves.begin(), leaves.end(), job_.record.relation_oid) != leaves.end();
  if (has_rows && leaves.size() > 1) return false;
  std::vector<std::string> columns;
  for (const backfill::KeyColumn& k : job_.key) columns.push_back(unquoted(k.name));
  for (const unsigned table : noted_.rows.tables) {
    if (has_rows && table != job_.record.relation_oid) return false;
    const std::string name = catalog::relation_name(table);
    if (name.empty()) {  // dropped: its rows are gone with it
      noted_ = {};
      return true;
    }
    // By key, partitions are changed with the rights of the parent's owner, who may have none on those of others.
    if (pg::owner_of_table(table) != pg::owner_of_table(job_.record.relation_oid)) return false;
    Placed& placed = placed_[table];
    if (placed.name != name) {
      placed.name = name;
      placed.change = std::make_unique<pg::RowUpdate>(table, backfill::row_batch(job_.target, name), job_.own_trigger);
      placed.change->chosen_by(columns);
    }
    bool plain = false;
    job_.as_script([&] { plain = placed.change->is_plain(); });
    if (!plain) return false;
  }
  return true;
}

bool KeyRanges::goes_by_place() {
  if (job_.target.deletes || !job_.target.into.empty() || !job_.target.from.empty()) return false;
  if (not_plain_ == pg::catalog_changes()) return false;
  prepare();
  // First the locks, which come with the plans: then no trigger, no other name and no other file can come in between.
  for (int tries = 0; tries < 5; ++tries) {
    const std::uint64_t before = pg::catalog_changes();
    if (!are_plain()) {
      not_plain_ = pg::catalog_changes();
      noted_ = {};
      return false;
    }
    if (before != pg::catalog_changes()) continue;
    if (is_noted()) return true;
    note_window();
  }
  return false;
}

long long KeyRanges::change_by_place(int parts) {
  const auto from = static_cast<std::uint32_t>(job_.record.window_part);
  long long changed = 0;
  std::vector<std::uint32_t> missing;
  for (const unsigned table : noted_.rows.tables) {
    pg::KeyPass rows(noted_.rows, table, from * fractions, (from + static_cast<std::uint32_t>(parts)) * fractions);
    job_.as_script([&] { changed += job_.change(*placed_[table].change, rows); });
    for (const std::uint32_t number : rows.missing()) missing.push_back(number);
  }
  if (missing.empty()) return changed;
  if (!exact_) exact_ = std::make_unique<pg::Prepared>(backfill::key_exact(job_.target, job_.key));
  job_.as_script([&] {
    for (const std::uint32_t number : missing) {
      std::vector<pg::Parameter> key;
      for (std::string& value : noted_.rows.key(noted_.rows.rows[number], job_.key.size())) {
        key.emplace_back(pg::Value(std::move(value)));
      }
      changed += static_cast<long long>(exact_->run(key));
    }
  });
  return changed;
}

bool KeyRanges::pass(bool careful) {
  catalog::JobRecord& job = job_.record;
  if (in_window() && !careful && !passes_.ready()) return true;
  const int parts = passes_.parts();
  if (careful) {
    change_carefully(job.window_key, parts);
    return end_of_pass(parts);
  }
  const unsigned leaf = job.leaves.size() == 1 ? job.leaves[0] : 0;
  const long long hot_before = leaf != 0 ? pg::own_hot_updates(leaf) : 0;
  long long rows = 0;
  if (goes_by_place()) {
    rows = change_by_place(parts);
  } else {
    std::vector<pg::Parameter> given = parameters(job.window_key);
    add_interval(given, parts);
    pg::Prepared& change = change_of_part();
    job_.as_script([&] { rows = static_cast<long long>(change.run(given)); });
  }
  job.rows_done += rows;
  const long long hot = leaf != 0 ? pg::own_hot_updates(leaf) - hot_before : -1;
  passes_.changed(rows, hot);
  if (leaf != 0) vacuuming_.saw(rows, rows - hot);
  return end_of_pass(parts);
}

bool KeyRanges::end_of_pass(int parts) {
  catalog::JobRecord& job = job_.record;
  if ((job.window_part += parts) < backfill::key_parts) return true;
  const std::vector<std::string> high = std::move(job.window_key);
  job.window_key.clear();
  job.window_part = 0;
  return move_on(high, high == job.end_key);
}

long long KeyRanges::limit() const {
  const long long most = passes_.limit();
  if (!passes_.in_place() || job_.settings.window_blocks > 0) return most;
  const long long all = rows_in_all();
  return all == 0 ? most : std::min(most, std::max(least_window_rows, vacuuming_.most_of(all)));
}

void KeyRanges::measured(long long rows) {
  proposed_ = proposed_ == 0 ? rows : std::min(proposed_, rows);
  if (in_window()) return;
  job_.record.batch_size = proposed_;
  proposed_ = 0;
}

void KeyRanges::change_carefully(const std::vector<std::string>& high, int parts) {
  catalog::JobRecord& job = job_.record;
  const bool from_start = job.next_key.empty();
  pg::Prepared listing(parts > 0 ? backfill::key_part_list_of(job_.target, job_.key, from_start)
                                 : backfill::key_list_of(job_.target, job_.key, from_start));
  const auto with_interval = [&](std::vector<pg::Parameter> given) {
    if (parts > 0) add_interval(given, parts);
    return given;
  };
  std::vector<std::vector<std::string>> keys;
  job_.as_script([&] {
    BackfillJob::plain_keys();
    listing.run(with_interval(parameters(high)), keys);
  });
  // Ranges from one listed key to another: a row that arrives in between belongs to the range around it.
  const std::vector<std::string> low = job.next_key;
  const auto change = [&](std::size_t from, std::size_t to) {
    job.next_key = from == 0 ? low : keys[from - 1];
    prepare();
    pg::Prepared& statement = parts > 0 ? change_of_part() : *change_;
    long long changed = 0;
    job_.as_script_raw([&] {
      pg::run_statement("SET CONSTRAINTS ALL IMMEDIATE", false);
      changed =
          static_cast<long long>(statement.run(with_interval(parameters(to == keys.size() ? high : keys[to - 1]))));
    });
    job.rows_done += changed;
  };
  bisect(keys.size(), change, [&](std::size_t item, const pg::PgError& error) {
    job_.set_aside(job_.target.relation, keys[item], "", error);
  });
  job.next_key = low;
}

bool KeyRanges::careful_batch() {
  catalog::JobRecord& job = job_.record;
  if (job.end_key.empty()) return false;
  if (in_window()) return pass(true);
  job.batch_size = std::min(job.batch_size, careful_rows);
  std::vector<std::string> high;
  const bool last = next_range(high);
  change_carefully(high, 0);
  return move_on(high, last);
}

}  // namespace migration
