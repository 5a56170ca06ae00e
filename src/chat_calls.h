/* chat_calls.h - the calls of tools in an answer, put together from what
** services send (floor 4). Pure. chat_calls.c reads, chat_calls_find.c tells
** which call a piece belongs to, chat_calls_put.c writes. */
#ifndef CHAT_CALLS_H
#define CHAT_CALLS_H

#include "chat_piece.h"
#include "da_message.h"

#define CHAT_CALLS_MAX 128 /* in one answer */

/* A member that is not known here: some services sign their calls, and want
** the signature back. */
typedef struct chat_member {
  da_buf raw; /* `,"key":value` */
  size_t key; /* bytes of `,"key":` */
  int inside; /* of "function", not of the call */
} chat_member;

typedef struct chat_one_call {
  int64_t index;
  int has_index, legacy;
  unsigned delta; /* the last one that had a piece of it */
  chat_piece id, name, arguments, type;
  /* How far the arguments, as JSON, have come. */
  int depth, in_string, escaped, whole;
  chat_member *members; /* NULL: none */
  size_t member_count;
} chat_one_call;

typedef struct chat_calls {
  chat_one_call *items;
  size_t count, size;
  size_t bytes, cap; /* of all of them together */
  unsigned delta;    /* how many deltas there were */
  int failed;        /* DA_OK or the code of what went wrong: it sticks */
} chat_calls;

void chat_calls_init(chat_calls *c, size_t cap);
void chat_calls_dispose(chat_calls *c);

/* The value of a delta's "tool_calls", and of its "function_call", which is
** what there was before. Checked JSON; what is no call is passed over. */
void chat_calls_delta(chat_calls *c, da_text tool_calls);
void chat_calls_function(chat_calls *c, da_text function_call);

/* The value of a whole message's "tool_calls": each item is a call. */
void chat_calls_whole(chat_calls *c, da_text tool_calls);

/* How many there are, less those of which nothing came. */
size_t chat_calls_count(const chat_calls *c);

/* Appends them as the value of "tool_calls": each with an id of its own, the
** name and the arguments as strings, and further members as they came.
** Arguments that never came are "{}", unless the answer was `cut`: then
** nobody knows what they would have been. Call it once. */
void chat_calls_put(chat_calls *c, da_buf *out, int cut);

/* Whether a whole message's "tool_calls" are already as chat_calls_put would
** have them; then *count is how many. */
int chat_calls_are_plain(da_text tool_calls, size_t *count);

/* DA_OK, or what went wrong: DA_ETOOLLIMIT (more calls than may be),
** DA_ETOOLARGE, DA_ENOMEM. */
int chat_calls_check(const chat_calls *c, da_err *err);

/* ---- between the files ---- */

/* What says which call a piece belongs to. */
typedef struct chat_signs {
  int has_index, has_id, has_name;
  int64_t index;
  da_text id, name;  /* raw strings */
  da_text arguments; /* raw, if an object begins here; else data NULL */
} chat_signs;

void chat_signs_read(chat_signs *s, da_text item);

/* NULL: a call begins. */
chat_one_call *chat_calls_find(chat_calls *c, const chat_signs *s);

/* Whether nothing of it came. */
int chat_call_is_empty(const chat_one_call *k);

#endif
