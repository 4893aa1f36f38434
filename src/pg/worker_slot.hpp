// The server's description of a background worker of ours. Inside this room only.
#pragma once

#include "pg/process.hpp"

extern "C" {
#include "postmaster/bgworker.h"
}

namespace migration::pg {

/// Fills in how the process of `start` is started. `notify`: a latch signal to this process at its start and end.
void fill_worker(BackgroundWorker& worker, const WorkerStart& start, bool notify);

}  // namespace migration::pg
