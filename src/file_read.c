/* file_read.c - loading a session's file (floor 3). */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file_name.h"
#include "file_ops.h"

/* A file that is being edited in place is read again so many times. */
#define ATTEMPTS 5

static int open_file(int *fd, const da_file_store *f, const char *name,
                     da_err *err) {
  size_t size = strlen(f->path) + strlen(name) + 2;
  char *path = malloc(size);
  int tries = 0, saved;
  if (!path)
    return da_nomem(err);
  snprintf(path, size, "%s/%s", f->path, name);
  do /* O_NONBLOCK: a FIFO would keep us waiting for a writer */
    *fd =
        open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
  while (*fd < 0 && da_file_again(&tries));
  saved = errno;
  free(path);
  if (*fd >= 0)
    return DA_OK;
  if (saved == ENOENT)
    return da_fail(err, DA_ENOTFOUND, "there is no such session");
  if (saved == ELOOP || saved == ENXIO)
    return da_fail(err, DA_EUNSAFE, "%.250s/%s is %s, not a regular file",
                   f->path, name,
                   saved == ELOOP ? "a symbolic link" : "a socket or device");
  return da_file_fail(f, name, "open", saved, err);
}

/* Reads up to `size` bytes from the start: how many there are, or -1. */
static ssize_t read_all(int fd, char *bytes, size_t size) {
  size_t got = 0;
  int tries = 0;
  while (got < size) {
    ssize_t n = pread(fd, bytes + got, size - got, (off_t)got);
    if (n == 0)
      break;
    if (n > 0)
      got += (size_t)n;
    else if (!da_file_again(&tries))
      return -1;
  }
  return (ssize_t)got;
}

/* Reads what *st describes. DA_EBUSY if it changed meanwhile: *st is then
** what it is now. */
static int read_once(char **bytes, const da_file_store *f, const char *name,
                     int fd, struct stat *st, da_err *err) {
  struct stat before = *st;
  size_t size = (size_t)st->st_size;
  ssize_t got;
  if (st->st_size < 0 || size > f->max_bytes)
    return da_fail(err, DA_ETOOLARGE,
                   "%.250s/%s has %lld bytes, more than the limit of %zu",
                   f->path, name, (long long)st->st_size, f->max_bytes);
  *bytes = malloc(size + 1);
  if (!*bytes)
    return da_nomem(err);
  got = read_all(fd, *bytes, size);
  if (got < 0 || fstat(fd, st) < 0) {
    int saved = errno;
    free(*bytes);
    return da_file_fail(f, name, "read", saved, err);
  }
  if ((size_t)got == size && st->st_size == before.st_size &&
      st->st_mtim.tv_sec == before.st_mtim.tv_sec &&
      st->st_mtim.tv_nsec == before.st_mtim.tv_nsec) {
    (*bytes)[size] = '\0';
    return DA_OK;
  }
  free(*bytes);
  return da_fail(err, DA_EBUSY, "%.250s/%s changes while it is read", f->path,
                 name);
}

int da_file_read(const da_file_store *f, const char *name, da_store_sink *sink,
                 da_revision *now, da_err *err) {
  char *bytes = NULL;
  struct stat st;
  int fd = -1, tries = 0;
  int code = open_file(&fd, f, name, err);
  if (code != DA_OK)
    return code;
  if (fstat(fd, &st) < 0)
    code = da_file_fail(f, name, "examine", errno, err);
  else
    code = da_file_check(f, name, &st, err);
  if (code == DA_OK)
    do
      code = read_once(&bytes, f, name, fd, &st, err);
    while (code == DA_EBUSY && ++tries < ATTEMPTS);
  close(fd);
  if (code == DA_EBUSY && err)
    err->retryable = 1;
  if (code != DA_OK)
    return code;
  /* Also where the sink refuses it: this is what was refused. */
  da_file_revision(now, &st);
  return sink->document(sink, bytes, (size_t)st.st_size);
}

int da_file_load(da_store *store, const char *id, da_store_sink *sink,
                 da_revision *now, da_err *err) {
  da_file_store *f = (da_file_store *)store;
  char name[DA_FILE_NAME_SIZE];
  int code = da_file_name(name, id, err);
  now->text[0] = '\0';
  if (code != DA_OK)
    return code;
  da_file_tidy(f);
  return da_file_read(f, name, sink, now, err);
}
