/* A calendar that a test can set, for LD_PRELOAD: the real one plus as many seconds as stand in a file of eight bytes.
 *
 * The file (MIGRATION_CLOCK) is mapped, so every process sees a change at once. The monotonic clock stays what it is.
 * Why not libfaketime: what is forked in a signal handler inside one of its wrapped calls keeps the real time for good,
 * and PostgreSQL 15 starts background workers just there.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static volatile int64_t *ahead;
static int (*real_clock)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void) {
  const char *name = getenv("MIGRATION_CLOCK");
  int file = name == NULL ? -1 : open(name, O_RDONLY);
  void *map = file < 0 ? MAP_FAILED : mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
  if (map != MAP_FAILED) ahead = map;
  real_clock = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
}

int clock_gettime(clockid_t id, struct timespec *now) {
  if (real_clock == NULL) begin();
  int result = real_clock(id, now);
  if (result == 0 && ahead != NULL && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) now->tv_sec += *ahead;
  return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  struct timespec t;
  (void)zone;
  if (clock_gettime(CLOCK_REALTIME, &t) != 0) return -1;
  now->tv_sec = t.tv_sec;
  now->tv_usec = t.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *now) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  if (now != NULL) *now = t.tv_sec;
  return t.tv_sec;
}
