// The error-class table; see decision.hpp.
#include "run/decision.hpp"

#include <algorithm>

namespace migration {

bool is_transient(const std::string& state) {
  return state == "55P03" || state == "40P01" || state == "40001" || state == "25P04";
}

int backoff_ms(int attempt, unsigned jitter) {
  const int step = std::clamp(attempt, 1, 10) - 1;
  const int full = std::min(30000, 50 << step);
  const int half = full / 2;
  return half + static_cast<int>(jitter % static_cast<unsigned>(half + 1));
}

Decision decide(const Outcome& o) {
  if (o.ok) return {Action::go_on, 0, {}, {}};
  if (o.state == "57P01" || o.state == "57P02" || o.state == "57P03") return {Action::leave, 0, {}, {}};
  if (is_transient(o.state)) {
    if (o.attempt <= o.retries) return {Action::retry, backoff_ms(o.attempt, o.jitter), {}, {}};
    return {Action::fail, 0, {}, {}};
  }
  if (o.state == "57014") return {Action::pause, 0, "cancelled by a user", {}};
  if (o.state == "53100") return {Action::pause, 0, "out of disk space", "Make room on that disk first."};
  if (o.state == "53400")
    return {Action::pause, 0, "a configured limit is reached", "Raise the limit first, for the role or the database."};
  if (o.state == "25006") return {Action::pause, 0, "the database is read-only", "Make it writable first."};
  if (o.state == "53200") return {Action::fail, 0, {}, "Free some memory first, or take smaller batches."};
  if (o.bad_row) return {Action::pause, 0, "a row cannot be changed", {}};
  return {Action::fail, 0, {}, {}};
}

bool is_row_error(const std::string& sqlstate) {
  for (const char* of : {"21", "22", "23", "38", "P0"}) {
    if (sqlstate.starts_with(of)) return true;
  }
  return false;
}

}  // namespace migration
