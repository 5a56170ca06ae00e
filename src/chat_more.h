/* chat_more.h - what a stream gives beside its first answer (floor 4): the
** further choices of n > 1, and logprobs. Pure. */
#ifndef CHAT_MORE_H
#define CHAT_MORE_H

#include "chat_calls.h"

#define CHAT_CHOICES_MAX 128

typedef struct chat_further {
  int64_t index;
  chat_piece content, refusal;
  da_buf finish_reason; /* JSON */
  chat_calls calls;
} chat_further;

/* Failures stick to `failed`. */
typedef struct chat_more {
  chat_further *items;
  size_t count, cap;
  int failed;
} chat_more;

void chat_more_init(chat_more *m, size_t cap);
void chat_more_dispose(chat_more *m);

/* A further choice of a chunk, as checked JSON. */
void chat_more_add(chat_more *m, int64_t index, da_text choice);

/* Appends the array of choices, as a whole answer would have them, in the
** order of their index; nothing if there are none. Call it once. */
int chat_more_put(chat_more *m, da_buf *out);

/* ---- logprobs ---- */

typedef struct chat_logprobs {
  da_buf content, refusal; /* the items, with commas between */
} chat_logprobs;

void chat_logprobs_init(chat_logprobs *l, size_t cap);
void chat_logprobs_dispose(chat_logprobs *l);

/* The object of a chunk, as checked JSON. */
void chat_logprobs_add(chat_logprobs *l, da_text object);

/* Appends one object, as a whole answer would have it, or nothing. */
int chat_logprobs_put(const chat_logprobs *l, da_buf *out);

#endif
