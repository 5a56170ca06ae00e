/* da_clock.h - deadlines and times of day (floor 0). */
#ifndef DA_CLOCK_H
#define DA_CLOCK_H

#include <time.h>

/* Seconds on the monotonic clock, from an arbitrary start. */
double da_now(void);

/* Seconds since 1970 on the wall clock, to the millisecond. */
double da_wall(void);

/* The point `seconds` from now; DA_NEVER for a negative number. */
#define DA_NEVER 1e18
double da_deadline(double seconds);

/* Seconds left until `deadline`, never below 0. */
double da_left(double deadline);

/* `deadline` for calls that want a timespec on CLOCK_MONOTONIC. */
struct timespec da_timespec(double deadline);

void da_sleep(double seconds);

#endif
