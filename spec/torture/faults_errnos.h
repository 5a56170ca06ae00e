/* faults_errnos.h - as what a call fails. */
#ifndef FAULTS_ERRNOS_H
#define FAULTS_ERRNOS_H

#include "faults.h"

#include <stdlib.h>

/* Those that say "this failed"; not those that are answers (ENOENT: it is
** not there; ELOOP: it is a link). */
static const int faults_errnos[] = {EIO,    ENOSPC,    EDQUOT, EROFS, EMFILE,
                                    ENFILE, EACCES,    EPERM,  EINTR, ENOMEM,
                                    ESTALE, ETIMEDOUT, EFBIG,  EAGAIN};
enum { FAULTS_ERRNOS = sizeof faults_errnos / sizeof *faults_errnos };

static inline int faults_full(void) {
  const char *full = getenv("DA_FULL");
  return full && *full;
}

/* DA_FULL: each of them everywhere. Else the three that differ most, and of
** the others those whose turn it is. */
static inline int faults_wanted(size_t i, int turn, int ever) {
  int number = faults_errnos[i];
  if (ever == FAULTS_EVER_DISK)
    return number == EIO || number == EROFS;
  return faults_full() || number == EIO || number == ENOSPC ||
         number == EINTR || (i + (size_t)turn) % 4 == 0;
}

#endif
