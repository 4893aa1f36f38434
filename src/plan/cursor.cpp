// The rules by which a change is cut; see cursor.hpp.
#include "plan/cursor.hpp"

#include <algorithm>

#include "backfill/batch.hpp"
#include "backfill/knobs.hpp"
#include "plan/words.hpp"
#include "statement/error.hpp"
#include "statement/formatted.hpp"

namespace migration {

bool fills_null(const RowChange& change) {
  return std::any_of(change.null_tests.begin(), change.null_tests.end(), [&](const std::string& column) {
    return std::find(change.set_columns.begin(), change.set_columns.end(), column) != change.set_columns.end();
  });
}

namespace {

CursorDecision by_key(const RowChange& change, const RelationFacts& facts) {
  if (facts.key_columns.empty()) {
    return {CursorChoice::none,
            "runs as one statement: a repeated batch would not be harmless and there is no unique key"};
  }
  for (const std::string& key : facts.key_columns) {
    if (std::find(change.set_columns.begin(), change.set_columns.end(), key) != change.set_columns.end()) {
      return {CursorChoice::none, "runs as one statement: it changes its own key"};
    }
  }
  std::string keys;
  for (const std::string& key : facts.key_columns) keys += (keys.empty() ? "" : ", ") + key;
  return {CursorChoice::keyset, "batches by key (" + keys + "), each row exactly once"};
}

/// Rows go to another table: by key of the one they come from. By blocks a row may be met twice.
CursorDecision of_copy(const RowChange& change, const RelationFacts& facts, const std::string& wish,
                       const OtherTable& other) {
  if (!other.obstacle.empty()) return {CursorChoice::none, "runs as one statement: " + other.obstacle};
  if (wish != "ctid" && !facts.key_columns.empty()) {
    std::string keys;
    for (const std::string& key : facts.key_columns) keys += (keys.empty() ? "" : ", ") + key;
    return {CursorChoice::keyset, "copies by key (" + keys + "), each row exactly once"};
  }
  const RowCopy& copy = *change.copy;
  const bool repeatable = copy.keeps_present && (other.repeatable || !other.known);
  if (wish != "keyset" && repeatable) {
    return {CursorChoice::ctid, "copies by blocks: a row that is there already stays"};
  }
  const std::string options =
      formatted("{{\"action\": \"copy\", \"into\": {}, \"on_conflict\": \"nothing\"}}", backfill::quote(copy.into));
  throw MigrationError(
      sqlstate::feature_not_supported, formatted("rows of table {} cannot be copied in batches", change.relation),
      wish != "ctid" && !copy.keeps_present
          ? "It has no unique key of columns that are NOT NULL, so a row could be copied twice."
          : formatted("By blocks a row may come twice: option \"on_conflict\": \"nothing\" is needed, and a unique "
                      "key of {} among the columns that are copied unchanged.",
                      copy.into),
      formatted("SELECT migration_backfill({}, NULL, NULL, {});", backfill::literal(change.relation),
                backfill::literal(options)));
}

CursorDecision by_rule(const RowChange& change, const RelationFacts& facts) {
  if (change.set_columns.empty()) return {CursorChoice::ctid, "batches by blocks"};
  // `c IS NULL` over an assigned c: a row met again is filled already, or gets the same value again.
  if (fills_null(change) && !change.reads_own) {
    return {CursorChoice::ctid, "batches by blocks: a filled row no longer meets the condition"};
  }
  // Blocks before keys also when a second time would do harm: no batch lets that happen, and a last look at all rows
  // finds those whose key has changed under the backfill.
  if (change.tests_own) {
    return {CursorChoice::ctid, "batches by blocks, if a sample shows that a changed row no longer meets the condition",
            true};
  }
  return by_key(change, facts);
}

}  // namespace

bool finds_one(const RowChange& change, const OtherTable& other) {
  return change.set_columns.empty() || (other.known && other.obstacle.empty());
}

namespace {

CursorDecision choose(const RowChange& change, const RelationFacts& facts, const std::string& wish,
                      const OtherTable& other) {
  if (!change.simple || change.volatile_marks) {
    return {CursorChoice::none,
            "runs as one statement: it is more than one table, a list of assignments and a condition"};
  }
  if (facts.exists && facts.kind != 'r' && facts.kind != 'p') {
    return {CursorChoice::none, "runs as one statement: not a table"};
  }
  if (change.copy) return of_copy(change, facts, wish, other);
  if (!change.from.empty() && !finds_one(change, other)) {
    return {CursorChoice::none,
            "runs as one statement: " +
                (other.known ? other.obstacle : "lookup table " + change.lookup + " is not there yet")};
  }
  if (facts.statement_triggers) {
    return {CursorChoice::none, "runs as one statement: a statement trigger or a rule must see it whole"};
  }
  // A batch changes rows of one partition, and a unique key has the columns of the partition key.
  for (const std::string& column : change.set_columns) {
    if (!mentions(facts.partition_key, column)) continue;
    return {CursorChoice::none, "runs as one statement: rows may have to move to another partition"};
  }
  if (wish == "keyset") {
    CursorDecision key = by_key(change, facts);
    if (key.choice == CursorChoice::keyset) return key;
    throw MigrationError(
        sqlstate::feature_not_supported, "cursor keyset is not possible here",
        "It needs a unique key of columns that are NOT NULL and that the backfill does not change.",
        formatted("SELECT migration_backfill({}, 'c = 1', 'c IS NULL');", backfill::literal(change.relation)));
  }
  CursorDecision decision = by_rule(change, facts);
  if (wish == "ctid" && decision.choice != CursorChoice::ctid) {
    if (change.condition.empty()) {
      throw MigrationError(
          sqlstate::feature_not_supported, "cursor ctid needs a condition",
          "By blocks a row may be met twice: only a condition that a changed row no longer meets "
          "keeps it from being changed twice.",
          formatted("SELECT migration_backfill({}, 'c = 1', 'c IS NULL');", backfill::literal(change.relation)));
    }
    decision = {CursorChoice::ctid, "batches by blocks, as asked", true};
  }
  return decision;
}

}  // namespace

CursorDecision choose_cursor(const RowChange& change, const RelationFacts& facts, const std::string& wish,
                             const OtherTable& other) {
  CursorDecision decision = choose(change, facts, wish, other);
  // Batches that were asked for are not given up without a word.
  if (decision.choice == CursorChoice::none && wish != "auto") {
    throw MigrationError(
        sqlstate::feature_not_supported, formatted("cursor {} is not possible here", wish),
        formatted("Without the option it {}.", decision.reason),
        formatted("SELECT migration_backfill({}, 'c = 1', 'c IS NULL');", backfill::literal(change.relation)));
  }
  return decision;
}

}  // namespace migration
