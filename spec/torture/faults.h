/* faults.h - any call of the file store to the system fails, as planned.
**
** Programs are linked with --wrap for each name of FAULTS_CALLS (see the
** Makefile): the library's and the test's own calls come here. What fails is
** counted only while `faults_armed` is set: first a run in which nothing
** fails tells how many calls there are, then each of them fails in turn.
*/
#ifndef FAULTS_H
#define FAULTS_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define FAULTS_CALLS(X)                                                       \
  X(chmod)                                                                    \
  X(close)                                                                    \
  X(closedir)                                                                 \
  X(faccessat)                                                                \
  X(fchmod)                                                                   \
  X(fcntl)                                                                    \
  X(fdopendir)                                                                \
  X(fstat)                                                                    \
  X(fstatat)                                                                  \
  X(fsync)                                                                    \
  X(futimens)                                                                 \
  X(getcwd)                                                                   \
  X(getpwuid_r)                                                               \
  X(getrandom)                                                                \
  X(getrlimit)                                                                \
  X(linkat)                                                                   \
  X(mkdirat)                                                                  \
  X(nanosleep)                                                                \
  X(open)                                                                     \
  X(openat)                                                                   \
  X(pread)                                                                    \
  X(pthread_create)                                                           \
  X(pthread_mutex_init)                                                       \
  X(readdir)                                                                  \
  X(renameat)                                                                 \
  X(renameat2)                                                                \
  X(stat)                                                                     \
  X(syncfs)                                                                   \
  X(unlinkat)                                                                 \
  X(writev)

/* What happens to a call. */
typedef enum faults_how {
  FAULTS_NONE,  /* nothing: it is counted */
  FAULTS_ERRNO, /* it does nothing and says faults_errno */
  FAULTS_SHORT, /* reads and writes transfer one byte */
  FAULTS_ZERO,  /* they transfer nothing and say so */
  FAULTS_LIE    /* it is done, and says faults_errno: a network's file system
                ** that lost the answer and was asked again */
} faults_how;

/* How the world is, beside what fails. */
enum {
  FAULTS_NO_RENAME2 = 1, /* the file system has no RENAME_NOREPLACE */
  FAULTS_NO_TYPES = 2    /* nor does it tell what a directory's entry is */
};

enum { FAULTS_MOST = 512 };

static atomic_int faults_armed, faults_calls, faults_hits;
static int faults_at, faults_ever, faults_errno, faults_world;
static faults_how faults_kind;
static const char *faults_names[FAULTS_MOST]; /* the calls, in order */
static const char *faults_only; /* NULL: all that are made in the same order
                                ** each time: threads come when they are
                                ** needed, and fail by themselves */

/* How often: from some call on, all; or all that have to do with a disk. */
enum { FAULTS_ONCE, FAULTS_EVER, FAULTS_EVER_DISK, FAULTS_OFTEN };

/* What the kernel answers by itself. */
static inline int faults_needs_disk(const char *name) {
  static const char *const others[] = {"close",      "closedir",  "fcntl",
                                       "getrandom",  "getrlimit", "nanosleep",
                                       "getpwuid_r", "fdopendir"};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    if (strcmp(name, others[i]) == 0)
      return 0;
  return strncmp(name, "pthread_", 8) != 0;
}

static inline int faults_supports(const char *name, faults_how how) {
  static const char *const done[] = {"linkat", "mkdirat", "renameat",
                                     "renameat2", "unlinkat"};
  if (how == FAULTS_SHORT || how == FAULTS_ZERO)
    return strcmp(name, "writev") == 0 || strcmp(name, "pread") == 0 ||
           strcmp(name, "getrandom") == 0;
  for (size_t i = 0; how == FAULTS_LIE && i < sizeof done / sizeof *done; i++)
    if (strcmp(name, done[i]) == 0)
      return 1;
  return how == FAULTS_ERRNO;
}

static void (*faults_hook)(void); /* FAULTS_NONE: happens before the call */

/* Somebody else acts, just now. */
static inline void faults_interrupt(void) {
  int saved = errno;
  atomic_store(&faults_armed, 0);
  faults_hook();
  atomic_store(&faults_armed, 1);
  errno = saved;
}

/* What is to happen to this call. */
static inline faults_how faults_next(const char *name) {
  int n;
  if (!atomic_load(&faults_armed) ||
      (faults_only ? strcmp(name, faults_only) != 0
                   : strcmp(name, "pthread_create") == 0))
    return FAULTS_NONE;
  n = atomic_fetch_add(&faults_calls, 1) + 1;
  if (faults_kind == FAULTS_NONE && n <= FAULTS_MOST)
    faults_names[n - 1] = name;
  if (faults_kind == FAULTS_NONE && faults_hook && n == faults_at)
    faults_interrupt();
  if ((faults_ever ? n < faults_at : n != faults_at) ||
      !faults_supports(name, faults_kind) ||
      (faults_ever == FAULTS_EVER_DISK && !faults_needs_disk(name)))
    return FAULTS_NONE;
  atomic_fetch_add(&faults_hits, 1);
  errno = faults_errno;
  return faults_kind;
}

