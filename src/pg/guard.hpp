// The two-way fence between C++ exceptions and ereport.
//
// What: `pg_call(lambda)` runs C code of the server and turns an ERROR into the C++ exception PgError; `boundary(f)`
// runs C++ code for the server and turns every C++ exception into an ERROR. Why: an ERROR is a siglongjmp, and jumping
// over a frame that owns a std:: object leaks it or worse; an exception that reaches a C frame aborts the whole
// cluster. Invariants: a lambda given to pg_call constructs no object with a destructor and neither does anything below
// it; its result is trivially destructible. Catching PgError does not undo the error: rethrow it, or have run the call
// in a Subtransaction, or abort the transaction. Nothing raises inside a catch block: the failure is copied out and
// raised after the block has ended. Memory: the ErrorData of a PgError lives in a context of its own under
// TopMemoryContext and is freed with the last copy of the exception. The one exception to "destructors work": while an
// error is in flight the guards of this room do nothing, because the abort cleans up by resource owner.
#pragma once

#include <csetjmp>
#include <exception>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "pg/server.hpp"
#include "statement/error.hpp"

extern "C" {
#include "utils/resowner.h"
}

namespace migration::pg {

/// An ERROR of the server, as an exception. SQLSTATE, message, detail, hint, context and position survive both ways.
class PgError : public std::exception {
 public:
  /// Takes the pending error off the server's error stack. Call only right after the jump.
  static PgError take();

  const char* what() const noexcept override;
  std::string state() const;
  std::string message() const;
  std::string detail() const;
  std::string hint() const;
  std::string context() const;
  /// Position in the statement text (1-based characters), 0 = none.
  int position() const noexcept;
  ErrorData* data() const noexcept { return data_.get(); }

 private:
  struct Free {
    void operator()(ErrorData* e) const noexcept;
  };
  std::shared_ptr<ErrorData> data_;
};

/// Calls C code of the server; an ERROR inside becomes PgError.
template <class F>
auto pg_call(F&& f) -> decltype(f()) {
  using Result = decltype(f());
  static_assert(std::is_void_v<Result> || std::is_trivially_destructible_v<Result>);
  sigjmp_buf* const stack = PG_exception_stack;
  ErrorContextCallback* const callbacks = error_context_stack;
  MemoryContext const context = CurrentMemoryContext;
  sigjmp_buf here;
  if (sigsetjmp(here, 0) == 0) {
    PG_exception_stack = &here;
    if constexpr (std::is_void_v<Result>) {
      std::forward<F>(f)();
      PG_exception_stack = stack;
      error_context_stack = callbacks;
      return;
    } else {
      Result result = std::forward<F>(f)();
      PG_exception_stack = stack;
      error_context_stack = callbacks;
      return result;
    }
  }
  PG_exception_stack = stack;
  error_context_stack = callbacks;
  MemoryContextSwitchTo(context);
  throw PgError::take();
}

/// What a boundary has to raise once all C++ objects are gone. Plain data: it is jumped over.
struct Failure {
  bool failed = false;
  ErrorData* error = nullptr;  ///< in the caller's memory context, which the abort frees
  char fallback_state[6] = "XX000";
  char fallback[256] = "";

  void keep(const PgError& e) noexcept;
  void keep(const MigrationError& e) noexcept;
  void keep(const std::exception& e) noexcept;
  void out_of_memory() noexcept;
  void unknown() noexcept;
  [[noreturn]] void raise();
};

/// Runs C++ for the server. Every function that the server calls has this around its whole body.
template <class F>
auto boundary(F&& f) -> decltype(f()) {
  Failure failure;
  {
    try {
      return f();
    } catch (const PgError& e) {
      failure.keep(e);
    } catch (const MigrationError& e) {
      failure.keep(e);
    } catch (const std::bad_alloc&) {
      failure.out_of_memory();
    } catch (const std::exception& e) {
      failure.keep(e);
    } catch (...) {
      failure.unknown();
    }
  }
  failure.raise();
}

/// Copies text into the current memory context.
inline char* to_palloc(std::string_view text) {
  return pg_call([&] { return pnstrdup(text.data(), text.size()); });
}

/// ereport(level) below ERROR with full texts; safe from C++ (texts are copied first, nothing is jumped over).
void report(int level, const char* state, const std::string& message, const std::string& detail = {},
            const std::string& hint = {});

/// CHECK_FOR_INTERRUPTS for C++ code: a cancel becomes a PgError.
inline void check_interrupts() {
  if (InterruptPending) pg_call([] { CHECK_FOR_INTERRUPTS(); });
}

/// Runs `f` in a subtransaction. On any exception the subtransaction is rolled back and the exception goes on.
template <class F>
void in_subtransaction(F&& f);

void begin_subtransaction();
void release_subtransaction(MemoryContext context, ResourceOwner owner);
void rollback_subtransaction(MemoryContext context, ResourceOwner owner);
ResourceOwner current_owner();

template <class F>
void in_subtransaction(F&& f) {
  MemoryContext const context = CurrentMemoryContext;
  ResourceOwner const owner = current_owner();
  begin_subtransaction();
  MemoryContextSwitchTo(context);
  bool failed = false;
  std::exception_ptr error;
  try {
    f();
  } catch (...) {
    failed = true;
    error = std::current_exception();
  }
  if (failed) {
    rollback_subtransaction(context, owner);
    std::rethrow_exception(error);
  }
  release_subtransaction(context, owner);
}

}  // namespace migration::pg

/// The frame of every SQL function: extern "C", version-1 convention, C++ body behind the boundary.
#define MIGRATION_FUNCTION(name)                                                    \
  static Datum name##_body(FunctionCallInfo fcinfo);                                \
  extern "C" {                                                                      \
  PG_FUNCTION_INFO_V1(name);                                                        \
  Datum name(PG_FUNCTION_ARGS) {                                                    \
    return migration::pg::boundary([&]() -> Datum { return name##_body(fcinfo); }); \
  }                                                                                 \
  }                                                                                 \
  static Datum name##_body([[maybe_unused]] FunctionCallInfo fcinfo)
