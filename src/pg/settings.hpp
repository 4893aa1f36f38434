// Settings of the extension (GUCs, prefix migration_ext).
//
// What: the parameters a user can SET, with units and ranges in their descriptions, and the pinned settings a worker
// starts with. Why here: GUC variables are plain C storage that the server writes. Invariant: a parameter that weakens
// safety is PGC_SIGHUP, so no role can change it for itself. Memory: static storage only.
#pragma once

#include <string>

namespace migration::pg {

struct Settings {
  int lock_timeout_ms;     ///< longest wait for one strong lock, 1 ms - 10 min
  int lock_retries;        ///< tries before a step fails for want of a lock
  int batch_target_ms;     ///< aimed duration of one backfill batch
  int log_retention_days;  ///< older rows of migration_log are removed at the end of a run; 0 keeps all
  bool notify;             ///< send NOTIFY migration_ext
  bool enabled;            ///< off: no run starts (a clone started beside the original)
  bool auto_resume;        ///< the launcher resumes interrupted runs (needs shared_preload_libraries)
  std::string databases;   ///< databases the launcher looks after; '*' = all that accept connections
  std::string crash_at;    ///< test builds only
};

/// Current values.
Settings settings();

/// Registers the parameters. Called once from _PG_init.
void define_settings(bool preloaded);

/// Sets a parameter for this session, past permission checks (workers only).
void pin_setting(const char* name, const char* value);
/// Sets a parameter until the end of the current GUC nest level; as the current user would.
void set_local(const char* name, const std::string& value);
/// Sets a parameter for the session, as the current user would (SET).
void set_session(const char* name, const std::string& value);
std::string get_setting(const char* name);

/// Undoes set_local of everything set since it was made. Does nothing while an exception is in flight.
class SettingsFrame {
 public:
  SettingsFrame();
  ~SettingsFrame();
  SettingsFrame(const SettingsFrame&) = delete;
  SettingsFrame& operator=(const SettingsFrame&) = delete;

 private:
  int exceptions_;
  int nest_level_;
};

}  // namespace migration::pg
