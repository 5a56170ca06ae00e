/* da_clock.c - deadlines and times of day (floor 0). */
#include "da_clock.h"

#include <errno.h>

static double seconds_of(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

double da_now(void) {
  return seconds_of(CLOCK_MONOTONIC);
}

double da_wall(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (double)t.tv_sec + (double)(t.tv_nsec / 1000000) * 1e-3;
}

double da_deadline(double seconds) {
  return seconds < 0 || seconds >= DA_NEVER ? DA_NEVER : da_now() + seconds;
}

double da_left(double deadline) {
  double left = deadline - da_now();
  return left > 0 ? left : 0;
}

struct timespec da_timespec(double deadline) {
  /* A century is as good as never, and fits every time_t. */
  double latest = da_now() + 3e9;
  struct timespec t;
  if (deadline > latest)
    deadline = latest;
  t.tv_sec = (time_t)deadline;
  t.tv_nsec = (long)((deadline - (double)t.tv_sec) * 1e9);
  return t;
}

void da_sleep(double seconds) {
  struct timespec until = da_timespec(da_deadline(seconds));
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) ==
         EINTR)
    ;
}
