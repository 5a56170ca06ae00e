/* da_store.h - the only callers of the store ABI (floor 2).
** They hold the checks, the defaults for functions that a store lacks, and
** the translation between histories and what a store takes and gives. */
#ifndef DA_STORE_H
#define DA_STORE_H

#include "da_document.h"
#include "da_history.h"

/* A store with a count of those who use it: agents, the saver. */
typedef struct da_backend da_backend;

/* Takes `store`, also upon failure: the last unref closes it. DA_EINVAL if
** its version or functions are not ours. */
int da_backend_new(da_backend **out, da_store *store, da_err *err);
da_backend *da_backend_ref(da_backend *b);
void da_backend_unref(da_backend *b); /* NULL is fine */
da_store *da_backend_store(da_backend *b);
uint32_t da_backend_flags(const da_backend *b);
const char *da_backend_name(const da_backend *b);

/* `code`, with words for it in *err if the store had none; what is positive
** is DA_OK. */
int da_store_result(da_backend *b, int code, const char *verb, da_err *err);

/* A session as it is in the store. */
typedef struct da_stored {
  da_history history;
  da_buf meta; /* a JSON object, or empty */
  da_revision revision;
} da_stored;

void da_stored_init(da_stored *s);
void da_stored_dispose(da_stored *s);

/* DA_OK, DA_ENOTFOUND (revision ""), or why it could not be read; then the
** revision may be known all the same. *out must be fresh from init. */
int da_store_load(da_backend *b, const char *id, da_stored *out, da_err *err);

/* Stores `history` and `meta`. `stored`: as many messages at its beginning
** as revision *expected holds; `expected` NULL: overwrite. *now gets the
** new revision. */
int da_store_save(da_backend *b, const char *id, const da_history *history,
                  size_t stored, da_text meta, const da_revision *expected,
                  da_revision *now, da_err *err);

/* DA_ENOTFOUND where there was none. */
int da_store_remove(da_backend *b, const char *id, da_err *err);
int da_store_list(da_backend *b, da_store_ids *ids, da_err *err);

/* DA_EUNSUPPORTED where the store cannot. */
int da_store_quarantine(da_backend *b, const char *id,
                        const da_revision *expected, char *kept, size_t size,
                        da_err *err);

/* As da_store_save with `expected` NULL, but never over what cannot be read: a
** corrupt session is put aside first, any other error is the result. `kept`,
** also then: where it was put, as the store tells, or "". */
int da_store_replace(da_backend *b, const char *id, const da_history *history,
                     da_text meta, char *kept, size_t size, da_err *err);

/* ---- what cannot be read ---- */

typedef struct da_recovered {
  da_salvage salvage;
  size_t bytes; /* of what was looked at */
  da_err why;   /* why it cannot be loaded; DA_OK: it can, and is whole */
} da_recovered;

void da_recovered_init(da_recovered *r);
void da_recovered_dispose(da_recovered *r);

/* What the session still holds, or (`name` not NULL) what was put aside under
** that name; changes nothing. *out must be fresh from init. DA_ENOTFOUND, or
** why it cannot be read at all. */
int da_store_recover(da_backend *b, const char *id, const char *name,
                     da_recovered *out, da_err *err);

/* As in the ABI; DA_EUNSUPPORTED where the store cannot. */
int da_store_quarantined(da_backend *b, const char *id,
                         da_quarantine_list *list, da_err *err);
int da_store_restore(da_backend *b, const char *name, da_err *err);

#endif
