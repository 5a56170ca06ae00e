/* chat_stream.h - an answer that comes in chunks (floor 4). Pure: bytes of
** an event stream in, deltas and in the end the answer out. */
#ifndef CHAT_STREAM_H
#define CHAT_STREAM_H

#include "chat_answer.h"
#include "chat_extra.h"
#include "chat_more.h"
#include "da_sse.h"

typedef struct chat_stream {
  const chat_reply *reply;
  da_answer *answer;
  da_delta_fn delta; /* may be NULL */
  void *ctx;
  da_sse sse;
  chat_piece refusal, reasoning, reasoning_content;
  chat_calls calls;
  chat_logprobs logprobs;
  chat_more more;
  chat_extra extra;
  da_buf usage;       /* the last one's JSON */
  uint32_t surrogate; /* of answer->text */
  int begun;          /* a choice was seen */
  int done;           /* [DONE] was seen: nothing counts any more */
  int ending;         /* the bytes are over */
  da_err *err;        /* of the call under way */
} chat_stream;

/* All pointers must outlive it. `cap`: bytes of a line or an event. */
void chat_stream_init(chat_stream *s, const chat_reply *reply,
                      da_answer *answer, da_delta_fn delta, void *ctx,
                      size_t cap);
void chat_stream_dispose(chat_stream *s);

/* `err` must not be NULL. DA_OK, what `delta` returned, the service's error,
** or DA_EPROTOCOL, DA_ETOOLARGE, DA_ENOMEM. */
int chat_stream_feed(chat_stream *s, da_text bytes, da_err *err);

/* Whether the answer is complete: it has a finish reason or was [DONE]. */
int chat_stream_complete(const chat_stream *s);

/* The bytes are over: fills the rest of the answer, or says DA_ETRUNCATED
** or DA_EEMPTY, or what chat_stream_feed might. */
int chat_stream_finish(chat_stream *s, da_err *err);

#endif
