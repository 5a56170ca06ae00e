/* text_kit.h - what the tests of texts share: exact copies, chance that
** repeats itself, locales with another decimal point. */
#ifndef TEXT_KIT_H
#define TEXT_KIT_H

#include <locale.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "da_buf.h"

#define KIT_CAP ((size_t)64 << 20)

static inline da_text kit_text_of(const char *s) {
  da_text t = {s, strlen(s)};
  return t;
}

/* Bytes of a block just as large, so that a look beyond its end is seen by
** the sanitizers. Free t.data with kit_free. */
static inline da_text kit_exact(da_text t) {
  char *copy = malloc(t.len ? t.len : 1);
  if (!copy)
    exit(EXIT_FAILURE);
  if (t.len)
    memcpy(copy, t.data, t.len);
  t.data = copy;
  return t;
}

static inline void kit_free(da_text t) {
  free((void *)(uintptr_t)t.data);
}

static inline int kit_same(da_text a, da_text b) {
  return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline int kit_is_text(da_text a, const char *s) {
  return kit_same(a, kit_text_of(s));
}

/* The same numbers in each run (xorshift64). */
static inline uint64_t kit_chance(uint64_t *seed) {
  uint64_t x = *seed ? *seed : 88172645463325252u;
  x ^= x << 13;
  x ^= x >> 7;
  x ^= x << 17;
  return *seed = x;
}

static inline size_t kit_below(uint64_t *seed, size_t n) {
  return (size_t)(kit_chance(seed) % n);
}

/* Why a process with threads cannot be forked in this configuration, or
** NULL. */
static inline const char *kit_no_fork(void) {
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
  return "the sanitizer's allocator may be locked when threads are forked";
#else
  const char *config = getenv("DA_CONFIG");
  return config && strcmp(config, "valgrind") == 0
             ? "valgrind calls it a leak what the parent's threads held"
             : NULL;
#endif
}

/* Switches numbers to a decimal point of `point` (as localedef writes it,
** "," or "<U066B>"); 0 if this machine cannot. End with kit_locale_end. */
static inline int kit_locale(const char *point) {
  static int count; /* setlocale() remembers names */
  const char *tmp = getenv("TMPDIR");
  char dir[512], path[600], name[32], command[2048];
  FILE *f;
  int ok;
  snprintf(dir, sizeof dir, "%s/locale-XXXXXX", tmp ? tmp : "/tmp");
  if (!mkdtemp(dir))
    return 0;
  snprintf(path, sizeof path, "%s/source", dir);
  snprintf(name, sizeof name, "x%d_XX.UTF-8", ++count);
  f = fopen(path, "w");
  if (f) {
    fprintf(f,
            "comment_char %%\nescape_char /\nLC_NUMERIC\n"
            "decimal_point \"%s\"\nthousands_sep \"\"\ngrouping -1\n"
            "END LC_NUMERIC\n",
            point);
    fclose(f);
  }
  snprintf(command, sizeof command,
           "localedef -c -i %s -f UTF-8 %s/%s >%s/log 2>&1", path, dir, name,
           dir);
  ok = system(command) != -1 && setenv("LOCPATH", dir, 1) == 0 &&
       setlocale(LC_NUMERIC, name) != NULL;
  snprintf(command, sizeof command, "rm -rf %s", dir);
  return system(command) == 0 && ok;
}

static inline void kit_locale_end(void) {
  setlocale(LC_NUMERIC, "C");
  unsetenv("LOCPATH");
}

#endif