/* From now on: the `at`-th call fails, or (`ever`) all from that one on. */
static inline void faults_arm(faults_how how, int at, int ever, int err) {
  faults_kind = how;
  faults_at = at;
  faults_ever = ever;
  faults_errno = err;
  atomic_store(&faults_calls, 0);
  atomic_store(&faults_hits, 0);
  atomic_store(&faults_armed, 1);
}

static inline void faults_disarm(void) {
  atomic_store(&faults_armed, 0);
}

/* Just counts; the names are in faults_names. */
static inline void faults_count(void) {
  faults_arm(FAULTS_NONE, 0, 0, 0);
}

/* ---- the calls ---- */

#define FAULTS_DECLARE(type, name, parameters)                                \
  type __real_##name parameters;                                              \
  type __wrap_##name parameters;

/* The call returns `failed` with errno. */
#define FAULTS_WRAP(type, name, failed, parameters, arguments)                \
  FAULTS_DECLARE(type, name, parameters)                                      \
  type __wrap_##name parameters {                                             \
    faults_how how = faults_next(#name);                                      \
    if (how == FAULTS_LIE) {                                                  \
      __real_##name arguments;                                                \
      errno = faults_errno;                                                   \
    }                                                                         \
    return how == FAULTS_NONE ? __real_##name arguments : failed;             \
  }

/* It returns the number of the error. */
#define FAULTS_WRAP_NUMBER(name, parameters, arguments)                       \
  FAULTS_DECLARE(int, name, parameters)                                       \
  int __wrap_##name parameters {                                              \
    return faults_next(#name) ? faults_errno : __real_##name arguments;       \
  }

FAULTS_WRAP(int, chmod, -1, (const char *path, mode_t mode), (path, mode))
FAULTS_WRAP(int, fchmod, -1, (int fd, mode_t mode), (fd, mode))
FAULTS_WRAP(DIR *, fdopendir, NULL, (int fd), (fd))
FAULTS_WRAP(int, fstat, -1, (int fd, struct stat *st), (fd, st))
FAULTS_WRAP(int, faccessat, -1,
            (int dir, const char *path, int mode, int flags),
            (dir, path, mode, flags))
FAULTS_WRAP(int, fstatat, -1,
            (int dir, const char *path, struct stat *st, int flags),
            (dir, path, st, flags))
FAULTS_WRAP(int, futimens, -1, (int fd, const struct timespec *times),
            (fd, times))
FAULTS_WRAP(char *, getcwd, NULL, (char *room, size_t size), (room, size))
FAULTS_WRAP(int, getrlimit, -1,
            (__rlimit_resource_t what, struct rlimit *limit), (what, limit))
FAULTS_WRAP(int, linkat, -1,
            (int from, const char *old, int to, const char *new, int flags),
            (from, old, to, new, flags))
FAULTS_WRAP(int, mkdirat, -1, (int dir, const char *path, mode_t mode),
            (dir, path, mode))
FAULTS_WRAP(int, nanosleep, -1,
            (const struct timespec *time, struct timespec *left), (time, left))
FAULTS_WRAP(int, renameat, -1,
            (int from, const char *old, int to, const char *new),
            (from, old, to, new))
FAULTS_WRAP(int, stat, -1, (const char *path, struct stat *st), (path, st))
FAULTS_WRAP(int, unlinkat, -1, (int dir, const char *path, int flags),
            (dir, path, flags))
FAULTS_WRAP_NUMBER(getpwuid_r,
                   (uid_t uid, struct passwd *entry, char *room, size_t size,
                    struct passwd **found),
                   (uid, entry, room, size, found))
FAULTS_WRAP_NUMBER(pthread_create,
                   (pthread_t * thread, const pthread_attr_t *attributes,
                    void *(*start)(void *), void *argument),
                   (thread, attributes, start, argument))
FAULTS_WRAP_NUMBER(pthread_mutex_init,
                   (pthread_mutex_t * mutex,
                    const pthread_mutexattr_t *attributes),
                   (mutex, attributes))

/* Flushing is for power cuts, of which there are none here. */
FAULTS_DECLARE(int, fsync, (int fd))
FAULTS_DECLARE(int, syncfs, (int fd))
int __wrap_fsync(int fd) {
  return faults_next("fsync") ? -1 : fcntl(fd, F_GETFD) < 0 ? -1 : 0;
}
int __wrap_syncfs(int fd) {
  return faults_next("syncfs") ? -1 : fcntl(fd, F_GETFD) < 0 ? -1 : 0;
}

/* The file that was written last; a network's file system may tell at its
** close that it has no room. */
static atomic_int faults_written = -1;
#define FAULTS_CLOSE_WRITTEN "close of what was written"

