/* bench.h - what the benchmarks share: clocks, statistics, the workload,
** a scratch directory, and the rows of the table.
**
** A program prints lines of fields parted by tabs, which bench/run lays out:
** what, measured, limit, ratio, allowed, "ok" or "OVER". The limit is always
** measured in the same run, taking turns with what it is the limit of.
*/
#ifndef BENCH_H
#define BENCH_H

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "deepagent.h"

/* ---- failing ---- */

static inline _Noreturn void die(const char *what, const char *why) {
  fprintf(stderr, "bench: %s: %s\n", what, why);
  exit(1);
}

/* For calls of the library. */
static inline void must(int code, const da_err *err) {
  if (code != DA_OK)
    die(da_code_name(code), err->message);
}

/* For calls of the system: -1 is an end to it. */
static inline int sys(long result, const char *what) {
  if (result < 0)
    perror(what), exit(1);
  return (int)result;
}

/* ---- clocks: microseconds ---- */

static inline double clock_us(clockid_t id) {
  struct timespec t;
  clock_gettime(id, &t);
  return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static inline double wall_us(void) {
  return clock_us(CLOCK_MONOTONIC);
}

/* ---- statistics ---- */

enum { MOST_SAMPLES = 20000 };

typedef struct samples {
  double v[MOST_SAMPLES];
  size_t n;
} samples;

static inline void sample(samples *s, double v) {
  if (s->n < MOST_SAMPLES)
    s->v[s->n++] = v;
}

static inline int compare_doubles(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* The value below which the part `q` of the samples lies; 0.5: median. */
static inline double quantile(samples *s, double q) {
  if (!s->n)
    return 0;
  qsort(s->v, s->n, sizeof *s->v, compare_doubles);
  return s->v[(size_t)(q * (double)(s->n - 1) + 0.5)];
}

static inline double median(samples *s) {
  return quantile(s, 0.5);
}

/* ---- the workload ---- */

enum { LONGEST_CONTENT = 512 };

/* The text of message i: about 60 bytes where the user speaks (even i), 400
** where the assistant does, with quotes, newlines and all lengths of UTF-8.
** Returns its length; `out` gets a NUL. */
static inline size_t content(char out[LONGEST_CONTENT], size_t i) {
  static const char question[] =
      "Question %zu: what does \"na\xc3\xafve\" mean here?\nIn short, please.";
  static const char answer[] =
      "Answer %zu. The word \"na\xc3\xafve\" came from French, where it is "
      "the feminine of \"na\xc3\xaf"
      "f\"; both go back to Latin.\n\n"
      "- as a noun: one who trusts too easily;\n"
      "- as an adjective: simple, without art \xe2\x80\x94 "
      "\"a na\xc3\xafve question\";\n"
      "- in Japanese it is often \xe7\xb4\xa0\xe6\x9c\xb4.\n\n"
      "In Z\xc3\xbcrich one might say \"gutgl\xc3\xa4ubig\", which has the "
      "same tone. Shall I give a few more examples of its use? \xf0\x9f\x99"
      "\x82 It takes\nno more than a minute.";
  int n = snprintf(out, LONGEST_CONTENT, i % 2 ? answer : question, i);
  return (size_t)n;
}

/* ---- files ---- */

/* A new directory on the disk, in $TMPDIR or /var/tmp. bench/run makes one
** for all programs and names it in BENCH_DIR. */
static inline void scratch(char *path, size_t size, const char *name) {
  const char *base = getenv("BENCH_DIR");
  if (!base)
    die("BENCH_DIR", "not set: these programs are run by bench/run");
  snprintf(path, size, "%s/%s-XXXXXX", base, name);
  if (!mkdtemp(path))
    die(path, "cannot be made");
}

/* All of a file, from malloc, with a NUL. */
static inline char *slurp(const char *path, size_t *len) {
  struct stat st;
  int fd = sys(open(path, O_RDONLY | O_CLOEXEC), path);
  sys(fstat(fd, &st), path);
  char *bytes = malloc((size_t)st.st_size + 1);
  if (!bytes || read(fd, bytes, (size_t)st.st_size) != st.st_size)
    die(path, "cannot be read");
  close(fd);
  bytes[st.st_size] = '\0';
  *len = (size_t)st.st_size;
  return bytes;
}

/* What a save cannot do without: a new file beside the old one, its bytes in
** one write, a rename over it; `durable`: with the flushes of both. */
static inline void bare_save(int dir, const char *name, const char *bytes,
                             size_t len, int durable) {
  char temp[128];
  static _Thread_local unsigned serial;
  snprintf(temp, sizeof temp, ".%s.%lx%u", name, (long)getpid(), serial++);
  int fd = sys(
      openat(dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), temp);
  if (write(fd, bytes, len) != (ssize_t)len)
    die(temp, "cannot be written");
  if (durable)
    sys(fsync(fd), "fsync");
  sys(close(fd), "close");
  sys(renameat(dir, temp, dir, name), "rename");
  if (durable)
    sys(fsync(dir), "fsync");
}

/* ---- the table ---- */

static inline void show(char *out, size_t size, double v, const char *unit) {
  if (strcmp(unit, "us") == 0 && v >= 1000)
    snprintf(out, size, "%.*f ms", v >= 100000 ? 0 : 2, v / 1000);
  else if (strcmp(unit, "us") == 0)
    snprintf(out, size, "%.*f us", v < 1 ? 3 : v < 100 ? 2 : 0, v);
  else
    snprintf(out, size, "%.0f%s%s", v, *unit ? " " : "", unit);
}

/* A figure and its limit; their ratio must not exceed `allowed`. */
static inline void row(const char *what, double measured, double limit,
                       const char *unit, double allowed) {
  char m[40], l[40];
  double ratio = limit > 0 ? measured / limit : 0;
  show(m, sizeof m, measured, unit);
  show(l, sizeof l, limit, unit);
  printf("%s\t%s\t%s\t%.2f\t%.2f\t%s\n", what, m, l, ratio, allowed,
         measured <= limit * allowed ? "ok" : "OVER");
  fflush(stdout);
}

/* A figure without a limit of its own, for comparison. */
static inline void note(const char *what, double measured, double limit,
                        const char *unit) {
  char m[40], l[40] = "";
  show(m, sizeof m, measured, unit);
  if (limit > 0)
    show(l, sizeof l, limit, unit);
  printf("%s\t%s\t%s\t", what, m, l);
  if (limit > 0)
    printf("%.2f", measured / limit);
  printf("\t\t\n");
  fflush(stdout);
}

#endif
