// The extension's door to the server: magic block and initialisation.
//
// What: defines the parameters and, when loaded by shared_preload_libraries, registers the launcher. Invariant: no
// static object in this library has a destructor; a backend that exits runs none of our code.
#include "pg/alarm.hpp"
#include "pg/guard.hpp"
#include "pg/launcher.hpp"
#include "pg/settings.hpp"

extern "C" {
PG_MODULE_MAGIC;

void _PG_init(void);  // NOLINT(bugprone-reserved-identifier): the name that the server calls

void _PG_init(void) {  // NOLINT(bugprone-reserved-identifier)
  migration::pg::boundary([] {
    const bool preloading = process_shared_preload_libraries_in_progress;
    migration::pg::define_settings(preloading);
    if (!preloading) return;
    migration::pg::reserve_alarms();
    migration::pg::register_launcher();
  });
}
}
