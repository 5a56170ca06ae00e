/* da_meta.h - what is stored beside a session's messages (floor 2): a JSON
** object with "created_at", "updated_at", "usage", and whatever others have
** put there, which is kept; and "unfinished", turns that were broken off. */
#ifndef DA_META_H
#define DA_META_H

#include "da_journal.h"

typedef struct da_meta {
  double created_at;  /* seconds since 1970; 0: not known */
  da_usage usage;     /* of all turns since then */
  da_text unfinished; /* a da_journal; empty: none. Borrowed */
} da_meta;

/* Whether `json`, which somebody else gave, is such an object. */
int da_meta_check(da_text json);

/* What `json` says; what it does not, or says wrongly, is 0. */
void da_meta_read(da_meta *m, da_text json);

/* Appends the object, updated now, with the other members of `former` (an
** object, or empty). */
int da_meta_put(da_buf *out, const da_meta *m, da_text former);

/* Appends `theirs` with what has changed from `base` to `ours`: tokens are
** added up, other members are theirs where both have them. Each may be
** empty. */
int da_meta_merge(da_buf *out, da_text base, da_text ours, da_text theirs);

/* Adds tokens, which somebody else has counted, without overflow. */
void da_usage_add(da_usage *to, const da_usage *more);

#endif
