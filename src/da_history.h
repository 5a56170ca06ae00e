/* da_history.h - an append-only list of messages (floor 1).
**
** A value: copying one is O(1) and gives a snapshot that later appends to
** the original do not touch. Backed by a chain of chunks that snapshots
** share; the chain is only ever extended, so a snapshot may be read on
** another thread while its original grows.
*/
#ifndef DA_HISTORY_H
#define DA_HISTORY_H

#include "da_message.h"

typedef struct da_chunk da_chunk;

typedef struct da_history {
  da_chunk *tail; /* NULL as long as it is empty */
  size_t len;
} da_history;

#define DA_HISTORY_EMPTY                                                      \
  { NULL, 0 }

/* Overwrites *to with a snapshot. */
void da_history_copy(da_history *to, const da_history *from);
void da_history_dispose(da_history *h); /* leaves it empty */

/* Appends; takes the caller's reference, also upon failure (DA_ENOMEM,
** the list is then unchanged). */
int da_history_append(da_history *h, da_message *take);

/* Walks from message `from` on: da_history_next returns NULL at the end or
** (check it->failed) without memory. The walk borrows from `h`. */
typedef struct da_history_iter {
  da_chunk **chunks;
  size_t count, chunk, item, left;
  int failed;
} da_history_iter;
void da_history_begin(da_history_iter *it, const da_history *h, size_t from);
da_message *da_history_next(da_history_iter *it);
void da_history_end(da_history_iter *it);

/* Borrowed; i < h->len. Fast near the end. */
da_message *da_history_at(const da_history *h, size_t i);

/* Whether they are the same list of messages, told from the chain alone. */
int da_history_same(const da_history *a, const da_history *b);

/* Whether they hold the same messages, byte for byte, whoever made them. 0
** also without memory to tell. */
int da_history_equal(const da_history *a, const da_history *b);

/* Whether `a` is where `b` came from by appending (or b itself), told from
** the chain alone. */
int da_history_is_prefix(const da_history *a, const da_history *b);

/* The index of the first message of the window: the longest run of whole
** turns at the end with at most `limit` messages. A turn begins with a
** user's message. */
size_t da_history_window(const da_history *h, size_t limit);

/* *out = theirs, less what is in `base` but no longer in `ours`, with what we
** have edited since `base` as we have it; then what is in `ours` but neither
** in `base` nor in `theirs`. Messages are told apart by id. DA_OK or
** DA_ENOMEM. */
int da_history_merge(da_history *out, const da_history *base,
                     const da_history *ours, const da_history *theirs);

#endif
