/* da_id_set.h - messages found again by their ids (floor 1). */
#ifndef DA_ID_SET_H
#define DA_ID_SET_H

#include "da_message.h"

/* Open addressing, at most half full. Borrows the messages. */
typedef struct da_id_set {
  da_message **slots;
  size_t mask;
} da_id_set;

/* Room for `most` messages. DA_OK or DA_ENOMEM. */
int da_id_set_init(da_id_set *s, size_t most);
void da_id_set_dispose(da_id_set *s); /* also of one that is all zeros */

/* In the place of an earlier one with the same id. */
void da_id_set_add(da_id_set *s, da_message *m);

/* The one with the id of `m`, or NULL. */
da_message *da_id_set_find(const da_id_set *s, const da_message *m);

#endif
