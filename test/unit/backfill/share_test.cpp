// Dividing what is left among workers: nothing is left over, nothing is too small, and the end is shared, too.
#include "backfill/share.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace migration::backfill {
namespace {

std::vector<long long> all_shares(long long total, int workers, ShareLimits limits) {
  std::vector<long long> out;
  for (long long left = total; left > 0;) {
    const long long share = next_share(left, workers, limits);
    if (share <= 0 || share > left) ADD_FAILURE() << share << " of " << left;
    if (share <= 0) break;
    out.push_back(share);
    left -= share;
  }
  return out;
}

TEST(Share, AddsUpWhateverIsLeft) {
  for (long long total : {1LL, 15LL, 16LL, 31LL, 257LL, 13334LL, 15000000LL}) {
    for (int workers : {1, 2, 3, 8, 64}) {
      long long sum = 0;
      for (long long share : all_shares(total, workers, block_shares(total))) sum += share;
      EXPECT_EQ(sum, total);
    }
  }
  EXPECT_EQ(next_share(0, 2, block_shares(100)), 0);
  EXPECT_EQ(next_share(-5, 2, block_shares(100)), 0);
}

TEST(Share, NoShareIsTooSmallOrTooLarge) {
  const ShareLimits limits = block_shares(1000000);
  const std::vector<long long> shares = all_shares(1000000, 3, limits);
  for (long long share : shares) {
    EXPECT_GE(share, limits.least);
    EXPECT_LE(share, limits.most);
  }
  EXPECT_LT(shares.size(), 200u);
}

TEST(Share, GetsSmallerTowardsTheEndSoThatNobodyWaitsLong) {
  const std::vector<long long> shares = all_shares(13334, 2, block_shares(13334));
  for (std::size_t i = 1; i + 1 < shares.size(); ++i) EXPECT_LE(shares[i], shares[i - 1]);
  EXPECT_EQ(shares.front(), 13334 / 4);
  EXPECT_LE(shares.back(), 2 * block_shares(13334).least);
}

TEST(Share, LimitsFollowTheSizeOfTheTable) {
  EXPECT_EQ(block_shares(10).least, 16);
  EXPECT_EQ(block_shares(6400).least, 100);
  EXPECT_EQ(block_shares(100000000).least, 256);
  EXPECT_EQ(row_shares(0).least, 100);
  EXPECT_EQ(row_shares(100000000).least, 4000);
}

TEST(Share, ShortTablesAreNotWorthASecondWorker) {
  EXPECT_FALSE(worth_sharing(31, block_shares(31)));
  EXPECT_TRUE(worth_sharing(32, block_shares(32)));
  EXPECT_FALSE(worth_sharing(100, block_shares(1000000)));
}

}  // namespace
}  // namespace migration::backfill
