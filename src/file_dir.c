/* file_dir.c - see file_dir.h. */
#include "file_dir.h"

#include <fcntl.h>
#include <stdlib.h>

int da_file_fail(const da_file_store *f, const char *name, const char *doing,
                 int saved_errno, da_err *err) {
  int code = da_fail_errno(err, saved_errno, "cannot %s %.300s%s%s", doing,
                           f->path, name ? "/" : "", name ? name : "");
  if (code != DA_ENOTFOUND)
    return code;
  if (err)
    err->code = DA_EIO;
  return DA_EIO;
}

static const char *kind(mode_t mode) {
  switch (mode & S_IFMT) {
  case S_IFLNK:
    return "a symbolic link";
  case S_IFDIR:
    return "a directory";
  case S_IFIFO:
    return "a FIFO";
  case S_IFSOCK:
    return "a socket";
  default:
    return "a device";
  }
}

int da_file_check(const da_file_store *f, const char *name,
                  const struct stat *st, da_err *err) {
  if (!S_ISREG(st->st_mode))
    return da_fail(err, DA_EUNSAFE, "%.250s/%s is %s, not a regular file",
                   f->path, name, kind(st->st_mode));
  if (st->st_uid != geteuid())
    return da_fail(err, DA_EUNSAFE, "%.250s/%s belongs to another user",
                   f->path, name);
  return DA_OK;
}

int da_file_private(int fd, mode_t now) {
  int result, tries = 0;
  if ((now & 0777) == 0600)
    return 0;
  do
    result = fchmod(fd, 0600);
  while (result < 0 && da_file_again(&tries));
  return result;
}

/* --- the process's part ------------------------------------------------- */

static da_file_process *process_new(da_file_process *parent) {
  da_file_process *p = calloc(1, sizeof *p);
  if (!p)
    return NULL;
  if (pthread_mutex_init(&p->mutex, NULL) != 0) {
    free(p);
    return NULL;
  }
  p->pid = getpid();
  p->parent = parent;
  atomic_init(&p->dir, NULL);
  atomic_flag_clear(&p->tidied);
  return p;
}

static void dir_close(da_file_dir *dir) {
  if (!dir)
    return;
  if (dir->lock_fd >= 0)
    close(dir->lock_fd);
  if (dir->fd >= 0)
    close(dir->fd);
  free(dir);
}

/* A thread of the parent may have held the mutex when it forked, so a
** child never touches that one. Closing the descriptors here leaves the
** parent's locks alone: they belong to the open file, which it still has. */
static void process_end(da_file_process *p) {
  dir_close(atomic_exchange(&p->dir, NULL));
}

da_file_process *da_file_process_get(da_file_store *f) {
  da_file_process *now = atomic_load(&f->process), *fresh;
  if (now && now->pid == getpid())
    return now;
  fresh = process_new(now);
  if (!fresh)
    return NULL;
  if (atomic_compare_exchange_strong(&f->process, &now, fresh)) {
    if (now)
      process_end(now);
    return fresh;
  }
  /* Another thread of this process was faster. */
  pthread_mutex_destroy(&fresh->mutex);
  free(fresh);
  return now;
}

void da_file_process_free(da_file_process *p) {
  pid_t self = getpid();
  while (p) {
    da_file_process *parent = p->parent;
    process_end(p);
    if (p->pid == self)
      pthread_mutex_destroy(&p->mutex);
    free(p);
    p = parent;
  }
}

/* --- the directory ------------------------------------------------------ */

