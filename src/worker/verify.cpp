// Watching over fill triggers, and the last scan; see verify.hpp.
#include "worker/verify.hpp"

#include <algorithm>
#include <string_view>
#include <vector>

#include "catalog/facts.hpp"
#include "catalog/fill_facts.hpp"
#include "pg/lock.hpp"
#include "pg/portal.hpp"
#include "pg/prepared.hpp"
#include "pg/process.hpp"
#include "pg/sql.hpp"
#include "pg/watchdog.hpp"
#include "plan/fill_trigger.hpp"
#include "plan/words.hpp"
#include "statement/formatted.hpp"
#include "worker/executor.hpp"
#include "worker/planning.hpp"

namespace migration {

namespace {

constexpr double check_interval_ms = 250;
constexpr long long scan_blocks = 8192;
constexpr int scan_rounds = 5;
/// In before_image: the trigger was made anew.
constexpr const char* broken = "absent";

constexpr std::string_view check_mark = " ADD CONSTRAINT ";

/// Does it make the constraint of verify => 'constraint'?
bool makes_check(const std::string& text) {
  const std::string mark(check_mark);
  return text.find(mark + "zzz_migration_check_") != std::string::npos ||
         text.find(mark + "\"zzz_migration_check_") != std::string::npos;
}

/// Its name; empty when none of these statements does.
std::string check_made_by(const std::vector<std::string>& statements) {
  for (const std::string& text : statements) {
    if (!makes_check(text)) continue;
    const std::size_t begin =
        text.find("zzz_migration_check_") - (text.find("\"zzz_migration_check_") != std::string::npos ? 1 : 0);
    return text.substr(begin, text.find(" CHECK (NOT (", begin) - begin);
  }
  return {};
}

}  // namespace

bool FillProof::stands() {
  const catalog::TriggerState state = catalog::trigger_state(job_.record.relation_oid, unquoted(trigger_));
  if (state.oid != oid_) oid_ = 0;
  return state.oid != 0 && state.always;
}

void FillProof::begin() {
  // A row that is changed must meet the condition no more, or its being there proves nothing.
  if (job_.settings.verify == "scan" && job_.record.batches == 0 && !can_scan()) {
    throw MigrationError(sqlstate::feature_not_supported, "a proof by scan is not possible here",
                         job_.whole ? "The backfill runs as one statement."
                                    : "A changed row may still meet the condition, or there is none.",
                         formatted("SELECT migration_backfill({}, 'c = 1', 'c IS NULL', '{{\"verify\": \"off\"}}');",
                                   literal(job_.record.relation)));
  }
  if (job_.whole) return;
  check_ = unquoted(check_made_by(job_.step_before));
  if (!check_.empty() && !catalog::has_check(job_.record.relation_oid, check_)) {
    job_.tell(formatted("constraint {} is made again", check_),
              "It was dropped; its validation at the end sees every row.");
    job_.as_run([&] {
      for (const std::string& text : job_.step_before) {
        if (makes_check(text)) pg::run_statement(text, true);
      }
    });
  }
  if (!check_.empty() && catalog::check_is_mutable(job_.record.relation_oid, check_)) {
    throw MigrationError(
        sqlstate::feature_not_supported, "the condition of the backfill is not immutable",
        "verify => 'constraint' turns it into a CHECK constraint, which would mean something else tomorrow.",
        formatted("SELECT migration_backfill({}, 'c = 1', 'c IS NULL', '{{\"verify\": \"scan\"}}');",
                  literal(job_.record.relation)));
  }
  trigger_ = fill_trigger_made_by(job_.step_before);
  if (trigger_.empty()) return;
  const std::vector<std::string>& image = job_.step.before_image;
  const catalog::TriggerState state = catalog::trigger_state(job_.record.relation_oid, unquoted(trigger_));
  if (state.oid != 0 && state.always) {
    if (image.empty()) catalog::set_before_image(job_.run.run_id, job_.step.step, {std::to_string(state.oid)});
    oid_ = image.empty() || image[0] == std::to_string(state.oid) ? state.oid : 0;
    return;
  }
  job_.tell(formatted("fill trigger {} is made again", trigger_),
            "It was disabled or dropped; the whole table is looked at once more at the end.");
  job_.as_run([&] {
    for (const std::string& text : fill_trigger_again(job_.step_before)) pg::run_statement(text, true);
  });
  catalog::set_before_image(job_.run.run_id, job_.step.step, {broken});
}

bool FillProof::can_scan() const {
  if (job_.whole || job_.record.condition.empty()) return false;
  return job_.record.cursor_kind == "ctid" || job_.record.action == "delete" || job_.sweeps_keys;
}

void FillProof::check() {
  if ((trigger_.empty() && check_.empty()) || monotonic_ms() - checked_ms_ < check_interval_ms) return;
  checked_ms_ = monotonic_ms();
  if (!check_.empty() && !catalog::has_check(job_.record.relation_oid, check_)) {
    throw MigrationError(sqlstate::not_in_prerequisite_state,
                         formatted("the constraint {} on {} was dropped", check_, job_.target.relation),
                         "The backfill is proven by it. Resuming makes it again.",
                         formatted("SELECT migration_resume({});", job_.run.run_id));
  }
  if (trigger_.empty() || stands()) return;
  throw MigrationError(sqlstate::not_in_prerequisite_state,
                       formatted("the fill trigger {} on {} was disabled or dropped", trigger_, job_.target.relation),
                       "Rows written without it may have been missed. Resuming makes it again and looks at the whole "
                       "table once more at the end.",
                       formatted("SELECT migration_resume({});", job_.run.run_id));
}

bool FillProof::needs_sweep() {
  checked_ms_ = -check_interval_ms;
  check();
  if (trigger_.empty()) return !scanned_;
  // A partition attached meanwhile came with rows that no trigger has seen.
  std::vector<unsigned> now;
  for (const catalog::Leaf& leaf : catalog::leaves_of(job_.record.relation_oid)) now.push_back(leaf.oid);
  const std::vector<unsigned>& then = job_.record.leaves;
  const bool more = std::any_of(now.begin(), now.end(),
                                [&](unsigned oid) { return std::find(then.begin(), then.end(), oid) == then.end(); });
  return more || (oid_ == 0 && !scanned_);
}

bool FillProof::scan(const std::function<bool()>& go_on, const std::function<bool()>& sweep) {
  // A job that had to go on by key has shown that its condition says nothing about its rows.
  if (job_.settings.verify != "scan" || !can_scan()) return true;
  std::string found, left;
  for (int round = 1; round <= scan_rounds; ++round) {
    bool sweeps = round > 1;
    if (!sweeps) pg::in_transaction([&] { sweeps = needs_sweep(); });
    if (sweeps && !sweep()) return false;
    if (!look(go_on, found)) return false;
    // Rows that were set aside are told at the end.
    if (found.empty() || (job_.record.quarantined > 0 && needing(left) <= job_.record.quarantined)) {
      scanned_ = true;
      return true;
    }
  }
  needing(left);
  throw MigrationError(
      sqlstate::not_in_prerequisite_state,
      formatted("the backfill of {} is not proven: {} rows still meet its condition", job_.target.relation, left),
      formatted("For example the row with ctid {}. {} last looks found such rows each time; somebody "
                "goes on writing them.",
                found, scan_rounds),
      formatted("SELECT migration_resume({});", job_.run.run_id));
}

long long FillProof::needing(std::string& count) {
  pg::in_transaction([&] {
    pg::Prepared all(backfill::count_needing(job_.target));
    std::vector<std::vector<std::string>> rows;
    job_.as_script([&] { all.run({}, rows); });
    count = rows.empty() ? "0" : rows[0][0];
  });
  return std::stoll(count);
}

bool FillProof::look(const std::function<bool()>& go_on, std::string& found) {
  found.clear();
  std::vector<catalog::Leaf> leaves;
  pg::in_transaction([&] { leaves = catalog::leaves_of(job_.record.relation_oid); });
  for (const catalog::Leaf& leaf : leaves) {
    std::string name;
    std::optional<pg::Prepared> query;
    for (long long block = 0; block < leaf.blocks; block += scan_blocks) {
      if (!go_on()) return false;
      pg::in_transaction([&] {
        pg::report_activity(
            formatted("migration run {} step {} job {}: proof", job_.run.run_id, job_.step.step, job_.record.job_id));
        pg::lock_extension(pg::extension_oid());
        name = catalog::relation_name(leaf.oid);
        if (name.empty()) return;  // dropped, and its rows with it
        if (!query) query.emplace(backfill::block_rows(job_.target, name) + " LIMIT 1");
        std::vector<pg::RowId> ids;
        job_.as_script(
            [&] {
              query->run({pg::RowId{static_cast<std::uint32_t>(block), 0},
                          pg::RowId{static_cast<std::uint32_t>(std::min(block + scan_blocks, leaf.blocks)), 0}},
                         ids);
            },
            leaf.oid);
        if (!ids.empty()) found = formatted("({},{}) of {}", ids[0].block, ids[0].offset, name);
      });
      if (!found.empty()) return true;
    }
  }
  return true;
}

}  // namespace migration
