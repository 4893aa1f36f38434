// Statements prepared once; see prepared.hpp.
#include "pg/prepared.hpp"

#include <algorithm>
#include <optional>
#include <string>

#include "pg/compat.hpp"
#include "pg/settings.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "storage/itemptr.h"
#include "tcop/dest.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
}

namespace migration::pg {

/// Takes the rows as they come, in palloc'd memory: it is called from inside the executor, where no exception may pass.
struct Prepared::Receiver {
  DestReceiver pub;
  bool ids = false, texts = false;
  int columns = 0;
  text** values = nullptr;          ///< count rows of `columns` each
  MemoryContext context = nullptr;  ///< lives until SPI_finish; the executor's own dies before
  RowId* found = nullptr;
  KeyedRow* keyed = nullptr;
  bool keys = false;
  char* letters = nullptr;  ///< used of lettered: the texts of the keys, one after the other
  std::size_t count = 0, room = 0, used = 0, lettered = 0;
  std::uint64_t marked = 0;

  static bool take(TupleTableSlot* slot, DestReceiver* self) {
    auto* r = reinterpret_cast<Receiver*>(self);
    bool null;
    if (r->texts || r->keys) {
      r->texts ? r->take_texts(slot) : r->take_key(slot);
      return true;
    }
    Datum value = slot_getattr(slot, 1, &null);
    if (!r->ids) {
      if (!null && DatumGetBool(value)) ++r->marked;
      return true;
    }
    if (null) return true;
    if (r->count == r->room) r->found = r->longer(r->found, r->room, r->count + 1);
    r->found[r->count++] = row_id(value);
    return true;
  }
  static RowId row_id(Datum value) {
    auto* tid = reinterpret_cast<ItemPointer>(DatumGetPointer(value));
    return RowId{ItemPointerGetBlockNumberNoCheck(tid), ItemPointerGetOffsetNumberNoCheck(tid)};
  }
  /// Room for `wanted` items and more; `n` is how many there is room for.
  template <class Item>
  Item* longer(Item* items, std::size_t& n, std::size_t wanted) const {
    n = std::max<std::size_t>({1024, n * 2, wanted});
    const Size bytes = n * sizeof(Item);
    return static_cast<Item*>(items == nullptr ? MemoryContextAllocHuge(context, bytes) : repalloc_huge(items, bytes));
  }
  /// Columns: table, place, version, fraction, and those of the key, which are never NULL.
  void take_key(TupleTableSlot* slot) {
    bool null;
    if (count == room) keyed = longer(keyed, room, count + 1);
    KeyedRow& row = keyed[count++];
    row.table = DatumGetObjectId(slot_getattr(slot, 1, &null));
    row.id = row_id(slot_getattr(slot, 2, &null));
    row.version = DatumGetTransactionId(slot_getattr(slot, 3, &null));
    row.fraction = static_cast<std::uint32_t>(DatumGetInt64(slot_getattr(slot, 4, &null)));
    row.key = static_cast<std::uint32_t>(used);
    for (int c = 5; c <= slot->tts_tupleDescriptor->natts; ++c) {
      const Datum value = slot_getattr(slot, c, &null);
      const struct varlena* const detoasted =
          pg_detoast_datum_packed(reinterpret_cast<struct varlena*>(DatumGetPointer(value)));
      const std::size_t length = VARSIZE_ANY_EXHDR(detoasted);
      if (used + length + 1 > lettered) letters = longer(letters, lettered, used + length + 1);
      memcpy(letters + used, VARDATA_ANY(detoasted), length);
      letters[used + length] = '\0';
      used += length + 1;
    }
  }
  void take_texts(TupleTableSlot* slot) {
    if (columns == 0) columns = slot->tts_tupleDescriptor->natts;
    if (count == room) {
      room = room == 0 ? 256 : room * 2;
      const Size bytes = room * columns * sizeof(text*);
      values = static_cast<text**>(values == nullptr ? MemoryContextAllocHuge(context, bytes)
                                                     : repalloc_huge(values, bytes));
    }
    MemoryContext const before = MemoryContextSwitchTo(context);
    for (int c = 0; c < columns; ++c) {
      bool null;
      Datum value = slot_getattr(slot, c + 1, &null);
      values[count * columns + c] = null ? nullptr : DatumGetTextPCopy(value);
    }
    ++count;
    MemoryContextSwitchTo(before);
  }
  static void start(DestReceiver*, int, TupleDesc) {}
  static void nothing(DestReceiver*) {}

