// The arithmetic and the SQL of a backfill's batches.
//
// What: the text of one batch for each kind of cursor, and the bar of its progress. Why pure: what a
// batch touches decides whether a backfill is exact, and that must be testable without a server. Invariants: a batch's
// range is half open, [from, to) in blocks or (low, high] in keys, so ranges neither overlap nor leave a gap; texts of
// the user stand in parentheses on lines of their own, so that a comment in them cannot swallow what follows.
#pragma once

#include <string>
#include <vector>

namespace migration::backfill {

/// A column of a keyset cursor with what compares it, all qualified: nothing found on a user's search_path is met.
struct KeyColumn {
  std::string name;                        ///< quoted
  std::string type;                        ///< as a cast needs it: pg_catalog.int8
  std::string less_equal, equal, greater;  ///< OPERATOR(pg_catalog.<=), ...
  std::string order = {};                  ///< what its values are sorted by: operator family and collation
};
using Key = std::vector<KeyColumn>;

struct Target {
  bool deletes = false;
  std::string relation;        ///< quoted, qualified
  std::string alias;           ///< quoted; empty: none
  std::string assignments;     ///< SET list; empty for DELETE
  std::string condition;       ///< empty: all rows
  std::string from = {};       ///< FROM or USING list; empty: none
  std::string into = {};       ///< rows are copied: what follows INSERT INTO; `assignments` is then the select list
  bool keeps_present = false;  ///< a copied row that is there already stays as it is
};

/// UPDATE/DELETE ONLY `leaf` for row ids in [$1, $2), both tid.
std::string block_batch(const Target& target, const std::string& leaf, bool again = false);
/// The ids of the rows in [$1, $2) that need the change.
std::string block_rows(const Target& target, const std::string& leaf);
/// UPDATE/DELETE ONLY `leaf` for the row ids in $1, a tid[]. With `again`, returns the condition over each new row.
std::string row_batch(const Target& target, const std::string& leaf, bool again = false);

/// Keys as text, one parameter each: a bound's columns are $first, $first + 1, ...
/// The greatest key of the first `$last` rows (a bigint as text) above `low` ($1..., unless `from_start`) and not above
/// `end`; no row when fewer are left. Parameters: [low], end, offset.
std::string key_bound(const Target& target, const Key& key, bool from_start);
/// UPDATE/DELETE for keys in (low, high]. Parameters: [low], high.
std::string key_batch(const Target& target, const Key& key, bool from_start);
/// The keys in (low, high], as text, in order. Parameters: [low], high.
std::string key_list_of(const Target& target, const Key& key, bool from_start);
/// A number of 31 bits that follows from the key alone, whoever computes it and when, and that is far from that of
/// neighbours in the key. A last column of whole numbers is multiplied by the golden ratio, which spreads any interval
/// of these numbers evenly over rows that were numbered in any steps (Knuth, The Art of Computer Programming 3, 6.4);
/// anything else goes by the server's hash function, which partitions rely on, too.
std::string key_fraction(const Target& target, const Key& key);
/// key_batch() and key_list_of() for an interval of fractions. Two more parameters: the least one, and how many.
std::string key_part_batch(const Target& target, const Key& key, bool from_start);
std::string key_part_list_of(const Target& target, const Key& key, bool from_start);
/// The rows in (low, high]: table, place, version (xmin), fraction, key as text. Parameters: [low], high.
std::string key_places(const Target& target, const Key& key, bool from_start);
/// How many rows there are in (low, high], on how many pages, and how many of them have a fraction, as text.
std::string key_pages(const Target& target, const Key& key, bool from_start);
/// UPDATE/DELETE for the one key in $1, ...
std::string key_exact(const Target& target, const Key& key);
/// The row of the key in $1, ... as JSON.
std::string key_image(const Target& target, const Key& key);
/// The row of `leaf` with the id in $1 (text) as JSON.
std::string row_image(const std::string& leaf);
/// The greatest key of the table, as text.
std::string last_key(const Target& target, const Key& key);
/// The change of at most `rows` rows, returning the condition over each new row.
std::string sample(const Target& target, long long rows);
/// row_batch() that returns, for each row that still meets the condition, the table and the id of its new version, as
/// text; empty texts for the others.
std::string row_batch_telling(const Target& target, const std::string& leaf);
/// Table, id and inserting transaction, as text, of at most `rows` rows that need the change.
std::string rows_needing(const Target& target, long long rows);
/// How many rows need the change, as text.
std::string count_needing(const Target& target);
/// The whole change as one statement. With `again`, returns the condition over each new row.
std::string whole(const Target& target, bool again = false);

/// [######....] 61.3 %
std::string bar(double percent);

/// A string literal under standard_conforming_strings.
std::string literal(const std::string& text);

}  // namespace migration::backfill
