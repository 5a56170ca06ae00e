/* store_file.h - sessions as files in a directory (floor 3).
** See deepagent.h for what it promises. */
#ifndef STORE_FILE_H
#define STORE_FILE_H

#include "deepagent_store.h"

/* Touches nothing on disk: the directory is made at the first save.
** DA_EINVAL (no home directory), DA_ENOMEM. */
int da_store_file(da_store **out, const da_file_options *options, da_err *err);

/* The directory, absolute; lives as long as the store. */
const char *da_store_file_path(const da_store *store);

#endif
