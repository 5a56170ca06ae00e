/* private_tmp.h - a TMPDIR in memory that no one else sees and that is gone
** with the program, however it ends. */
#ifndef PRIVATE_TMP_H
#define PRIVATE_TMP_H

#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>

/* Thousands of small files, and a disk that other tests share: where we may
** (as root), they are made in memory. 1 if so. */
static inline int private_tmp(void) {
  const char *tmp = getenv("TMPDIR");
  if (!tmp)
    tmp = "/tmp";
  return unshare(CLONE_NEWNS) == 0 &&
         mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
         mount("deepagent", tmp, "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777") ==
             0;
}

#endif
