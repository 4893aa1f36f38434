// Room on heap pages; see heap_pages.hpp.
#include "pg/heap_pages.hpp"

#include <algorithm>

#include "pg/compat.hpp"

extern "C" {
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "storage/bufmgr.h"
#include "storage/bufpage.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
}

namespace migration::pg {

int pruned_page(RelationData* relation, std::uint32_t block) {
  CHECK_FOR_INTERRUPTS();
  const Buffer buffer = ReadBuffer(relation, block);
  heap_page_prune_opt(relation, buffer);
  LockBuffer(buffer, BUFFER_LOCK_SHARE);
  return buffer;
}

Window make_window(std::vector<RowId> ids) {
  const auto before = [](const RowId& a, const RowId& b) {
    return a.block != b.block ? a.block < b.block : a.offset < b.offset;
  };
  if (!std::is_sorted(ids.begin(), ids.end(), before)) std::sort(ids.begin(), ids.end(), before);
  Window window;
  window.offsets.reserve(ids.size());
  for (const RowId& id : ids) {
    if (window.pages.empty() || window.pages.back().block != id.block) {
      WindowPage page;
      page.block = id.block;
      page.first = static_cast<std::uint32_t>(window.offsets.size());
      window.pages.push_back(page);
    }
    ++window.pages.back().count;
    window.offsets.push_back(id.offset);
  }
  window.lengths.resize(window.offsets.size());
  window.open = ids.size();
  return window;
}

Window make_window(long long from, long long to) {
  Window window;
  const auto pages = static_cast<std::size_t>(std::max(0LL, to - from));
  window.pages.resize(pages);
  for (std::size_t i = 0; i < pages; ++i) {
    window.pages[i].block = static_cast<std::uint32_t>(from) + static_cast<std::uint32_t>(i);
    window.pages[i].first = static_cast<std::uint32_t>(i * MaxHeapTuplesPerPage);
    window.pages[i].listed = false;
  }
  window.offsets.resize(pages * MaxHeapTuplesPerPage);
  window.lengths.resize(window.offsets.size());
  window.open = pages;
  return window;
}

namespace {

/// What a pass works on, as plain data.
struct Work {
  std::uint16_t* offsets;
  std::uint16_t* lengths;
  std::uint16_t* chosen;
  const backfill::PassPlan& plan;
  std::size_t roomy;  ///< with this much free space the server does not prune a page
};

/// One of this many pages tells how its last pass came out, where that takes a walk over the page to find out.
constexpr std::uint32_t sampled_page = 8;

/// A row that has been updated in place takes two line pointers, one that leads to it and its own. Of narrow rows so
/// many are on a page that pointers are what it is short of: there the room of old ones is not counted on.
bool has_pointers_for(long long rows) {
  return 2 * rows <= MaxHeapTuplesPerPage;
}

bool is_heap_only(Page page, OffsetNumber offset) {
  ItemId item = PageGetItemId(page, offset);
  return ItemIdIsNormal(item) && HeapTupleHeaderIsHeapOnly(reinterpret_cast<HeapTupleHeader>(PageGetItem(page, item)));
}

/// The line pointer that index entries of the row at `offset` have: its own, or that of a version before it. Pruning
/// takes away every version but the last, and only from there the new one can be found.
OffsetNumber root_of(Page page, OffsetNumber offset, std::uint32_t block) {
  if (!is_heap_only(page, offset)) return offset;
  if (block % sampled_page != 0) return InvalidOffsetNumber;
  OffsetNumber roots[MaxHeapTuplesPerPage];
  heap_get_root_tuples(page, roots);
  return roots[offset - 1];
}

/// How the first row of the last pass came out.
void sample_last(Page page, const WindowPage& p, const Work& w, PassLook& look) {
  if (p.done == p.previous || p.root == InvalidOffsetNumber) return;
  ItemId item = p.root <= PageGetMaxOffsetNumber(page) ? PageGetItemId(page, p.root) : nullptr;
  if (item != nullptr && ItemIdIsRedirected(item)) {
    const OffsetNumber to = ItemIdGetRedirect(item);
    ItemId target = to <= PageGetMaxOffsetNumber(page) ? PageGetItemId(page, to) : nullptr;
    ++look.stayed;
    if (target != nullptr && ItemIdIsNormal(target)) {
      look.growth += static_cast<long long>(ItemIdGetLength(target)) - w.lengths[p.first + p.previous];
    }
  } else if (item != nullptr && ItemIdIsNormal(item) &&
             HeapTupleHeaderIsHotUpdated(reinterpret_cast<HeapTupleHeader>(PageGetItem(page, item)))) {
    ++look.stayed;
  } else {
    ++look.left;
  }
}

/// Is there a row of the last pass that pruning could not take away yet?
bool unpruned(Page page, const WindowPage& p, const Work& w) {
  if (p.done == p.previous) return false;
  if (!PageIsFull(page) && PageGetHeapFreeSpace(page) >= w.roomy) return false;  // nobody has tried
  const OffsetNumber offset = w.offsets[p.first + p.previous];
  if (offset > PageGetMaxOffsetNumber(page) || !ItemIdIsNormal(PageGetItemId(page, offset))) return false;
  // Or is it a new row, in the place of what was pruned?
  auto* header = reinterpret_cast<HeapTupleHeader>(PageGetItem(page, PageGetItemId(page, offset)));
  return (header->t_infomask & HEAP_XMAX_INVALID) == 0;
}

/// Rows that the first passes move away from the page whether others fit or not.
int leaving(Page page, const WindowPage& p, const Work& w, long long free) {
  const OffsetNumber offset = w.offsets[p.first];
  if (p.count < 2 || offset > PageGetMaxOffsetNumber(page) || !ItemIdIsNormal(PageGetItemId(page, offset))) return 0;
  const int length = static_cast<int>(ItemIdGetLength(PageGetItemId(page, offset)));
  int heap_only = 0;
  for (std::size_t at = p.first; has_pointers_for(p.count) && at < p.first + p.count; ++at) {
    if (w.offsets[at] <= PageGetMaxOffsetNumber(page)) heap_only += is_heap_only(page, w.offsets[at]) ? 1 : 0;
  }
  return std::min(p.count / 2, backfill::rows_that_leave(p.count, free, length, w.plan.growth, heap_only));
}

std::size_t count_rows(Page page) {
  const OffsetNumber last = PageGetMaxOffsetNumber(page);
  std::size_t rows = 0;
  for (OffsetNumber o = FirstOffsetNumber; o <= last; ++o) rows += ItemIdIsNormal(PageGetItemId(page, o)) ? 1 : 0;
  return rows;
}

/// All rows of the page that the statement sees; returns how many.
std::size_t list_rows(Relation relation, Snapshot snapshot, Buffer buffer, BlockNumber block, std::uint16_t* offsets) {
  Page const page = BufferGetPage(buffer);
  const OffsetNumber last = PageGetMaxOffsetNumber(page);
  std::size_t count = 0;
  HeapTupleData tuple;
  tuple.t_tableOid = RelationGetRelid(relation);
  for (OffsetNumber o = FirstOffsetNumber; o <= last && count < MaxHeapTuplesPerPage; ++o) {
    ItemId const item = PageGetItemId(page, o);
    if (!ItemIdIsNormal(item)) continue;
    tuple.t_data = reinterpret_cast<HeapTupleHeader>(PageGetItem(page, item));
    tuple.t_len = ItemIdGetLength(item);
    ItemPointerSet(&tuple.t_self, block, o);
    if (HeapTupleSatisfiesVisibility(&tuple, snapshot, buffer)) offsets[count++] = o;
  }
  return count;
}

/// Returns how many rows.
std::size_t choose_on_page(Page page, WindowPage& p, const Work& w, PassLook& look) {
  const bool blocked = unpruned(page, p, w);
  if (!p.sampled && !blocked) {
    sample_last(page, p, w, look);
    p.sampled = true;
  }
  const OffsetNumber last = PageGetMaxOffsetNumber(page);
  // PageGetHeapFreeSpace() has taken off one line pointer already; room_of() counts one for each row.
  long long free = static_cast<long long>(PageGetHeapFreeSpace(page));
  if (free > 0) free += static_cast<long long>(sizeof(ItemIdData));
  const bool first = p.done == 0;
  const std::uint16_t before = p.done;
  const int moves = w.plan.all ? p.count : backfill::rows_to_move(p.count - p.done, first ? w.plan.passes : 8);
  const int leave = !w.plan.force || blocked ? 0 : first ? leaving(page, p, w, free) : p.leaving;
  const int at_once = w.plan.spread && (first || leave > 0)
                          ? backfill::rows_that_leave_at_once(p.count, std::max(leave, first ? moves : 0))
                          : p.count;
  int fit = 0, forced = 0;
  OffsetNumber root = InvalidOffsetNumber;
  bool full = false;
  while (p.done < p.count) {
    const std::size_t at = p.first + p.done;
    const OffsetNumber offset = w.offsets[at];
    ItemId item = offset <= last ? PageGetItemId(page, offset) : nullptr;
    if (item == nullptr || !ItemIdIsNormal(item)) {
      // Deleted or updated meanwhile: whoever did it made a version that the last look over the table will see.
      ++p.done;
      continue;
    }
    const int length = static_cast<int>(ItemIdGetLength(item));
    const int room = backfill::room_of(length, w.plan.growth);
    if (!full && room <= free) {
      free -= room;
      ++fit;
    } else {
      full = true;
      // A later pass moves rows only from a page on which nothing fits any more.
      const bool may_move = w.plan.force && !blocked && forced < at_once &&
                            (((first || fit == 0) && fit + forced < moves) || forced < leave);
      if (!w.plan.all && !may_move) break;
      ++forced;
    }
    if (fit + forced == 1) {
      root = root_of(page, offset, p.block);
      w.lengths[p.first + before] = static_cast<std::uint16_t>(length);
    }
    w.chosen[fit + forced - 1] = offset;
    ++p.done;
  }
  // Otherwise the rows of the last pass stay those whose pruning is waited for.
  if (p.done != before || !blocked) {
    p.previous = before;
    p.root = root;
    p.sampled = false;
  }
  if (!blocked) {
    p.leaving = static_cast<std::uint16_t>(std::max(0, std::max(leave, first ? moves - fit : 0) - forced));
  }
  look.forced += static_cast<std::size_t>(forced);
  if (p.done < p.count) {
    ++look.waiting;
    if (blocked && fit + forced == 0) ++look.blocked;
  }
  return static_cast<std::size_t>(fit) + static_cast<std::size_t>(forced);
}

}  // namespace

Pass::Pass(Window& window, PageSpan span, const backfill::PassPlan& plan)
    : window_(window), span_(span), plan_(plan), chosen_(MaxHeapTuplesPerPage) {}

bool Pass::next(RelationData* relation, SnapshotData* snapshot, PageRows& rows) {
  if (blocks_ == 0) blocks_ = RelationGetNumberOfBlocks(relation);  // rows that are looked for are not truncated away
  // As heap_page_prune_opt() has it.
  const std::size_t roomy =
      std::max<Size>(RelationGetTargetPageFreeSpace(relation, HEAP_DEFAULT_FILLFACTOR), BLCKSZ / 10);
  const Work work{window_.offsets.data(), window_.lengths.data(), chosen_.data(), plan_, roomy};
  for (; span_.from < span_.to; ++span_.from) {
    WindowPage& p = window_.pages[span_.from];
    if (p.listed && p.previous == p.count) continue;
    if (p.block >= blocks_) {
      p.listed = true;
      p.previous = p.done = p.count;
      continue;
    }
    const Buffer buffer = pruned_page(relation, p.block);
    if (!p.listed) {
      p.count = static_cast<std::uint16_t>(list_rows(relation, snapshot, buffer, p.block, work.offsets + p.first));
      p.listed = true;
    }
    if (p.done == 0) look_.live += count_rows(BufferGetPage(buffer));
    rows.count = choose_on_page(BufferGetPage(buffer), p, work, look_);
    if (rows.count == 0) {
      UnlockReleaseBuffer(buffer);
      continue;
    }
    look_.chosen += rows.count;
    rows.offsets = chosen_.data();
    rows.block = p.block;
    rows.buffer = buffer;
    ++span_.from;
    return true;
  }
  return false;
}

EveryRow::EveryRow(long long from, long long to)
    : at_(static_cast<std::uint32_t>(from)), end_(static_cast<std::uint32_t>(to)), offsets_(MaxHeapTuplesPerPage) {}

bool EveryRow::next(RelationData* relation, SnapshotData* snapshot, PageRows& rows) {
  if (blocks_ == 0) blocks_ = RelationGetNumberOfBlocks(relation);
  end_ = std::min(end_, blocks_);
  while (at_ < end_) {
    rows.block = at_++;
    rows.buffer = pruned_page(relation, rows.block);
    rows.offsets = offsets_.data();
    rows.count = list_rows(relation, snapshot, rows.buffer, rows.block, offsets_.data());
    if (rows.count > 0) return true;
    UnlockReleaseBuffer(rows.buffer);
  }
  return false;
}

const PassLook& Pass::end() {
  window_.open = 0;
  for (const WindowPage& p : window_.pages) window_.open += p.listed ? p.count - p.done : 1;
  return look_;
}

namespace {

bool updates_indexes(Relation relation, const char* const* columns, std::size_t n) {
  Bitmapset* indexed = compat_hot_blocking(relation);
  for (std::size_t i = 0; i < n; ++i) {
    const AttrNumber attribute = get_attnum(RelationGetRelid(relation), columns[i]);
    if (attribute > 0 && bms_is_member(attribute - FirstLowInvalidHeapAttributeNumber, indexed)) return true;
  }
  return false;
}

}  // namespace

HeapShape heap_shape(unsigned leaf, const std::vector<std::string>& columns) {
  std::vector<const char*> names;
  names.reserve(columns.size());
  for (const std::string& column : columns) names.push_back(column.c_str());
  const char* const* raw = names.data();
  const std::size_t n = names.size();
  return pg_call([&] {
    HeapShape shape;
    Relation relation = table_open(leaf, AccessShareLock);
    shape.heap = relation->rd_tableam == GetHeapamTableAmRoutine();
    shape.indexes = relation->rd_rel->relhasindex;
    shape.indexed = updates_indexes(relation, raw, n);
    if (shape.heap) {
      const BlockNumber blocks = RelationGetNumberOfBlocks(relation);
      constexpr BlockNumber samples = 16;
      long long pages = 0, rows = 0, bytes = 0, free = 0, heap_only = 0;
      for (BlockNumber i = 0; i < samples && i < blocks; ++i) {
        const BlockNumber block = blocks <= samples ? i : static_cast<BlockNumber>(std::uint64_t{blocks} * i / samples);
        Buffer buffer = ReadBuffer(relation, block);
        LockBuffer(buffer, BUFFER_LOCK_SHARE);
        Page page = BufferGetPage(buffer);
        if (!PageIsNew(page)) {
          ++pages;
          free += static_cast<long long>(PageGetHeapFreeSpace(page));
          const OffsetNumber last = PageGetMaxOffsetNumber(page);
          for (OffsetNumber o = FirstOffsetNumber; o <= last; ++o) {
            ItemId item = PageGetItemId(page, o);
            if (!ItemIdIsNormal(item)) continue;
            ++rows;
            heap_only += is_heap_only(page, o) ? 1 : 0;
            bytes += MAXALIGN(ItemIdGetLength(item)) + static_cast<long long>(sizeof(ItemIdData));
          }
        }
        UnlockReleaseBuffer(buffer);
      }
      if (pages > 0) {
        shape.free_bytes = free / pages;
        shape.rows = rows / pages;
        shape.heap_only = has_pointers_for(rows / pages) ? heap_only / pages : 0;
        shape.row_bytes = rows > 0 ? bytes / rows : 0;
      }
    }
    table_close(relation, NoLock);
    return shape;
  });
}

}  // namespace migration::pg
