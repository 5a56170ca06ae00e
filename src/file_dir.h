/* file_dir.h - the file store and its directory (floor 3).
**
** Readers go by path and keep nothing open. Writers share one open
** directory and its lock file, which belong to the process that opened
** them: a fork's child gets its own at its first use.
*/
#ifndef FILE_DIR_H
#define FILE_DIR_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "da_err.h"

#define DA_FILE_LOCK ".lock"

struct da_file_claim;

/* An open directory. */
typedef struct da_file_dir {
  int fd;
  int lock_fd;
  dev_t dev; /* what it is, to see whether the path still leads here */
  ino_t ino;
  unsigned users;               /* under the mutex, as the next two */
  int stale;                    /* to be closed by its last user */
  struct da_file_claim *claims; /* slots that threads of this process hold */
  atomic_flag swept;
} da_file_dir;

/* What belongs to one process. */
typedef struct da_file_process {
  pid_t pid;
  pthread_mutex_t mutex;
  _Atomic(da_file_dir *) dir;     /* NULL: not open */
  atomic_flag tidied;             /* somebody looked for what the dead left */
  struct da_file_process *parent; /* what fork left us; only to be freed */
} da_file_process;

typedef struct da_file_store {
  struct da_store store;
  char *path; /* absolute, no slash at its end but for "/" */
  size_t max_bytes;
  int durable;
  double patience; /* seconds that a writer waits for another one */
  _Atomic(da_file_process *) process; /* NULL until the first write */
  _Atomic(char *) room; /* file_pieces.c's, from malloc, or NULL */
} da_file_store;

/* The open directory, to be given back with da_file_dir_done. `create`:
** made if it is not there; otherwise DA_ENOTFOUND. */
int da_file_dir_use(da_file_dir **out, da_file_store *f, int create,
                    da_err *err);
void da_file_dir_done(da_file_store *f, da_file_dir *dir);

/* It is not what it was: the next user opens anew. */
void da_file_dir_drop(da_file_store *f, da_file_dir *dir);

/* This process's part, or NULL if memory ran out. */
da_file_process *da_file_process_get(da_file_store *f);

/* Closes and frees all of it. */
void da_file_process_free(da_file_process *p);

/* Opens the directory `path` (absolute), making what is missing of it, all
** with mode 0700 whatever the umask. `durable`: what was made is flushed.
** The descriptor, or -1 with errno. */
int da_file_mkdirs(const char *path, int durable);

/* Mode of an open file of ours, whatever the umask made of it: 0, or -1
** with errno. */
int da_file_private(int fd, mode_t now);

/* DA_E... of a failed system call on `name` (NULL: the directory itself).
** Never DA_ENOTFOUND: that has a meaning of its own here. */
int da_file_fail(const da_file_store *f, const char *name, const char *doing,
                 int saved_errno, da_err *err);

/* DA_OK if it is a regular file of this user, else DA_EUNSAFE saying what
** it is. */
int da_file_check(const da_file_store *f, const char *name,
                  const struct stat *st, da_err *err);

/* Was the call that just failed interrupted, and may be made again? Not
** for ever: a call that is always interrupted is a call that fails. */
#define DA_FILE_TRIES 100
static inline int da_file_again(int *tries) {
  return errno == EINTR && ++*tries < DA_FILE_TRIES;
}

/* close on the way out of a failure, whose errno is kept. */
static inline void da_file_shut(int fd) {
  int saved = errno;
  close(fd);
  errno = saved;
}

#endif
