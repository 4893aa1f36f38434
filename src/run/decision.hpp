// What to do after a step ended the way it did.
//
// What: decide() takes the outcome of one attempt and returns the next action. Why pure: every row of the error-class
// table can be tested without a server, and the executor only obeys. Source of the classes: PostgreSQL's SQLSTATE
// classes; transient are those that the next attempt may not meet (lock, deadlock, serialization). Invariant: a cancel
// by a person and a shutdown are never retried; a step never retries for ever.
#pragma once

#include <string>

namespace migration {

enum class Action {
  go_on,  ///< the step is done
  retry,  ///< wait `delay_ms`, then try the same step again
  fail,   ///< the run ends as failed, resumable
  pause,  ///< the run ends as paused, resumable
  leave,  ///< leave everything as it is and exit: the process is told to die
};

struct Outcome {
  bool ok = false;
  std::string state;    ///< SQLSTATE of the error
  int attempt = 1;      ///< attempts of this step in this life of the process, from 1
  int retries = 30;     ///< allowed retries
  unsigned jitter = 0;  ///< random number
  int lock_timeout_ms = 2000;
  bool bad_row = false;  ///< of a backfill: a row cannot be changed; the rows before it are done
};

struct Decision {
  Action action = Action::go_on;
  int delay_ms = 0;
  std::string reason;  ///< for pause: 'cancelled by a user', 'out of disk space', ...
  std::string first;   ///< for pause and fail: what has to be done before it can go on, if that is known
};

Decision decide(const Outcome& outcome);

/// Pause before try number `attempt` + 1: doubles from 50 ms to 30 s, half of it random, so that waiting crowds spread.
int backoff_ms(int attempt, unsigned jitter);

bool is_transient(const std::string& sqlstate);

/// May one row be to blame for this error: its data (class 22), a constraint (23), a trigger or function of a user
/// (P0001 to P0004, 38), more than one row where one was wanted (21)?
bool is_row_error(const std::string& sqlstate);

}  // namespace migration
