/* file_restore.c - what was put aside: which there is, what is in it, and
** putting it back (floor 3). */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "file_claim.h"
#include "file_name.h"
#include "file_ops.h"

typedef struct listing {
  da_file_visit base;
  const da_file_store *f;
  const char *wanted; /* what the session's file is called, NULL: any */
  da_quarantine_list *list;
} listing;

static int tell(da_file_visit *v, DIR *stream, const struct dirent *e,
                da_err *err) {
  const listing *l = (const listing *)v;
  char name[DA_FILE_NAME_SIZE], id[DA_SESSION_ID_MAX + 1];
  da_quarantined q;
  struct stat st;
  if (!da_file_aside_of(e->d_name, name, &q.time) ||
      (l->wanted && strcmp(name, l->wanted) != 0))
    return DA_OK;
  if (fstatat(dirfd(stream), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT
               ? DA_OK
               : da_file_fail(l->f, e->d_name, "examine", errno, err);
  if (!S_ISREG(st.st_mode))
    return DA_OK;
  q.name.data = e->d_name;
  q.name.len = strlen(e->d_name);
  q.id.data = id;
  da_file_name_id(name, id, &q.id.len);
  q.bytes = (uint64_t)st.st_size;
  return l->list->item(l->list, &q);
}

int da_file_quarantined(da_store *store, const char *id,
                        da_quarantine_list *list, da_err *err) {
  const da_file_store *f = (const da_file_store *)store;
  char wanted[DA_FILE_NAME_SIZE];
  listing l = {{tell}, f, id ? wanted : NULL, list};
  int code = id ? da_file_name(wanted, id, err) : DA_OK;
  return code == DA_OK ? da_file_each(f, &l.base, err) : code;
}

/* The session file that `aside` was; a name that is none of ours leads
** nowhere. */
static int check(char *name, const char *aside, da_err *err) {
  double time;
  if (da_file_aside_of(aside, name, &time))
    return DA_OK;
  return da_fail(err, DA_ENOTFOUND, "nothing was put aside under that name");
}

int da_file_load_quarantined(da_store *store, const char *aside,
                             da_store_sink *sink, da_err *err) {
  char name[DA_FILE_NAME_SIZE];
  da_revision now;
  int code = check(name, aside, err);
  return code ? code
              : da_file_read((da_file_store *)store, aside, sink, &now, err);
}

/* Under the claim. Where there is a session, the two change places at once:
** nobody ever finds none. */
static int put_back(const da_file_store *f, int dir, const char *aside,
                    const char *name, da_err *err) {
  struct stat st;
  int result, tries = 0;
  int code = da_file_stat(&st, f, dir, aside, err);
  if (code != DA_OK)
    return code;
  code = da_file_stat(&st, f, dir, name, err);
  if (code != DA_OK && code != DA_ENOTFOUND)
    return code;
  do
    result = code == DA_OK ? renameat2(dir, aside, dir, name, RENAME_EXCHANGE)
                           : da_file_rename(dir, aside, name);
  while (result < 0 && da_file_again(&tries));
  if (result < 0 && code == DA_OK && (errno == EINVAL || errno == ENOSYS))
    return da_fail(err, DA_EUNSUPPORTED,
                   "this file system cannot exchange two files: delete "
                   "session '%s' first, or save it under another id",
                   name);
  return result < 0 ? da_file_fail(f, aside, "restore", errno, err) : DA_OK;
}

int da_file_restore(da_store *store, const char *aside, da_err *err) {
  da_file_store *f = (da_file_store *)store;
  da_file_claim claim;
  char name[DA_FILE_NAME_SIZE];
  int flushed;
  int code = check(name, aside, err);
  if (code == DA_OK)
    code = da_file_claim_take(&claim, f, name, 0, err);
  if (code != DA_OK)
    return code;
  code = put_back(f, claim.dir->fd, aside, name, err);
  flushed = da_file_claim_end(&claim, f, code == DA_OK && f->durable, err);
  return code == DA_OK ? flushed : code;
}
