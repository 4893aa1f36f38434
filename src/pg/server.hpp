// The door to the server's headers.
//
// What: includes postgres.h and the handful of headers every user of the server needs, as C. Why: rule 1 of C++ in a
// backend is that everything the server calls or declares is extern "C"; one door keeps it true. Only the rooms pg,
// catalog, api, worker and module.cpp may include it; pure rooms are fenced by `test/unit/include_rules`.
#pragma once

extern "C" {
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/elog.h"
#include "utils/memutils.h"
}

// The server's macros that collide with ordinary C++ names.
#undef Min
#undef Max
#undef Abs
#undef _
#undef gettext
#undef dgettext
#undef ngettext
#undef dngettext
#undef printf
#undef fprintf
#undef sprintf
#undef snprintf
#undef vprintf
#undef vfprintf
#undef vsprintf
#undef vsnprintf
#undef strerror
