/* file_aside.c - removing a session's file, or putting it aside (floor 3). */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "file_claim.h"
#include "file_name.h"
#include "file_ops.h"

static int remove_claimed(const da_file_store *f, int dir, const char *name,
                          da_err *err) {
  struct stat st;
  int tries = 0;
  int code = da_file_stat(&st, f, dir, name, err);
  if (code != DA_OK)
    return code;
  while (unlinkat(dir, name, 0) < 0) {
    if (errno == ENOENT)
      return da_fail(err, DA_ENOTFOUND, "there is no such session");
    if (!da_file_again(&tries))
      return da_file_fail(f, name, "remove", errno, err);
  }
  return DA_OK;
}

int da_file_remove(da_store *store, const char *id, da_err *err) {
  da_file_store *f = (da_file_store *)store;
  da_file_claim claim;
  char name[DA_FILE_NAME_SIZE];
  int flushed;
  int code = da_file_name(name, id, err);
  if (code == DA_OK)
    code = da_file_claim_take(&claim, f, name, 0, err);
  if (code != DA_OK)
    return code;
  if (f->durable)
    da_file_claim_keep(&claim, name);
  code = remove_claimed(f, claim.dir->fd, name, err);
  flushed = da_file_claim_end(&claim, f, code == DA_OK && f->durable, err);
  return code == DA_OK ? flushed : code;
}

int da_file_rename(int dir, const char *from, const char *to) {
  if (renameat2(dir, from, dir, to, RENAME_NOREPLACE) == 0)
    return 0;
  if (errno != EINVAL && errno != ENOSYS)
    return -1;
  /* This file system cannot: two names for a moment, then one. */
  if (linkat(dir, from, dir, to, 0) < 0)
    return -1;
  if (unlinkat(dir, from, 0) < 0) {
    struct stat st;
    int saved = errno;
    /* A network's file system may have done it nevertheless: then the name
    ** aside is the last one. */
    if (fstatat(dir, from, &st, AT_SYMLINK_NOFOLLOW) == 0)
      unlinkat(dir, to, 0);
    errno = saved;
    return -1;
  }
  return 0;
}

static int put_aside(const da_file_store *f, int dir, const char *name,
                     const da_revision *expected, char *aside, da_err *err) {
  struct stat st;
  int result, tries = 0;
  int code = da_file_stat(&st, f, dir, name, err);
  if (code == DA_OK)
    code = da_file_expect(f, dir, name, expected, err);
  if (code != DA_OK)
    return code;
  do {
    da_file_aside(aside, name);
    result = da_file_rename(dir, name, aside);
  } while (result < 0 && (errno == EEXIST ? ++tries < DA_FILE_TRIES
                                          : da_file_again(&tries)));
  return result < 0 ? da_file_fail(f, name, "put aside", errno, err) : DA_OK;
}

int da_file_quarantine(da_store *store, const char *id,
                       const da_revision *expected, char *kept, size_t size,
                       da_err *err) {
  da_file_store *f = (da_file_store *)store;
  da_file_claim claim;
  char name[DA_FILE_NAME_SIZE], aside[DA_FILE_ASIDE_SIZE];
  int flushed;
  int code = da_file_name(name, id, err);
  if (code == DA_OK)
    code = da_file_claim_take(&claim, f, name, 0, err);
  if (code != DA_OK)
    return code;
  code = put_aside(f, claim.dir->fd, name, expected, aside, err);
  if (code == DA_OK && size > 0)
    snprintf(kept, size, "%s/%s", f->path, aside);
  flushed = da_file_claim_end(&claim, f, code == DA_OK && f->durable, err);
  return code == DA_OK ? flushed : code;
}
