// A time limit for one piece of work in a worker.
//
// What: while alive, cancels what this process does (57014) once the time is up. Why: statement_timeout is not armed in
// background workers, and a cancel by a person must stay one: fired() tells the two apart. Invariant: a cancel that
// comes too late, when the work has ended, is taken back.
#pragma once

namespace migration::pg {

class Deadline {
 public:
  explicit Deadline(int milliseconds);
  ~Deadline();
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;
  /// Did the last Deadline strike?
  static bool fired();
};

}  // namespace migration::pg
