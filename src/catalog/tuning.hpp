// What users changed of a run's settings, and what its backfills are held back by.
//
// What: reads and writes of migration_ext.run.tuned and of the throttle columns of migration_ext.job. Layers, later
// ones win: the defaults, what the run was made with, the options of the backfill, what was tuned since. Invariant:
// every call opens its own pg::Scope; the throttle columns are for people to read, nothing depends on them.
#pragma once

#include <string>

#include "backfill/settings.hpp"

namespace migration::catalog {

/// What has been tuned of a run; empty when it is gone.
backfill::Entries load_tuned(long long run_id);
/// The entries of a JSON object. Errors: 22023 when a value is an object.
backfill::Entries json_entries(const std::string& json);
/// Merges a JSON object into what has been tuned; nulls take a key out.
void store_tuned(long long run_id, const std::string& json);

/// Checks what only the server knows (zones, the timestamp) and makes start_at independent of the session's settings.
/// Errors: 22023 with `hint`.
void check_with_server(backfill::Settings& settings, const std::string& hint);

/// Says what holds a job back (empty: nothing) and adds to its throttled time.
void set_throttle(long long job_id, const std::string& reason, double add_ms);

}  // namespace migration::catalog
