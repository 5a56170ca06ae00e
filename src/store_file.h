/* store_file.h - sessions as files in a directory (floor 3).
** See deepagent.h for what it promises. */
#ifndef STORE_FILE_H
#define STORE_FILE_H

#include "deepagent_store.h"

typedef struct da_file_options {
  const char *path;   /* directory; NULL: $DEEPAGENT_HOME/sessions, else
                      ** ~/.deepagent/sessions */
  int durable;        /* 1: a save returns when the disk has it */
  size_t max_bytes;   /* largest file that is read; 0: 1 GiB */
} da_file_options;

/* Touches nothing on disk: the directory is made at the first save.
** DA_EINVAL (no home directory), DA_ENOMEM. */
int da_store_file(da_store **out, const da_file_options *options,
                  da_err *err);

/* The directory, absolute; lives as long as the store. */
const char *da_store_file_path(const da_store *store);

#endif
