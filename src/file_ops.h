/* file_ops.h - the file store's functions, a file each (floor 3). */
#ifndef FILE_OPS_H
#define FILE_OPS_H

#include <dirent.h>

#include "file_dir.h"

int da_file_load(da_store *store, const char *id, da_store_sink *sink,
                 da_revision *now, da_err *err);

/* If the new state is in place but its directory could not be flushed, the
** answer is an error and *now is the new revision nevertheless: who saves
** again goes on from there, or would take his own state for another's.
** After any other error *now is "" and the old state is as it was. */
int da_file_save(da_store *store, const char *id,
                 const da_store_session *session, da_revision *now,
                 da_err *err);
int da_file_list(da_store *store, da_store_ids *ids, da_err *err);
int da_file_remove(da_store *store, const char *id, da_err *err);
int da_file_quarantine(da_store *store, const char *id,
                       const da_revision *expected, char *kept, size_t size,
                       da_err *err);

int da_file_quarantined(da_store *store, const char *id,
                        da_quarantine_list *list, da_err *err);
int da_file_load_quarantined(da_store *store, const char *name,
                             da_store_sink *sink, da_err *err);
int da_file_restore(da_store *store, const char *name, da_err *err);

/* The bytes of the file `name`, and its revision. */
int da_file_read(const da_file_store *f, const char *name, da_store_sink *sink,
                 da_revision *now, da_err *err);

/* The store's directory, or "." of the open one at `fd`: a stream of its own,
** so that several threads may read at once. NULL with errno. */
DIR *da_file_stream(int fd, const char *path);

/* Goes through the store's directory; what `entry` returns as in a sink. Where
** there is no directory, there are no entries. */
typedef struct da_file_visit da_file_visit;
struct da_file_visit {
  int (*entry)(da_file_visit *, DIR *, const struct dirent *, da_err *);
};
int da_file_each(const da_file_store *f, da_file_visit *v, da_err *err);

/* Whether an entry is a regular file; links to such are none. 1 or 0, or -1
** with errno. */
int da_file_is_regular(DIR *stream, const struct dirent *e);

/* Gives the file another name, but never one that is taken: EEXIST. 0, or -1
** with errno. */
int da_file_rename(int dir, const char *from, const char *to);

/* Writes all pieces, in order. 0, or -1 with errno. */
int da_file_pieces(da_file_store *f, int fd, const da_text *pieces,
                   size_t count);

/* DA_OK if the stored state is the expected one (NULL: any), DA_ECONFLICT,
** or why that cannot be told. */
int da_file_expect(const da_file_store *f, int dir, const char *name,
                   const da_revision *expected, da_err *err);

/* Removes the temporary files whose writers are gone; called between `own`
** claim and its first file. -1: something of them may be left. That is no
** failure of the save, whose successor sweeps once more. */
int da_file_sweep(da_file_store *f, const struct da_file_claim *own);

/* The same, once, before a process reads what may be there. */
void da_file_tidy(da_file_store *f);

#endif
