/* preload_slow.c - preloaded into a process: a disk that is slow, or hangs.
**
**   DA_SLOW_MS=30      each flush takes so many milliseconds longer
**   DA_SLOW_WHILE=path a flush does not return as long as this file is there
**   DA_SLOW_LOG=path   which process flushed: a line with its id for each
*/
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef int flush_fn(int fd);

static void take_time(void) {
  const char *ms = getenv("DA_SLOW_MS"), *path = getenv("DA_SLOW_WHILE");
  struct timespec pause = {0, 1000000};
  if (ms) {
    long n = strtol(ms, NULL, 10);
    struct timespec delay = {n / 1000, n % 1000 * 1000000};
    nanosleep(&delay, NULL);
  }
  while (path && access(path, F_OK) == 0)
    nanosleep(&pause, NULL);
}

static void note(void) {
  const char *path = getenv("DA_SLOW_LOG");
  char line[24];
  int n = snprintf(line, sizeof line, "%ld\n", (long)getpid());
  int fd =
      path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
  if (fd < 0)
    return;
  if (write(fd, line, (size_t)n) != n)
    abort();
  close(fd);
}

static int flush(const char *name, int fd) {
  flush_fn *real;
  void *found = dlsym(RTLD_NEXT, name);
  memcpy(&real, &found, sizeof real); /* POSIX: interchangeable */
  note();
  take_time();
  return real(fd);
}

__attribute__((visibility("default"))) int fsync(int fd) {
  return flush("fsync", fd);
}

__attribute__((visibility("default"))) int fdatasync(int fd) {
  return flush("fdatasync", fd);
}
