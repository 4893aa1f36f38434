// Dividing work; see share.hpp.
#include "backfill/share.hpp"

#include <algorithm>

namespace migration::backfill {

ShareLimits block_shares(long long total) {
  return {std::clamp(total / 64, 16LL, 256LL), 16384};
}

ShareLimits row_shares(long long total) {
  return {std::clamp(total / 64, 100LL, 4000LL), 400000};
}

long long next_share(long long left, int workers, ShareLimits limits) {
  if (left <= 0) return 0;
  const long long part = left / (2LL * std::max(1, workers));
  const long long share = std::min(left, std::clamp(part, limits.least, limits.most));
  return left - share < limits.least ? left : share;
}

bool worth_sharing(long long left, ShareLimits limits) {
  return left >= 2 * limits.least;
}

}  // namespace migration::backfill
