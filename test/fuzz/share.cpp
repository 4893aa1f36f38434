// Shares add up to the whole, without overlap, gap or crumbs. A number of passes is one that exists.
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
  // Of one page; a row may be as long as a field can be.
  const auto rows = static_cast<long long>(in.number(2)), needing = static_cast<long long>(in.number(2));
  const auto free = static_cast<long long>(in.number(2)), row = static_cast<long long>(in.number(4));
  const int passes = choose_passes(rows, needing, free, row);
  CHECK(passes == 1 || (least_passes <= passes && passes <= most_passes));
  // Passes over a window of keys come to its end, and in time, whatever its pages are like.
  const KeyPage page{static_cast<long long>(in.number(2)), static_cast<long long>(in.number(2)),
                     static_cast<long long>(in.number(2)), static_cast<int>(in.number(1))};
  const double care = static_cast<double>(in.number(1)) / 64;
  const int wanted = static_cast<int>(in.number(1)) % (most_passes + 1);
  int taken = 0;
  for (int done = 0; done < key_parts; ++taken) {
    const int parts = next_parts(done, wanted, page, care);
    CHECK(0 < parts && parts <= key_parts - done);
    done += parts;
  }
  CHECK(taken <= key_parts / 20);
  return 0;
}
