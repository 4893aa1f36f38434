// The flag; see giving_way.hpp.
#include "pg/giving_way.hpp"

#include "pg/guard.hpp"
#include "pg/server.hpp"

extern "C" {
#include "storage/lwlock.h"
#include "storage/proc.h"
}

namespace migration::pg {

namespace {

void set_flag(bool on) {
  LWLockAcquire(ProcArrayLock, LW_EXCLUSIVE);
  if (on) {
    MyProc->statusFlags |= PROC_IS_AUTOVACUUM;
  } else {
    MyProc->statusFlags &= static_cast<uint8>(~PROC_IS_AUTOVACUUM);
  }
  ProcGlobal->statusFlags[MyProc->pgxactoff] = MyProc->statusFlags;
  LWLockRelease(ProcArrayLock);
}

}  // namespace

GivingWay::GivingWay() {
  pg_call([] { set_flag(true); });
}

GivingWay::~GivingWay() {
  try {
    pg_call([] {
      set_flag(false);
      QueryCancelPending = false;
    });
  } catch (const PgError&) {
    // The process is on its way out.
  }
}

}  // namespace migration::pg