/* Linux closes whatever it says. */
FAULTS_DECLARE(int, close, (int fd))
FAULTS_DECLARE(int, closedir, (DIR * stream))
int __wrap_close(int fd) {
  int written = fd == atomic_load(&faults_written);
  faults_how how = faults_next(written ? FAULTS_CLOSE_WRITTEN : "close");
  int result = __real_close(fd);
  if (written)
    atomic_store(&faults_written, -1);
  if (how == FAULTS_NONE)
    return result;
  errno = faults_errno;
  return -1;
}
int __wrap_closedir(DIR *stream) {
  faults_how how = faults_next("closedir");
  int result = __real_closedir(stream);
  if (how == FAULTS_NONE)
    return result;
  errno = faults_errno;
  return -1;
}

FAULTS_DECLARE(struct dirent *, readdir, (DIR * stream))
struct dirent *__wrap_readdir(DIR *stream) {
  struct dirent *e;
  if (faults_next("readdir"))
    return NULL;
  e = __real_readdir(stream);
  if (e && faults_world & FAULTS_NO_TYPES)
    e->d_type = DT_UNKNOWN;
  return e;
}

FAULTS_DECLARE(int, renameat2,
               (int from, const char *old, int to, const char *new,
                unsigned flags))
int __wrap_renameat2(int from, const char *old, int to, const char *new,
                     unsigned flags) {
  faults_how how = faults_next("renameat2");
  if (how == FAULTS_ERRNO)
    return -1;
  if (faults_world & FAULTS_NO_RENAME2) {
    errno = EINVAL;
    return -1;
  }
  if (how == FAULTS_NONE)
    return __real_renameat2(from, old, to, new, flags);
  __real_renameat2(from, old, to, new, flags);
  errno = faults_errno;
  return -1;
}

FAULTS_DECLARE(int, open, (const char *path, int flags, ...))
FAULTS_DECLARE(int, openat, (int dir, const char *path, int flags, ...))
FAULTS_DECLARE(int, fcntl, (int fd, int command, ...))

static inline mode_t faults_mode(int flags, va_list args) {
  return flags & O_CREAT ? va_arg(args, mode_t) : 0;
}

int __wrap_open(const char *path, int flags, ...) {
  va_list args;
  mode_t mode;
  va_start(args, flags);
  mode = faults_mode(flags, args);
  va_end(args);
  return faults_next("open") ? -1 : __real_open(path, flags, mode);
}

/* Root is refused, too, what its owner may not read. */
int __wrap_openat(int dir, const char *path, int flags, ...) {
  va_list args;
  struct stat st;
  mode_t mode;
  va_start(args, flags);
  mode = faults_mode(flags, args);
  va_end(args);
  if (faults_next("openat"))
    return -1;
  if (strcmp(path, ".") == 0 && __real_fstat(dir, &st) == 0 &&
      !(st.st_mode & S_IRUSR)) {
    errno = EACCES;
    return -1;
  }
  return __real_openat(dir, path, flags, mode);
}

int __wrap_fcntl(int fd, int command, ...) {
  va_list args;
  void *argument;
  va_start(args, command);
  argument = command == F_GETFD ? NULL : va_arg(args, void *);
  va_end(args);
  if (command != F_GETFD && faults_next("fcntl"))
    return -1;
  return __real_fcntl(fd, command, argument);
}

/* ---- those that may do less than they were asked to ---- */

FAULTS_DECLARE(ssize_t, writev, (int fd, const struct iovec *iov, int count))
FAULTS_DECLARE(ssize_t, pread, (int fd, void *room, size_t size, off_t at))
FAULTS_DECLARE(ssize_t, getrandom, (void *room, size_t size, unsigned flags))

ssize_t __wrap_writev(int fd, const struct iovec *iov, int count) {
  atomic_store(&faults_written, fd);
  switch (faults_next("writev")) {
  case FAULTS_ERRNO:
    return -1;
  case FAULTS_ZERO:
    return 0;
  case FAULTS_SHORT:
    while (count > 1 && iov->iov_len == 0)
      iov++, count--;
    return write(fd, iov->iov_base, iov->iov_len > 0);
  default:
    return __real_writev(fd, iov, count);
  }
}

ssize_t __wrap_pread(int fd, void *room, size_t size, off_t at) {
  switch (faults_next("pread")) {
  case FAULTS_ERRNO:
    return -1;
  case FAULTS_ZERO:
    return 0;
  case FAULTS_SHORT:
    return __real_pread(fd, room, size > 0, at);
  default:
    return __real_pread(fd, room, size, at);
  }
}

ssize_t __wrap_getrandom(void *room, size_t size, unsigned flags) {
  switch (faults_next("getrandom")) {
  case FAULTS_ERRNO:
    return -1;
  case FAULTS_ZERO:
    return 0;
  case FAULTS_SHORT:
    return __real_getrandom(room, size > 0, flags);
  default:
    return __real_getrandom(room, size, flags);
  }
}

#endif
