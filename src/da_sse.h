/* da_sse.h - a parser for text/event-stream (floor 4). Pure: bytes in, in
** any split, events out, exactly as WHATWG HTML 9.2.6 says. */
#ifndef DA_SSE_H
#define DA_SSE_H

#include "da_buf.h"

typedef struct da_sse_event {
  da_text type; /* "message" unless the stream names another */
  da_text data; /* valid UTF-8: ill-formed bytes became U+FFFD */
  da_text id;   /* the last event id */
} da_sse_event;

/* Called for each event; the texts live until it returns. Non-zero stops
** da_sse_feed, which returns it and drops the rest of its bytes. */
typedef int (*da_sse_fn)(void *ctx, const da_sse_event *event);

typedef struct da_sse {
  da_buf line; /* the part of a line that a feed ended in */
  da_buf data, type, id;
  da_buf repaired;
  da_text view; /* data not yet copied out of the fed bytes, or NULL */
  size_t cap;
  int has_data;
  int bom;       /* bytes of a BOM seen so far, -1 once decided */
  int skip_lf;   /* the last byte was CR */
  int64_t retry; /* milliseconds, -1 until given; saturates */
} da_sse;

/* `cap`: the most bytes of one line, and of one event's data. */
void da_sse_init(da_sse *s, size_t cap);
void da_sse_dispose(da_sse *s);

/* DA_OK, what `fn` returned, or DA_ETOOLARGE / DA_ENOMEM. */
int da_sse_feed(da_sse *s, const char *bytes, size_t len, da_sse_fn fn,
                void *ctx);

/* The stream is over. The standard drops an event without its blank line;
** chat services end with "data: [DONE]" and no blank line, so this gives a
** caller who wants it that last event. */
int da_sse_finish(da_sse *s, da_sse_fn fn, void *ctx);

#endif