  explicit Receiver(bool collects_ids) : pub{}, ids(collects_ids) {
    pub.receiveSlot = take;
    pub.rStartup = start;
    pub.rShutdown = nothing;
    pub.rDestroy = nothing;
    pub.mydest = DestNone;
  }
};

namespace {

/// Our ids, in memory a tid array: 6 bytes each, aligned to 2.
Datum tid_array(const RowId* ids, std::size_t n) {
  const Size bytes = ARR_OVERHEAD_NONULLS(1) + n * sizeof(ItemPointerData);
  auto* array = static_cast<ArrayType*>(palloc_extended(bytes, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO));
  SET_VARSIZE(array, bytes);
  array->ndim = 1;
  array->dataoffset = 0;
  array->elemtype = TIDOID;
  ARR_DIMS(array)[0] = static_cast<int>(n);
  ARR_LBOUND(array)[0] = 1;
  auto* item = reinterpret_cast<ItemPointerData*>(ARR_DATA_PTR(array));
  for (std::size_t i = 0; i < n; ++i) ItemPointerSet(&item[i], ids[i].block, ids[i].offset);
  return PointerGetDatum(array);
}

void check(int code, const char* what) {
  if (code < 0) {
    ereport(ERROR,
            (errcode(ERRCODE_INTERNAL_ERROR), errmsg_internal("%s failed: %s", what, SPI_result_code_string(code))));
  }
}

/// A parameter as plain data, so that it may cross pg_call.
struct RawParameter {
  Oid type;
  RowId id;
  const RowId* ids;
  std::size_t n;
  const char* text;
};

}  // namespace

SavedPlan::~SavedPlan() {
  if (plan_ == nullptr) return;
  try {
    pg_call([this] { SPI_freeplan(plan_); });
  } catch (const PgError&) {
    // A plan that cannot be freed stays until the process ends.
  }
}

_SPI_plan* SavedPlan::get(const char* sql, const unsigned* types, int parameters, bool parallel) {
  if (plan_ != nullptr) return plan_;
  SPIPlanPtr made = SPI_prepare_cursor(sql, parameters, const_cast<Oid*>(types), parallel ? CURSOR_OPT_PARALLEL_OK : 0);
  if (made == nullptr) check(SPI_result, "SPI_prepare_cursor");
  check(SPI_keepplan(made), "SPI_keepplan");
  return plan_ = made;
}

std::uint64_t Prepared::execute(const std::vector<Parameter>& parameters, Receiver* receiver) {
  constexpr int limit = 16;
  RawParameter raw[limit] = {};
  int n = 0;
  for (const Parameter& p : parameters) {
    if (n == limit) throw MigrationError(sqlstate::internal_error, "too many parameters");
    RawParameter& to = raw[n++];
    if (const auto* id = std::get_if<RowId>(&p)) {
      to = RawParameter{TIDOID, *id, nullptr, 0, nullptr};
    } else if (const auto* ids = std::get_if<const std::vector<RowId>*>(&p)) {
      to = RawParameter{TIDARRAYOID, {}, (*ids)->data(), (*ids)->size(), nullptr};
    } else {
      const Value& text = std::get<Value>(p);
      to = RawParameter{TEXTOID, {}, nullptr, 0, text ? text->c_str() : nullptr};
    }
  }
  const char* sql = sql_.c_str();
  const bool parallel = parallel_ > 0;
  std::optional<SettingsFrame> frame;
  if (parallel) {
    frame.emplace();
    set_local("max_parallel_workers_per_gather", std::to_string(parallel_));
    set_local("parallel_setup_cost", "0");
    set_local("parallel_tuple_cost", "0");
  }
  std::uint64_t rows = 0;
  bool pushed = false;
  pg_call([&] {
    if (!ActiveSnapshotSet()) {
      PushActiveSnapshot(GetTransactionSnapshot());
      pushed = true;
    }
    SPI_connect();
    if (receiver != nullptr) receiver->context = CurrentMemoryContext;
    Oid types[limit];
    for (int i = 0; i < n; ++i) types[i] = raw[i].type;
    SPIPlanPtr const plan = plan_.get(sql, types, n, parallel);
    ParamListInfo list = makeParamList(n);
    for (int i = 0; i < n; ++i) {
      ParamExternData& to = list->params[i];
      to.ptype = raw[i].type;
      to.pflags = PARAM_FLAG_CONST;
      to.isnull = false;
      if (raw[i].type == TIDOID) {
        auto* tid = static_cast<ItemPointer>(palloc(sizeof(ItemPointerData)));
        ItemPointerSet(tid, raw[i].id.block, raw[i].id.offset);
        to.value = PointerGetDatum(tid);
      } else if (raw[i].type == TIDARRAYOID) {
        to.value = tid_array(raw[i].ids, raw[i].n);
      } else if (raw[i].text != nullptr) {
        to.value = CStringGetTextDatum(raw[i].text);
      } else {
        to.isnull = true;
        to.value = 0;
      }
    }
    SPIExecuteOptions options;
    memset(&options, 0, sizeof options);
    options.params = list;
    options.dest = receiver == nullptr ? nullptr : &receiver->pub;
    check(SPI_execute_plan_extended(plan, &options), "SPI_execute_plan");
    rows = SPI_processed;
  });
  return rows;
}

namespace {

void finish_spi(bool pushed) {
  pg_call([&] {
    SPI_finish();
    if (pushed) PopActiveSnapshot();
  });
}

}  // namespace

std::uint64_t Prepared::run(const std::vector<Parameter>& parameters) {
  const bool pushed = pg_call([] { return !ActiveSnapshotSet(); });
  const std::uint64_t rows = execute(parameters, nullptr);
  finish_spi(pushed);
  return rows;
}

std::uint64_t Prepared::run(const std::vector<Parameter>& parameters, std::vector<RowId>& ids) {
  const bool pushed = pg_call([] { return !ActiveSnapshotSet(); });
  Receiver receiver(true);
  const std::uint64_t rows = execute(parameters, &receiver);
  ids.assign(receiver.found, receiver.found + receiver.count);
  finish_spi(pushed);
  return rows;
}

std::uint64_t Prepared::run(const std::vector<Parameter>& parameters, std::vector<std::vector<std::string>>& rows) {
  const bool pushed = pg_call([] { return !ActiveSnapshotSet(); });
  Receiver receiver(false);
  receiver.texts = true;
  const std::uint64_t count = execute(parameters, &receiver);
  rows.clear();
  for (std::size_t r = 0; r < receiver.count; ++r) {
    std::vector<std::string>& row = rows.emplace_back();
    for (int c = 0; c < receiver.columns; ++c) {
      const text* value = receiver.values[r * receiver.columns + c];
      row.emplace_back(value == nullptr ? "" : VARDATA(value), value == nullptr ? 0 : VARSIZE(value) - VARHDRSZ);
    }
  }
  finish_spi(pushed);
  return count;
}

std::uint64_t Prepared::run(const std::vector<Parameter>& parameters, std::vector<KeyedRow>& rows, std::string& texts) {
  const bool pushed = pg_call([] { return !ActiveSnapshotSet(); });
  Receiver receiver(false);
  receiver.keys = true;
  const std::uint64_t count = execute(parameters, &receiver);
  rows.assign(receiver.keyed, receiver.keyed + receiver.count);
  texts.assign(receiver.letters, receiver.used);
  finish_spi(pushed);
  return count;
}

std::uint64_t Prepared::run(const std::vector<Parameter>& parameters, std::uint64_t& marked) {
  const bool pushed = pg_call([] { return !ActiveSnapshotSet(); });
  Receiver receiver(false);
  const std::uint64_t rows = execute(parameters, &receiver);
  marked = receiver.marked;
  finish_spi(pushed);
  return rows;
}

}  // namespace migration::pg
