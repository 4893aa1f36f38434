// The rows of a window of keys, noted with their places, and a pass over some of them.
//
// What: a window is read once, by its keys; each pass then goes to the pages of its rows instead of reading all of them
// again to find a tenth. A row is noted by its place, the transaction that made the version there, its fraction (see
// backfill::key_fraction) and its key. Why the transaction: the place may belong to another row by then, and only a
// version that is visible and was made by the noted transaction is the noted row. Those that are not found so, because
// somebody has changed or deleted them meanwhile, are named at the end, to be looked for by their keys. Invariants:
// what is noted tells where a row is, never that it is done; it holds for one file of the table (VACUUM FULL moves rows
// together with their transactions). Locks: those of the UPDATE; one page at a time, pinned and share-locked. Memory:
// the caller's, 24 bytes and the key for each row.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "pg/prepared.hpp"
#include "pg/row_update.hpp"

namespace migration::pg {

struct KeyWindow {
  std::vector<KeyedRow> rows;    ///< by table, in the order of their places
  std::vector<unsigned> tables;  ///< that they are in
  std::string texts;             ///< their keys, each column ended by a zero byte
  /// The key of a row, of `columns` columns.
  std::vector<std::string> key(const KeyedRow& row, std::size_t columns) const;
};

/// The rows of `statement`: columns table (oid), place (tid), version (xid), fraction (bigint), and the key's, as text.
KeyWindow read_window(Prepared& statement, const std::vector<Parameter>& parameters);

/// The rows of one table in `window` with a fraction from `least` on and below `end`.
class KeyPass final : public RowSource {
 public:
  KeyPass(const KeyWindow& window, unsigned table, std::uint32_t least, std::uint32_t end);
  bool next(RelationData* relation, SnapshotData* snapshot, PageRows& rows) override;
  /// When the pass is over: those that were not at their places, by their number in the window.
  std::vector<std::uint32_t> missing() const;

 private:
  const std::vector<KeyedRow>& rows_;
  std::vector<std::uint32_t> numbers_;  ///< of the pass
  std::vector<std::uint8_t> found_;
  std::vector<std::uint16_t> offsets_;
  std::size_t at_ = 0;
  std::uint32_t blocks_ = 0;
};

}  // namespace migration::pg
