/* A time of day that tests move while a process runs: preloaded (LD_PRELOAD), with the offset in seconds, an int64, in
 * the file CLOCK_OFFSET_FILE, which is mapped, so that a jump is seen at once.
 *
 * It asks the kernel itself and takes no memory: libfaketime looks the real functions up first, and within jemalloc,
 * which asks for the time as it begins, that never ends (Debian's redis-server). */
#define _GNU_SOURCE
#include <fcntl.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *offset_file;

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("CLOCK_OFFSET_FILE");
  int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  void *mapped = file < 0 ? MAP_FAILED : mmap(NULL, sizeof *offset_file, PROT_READ, MAP_SHARED, file, 0);
  if (mapped == MAP_FAILED) abort(); /* a clock that stays true in silence would prove nothing */
  offset_file = mapped;
  close(file);
}

static int64_t offset(void) { return offset_file ? *offset_file : 0; }

int clock_gettime(clockid_t clock, struct timespec *now) {
  int failed = syscall(SYS_clock_gettime, clock, now);
  if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += offset();
  return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  int failed = syscall(SYS_gettimeofday, now, zone);
  if (!failed) now->tv_sec += offset();
  return failed;
}

time_t time(time_t *where) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (where) *where = now.tv_sec;
  return now.tv_sec;
}

/* Locks of Python 3.10 wait until a time of day; the kernel's own did not jump. */
int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict until) {
  struct timespec real = {until->tv_sec - offset(), until->tv_nsec};
  return sem_clockwait(semaphore, CLOCK_REALTIME, &real);
}
