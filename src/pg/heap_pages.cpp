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

namespace {

/// What choose_rows works on, as plain data that may be jumped over.
struct Work {
  WindowPage* pages;
  PageSpan span;
  const std::uint16_t* offsets;
  std::uint16_t* lengths;
  RowId* ids;
  backfill::PassPlan plan;
  std::size_t roomy = 0;  ///< with this much free space the server does not prune a page
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

/// Rows that the first pass moves away from the page whether others fit or not.
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

void choose_on_page(Page page, WindowPage& p, const Work& w, PassLook& look) {
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
  const int leave = first && w.plan.force && !blocked ? leaving(page, p, w, free) : 0;
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
      const bool may_move =
          w.plan.force && !blocked && (((first || fit == 0) && fit + forced < moves) || forced < leave);
      if (!w.plan.all && !may_move) break;
      ++forced;
    }
    if (fit + forced == 1) {
      root = root_of(page, offset, p.block);
      w.lengths[p.first + before] = static_cast<std::uint16_t>(length);
    }
    w.ids[look.chosen++] = RowId{p.block, offset};
    ++p.done;
  }
  // Otherwise the rows of the last pass stay those whose pruning is waited for.
  if (p.done != before || !blocked) {
    p.previous = before;
    p.root = root;
    p.sampled = false;
  }
  look.forced += static_cast<std::size_t>(forced);
  if (p.done < p.count) {
    ++look.waiting;
    if (blocked && fit + forced == 0) ++look.blocked;
  }
}

}  // namespace

PassLook choose_rows(unsigned leaf, Window& window, PageSpan span, const backfill::PassPlan& plan,
                     std::vector<RowId>& ids) {
  ids.resize(window.open);
  Work work{window.pages.data(), span, window.offsets.data(), window.lengths.data(), ids.data(), plan, 0};
  const PassLook look = pg_call([&] {
    PassLook seen;
    Relation relation = table_open(leaf, AccessShareLock);
    const BlockNumber blocks = RelationGetNumberOfBlocks(relation);
    // As heap_page_prune_opt() has it.
    work.roomy = std::max<Size>(RelationGetTargetPageFreeSpace(relation, HEAP_DEFAULT_FILLFACTOR), BLCKSZ / 10);
    for (std::size_t i = work.span.from; i < work.span.to; ++i) {
      WindowPage& p = work.pages[i];
      if (p.previous == p.count) continue;
      if (p.block >= blocks) {
        p.previous = p.done = p.count;
        continue;
      }
      CHECK_FOR_INTERRUPTS();
      Buffer buffer = ReadBuffer(relation, p.block);
      heap_page_prune_opt(relation, buffer);
      LockBuffer(buffer, BUFFER_LOCK_SHARE);
      choose_on_page(BufferGetPage(buffer), p, work, seen);
      UnlockReleaseBuffer(buffer);
    }
    table_close(relation, NoLock);
    return seen;
  });
  std::size_t open = 0;
  for (const WindowPage& p : window.pages) open += p.count - p.done;
  window.open = open;
  ids.resize(look.chosen);
  return look;
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
  for (const std::string& column : columns) names.push_back(column.c_str());
  const char* const* raw = names.data();
  const std::size_t n = names.size();
  return pg_call([&] {
    HeapShape shape;
    Relation relation = table_open(leaf, AccessShareLock);
    shape.heap = relation->rd_tableam == GetHeapamTableAmRoutine();
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
