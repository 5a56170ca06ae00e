/* file_mkdirs.c - making the sessions' directory (floor 3). */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "file_dir.h"

/* Only a place to look names up from: needs no right to read. */
#define PLACE (O_PATH | O_DIRECTORY | O_CLOEXEC)

static int open_at(int at, const char *name, int flags) {
  int fd, tries = 0;
  do
    fd = openat(at, name, flags);
  while (fd < 0 && da_file_again(&tries));
  return fd;
}

/* `fd` (from O_PATH, which fchmod refuses) gets mode 0700 if a umask left
** it with less. By its number in /proc, so that nobody can put another
** directory under the name in between. */
static int open_up(int fd) {
  char link[40];
  struct stat st;
  if (fstat(fd, &st) < 0)
    return -1;
  if ((st.st_mode & 0777) == 0700)
    return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  return chmod(link, 0700);
}

static int flush(int fd) {
  int result, tries = 0;
  do
    result = fsync(fd);
  while (result < 0 && da_file_again(&tries));
  return result;
}

/* Makes the entry of a new directory last. A parent that we may search but
** not read cannot be opened for fsync; then all of its file system is
** flushed, through the new directory. */
static int flush_entry(int parent, int made) {
  int result, all = 0;
  int fd = open_at(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 && errno == EACCES) {
    fd = open_at(made, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    all = 1;
  }
  if (fd < 0)
    return -1;
  result = all ? syncfs(fd) : flush(fd);
  da_file_shut(fd);
  return result;
}

/* The directory `name`, which is not there, in `parent`. Where another
** process is faster it may not have flushed it yet, so that is done here
** in both cases. What cannot be finished is taken back, so that the next
** attempt finds it missing and does all of it. */
static int make(int parent, const char *name, int durable) {
  int made = mkdirat(parent, name, 0700) == 0;
  int fd = -1;
  if (made || errno == EEXIST)
    fd = open_at(parent, name, made ? PLACE | O_NOFOLLOW : PLACE);
  if (fd >= 0 && (!made || open_up(fd) == 0) &&
      (!durable || flush_entry(parent, fd) == 0))
    return fd;
  if (fd >= 0)
    da_file_shut(fd);
  if (made) {
    int saved = errno;
    unlinkat(parent, name, AT_REMOVEDIR);
    errno = saved;
  }
  return -1;
}

int da_file_mkdirs(const char *path, int durable) {
  char name[NAME_MAX + 1];
  int place = open_at(AT_FDCWD, "/", PLACE), next;
  while (place >= 0 && *(path += strspn(path, "/"))) {
    size_t len = strcspn(path, "/");
    errno = ENAMETOOLONG;
    next = -1;
    if (len <= NAME_MAX) {
      memcpy(name, path, len);
      name[len] = '\0';
      next = open_at(place, name, PLACE);
      if (next < 0 && errno == ENOENT)
        next = make(place, name, durable);
    }
    da_file_shut(place);
    place = next;
    path += len;
  }
  if (place < 0)
    return -1;
  next = open_at(place, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  da_file_shut(place);
  return next;
}
