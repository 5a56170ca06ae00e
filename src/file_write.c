/* file_write.c - saving a session's file (floor 3).
**
** Claim, look whether the stored state is the expected one, write all of
** the new one beside it, flush, rename, let go, flush the directory. The
** old state is there until the rename, and whole; no flush is tried again
** on the same descriptor, as the kernel tells of a lost page only once.
*/
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "file_claim.h"
#include "file_name.h"
#include "file_ops.h"

/* The directory went away between claim and rename: once more, anew. */
#define VANISHED 1

static int failed(const da_file_store *f, const char *name, const char *doing,
                  da_err *err) {
  if (errno == ENOENT) {
    da_file_fail(f, name, doing, ENOENT, err);
    return VANISHED;
  }
  return da_file_fail(f, name, doing, errno, err);
}

/* A file above the process's limit would end the process by SIGXFSZ, and
** one above max_bytes could not be loaded any more. */
static int check_size(const da_file_store *f, const char *name,
                      const da_store_session *s, da_err *err) {
  struct rlimit limit;
  size_t i, bytes = 0;
  for (i = 0; i < s->pieces; i++)
    bytes += s->document[i].len;
  if (bytes > f->max_bytes)
    return da_fail(err, DA_ETOOLARGE,
                   "%.250s/%s would have %zu bytes, the limit is %zu", f->path,
                   name, bytes, f->max_bytes);
  if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && bytes > limit.rlim_cur)
    return da_file_fail(f, name, "write", EFBIG, err);
  return DA_OK;
}

int da_file_expect(const da_file_store *f, int dir, const char *name,
                   const da_revision *expected, da_err *err) {
  struct stat st;
  da_revision there = {""};
  int code = da_file_stat(&st, f, dir, name, err);
  if (code != DA_OK && code != DA_ENOTFOUND)
    return code;
  if (code == DA_OK)
    da_file_revision(&there, &st);
  if (!expected || strcmp(there.text, expected->text) == 0)
    return DA_OK;
  return da_fail(err, DA_ECONFLICT, "%.250s/%s %s meanwhile", f->path, name,
                 !there.text[0]      ? "was removed"
                 : expected->text[0] ? "was changed"
                                     : "was created");
}

static int open_temp(int *fd, char *temp, const da_file_store *f, int dir,
                     uint64_t slot, da_err *err) {
  int tries = 0;
  do {
    da_file_temp(temp, slot);
    *fd = openat(dir, temp,
                 O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  } while (*fd < 0 && (errno == EEXIST ? ++tries < DA_FILE_TRIES
                                       : da_file_again(&tries)));
  return *fd < 0 ? failed(f, temp, "create", err) : DA_OK;
}

/* Kernels stamp files with the time of their last tick, some ms ago; two
** states of one size within a tick would look alike once an inode is used
** again. Where the stamp cannot be set, the kernel's has to do. */
static void stamp(int fd) {
  struct timespec times[2] = {{0, UTIME_OMIT}, {0, 0}};
  if (clock_gettime(CLOCK_REALTIME, &times[1]) == 0)
    futimens(fd, times);
}

/* Contents, mode, time and flush of the new file; its state in *st. */
static int fill(int fd, da_file_store *f, const da_store_session *s,
                struct stat *st) {
  int result, tries = 0;
  if (da_file_pieces(f, fd, s->document, s->pieces) < 0)
    return -1;
  stamp(fd);
  if (fstat(fd, st) < 0 || da_file_private(fd, st->st_mode) < 0)
    return -1;
  if (!f->durable)
    return 0;
  do /* an interrupted flush has reported nothing yet */
    result = fsync(fd);
  while (result < 0 && da_file_again(&tries));
  return result;
}

/* A network's file system may tell only here that it has no room. Linux
** closes the descriptor also where it says that it was interrupted. */
static int close_checked(int fd) {
  return close(fd) < 0 && errno != EINTR ? -1 : 0;
}

static int replace(const da_file_claim *c, da_file_store *f, const char *name,
                   const da_store_session *s, da_revision *now, da_err *err) {
  char temp[DA_FILE_TEMP_SIZE];
  struct stat st;
  const char *doing = NULL;
  int fd, tries = 0, dir = c->dir->fd;
  int code = open_temp(&fd, temp, f, dir, c->slot, err);
  if (code != DA_OK)
    return code;
  if (fill(fd, f, s, &st) < 0) {
    da_file_shut(fd);
    doing = "write";
  } else if (close_checked(fd) < 0) {
    doing = "close";
  } else {
    while (renameat(dir, temp, dir, name) < 0)
      if (!da_file_again(&tries)) {
        doing = "replace";
        break;
      }
  }
  if (!doing) {
    da_file_revision(now, &st);
    return DA_OK;
  }
  code = failed(f, name, doing, err);
  if (unlinkat(dir, temp, 0) < 0) /* the next save does it */
    atomic_flag_clear(&c->dir->swept);
  return code;
}

static int save_once(da_file_store *f, const char *name,
                     const da_store_session *s, da_revision *now,
                     da_err *err) {
  da_file_claim claim;
  int flushed;
  int code = da_file_claim_take(&claim, f, name, 1, err);
  if (code != DA_OK)
    return code;
  if (!atomic_flag_test_and_set(&claim.dir->swept) &&
      da_file_sweep(f, &claim) < 0)
    atomic_flag_clear(&claim.dir->swept);
  code = da_file_expect(f, claim.dir->fd, name, s->expected, err);
  if (code == DA_OK && f->durable)
    da_file_claim_keep(&claim, name);
  if (code == DA_OK)
    code = replace(&claim, f, name, s, now, err);
  if (code == VANISHED)
    da_file_dir_drop(f, claim.dir);
  flushed = da_file_claim_end(&claim, f, code == DA_OK && f->durable, err);
  return code == DA_OK ? flushed : code;
}

int da_file_save(da_store *store, const char *id,
                 const da_store_session *session, da_revision *now,
                 da_err *err) {
  da_file_store *f = (da_file_store *)store;
  da_revision made = {""}; /* as `now` may be what is expected, too */
  char name[DA_FILE_NAME_SIZE];
  int code = da_file_name(name, id, err);
  if (code == DA_OK)
    code = check_size(f, name, session, err);
  if (code == DA_OK)
    code = save_once(f, name, session, &made, err);
  if (code == VANISHED)
    code = save_once(f, name, session, &made, err);
  *now = made;
  return code == VANISHED ? DA_EIO : code;
}
