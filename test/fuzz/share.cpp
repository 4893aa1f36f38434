// Shares add up to the whole, without overlap, gap or crumbs. Passes are of a number that exists, and come to an end.
#include "backfill/share.hpp"

#include "backfill/passes.hpp"
#include "fuzz.hpp"

using namespace migration::backfill;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  migration::fuzz::Input in(data, size);
  const bool blocks = in.number(1) % 2 == 0;
  const auto total = static_cast<long long>(in.number(4));
  const ShareLimits limits = blocks ? block_shares(total) : row_shares(total);
  CHECK(0 < limits.least && limits.least <= limits.most);
  long long left = total;
  // Bounded, because the input decides how many shares there are; the last of a long row are the interesting ones.
  for (int n = 0; left > 0 && n < 4000; ++n) {
    const long long share = next_share(left, static_cast<int>(in.number(1)), limits);
    CHECK(0 < share && share <= left);
    CHECK(share <= limits.most + limits.least);
    CHECK(share >= limits.least || share == left);
    left -= share;
    CHECK(left == 0 || left >= limits.least);
  }
  CHECK(next_share(0, 3, limits) == 0);
  // Of one page, which has at most 32 kB.
  const auto rows = static_cast<long long>(in.number(2)), needing = static_cast<long long>(in.number(2));
  const auto free = static_cast<long long>(in.number(2)), row = static_cast<long long>(in.number(2));
  const int passes = choose_passes(rows, needing, free, row);
  CHECK(passes == 1 || (least_passes <= passes && passes <= most_passes));
  // Passes by key take all parts, each at least one.
  const KeyPage page{rows, row, free, static_cast<int>(in.number(2)),
                     rows > 0 ? static_cast<long long>(in.number(2)) % (rows + 1) : 0};
  const auto care = static_cast<double>(in.number(1)) / 8;
  for (int done = 0; done < key_parts;) {
    const int parts = next_parts(done, passes, page, care);
    CHECK(0 < parts && parts <= key_parts - done);
    done += parts;
  }
  return 0;
}
