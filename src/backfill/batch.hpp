// The arithmetic and the SQL of a backfill's batches.
//
// What: the text of one batch for each kind of cursor, the size of the next batch, progress and rate. Why pure: what a
// batch touches decides whether a backfill is exact, and that must be testable without a server. Invariants: a batch's
// range is half open, [from, to) in blocks or (low, high] in keys, so ranges neither overlap nor leave a gap; texts of
// the user stand in parentheses on lines of their own, so that a comment in them cannot swallow what follows.
#pragma once

#include <string>
#include <vector>

namespace migration::backfill {

struct Target {
  bool deletes = false;
  std::string relation;     ///< quoted, qualified
  std::string alias;        ///< quoted; empty: none
  std::string assignments;  ///< SET list; empty for DELETE
  std::string condition;    ///< empty: all rows
  bool core_keys = false;   ///< the key's types are the server's own, so their operators are in pg_catalog
};

/// UPDATE/DELETE ONLY `leaf` for blocks [from, to).
std::string block_batch(const Target& target, const std::string& leaf, long long from, long long to);

/// The key `rows` rows above `low` (exclusive; empty = from the start) and not above `end`; no row when fewer are left.
std::string key_bound(const Target& target, const std::vector<std::string>& keys, const std::vector<std::string>& low,
                      const std::vector<std::string>& end, long long rows);
/// UPDATE/DELETE for keys in (low, high].
std::string key_batch(const Target& target, const std::vector<std::string>& keys, const std::vector<std::string>& low,
                      const std::vector<std::string>& high);
/// The greatest key of the table, as text.
std::string last_key(const Target& target, const std::vector<std::string>& keys);
/// The whole change as one statement.
std::string whole(const Target& target);

/// Next batch size: scaled by target/elapsed, at most doubled, at least quartered, within [1, limit].
long long next_size(long long size, double elapsed_ms, double target_ms, long long limit);

/// [######....] 61.3 %
std::string bar(double percent);

/// A string literal under standard_conforming_strings.
std::string literal(const std::string& text);

}  // namespace migration::backfill
