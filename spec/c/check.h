/* check.h - the C tests' few macros. A test program calls RUN(function) for
** each of its tests and ends with `return check_done();`. Each test prints
** one line, "ok - name" or "not ok - name"; the runner counts them. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef DA_COVERAGE
#include <gcov.h>
#define CHECK_KEEP_COUNTS() __gcov_dump()
#else
#define CHECK_KEEP_COUNTS() ((void)0)
#endif

/* Seconds for what must come to its end: far more than it takes on a machine
** that is busy with other things; only what hangs takes so long. What is done
** by a clock of its own must have ended in half of it. */
#define CHECK_LONG 120
#define CHECK_SOON 60

static int check_failed_here, check_failures;

#define CHECK(condition)                                                      \
  do {                                                                        \
    if (!(condition)) {                                                       \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);         \
      check_failed_here = 1;                                                  \
    }                                                                         \
  } while (0)

#define CHECK_INT(got, want)                                                  \
  do {                                                                        \
    long long check_g = (long long)(got), check_w = (long long)(want);        \
    if (check_g != check_w) {                                                 \
      fprintf(stderr, "%s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__,    \
              #got, check_g, check_w);                                        \
      check_failed_here = 1;                                                  \
    }                                                                         \
  } while (0)

#define CHECK_STR(got, want)                                                  \
  do {                                                                        \
    const char *check_g = (got), *check_w = (want);                           \
    if (!check_g || strcmp(check_g, check_w) != 0) {                          \
      fprintf(stderr, "%s:%d: %s is \"%s\", not \"%s\"\n", __FILE__,          \
              __LINE__, #got, check_g ? check_g : "(null)", check_w);         \
      check_failed_here = 1;                                                  \
    }                                                                         \
  } while (0)

#define RUN(test)                                                             \
  do {                                                                        \
    check_failed_here = 0;                                                    \
    test();                                                                   \
    printf("%s - %s\n", check_failed_here ? "not ok" : "ok", #test);          \
    fflush(stdout);                                                           \
    check_failures += check_failed_here;                                      \
  } while (0)

/* A test that cannot be made here says so and why. */
#define SKIP(name, why) printf("skip - %s # %s\n", name, why)

/* A forked child ends so: without its parent's exit handlers, but with what
** it reached counted by `make coverage`. */
#define CHECK_EXIT(status)                                                    \
  do {                                                                        \
    int check_status = (status);                                              \
    CHECK_KEEP_COUNTS();                                                      \
    _exit(check_status);                                                      \
  } while (0)

static int check_done(void) {
  return check_failures ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
