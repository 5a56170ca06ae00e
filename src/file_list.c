/* file_list.c - going through a directory of sessions (floor 3). */
#include <fcntl.h>

#include "file_claim.h"
#include "file_name.h"
#include "file_ops.h"

DIR *da_file_stream(int fd, const char *path) {
  DIR *stream;
  int tries = 0, own;
  do
    own = openat(fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  while (own < 0 && da_file_again(&tries));
  if (own < 0)
    return NULL;
  stream = fdopendir(own);
  if (!stream)
    da_file_shut(own);
  return stream;
}

/* File systems that do not tell an entry's type make us ask for each. */
int da_file_is_regular(DIR *stream, const struct dirent *e) {
  struct stat st;
  if (e->d_type != DT_UNKNOWN)
    return e->d_type == DT_REG;
  if (fstatat(dirfd(stream), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT ? 0 : -1;
  return S_ISREG(st.st_mode);
}

int da_file_list(da_store *store, da_store_ids *ids, da_err *err) {
  const da_file_store *f = (const da_file_store *)store;
  const struct dirent *e;
  char id[DA_SESSION_ID_MAX + 1];
  int code = DA_OK;
  DIR *stream = da_file_stream(AT_FDCWD, f->path);
  if (!stream && errno == ENOENT)
    return DA_OK;
  if (!stream)
    return da_file_fail(f, NULL, "open directory", errno, err);
  while (code == DA_OK && (errno = 0, e = readdir(stream)) != NULL) {
    da_text text = {id, 0};
    int regular = da_file_name_id(e->d_name, id, &text.len);
    if (regular)
      regular = da_file_is_regular(stream, e);
    if (regular < 0) /* a list without it would say that it is not there */
      code = da_file_fail(f, e->d_name, "examine", errno, err);
    else if (regular)
      code = ids->id(ids, text);
  }
  if (code == DA_OK && errno != 0)
    code = da_file_fail(f, NULL, "read directory", errno, err);
  closedir(stream);
  return code;
}

/* 0, or -1 if it may be worth another try. What another user has put into a
** directory that all may write to stays. */
static int sweep_slot(da_file_store *f, const da_file_claim *own,
                      uint64_t slot, const char *temp) {
  da_file_claim claim;
  int free =
      slot == own->slot ? 1 : da_file_claim_try(&claim, f, own->dir, slot);
  int result = free < 0 ? -1 : 0;
  if (free > 0 && unlinkat(own->dir->fd, temp, 0) < 0)
    result = errno == ENOENT || errno == EPERM ? 0 : -1;
  if (free > 0 && slot != own->slot)
    da_file_claim_quit(&claim, f);
  return result;
}

/* A writer holds its slot from before it makes the file until after the
** rename: who gets the slot after seeing the name knows that this writer
** is through or dead. */
int da_file_sweep(da_file_store *f, const da_file_claim *own) {
  const struct dirent *e;
  DIR *stream = da_file_stream(own->dir->fd, ".");
  int result = 0;
  if (!stream)
    return -1;
  while ((errno = 0, e = readdir(stream)) != NULL) {
    uint64_t slot;
    int regular = da_file_temp_slot(e->d_name, &slot);
    if (regular)
      regular = da_file_is_regular(stream, e);
    if (regular < 0 || (regular && sweep_slot(f, own, slot, e->d_name) < 0))
      result = -1;
  }
  if (errno != 0)
    result = -1;
  closedir(stream);
  return result;
}

/* No slot is that large: none is ours. */
#define NO_SLOT UINT64_MAX

void da_file_tidy(da_file_store *f) {
  da_file_process *p = da_file_process_get(f);
  da_file_claim none = {NULL, NO_SLOT, -1, NULL};
  int fd;
  if (!p || atomic_flag_test_and_set(&p->tidied))
    return;
  /* Without a lock file no writer was here; who reads makes none. */
  fd = open(f->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return;
  if (faccessat(fd, DA_FILE_LOCK, R_OK | W_OK, AT_EACCESS) == 0 &&
      da_file_dir_use(&none.dir, f, 0, NULL) == DA_OK) {
    if (!atomic_flag_test_and_set(&none.dir->swept) &&
        da_file_sweep(f, &none) < 0)
      atomic_flag_clear(&none.dir->swept);
    da_file_dir_done(f, none.dir);
  }
  close(fd);
}
