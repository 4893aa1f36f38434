// The fence's moving parts: taking an error off the server's stack, and putting one back. See guard.hpp.
#include "pg/guard.hpp"

#include <algorithm>
#include <cstring>
#include <exception>

extern "C" {
#include "access/xact.h"
#include "utils/resowner.h"
}

namespace migration::pg {

namespace {

std::string text_of(const char* s) {
  return s == nullptr ? std::string() : std::string(s);
}

/// CopyErrorData into a context of its own; when even that fails, nullptr (the caller says "out of memory").
ErrorData* copy_pending() {
  sigjmp_buf* const stack = PG_exception_stack;
  ErrorContextCallback* const callbacks = error_context_stack;
  MemoryContext const before = CurrentMemoryContext;
  sigjmp_buf here;
  ErrorData* volatile copy = nullptr;
  if (sigsetjmp(here, 0) == 0) {
    PG_exception_stack = &here;
    MemoryContext own = AllocSetContextCreate(TopMemoryContext, "migration error", ALLOCSET_SMALL_SIZES);
    MemoryContextSwitchTo(own);
    copy = CopyErrorData();
  }
  PG_exception_stack = stack;
  error_context_stack = callbacks;
  MemoryContextSwitchTo(before);
  FlushErrorState();
  return copy;
}

}  // namespace

void PgError::Free::operator()(ErrorData* e) const noexcept {
  if (e != nullptr) MemoryContextDelete(GetMemoryChunkContext(e));
}

PgError PgError::take() {
  PgError error;
  if (ErrorData* data = copy_pending(); data != nullptr) error.data_ = std::shared_ptr<ErrorData>(data, Free{});
  return error;
}

const char* PgError::what() const noexcept {
  return data_ && data_->message != nullptr ? data_->message : "out of memory";
}
std::string PgError::state() const {
  return data_ ? unpack_sql_state(data_->sqlerrcode) : "53200";
}
std::string PgError::message() const {
  return what();
}
std::string PgError::detail() const {
  return data_ ? text_of(data_->detail) : std::string();
}
std::string PgError::hint() const {
  return data_ ? text_of(data_->hint) : std::string();
}
std::string PgError::context() const {
  return data_ ? text_of(data_->context) : std::string();
}
int PgError::position() const noexcept {
  if (!data_) return 0;
  return data_->cursorpos > 0 ? data_->cursorpos : data_->internalpos;
}

namespace {

/// Copies what a failure says into the caller's memory context, tolerating that there is no memory left.
template <class F>
void guarded(Failure& failure, F&& copy) noexcept {
  sigjmp_buf* const stack = PG_exception_stack;
  ErrorContextCallback* const callbacks = error_context_stack;
  MemoryContext const before = CurrentMemoryContext;
  sigjmp_buf here;
  failure.failed = true;
  if (sigsetjmp(here, 0) == 0) {
    PG_exception_stack = &here;
    copy();
  } else {
    MemoryContextSwitchTo(before);
    FlushErrorState();
    failure.error = nullptr;
  }
  PG_exception_stack = stack;
  error_context_stack = callbacks;
}

void set_fallback(Failure& failure, const char* state, const char* message) noexcept {
  std::memcpy(failure.fallback_state, state, std::min<std::size_t>(5, std::strlen(state)));
  const std::size_t length = std::min(std::strlen(message), sizeof failure.fallback - 1);
  std::memcpy(failure.fallback, message, length);
  failure.fallback[length] = '\0';
}

char* copy_or_null(const std::string& s) {
  return s.empty() ? nullptr : pnstrdup(s.data(), s.size());
}

}  // namespace

void Failure::keep(const PgError& e) noexcept {
  set_fallback(*this, "53200", e.what());
  if (e.data() == nullptr) {
    failed = true;
    return;
  }
  guarded(*this, [&] {
    // CopyErrorData works on the error stack only; a shallow copy with fresh strings does the same for our copy.
    auto* copy = static_cast<ErrorData*>(palloc(sizeof(ErrorData)));
    *copy = *e.data();
    auto dup = [](auto*& field) {
      if (field != nullptr) field = pstrdup(field);
    };
    dup(copy->message);
    dup(copy->detail);
    dup(copy->detail_log);
    dup(copy->hint);
    dup(copy->context);
    dup(copy->backtrace);
    dup(copy->schema_name);
    dup(copy->table_name);
    dup(copy->column_name);
    dup(copy->datatype_name);
    dup(copy->constraint_name);
    dup(copy->internalquery);
    // These are constants of the server, but CopyErrorData copies them as well (since the minor releases of 2025), so
    // what stands here is in our copy's memory.
    dup(copy->filename);
    dup(copy->funcname);
    dup(copy->domain);
    dup(copy->context_domain);
    dup(copy->message_id);
    copy->assoc_context = CurrentMemoryContext;
    error = copy;
  });
}

void Failure::keep(const MigrationError& e) noexcept {
  set_fallback(*this, e.state().c_str(), e.what());
  guarded(*this, [&] {
    auto* made = static_cast<ErrorData*>(palloc0(sizeof(ErrorData)));
    const char* s = e.state().c_str();
    made->elevel = ERROR;
    made->sqlerrcode = e.state().size() == 5 ? MAKE_SQLSTATE(s[0], s[1], s[2], s[3], s[4]) : ERRCODE_INTERNAL_ERROR;
    made->message = copy_or_null(e.message());
    made->detail = copy_or_null(e.detail());
    made->hint = copy_or_null(e.hint());
    // The position counts in the script, not in the statement that carried it.
    made->internalpos = e.query().empty() ? 0 : e.position();
    made->internalquery = copy_or_null(e.query());
    made->output_to_server = made->output_to_client = true;
    made->assoc_context = CurrentMemoryContext;
    error = made;
  });
}

void Failure::keep(const std::exception& e) noexcept {
  failed = true;
  set_fallback(*this, "XX000", e.what());
}

void Failure::out_of_memory() noexcept {
  failed = true;
  set_fallback(*this, "53200", "out of memory");
}

void Failure::unknown() noexcept {
  failed = true;
  set_fallback(*this, "XX000", "unknown C++ exception");
}

void Failure::raise() {
  if (error != nullptr) {
    // A fresh ereport, not ReThrowError: it sets level and output flags anew, runs the error context callbacks that
    // are still on the stack and stays valid whatever the log settings of this session are.
    if (error->funcname != nullptr && error->elevel == ERROR && error->context != nullptr) ReThrowError(error);
    ereport(ERROR, (errcode(error->sqlerrcode), errmsg_internal("%s", error->message ? error->message : ""),
                    error->detail ? errdetail_internal("%s", error->detail) : 0,
                    error->hint ? errhint("%s", error->hint) : 0, error->cursorpos ? errposition(error->cursorpos) : 0,
                    error->internalpos ? internalerrposition(error->internalpos) : 0,
                    error->internalquery ? internalerrquery(error->internalquery) : 0,
                    error->schema_name ? err_generic_string(PG_DIAG_SCHEMA_NAME, error->schema_name) : 0,
                    error->table_name ? err_generic_string(PG_DIAG_TABLE_NAME, error->table_name) : 0,
                    error->column_name ? err_generic_string(PG_DIAG_COLUMN_NAME, error->column_name) : 0,
                    error->datatype_name ? err_generic_string(PG_DIAG_DATATYPE_NAME, error->datatype_name) : 0,
                    error->constraint_name ? err_generic_string(PG_DIAG_CONSTRAINT_NAME, error->constraint_name) : 0));
  }
  const char* s = fallback_state;
  ereport(ERROR, (errcode(MAKE_SQLSTATE(s[0], s[1], s[2], s[3], s[4])), errmsg_internal("%s", fallback)));
  pg_unreachable();
}

void report(int level, const char* state, const std::string& message, const std::string& detail,
            const std::string& hint) {
  const char* text = message.c_str();
  const char* more = detail.empty() ? nullptr : detail.c_str();
  const char* cure = hint.empty() ? nullptr : hint.c_str();
  pg_call([&] {
    ereport(level,
            (errcode(MAKE_SQLSTATE(state[0], state[1], state[2], state[3], state[4])), errmsg_internal("%s", text),
             more ? errdetail_internal("%s", more) : 0, cure ? errhint("%s", cure) : 0));
  });
}

ResourceOwner current_owner() {
  return CurrentResourceOwner;
}

void begin_subtransaction() {
  pg_call([] { BeginInternalSubTransaction(nullptr); });
}

void release_subtransaction(MemoryContext context, ResourceOwner owner) {
  pg_call([] { ReleaseCurrentSubTransaction(); });
  MemoryContextSwitchTo(context);
  CurrentResourceOwner = owner;
}

void rollback_subtransaction(MemoryContext context, ResourceOwner owner) {
  pg_call([] { RollbackAndReleaseCurrentSubTransaction(); });
  MemoryContextSwitchTo(context);
  CurrentResourceOwner = owner;
}

}  // namespace migration::pg
