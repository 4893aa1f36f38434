// Rows of a window of keys; see key_window.hpp.
#include "pg/key_window.hpp"

#include <algorithm>

#include "pg/heap_pages.hpp"

extern "C" {
#include "access/heapam.h"
#include "access/htup_details.h"
#include "storage/bufmgr.h"
#include "storage/bufpage.h"
#include "utils/rel.h"
}

namespace migration::pg {

std::vector<std::string> KeyWindow::key(const KeyedRow& row, std::size_t columns) const {
  std::vector<std::string> out;
  const char* at = texts.data() + row.key;
  for (std::size_t i = 0; i < columns; ++i) {
    out.emplace_back(at);
    at += out.back().size() + 1;
  }
  return out;
}

KeyWindow read_window(Prepared& statement, const std::vector<Parameter>& parameters) {
  KeyWindow window;
  statement.run(parameters, window.rows, window.texts);
  const auto before = [](const KeyedRow& a, const KeyedRow& b) {
    if (a.table != b.table) return a.table < b.table;
    return a.id.block != b.id.block ? a.id.block < b.id.block : a.id.offset < b.id.offset;
  };
  if (!std::is_sorted(window.rows.begin(), window.rows.end(), before)) {
    std::sort(window.rows.begin(), window.rows.end(), before);
  }
  for (const KeyedRow& row : window.rows) {
    if (window.tables.empty() || window.tables.back() != row.table) window.tables.push_back(row.table);
  }
  return window;
}

KeyPass::KeyPass(const KeyWindow& window, unsigned table, std::uint32_t least, std::uint32_t end) : rows_(window.rows) {
  const auto first =
      std::partition_point(rows_.begin(), rows_.end(), [&](const KeyedRow& r) { return r.table < table; });
  for (auto row = first; row != rows_.end() && row->table == table; ++row) {
    if (row->fraction >= least && row->fraction < end)
      numbers_.push_back(static_cast<std::uint32_t>(row - rows_.begin()));
  }
  found_.resize(numbers_.size());
  offsets_.resize(MaxHeapTuplesPerPage);
}

namespace {

/// Is the noted version still there, and the one that the statement sees?
bool is_there(Relation relation, Snapshot snapshot, Buffer buffer, const KeyedRow& row) {
  Page const page = BufferGetPage(buffer);
  if (row.id.offset < FirstOffsetNumber || row.id.offset > PageGetMaxOffsetNumber(page)) return false;
  ItemId const item = PageGetItemId(page, row.id.offset);
  if (!ItemIdIsNormal(item)) return false;
  HeapTupleData tuple;
  tuple.t_data = reinterpret_cast<HeapTupleHeader>(PageGetItem(page, item));
  // As system column xmin has it, which stays what it was when the row is frozen.
  if (HeapTupleHeaderGetRawXmin(tuple.t_data) != row.version) return false;
  tuple.t_len = ItemIdGetLength(item);
  tuple.t_tableOid = RelationGetRelid(relation);
  ItemPointerSet(&tuple.t_self, row.id.block, row.id.offset);
  return HeapTupleSatisfiesVisibility(&tuple, snapshot, buffer);
}

}  // namespace

bool KeyPass::next(RelationData* relation, SnapshotData* snapshot, PageRows& rows) {
  if (blocks_ == 0) blocks_ = RelationGetNumberOfBlocks(relation);
  while (at_ < numbers_.size()) {
    const BlockNumber block = rows_[numbers_[at_]].id.block;
    if (block >= blocks_) return false;  // truncated away: the rows behind are elsewhere
    const Buffer buffer = pruned_page(relation, block);
    std::size_t count = 0;
    for (; at_ < numbers_.size() && rows_[numbers_[at_]].id.block == block; ++at_) {
      const KeyedRow& row = rows_[numbers_[at_]];
      if (count == MaxHeapTuplesPerPage || !is_there(relation, snapshot, buffer, row)) continue;
      offsets_[count++] = row.id.offset;
      found_[at_] = 1;
    }
    if (count > 0) {
      rows.buffer = buffer;
      rows.block = block;
      rows.offsets = offsets_.data();
      rows.count = count;
      return true;
    }
    UnlockReleaseBuffer(buffer);
  }
  return false;
}

std::vector<std::uint32_t> KeyPass::missing() const {
  std::vector<std::uint32_t> out;
  for (std::size_t i = 0; i < numbers_.size(); ++i) {
    if (found_[i] == 0) out.push_back(numbers_[i]);
  }
  return out;
}

}  // namespace migration::pg
