/* chat_extra.h - the members of a stream's deltas that are not known here
** (floor 4): what a whole answer would have, put together. Some services want
** them back: reasoning_details with their signatures, the id of an audio.
** Pure. */
#ifndef CHAT_EXTRA_H
#define CHAT_EXTRA_H

#include "chat_piece.h"

#define CHAT_EXTRA_MOST 32 /* of one object; more is a protocol error */

typedef struct chat_extra_member chat_extra_member;

typedef struct chat_extra {
  chat_extra_member *items; /* NULL: none */
  size_t count, cap;
  int inner;  /* within one of them */
  int failed; /* DA_OK or the code of what went wrong: it sticks */
} chat_extra;

void chat_extra_init(chat_extra *e, size_t cap);
void chat_extra_dispose(chat_extra *e);

/* The object of a delta, as checked JSON. Texts are appended, lists too: items
** that follow each other with the same index and type are one, in pieces. Of
** all else the last value counts, but for null. */
void chat_extra_delta(chat_extra *e, da_text delta);

/* Appends each as `,"key":value`. Call it once. */
int chat_extra_put(chat_extra *e, da_buf *out);

#endif
