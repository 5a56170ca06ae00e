/* faults_complete.h - is every call that the file store makes either failed
** here or known not to fail? */
#ifndef FAULTS_COMPLETE_H
#define FAULTS_COMPLETE_H

#include "faults.h"

#include <stdlib.h>

#include "../c/check.h"

static const char *const complete_wrapped[] = {
#define FAULTS_NAME(name) #name,
    FAULTS_CALLS(FAULTS_NAME)
#undef FAULTS_NAME
};

/* Those that need not be failed here. */
static const char *const complete_harmless[] = {
    /* Memory: each allocation fails in a test of its own. */
    "calloc", "free", "malloc", "realloc",
    /* Nothing but memory and numbers. */
    "__errno_location", "__isoc99_sscanf", "dirfd", "getenv", "gmtime_r",
    "memchr", "memcmp", "memcpy", "memmove", "memset", "snprintf", "sprintf",
    "strchr", "strcmp", "strcpy", "strcspn", "strftime", "strlen", "strncmp",
    "strptime", "strspn", "strstr", "timegm", "__sprintf_chk",
    "__snprintf_chk", "stpcpy",
    /* These cannot fail: the clocks and arguments are valid, the mutexes
    ** ours. */
    "clock_gettime", "geteuid", "getpid", "pthread_mutex_destroy",
    "pthread_mutex_lock", "pthread_mutex_unlock", "time"};

static inline int complete_is_in(const char *const *list, size_t count,
                                 const char *name) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(list[i], name) == 0)
      return 1;
  return 0;
}

#define COMPLETE_IN(list, name)                                               \
  complete_is_in(list, sizeof list / sizeof *list, name)

/* The core's own, and what a sanitizer or a coverage count puts in. */
static inline int complete_is_foreign(const char *name) {
  static const char *const prefixes[] = {
      "da_",     "__asan_",      "__ubsan_",    "__tsan_",
      "__gcov_", "__sanitizer_", "__stack_chk", "_GLOBAL_OFFSET_TABLE_"};
  for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
    if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
      return 1;
  return 0;
}

/* What the store's objects need, as nm tells it. How many names that are, or
** -1 if it cannot be told. */
static inline int complete_check(void) {
  char command[4200], line[4200], object[64], name[128];
  const char *build = getenv("DA_BUILD");
  int names = 0;
  FILE *nm;
  if (!build)
    return -1;
  snprintf(command, sizeof command, "nm -A -u '%s/libdeepagent.a' 2>/dev/null",
           build);
  nm = popen(command, "r");
  while (nm && fgets(line, sizeof line, nm)) {
    const char *member = strrchr(line, '/'), *at;
    at = strchr(member ? member : line, ':');
    if (!at || sscanf(at + 1, "%63[^:]: U %127s", object, name) != 2 ||
        (strncmp(object, "file_", 5) != 0 &&
         strcmp(object, "store_file.o") != 0))
      continue;
    names++;
    if (complete_is_foreign(name) || COMPLETE_IN(complete_harmless, name) ||
        COMPLETE_IN(complete_wrapped, name))
      continue;
    fprintf(stderr, "%s calls %s, which is on no list\n", object, name);
    check_failed_here = 1;
  }
  return nm && pclose(nm) == 0 && names ? names : -1;
}

#endif