static int open_lock(da_file_dir *dir, const da_file_store *f, da_err *err) {
  struct stat st;
  int code, tries = 0;
  do
    dir->lock_fd = openat(dir->fd, DA_FILE_LOCK,
                          O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK |
                              O_CLOEXEC | O_NOCTTY,
                          0600);
  while (dir->lock_fd < 0 && da_file_again(&tries));
  if (dir->lock_fd < 0 || fstat(dir->lock_fd, &st) < 0)
    return da_file_fail(f, DA_FILE_LOCK, "open", errno, err);
  code = da_file_check(f, DA_FILE_LOCK, &st, err);
  /* One that has another name as well may be any file of this user's. */
  if (code == DA_OK && st.st_nlink == 1 &&
      da_file_private(dir->lock_fd, st.st_mode) < 0)
    code = da_file_fail(f, DA_FILE_LOCK, "protect", errno, err);
  return code;
}

/* The descriptor of the directory in *fd. */
static int open_path(int *fd, const da_file_store *f, int create,
                     da_err *err) {
  int tries = 0;
  do
    *fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  while (*fd < 0 && da_file_again(&tries));
  if (*fd < 0 && errno == ENOENT && create)
    *fd = da_file_mkdirs(f->path, f->durable);
  if (*fd >= 0)
    return DA_OK;
  if (errno == ENOENT && !create)
    return da_fail(err, DA_ENOTFOUND, "there is no such session");
  return da_file_fail(f, NULL, "open directory", errno, err);
}

static int dir_open(da_file_dir **out, const da_file_store *f, int create,
                    da_err *err) {
  struct stat st;
  int code;
  da_file_dir *dir = calloc(1, sizeof *dir);
  if (!dir)
    return da_nomem(err);
  dir->lock_fd = -1;
  code = open_path(&dir->fd, f, create, err);
  if (code == DA_OK && fstat(dir->fd, &st) < 0)
    code = da_file_fail(f, NULL, "examine directory", errno, err);
  if (code == DA_OK)
    code = open_lock(dir, f, err);
  if (code != DA_OK) {
    dir_close(dir);
    return code;
  }
  dir->dev = st.st_dev;
  dir->ino = st.st_ino;
  atomic_flag_clear(&dir->swept);
  *out = dir;
  return DA_OK;
}

/* Does the path still lead to what is open? Somebody may have removed the
** directory, or moved it and made another. An error of stat says nothing:
** then the open one serves. */
static int is_current(const da_file_store *f, const da_file_dir *dir) {
  struct stat st;
  if (stat(f->path, &st) < 0)
    return errno != ENOENT;
  return st.st_ino == dir->ino && st.st_dev == dir->dev;
}

/* Under the mutex. */
static void retire(da_file_process *p, da_file_dir *dir) {
  if (atomic_load(&p->dir) == dir)
    atomic_store(&p->dir, NULL);
  dir->stale = 1;
}

int da_file_dir_use(da_file_dir **out, da_file_store *f, int create,
                    da_err *err) {
  da_file_process *p = da_file_process_get(f);
  da_file_dir *dir;
  int code = DA_OK;
  if (!p)
    return da_nomem(err);
  pthread_mutex_lock(&p->mutex);
  dir = atomic_load(&p->dir);
  if (dir && !is_current(f, dir)) {
    retire(p, dir);
    if (dir->users == 0)
      dir_close(dir);
    dir = NULL;
  }
  if (!dir) {
    code = dir_open(&dir, f, create, err);
    if (code == DA_OK)
      atomic_store(&p->dir, dir);
  }
  if (code == DA_OK) {
    dir->users++;
    *out = dir;
  }
  pthread_mutex_unlock(&p->mutex);
  return code;
}

void da_file_dir_drop(da_file_store *f, da_file_dir *dir) {
  da_file_process *p = atomic_load(&f->process);
  pthread_mutex_lock(&p->mutex);
  retire(p, dir);
  pthread_mutex_unlock(&p->mutex);
}

void da_file_dir_done(da_file_store *f, da_file_dir *dir) {
  da_file_process *p = atomic_load(&f->process);
  int last;
  pthread_mutex_lock(&p->mutex);
  last = --dir->users == 0 && dir->stale;
  pthread_mutex_unlock(&p->mutex);
  if (last)
    dir_close(dir);
}
