// How much of a table one of several workers takes at a time.
//
// What: the arithmetic of dividing what is left of a backfill among workers. Why shares that get smaller towards the
// end and not one equal part each: parts that look equal are not (free space, dead rows, wide rows, a worker that is
// held back), and whoever had the slow one would be waited for. Large shares at first keep the ledger out of the way;
// small ones at the end let all workers end together. Invariants: a share is at least one unit while any is left, and
// never leaves a remainder that is not worth a share. Source: guided self-scheduling (Polychronopoulos and Kuck, 1987).
// Pure: no server here.
#pragma once

namespace migration::backfill {

struct ShareLimits {
  long long least = 1, most = 1;
};

/// Blocks, of a table with `total` of them: 256 (2 MB) hold some windows of passes; 16384 (128 MB) are a few seconds of
/// work.
ShareLimits block_shares(long long total);
/// Rows of a keyset.
ShareLimits row_shares(long long total);

/// Units of the next share when `left` are left for `workers`; 0 when none are.
long long next_share(long long left, int workers, ShareLimits limits);

/// Is what is left worth a second worker?
bool worth_sharing(long long left, ShareLimits limits);

}  // namespace migration::backfill
