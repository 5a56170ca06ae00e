/* file_claim.c - see file_claim.h. */
#include "file_claim.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

uint64_t da_file_slot(const char *name) {
  uint64_t h = 14695981039346656037u;
  while (*name) {
    h ^= (unsigned char)*name++;
    h *= 1099511628211u;
  }
  return h & (UINT64_MAX >> 2);
}

/* --- among the threads of this process ---------------------------------- */

static int enlist(da_file_claim *c, da_file_store *f) {
  da_file_process *p = atomic_load(&f->process);
  const da_file_claim *other;
  pthread_mutex_lock(&p->mutex);
  for (other = c->dir->claims; other; other = other->next)
    if (other->slot == c->slot)
      break;
  if (!other) {
    c->next = c->dir->claims;
    c->dir->claims = c;
  }
  pthread_mutex_unlock(&p->mutex);
  return !other;
}

static void delist(da_file_claim *c, da_file_store *f) {
  da_file_process *p = atomic_load(&f->process);
  da_file_claim **at;
  pthread_mutex_lock(&p->mutex);
  for (at = &c->dir->claims; *at != c; at = &(*at)->next)
    ;
  *at = c->next;
  pthread_mutex_unlock(&p->mutex);
}

/* --- among processes ---------------------------------------------------- */

static int set_lock(const da_file_claim *c, short type) {
  struct flock lock = {0};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = (off_t)c->slot;
  lock.l_len = 1;
  return fcntl(c->dir->lock_fd, F_OFD_SETLK, &lock);
}

static void let_go(da_file_claim *c, da_file_store *f) {
  /* An unlock that fails would keep everybody out until the lock file is
  ** closed, so that is brought about. */
  if (set_lock(c, F_UNLCK) < 0)
    da_file_dir_drop(f, c->dir);
  delist(c, f);
}

/* DA_OK, DA_EBUSY (with no *err: it is tried again), or why not. */
static int attempt(da_file_claim *c, da_file_store *f, da_err *err) {
  int saved;
  if (!enlist(c, f))
    return DA_EBUSY;
  if (set_lock(c, F_WRLCK) == 0)
    return DA_OK;
  saved = errno;
  delist(c, f);
  if (saved == EAGAIN || saved == EACCES || saved == EINTR)
    return DA_EBUSY;
  return da_file_fail(f, DA_FILE_LOCK, "lock", saved, err);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Polls, for there is no lock with a deadline: soon at first, as a claim
** is mostly short, then every millisecond. */
static int wait_for(da_file_claim *c, da_file_store *f, double deadline,
                    da_err *err) {
  struct timespec pause = {0, 50000};
  int code;
  while ((code = attempt(c, f, err)) == DA_EBUSY) {
    if (now() >= deadline) {
      da_fail(err, DA_EBUSY,
              "another writer has held this session in %.300s for %g s",
              f->path, f->patience);
      if (err)
        err->retryable = 1;
      break;
    }
    nanosleep(&pause, NULL);
    if (pause.tv_nsec < 1000000)
      pause.tv_nsec *= 2;
  }
  return code;
}

/* A lock file that was removed, alone or with the directory, locks out
** nobody who came later. */
static int is_in_place(const da_file_claim *c) {
  struct stat st;
  return fstat(c->dir->lock_fd, &st) == 0 && st.st_nlink > 0;
}

int da_file_claim_take(da_file_claim *c, da_file_store *f, const char *name,
                       int create, da_err *err) {
  double deadline = now() + f->patience;
  c->slot = da_file_slot(name);
  c->kept = -1;
  for (int tries = 0; tries < DA_FILE_TRIES; tries++) {
    int code = da_file_dir_use(&c->dir, f, create, err);
    if (code != DA_OK)
      return code;
    code = wait_for(c, f, deadline, err);
    if (code == DA_OK && is_in_place(c))
      return DA_OK;
    if (code == DA_OK) {
      let_go(c, f);
      da_file_dir_drop(f, c->dir);
    }
    da_file_dir_done(f, c->dir);
    if (code != DA_OK)
      return code;
  }
  return da_fail(err, DA_EIO, "the lock file in %.300s does not stay there",
                 f->path);
}

void da_file_claim_keep(da_file_claim *c, const char *name) {
  c->kept = openat(c->dir->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

int da_file_claim_end(da_file_claim *c, da_file_store *f, int flush,
                      da_err *err) {
  int code = DA_OK, result, tries = 0;
  let_go(c, f);
  if (flush) {
    do
      result = fsync(c->dir->fd);
    while (result < 0 && da_file_again(&tries));
    if (result < 0)
      code = da_file_fail(f, NULL, "flush directory", errno, err);
  }
  if (c->kept >= 0)
    close(c->kept);
  da_file_dir_done(f, c->dir);
  return code;
}

int da_file_claim_try(da_file_claim *c, da_file_store *f, da_file_dir *dir,
                      uint64_t slot) {
  c->dir = dir;
  c->slot = slot;
  c->kept = -1;
  switch (attempt(c, f, NULL)) {
  case DA_OK:
    return 1;
  case DA_EBUSY:
    return 0;
  default:
    return -1;
  }
}

void da_file_claim_quit(da_file_claim *c, da_file_store *f) {
  let_go(c, f);
}
