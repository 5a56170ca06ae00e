/* memory_kit.h - memory that fails: every allocation of the library in turn,
** once, and from then on for ever.
**
** The programs are linked with --wrap for each function in memory_wraps (see
** MEMORY in the Makefile), so that what the library asks of malloc, of the
** system's threads and of libcurl goes through here; libcurl's and libc's own
** allocations do not. A scene begins, acts while memory fails, is checked
** with memory back, and ends; then no block and no descriptor may be left.
*/
#ifndef MEMORY_KIT_H
#define MEMORY_KIT_H

#include <curl/curl.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <unistd.h>

#include "deepagent.h"

#include "check.h"
#include "store_kit.h"

/* ---- the failing ---- */

static atomic_long memory_live;  /* blocks handed out and not freed */
static atomic_long memory_calls; /* allocations since memory_fail */
static atomic_long memory_at;    /* the one that fails; 0: none */
static atomic_int memory_for_ever;
static atomic_long memory_failed; /* how many did */

/* The tests' own functions that the library calls do not fail. Volatile, as
** compilers know that malloc looks at no variable of ours. */
static _Thread_local volatile int memory_exempt;

static void memory_fail(long at, int for_ever) {
  atomic_store(&memory_calls, 0);
  atomic_store(&memory_failed, 0);
  atomic_store(&memory_for_ever, for_ever);
  atomic_store(&memory_at, at);
}

static void memory_back(void) {
  atomic_store(&memory_at, 0);
}

/* Whether this allocation fails. */
static int memory_none(void) {
  long at = atomic_load(&memory_at), n;
  if (!at || memory_exempt)
    return 0;
  n = atomic_fetch_add(&memory_calls, 1) + 1;
  if (n != at && !(n > at && atomic_load(&memory_for_ever)))
    return 0;
  atomic_fetch_add(&memory_failed, 1);
  errno = ENOMEM;
  return 1;
}

/* Counts a block. */
static void *memory_given(void *block) {
  if (block)
    atomic_fetch_add(&memory_live, 1);
  return block;
}

/* What --wrap makes of `name`, with the types of C's name for it. */
#define MEMORY_WRAP(type, name, ...)                                          \
  type __real_##name(__VA_ARGS__);                                            \
  type __wrap_##name(__VA_ARGS__);                                            \
  type __wrap_##name(__VA_ARGS__)

static const char *const memory_wraps[] = {"malloc",
                                           "calloc",
                                           "realloc",
                                           "strdup",
                                           "free",
                                           "getcwd",
                                           "fdopendir",
                                           "getpwuid_r",
                                           "pthread_create",
                                           "curl_easy_init",
                                           "curl_multi_init",
                                           "curl_slist_append",
                                           "curl_easy_setopt",
                                           "curl_multi_add_handle"};

MEMORY_WRAP(void *, malloc, size_t size) {
  return memory_none() ? NULL : memory_given(__real_malloc(size));
}

MEMORY_WRAP(void *, calloc, size_t n, size_t size) {
  return memory_none() ? NULL : memory_given(__real_calloc(n, size));
}

MEMORY_WRAP(void *, realloc, void *old, size_t size) {
  if (memory_none())
    return NULL;
  return old ? __real_realloc(old, size)
             : memory_given(__real_realloc(NULL, size));
}

MEMORY_WRAP(char *, strdup, const char *s) {
  return memory_none() ? NULL : memory_given(__real_strdup(s));
}

MEMORY_WRAP(void, free, void *block) {
  if (block)
    atomic_fetch_sub(&memory_live, 1);
  __real_free(block);
}

MEMORY_WRAP(char *, getcwd, char *to, size_t size) {
  if (memory_none())
    return NULL;
  return to ? __real_getcwd(to, size)
            : memory_given(__real_getcwd(NULL, size));
}

MEMORY_WRAP(DIR *, fdopendir, int fd) {
  return memory_none() ? NULL : __real_fdopendir(fd);
}

