// Looking into heap pages: how much room there is, which row versions could be updated in place.
//
// What: a Pass walks the pages of a window while a pass of a backfill changes their rows: prunes what is dead, reads
// the free space, and names the rows whose new versions fit on their own page. Why pages and not SQL: an update is HOT
// (no index is written) only when the new version fits on the page of the old one, and only the page knows its room; a
// TID scan never prunes by itself, and a sequential one looks at every row in every pass. Invariants: pages are only
// read and pruned by the server's own heap_page_prune_opt(), nothing is written here; what is named is a proposal, the
// UPDATE sees by itself which versions are visible and still need it. Locks: those of the UPDATE; one buffer at a time,
// pinned and share-locked. Memory: the caller's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "backfill/passes.hpp"
#include "pg/prepared.hpp"
#include "pg/row_update.hpp"

namespace migration::pg {

/// Inside pg_call: a page that the server has pruned if it is short of room, pinned and share-locked.
int pruned_page(RelationData* relation, std::uint32_t block);

/// One page of a window and its rows that need the backfill, as line pointers offsets[first .. first + count).
struct WindowPage {
  std::uint32_t block = 0;
  std::uint32_t first = 0;
  std::uint16_t count = 0;
  std::uint16_t done = 0;      ///< rows chosen so far
  std::uint16_t previous = 0;  ///< rows chosen before the last pass that took some
  std::uint16_t leaving = 0;   ///< rows that the next pass moves away, whether others fit or not
  std::uint16_t root = 0;      ///< line pointer that leads to the first row of that pass; 0: not looked for
  bool sampled = false;        ///< how that pass came out has been counted
  bool listed = true;          ///< its rows are known
};

struct Window {
  std::vector<WindowPage> pages;
  std::vector<std::uint16_t> offsets;
  std::vector<std::uint16_t> lengths;  ///< of the old version, where a pass of a page begins
  std::size_t open = 0;                ///< rows not chosen yet, and pages not listed yet
};

/// Groups row ids (in block order or not) by page.
Window make_window(std::vector<RowId> ids);
/// The blocks [from, to): all rows that the first pass sees there are taken to need the change.
Window make_window(long long from, long long to);

struct PassLook {
  std::size_t chosen = 0;
  std::size_t live = 0;     ///< row versions on the pages of a first pass
  std::size_t forced = 0;   ///< of those chosen, rows that will not fit and move to other pages
  std::size_t blocked = 0;  ///< pages with dead rows that cannot be pruned yet
  std::size_t waiting = 0;  ///< pages with rows left
  std::size_t stayed = 0;   ///< sampled rows of the last pass whose new version is on the same page
  std::size_t left = 0;     ///< sampled rows of the last pass that went elsewhere
  long long growth = 0;     ///< bytes that the sampled new versions are longer than the old ones, in all
};

/// Some pages of a window, by their place in it.
struct PageSpan {
  std::size_t from = 0, to = 0;
};

/// One pass over the pages `span` of `window`: prunes each and names its next rows. The window is of no use after an
/// error.
class Pass final : public RowSource {
 public:
  Pass(Window& window, PageSpan span, const backfill::PassPlan& plan);
  bool next(RelationData* relation, SnapshotData* snapshot, PageRows& rows) override;
  /// When all pages have been gone through: what was seen, and the rows of the window that are left are counted.
  const PassLook& end();

 private:
  Window& window_;
  PageSpan span_;
  const backfill::PassPlan plan_;
  PassLook look_;
  std::uint32_t blocks_ = 0;  ///< of the table, once it is locked
  std::vector<std::uint16_t> chosen_;
};

/// All rows of the blocks [from, to), where no passes are made.
class EveryRow final : public RowSource {
 public:
  EveryRow(long long from, long long to);
  bool next(RelationData* relation, SnapshotData* snapshot, PageRows& rows) override;

 private:
  std::uint32_t at_, end_, blocks_ = 0;
  std::vector<std::uint16_t> offsets_;
};

/// What a leaf is like, from its first pages.
struct HeapShape {
  bool heap = false;         ///< stored by the heap access method
  bool indexes = false;      ///< it has some
  bool indexed = false;      ///< one of `columns` is in an index that an update of it would have to write
  long long free_bytes = 0;  ///< average per page, of a sample
  long long rows = 0;        ///< average live line pointers per page
  long long row_bytes = 0;   ///< average length of a row version with its line pointer
  long long heap_only = 0;   ///< average versions per page that an update in place has made
};
HeapShape heap_shape(unsigned leaf, const std::vector<std::string>& columns);

}  // namespace migration::pg
