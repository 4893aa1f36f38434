// Files of WAL; see wal_files.hpp.
#include "pg/wal_files.hpp"

#include <algorithm>

#include "pg/guard.hpp"

extern "C" {
#include <unistd.h>

#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "miscadmin.h"
}

namespace migration::pg {

namespace {

/// However much a batch writes.
constexpr XLogSegNo most_files = 8;

/// The last file that is known to be there.
XLogSegNo there = 0;

}  // namespace

void make_wal_files(long long bytes) {
  const auto file_size = static_cast<XLogSegNo>(wal_segment_size);
  const XLogRecPtr position = GetXLogInsertRecPtr();
  const XLogSegNo now = position / file_size;
  const XLogSegNo last = std::min((position + static_cast<XLogRecPtr>(bytes)) / file_size, now + most_files);
  for (there = std::max(there, now); there < last; ++there) {
    pg_call([&] {
      CHECK_FOR_INTERRUPTS();
      close(XLogFileInit(there + 1, GetWALInsertionTimeLine()));
    });
  }
}

}  // namespace migration::pg