MEMORY_WRAP(int, getpwuid_r, uid_t uid, struct passwd *entry, char *room,
            size_t size, struct passwd **found) {
  *found = NULL;
  return memory_none() ? ENOMEM
                       : __real_getpwuid_r(uid, entry, room, size, found);
}

MEMORY_WRAP(int, pthread_create, pthread_t *thread, const pthread_attr_t *attr,
            void *(*start)(void *), void *arg) {
  return memory_none() ? EAGAIN
                       : __real_pthread_create(thread, attr, start, arg);
}

MEMORY_WRAP(CURL *, curl_easy_init, void) {
  return memory_none() ? NULL : __real_curl_easy_init();
}

MEMORY_WRAP(CURLM *, curl_multi_init, void) {
  return memory_none() ? NULL : __real_curl_multi_init();
}

MEMORY_WRAP(struct curl_slist *, curl_slist_append, struct curl_slist *list,
            const char *s) {
  return memory_none() ? NULL : __real_curl_slist_append(list, s);
}

#undef curl_easy_setopt
/* Its third argument is a long, a pointer or a curl_off_t: all a word. */
MEMORY_WRAP(CURLcode, curl_easy_setopt, CURL *easy, CURLoption option, ...) {
  va_list args;
  void *value;
  va_start(args, option);
  value = va_arg(args, void *);
  va_end(args);
  return memory_none() ? CURLE_OUT_OF_MEMORY
                       : __real_curl_easy_setopt(easy, option, value);
}

MEMORY_WRAP(CURLMcode, curl_multi_add_handle, CURLM *multi, CURL *easy) {
  return memory_none() ? CURLM_OUT_OF_MEMORY
                       : __real_curl_multi_add_handle(multi, easy);
}

/* ---- is that all that can fail? ---- */

static int memory_is_wrapped(const char *name) {
  for (size_t i = 0; i < sizeof memory_wraps / sizeof *memory_wraps; i++)
    if (strcmp(memory_wraps[i], name) == 0)
      return 1;
  return 0;
}

/* Functions that give memory, and others that ask the system for something
** for the library: those that it uses must be wrapped. */
static const char memory_takers[] =
    " malloc calloc realloc reallocarray aligned_alloc memalign valloc"
    " posix_memalign strdup strndup wcsdup asprintf vasprintf getline"
    " getdelim open_memstream fmemopen fopen fdopen fopencookie opendir"
    " fdopendir scandir scandirat realpath canonicalize_file_name getcwd"
    " get_current_dir_name tempnam setenv putenv regcomp glob wordexp"
    " getaddrinfo getpwuid getpwuid_r popen timer_create sem_open newlocale"
    " duplocale setlocale iconv_open pthread_create pthread_key_create"
    " pthread_setspecific pthread_barrier_init thrd_create mtx_init tss_create"
    " curl_easy_init curl_easy_duphandle curl_easy_setopt curl_easy_escape"
    " curl_easy_unescape curl_multi_init curl_multi_add_handle"
    " curl_multi_setopt curl_slist_append curl_url curl_url_set curl_url_get"
    " curl_share_init curl_mime_init curl_formadd curl_getenv ";

/* What the library's objects lack is what it asks others for. */
static inline void every_source_of_memory_is_made_to_fail(void) {
  char command[PATH_MAX + 64], line[512], word[512];
  const char *build = getenv("DA_BUILD");
  int seen = 0;
  FILE *f;
  snprintf(command, sizeof command, "nm -u '%s/libdeepagent.a'",
           build ? build : "build/release");
  f = popen(command, "r");
  CHECK(f != NULL);
  while (f && fgets(line, sizeof line, f)) {
    char name[256];
    if (sscanf(line, " U %255[A-Za-z0-9_]", name) != 1)
      continue;
    snprintf(word, sizeof word, " %s ", name);
    if (!strstr(memory_takers, word))
      continue;
    seen++;
    if (!memory_is_wrapped(name)) {
      fprintf(stderr, "%s is not wrapped\n", name);
      check_failed_here = 1;
    }
  }
  if (f)
    CHECK_INT(pclose(f), 0);
  CHECK(seen > 10);
}

/* ---- scenes ---- */

