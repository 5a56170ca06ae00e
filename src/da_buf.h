/* da_buf.h - a growing byte buffer with a cap (floor 0). */
#ifndef DA_BUF_H
#define DA_BUF_H

#include "da_err.h"

typedef struct da_buf {
  char *data; /* NULL until something was put in; then NUL after len */
  size_t len;
  size_t size;
  size_t cap; /* most bytes it may hold */
  int failed; /* DA_OK, or the code of the first put that did not fit */
} da_buf;

/* `cap` is the most bytes that it will ever hold. */
void da_buf_init(da_buf *b, size_t cap);
void da_buf_dispose(da_buf *b);

/* Empties it, keeps the memory, forgets a failure. */
void da_buf_reset(da_buf *b);

/* Each put returns DA_OK, DA_ENOMEM or DA_ETOOLARGE. A failure sticks:
** later puts do nothing and return it, so a series of puts needs one
** check at its end. A failed put leaves the former contents. */
int da_buf_put(da_buf *b, const void *bytes, size_t len);
int da_buf_puts(da_buf *b, const char *s);
int da_buf_printf(da_buf *b, const char *format, ...) DA_PRINTF(2, 3);

/* Room for `len` more bytes, uninitialised, to be filled by the caller and
** counted with b->len += n. NULL upon failure. */
char *da_buf_room(da_buf *b, size_t len);

/* Hands the bytes over: from malloc, NUL-terminated; the buffer is empty
** afterwards. NULL if it failed or memory ran out. */
char *da_buf_take(da_buf *b, size_t *len);

/* What failed, as an error; DA_OK if nothing did. `what` names the data. */
int da_buf_check(const da_buf *b, const char *what, da_err *err);

/* A copy of the bytes, from malloc, with a NUL behind them; or NULL. */
char *da_memdup(const char *bytes, size_t len);

static inline da_text da_buf_text(const da_buf *b) {
  da_text t = {b->data ? b->data : "", b->len};
  return t;
}

#endif
