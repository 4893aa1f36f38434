// Halving until the bad row is found; see bisect.hpp.
#include "worker/bisect.hpp"

#include <optional>
#include <utility>
#include <vector>

#include "run/decision.hpp"

namespace migration {

void bisect(std::size_t count, const ChangeRange& change, const BadItem& bad) {
  // The ranges still to do, the next one last.
  std::vector<std::pair<std::size_t, std::size_t>> open;
  if (count > 0) open.emplace_back(0, count);
  while (!open.empty()) {
    const auto [from, to] = open.back();
    open.pop_back();
    std::optional<pg::PgError> error;
    try {
      pg::in_subtransaction([&] { change(from, to); });
      continue;
    } catch (const pg::PgError& e) {
      error = e;
    }
    if (!is_row_error(error->state())) throw pg::PgError(*error);
    if (to - from == 1) {
      bad(from, *error);
      continue;
    }
    const std::size_t middle = from + (to - from) / 2;
    open.emplace_back(middle, to);
    open.emplace_back(from, middle);
  }
}

}  // namespace migration