typedef struct scene {
  const char *name;
  void (*begin)(void);
  void (*act)(void); /* memory fails */
  void (*check)(void);
  void (*end)(void);
  int slow; /* with a sanitizer not every allocation fails, but for DA_FULL */
} scene;

static da_err err;
static char memory_what[128]; /* for the watchdog */

/* 1: success; 0: no memory. Anything else is wrong. */
static int memory_ok(int code, const da_err *e) {
  if (code == DA_OK)
    return 1;
  if (code != DA_ENOMEM || e->code != code || !e->message[0]) {
    fprintf(stderr, "%s: code %d: %s\n", memory_what, code, e->message);
    check_failed_here = 1;
  }
  if (!atomic_load(&memory_failed)) {
    fprintf(stderr, "%s: failed with all its memory\n", memory_what);
    check_failed_here = 1;
  }
  return 0;
}

#define OK(call) memory_ok((call), &err)

static char *memory_leaves; /* a directory that must go, or NULL */

static void memory_hangs(int signal) {
  static const char says[] = "not ok - no end: ";
  static char sh[] = "sh", c[] = "-c", rm[] = "rm -rf \"$0\"; exit 1";
  char *const command[] = {sh, c, rm, memory_leaves, NULL};
  ssize_t n;
  (void)signal;
  n = write(1, says, sizeof says - 1);
  n += write(1, memory_what, strlen(memory_what));
  n += write(1, "\n", 1);
  if (memory_leaves)
    execv("/bin/sh", command);
  _exit(n > 0 ? EXIT_FAILURE : 2);
}

/* What others' threads hold for a moment longer is no leak. */
static int memory_settles(long live, int fds) {
  for (int i = 0; i < CHECK_SOON * 1000; i++) {
    if (atomic_load(&memory_live) == live && kit_fds() == fds)
      return 1;
    usleep(1000);
  }
  fprintf(stderr, "%s: %ld blocks and %d descriptors left\n", memory_what,
          atomic_load(&memory_live) - live, kit_fds() - fds);
  return 0;
}

/* One trial; 0 if the scene needs fewer than `at` allocations. */
static int memory_try(const scene *s, long at, int for_ever) {
  long live = atomic_load(&memory_live), failed;
  int fds = kit_fds();
  snprintf(memory_what, sizeof memory_what, "%s, allocation %ld %s", s->name,
           at, for_ever ? "for ever" : "once");
  alarm(CHECK_LONG);
  s->begin();
  memory_fail(at, for_ever);
  s->act();
  failed = atomic_load(&memory_failed);
  memory_back();
  s->check();
  s->end();
  alarm(0);
  if (!memory_settles(live, fds))
    check_failed_here = 1;
  if (check_failed_here)
    fprintf(stderr, "at %s\n", memory_what);
  return failed > 0;
}

static long memory_stride(const scene *s) {
  const char *full = getenv("DA_FULL"), *config = getenv("DA_CONFIG");
  int plain = !config || strcmp(config, "release") == 0;
  return s->slow && !plain && !(full && *full) ? 7 : 1;
}

/* All trials of a scene. */
static void memory_play(const scene *s) {
  long at[2] = {1, 1}, stride = memory_stride(s);
  check_failed_here = 0;
  for (int for_ever = 0; for_ever < 2; for_ever++)
    while (memory_try(s, at[for_ever], for_ever) && !check_failed_here)
      at[for_ever] += stride;
  printf("%s - %s: %ld allocations fail once, %ld for ever%s\n",
         check_failed_here ? "not ok" : "ok", s->name, at[0] - 1, at[1] - 1,
         stride > 1 ? " (of seven the first)" : "");
  fflush(stdout);
  check_failures += check_failed_here;
}

static void memory_play_all(const scene *scenes, size_t count) {
  signal(SIGALRM, memory_hangs);
  for (size_t i = 0; i < count; i++)
    memory_play(&scenes[i]);
}

#define PLAY(scenes) memory_play_all(scenes, sizeof(scenes) / sizeof *(scenes))

static inline void memory_nothing(void) {
}

#endif
