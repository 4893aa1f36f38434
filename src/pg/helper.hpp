// A second process for the work of this one.
//
// What: starts a background worker, says whether it has ended, ends it. Why a handle and not a PID: a PID may be
// somebody else's by the time one looks. Invariant: this object never waits; its process outlives it unless it is
// terminated. Memory: the handle lives in TopMemoryContext and goes with the object.
#pragma once

#include <memory>

#include "pg/process.hpp"

namespace migration::pg {

class Helper {
 public:
  /// Nothing when no background worker slot is free.
  static std::unique_ptr<Helper> start(const WorkerStart& start);
  ~Helper();
  Helper(const Helper&) = delete;
  Helper& operator=(const Helper&) = delete;

  bool stopped() const;
  /// Sets its latch, so that it looks at what is wanted.
  void wake() const;
  /// SIGTERM: what it is in the middle of is rolled back.
  void terminate() const;

 private:
  explicit Helper(void* handle) : handle_(handle) {}
  void* handle_;
};

}  // namespace migration::pg
