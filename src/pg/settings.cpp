// Definition of the parameters; see settings.hpp.
#include "pg/settings.hpp"

#include <exception>

#include "pg/guard.hpp"

extern "C" {
#include "utils/guc.h"
}

namespace migration::pg {

namespace {

int g_lock_timeout = 2000;
int g_lock_retries = 30;
int g_batch_target = 200;
int g_log_retention = 90;
bool g_notify = true;
bool g_enabled = true;
bool g_auto_resume = true;
char* g_databases = nullptr;
#ifdef MIGRATION_TEST_HOOKS
char* g_crash_at = nullptr;
#endif

}  // namespace

Settings settings() {
  Settings s{g_lock_timeout,
             g_lock_retries,
             g_batch_target,
             g_log_retention,
             g_notify,
             g_enabled,
             g_auto_resume,
             g_databases == nullptr ? "*" : g_databases,
             ""};
#ifdef MIGRATION_TEST_HOOKS
  if (g_crash_at != nullptr) s.crash_at = g_crash_at;
#endif
  return s;
}

void define_settings(bool preloaded) {
  DefineCustomIntVariable("migration_ext.lock_timeout", "Longest wait of a migration step for one strong lock.",
                          "Milliseconds, 1 to 600000. An application statement never queues behind a migration longer "
                          "than this; the step gives up, backs off and tries again.",
                          &g_lock_timeout, 2000, 1, 600000, PGC_USERSET, GUC_UNIT_MS, nullptr, nullptr, nullptr);
  DefineCustomIntVariable("migration_ext.lock_retries", "How often a step tries to get its locks before it fails.",
                          "0 to 10000. Between tries it waits, holding nothing, with growing random pauses.",
                          &g_lock_retries, 30, 0, 10000, PGC_USERSET, 0, nullptr, nullptr, nullptr);
  DefineCustomIntVariable("migration_ext.batch_target", "Aimed duration of one backfill batch.",
                          "Milliseconds, 1 to 60000. Batches grow and shrink towards it.", &g_batch_target, 200, 1,
                          60000, PGC_USERSET, GUC_UNIT_MS, nullptr, nullptr, nullptr);
  DefineCustomIntVariable("migration_ext.log_retention", "Days that finished events stay in migration_log().",
                          "0 to 36500; 0 keeps them for ever.", &g_log_retention, 90, 0, 36500, PGC_SUSET, 0, nullptr,
                          nullptr, nullptr);
  DefineCustomBoolVariable("migration_ext.notify", "Send NOTIFY on channel migration_ext for every event.", nullptr,
                           &g_notify, true, PGC_USERSET, 0, nullptr, nullptr, nullptr);
  DefineCustomBoolVariable("migration_ext.enabled", "Allow migration runs to start.",
                           "Switch it off on a copy of a cluster that must not migrate.", &g_enabled, true, PGC_SIGHUP,
                           0, nullptr, nullptr, nullptr);
  DefineCustomBoolVariable("migration_ext.auto_resume", "Resume interrupted runs after a server restart.",
                           "Works when migration_ext is in shared_preload_libraries.", &g_auto_resume, true, PGC_SIGHUP,
                           0, nullptr, nullptr, nullptr);
  if (preloaded) {
    DefineCustomStringVariable("migration_ext.databases", "Databases the launcher looks after.",
                               "Comma-separated names; * stands for every database that accepts connections.",
                               &g_databases, "*", PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
  }
#ifdef MIGRATION_TEST_HOOKS
  DefineCustomStringVariable("migration_ext.crash_at", "Test builds: the point at which a process kills itself.",
                             nullptr, &g_crash_at, "", PGC_SUSET, 0, nullptr, nullptr, nullptr);
#endif
  MarkGUCPrefixReserved("migration_ext");
}

void pin_setting(const char* name, const char* value) {
  pg_call([&] { SetConfigOption(name, value, PGC_SUSET, PGC_S_OVERRIDE); });
}

void set_local(const char* name, const std::string& value) {
  const char* text = value.c_str();
  pg_call([&] { set_config_option(name, text, PGC_SUSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false); });
}

void set_session(const char* name, const std::string& value) {
  const char* text = value.c_str();
  pg_call([&] { set_config_option(name, text, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SET, true, 0, false); });
}

std::string get_setting(const char* name) {
  const char* value = pg_call([&] { return GetConfigOptionByName(name, nullptr, true); });
  return value == nullptr ? std::string() : std::string(value);
}

SettingsFrame::SettingsFrame() : exceptions_(std::uncaught_exceptions()), nest_level_(NewGUCNestLevel()) {}

SettingsFrame::~SettingsFrame() {
  if (std::uncaught_exceptions() > exceptions_) return;
  AtEOXact_GUC(false, nest_level_);
}

}  // namespace migration::pg
