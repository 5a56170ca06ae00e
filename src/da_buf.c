/* da_buf.c - a growing byte buffer with a cap (floor 0). */
#include "da_buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void da_buf_init(da_buf *b, size_t cap) {
  memset(b, 0, sizeof *b);
  b->cap = cap;
}

void da_buf_dispose(da_buf *b) {
  free(b->data);
  da_buf_init(b, b->cap);
}

void da_buf_reset(da_buf *b) {
  b->len = 0;
  b->failed = DA_OK;
  if (b->data)
    b->data[0] = '\0';
}

static int fail(da_buf *b, int code) {
  b->failed = code;
  return code;
}

/* Makes room for `len` more bytes and a NUL: twice the size, or just what
** is asked for if that is more, never above the cap. */
static int grow(da_buf *b, size_t len) {
  size_t size;
  char *data;
  if (b->failed)
    return b->failed;
  if (len > b->cap || b->len > b->cap - len)
    return fail(b, DA_ETOOLARGE);
  if (b->len + len < b->size)
    return DA_OK;
  size = b->size < 64 ? 64 : b->size;
  while (size <= b->len + len)
    size *= 2;
  if (size > b->cap)
    size = b->cap + 1;
  data = realloc(b->data, size);
  if (!data)
    return fail(b, DA_ENOMEM);
  b->data = data;
  b->size = size;
  return DA_OK;
}

int da_buf_put(da_buf *b, const void *bytes, size_t len) {
  if (b->failed || b->size - b->len <= len || !b->size) {
    int code = grow(b, len);
    if (code)
      return code;
  }
  if (len)
    memcpy(b->data + b->len, bytes, len);
  b->len += len;
  b->data[b->len] = '\0';
  return DA_OK;
}

int da_buf_puts(da_buf *b, const char *s) {
  return da_buf_put(b, s, strlen(s));
}

int da_buf_printf(da_buf *b, const char *format, ...) {
  va_list args;
  int n;
  va_start(args, format);
  n = vsnprintf(NULL, 0, format, args);
  va_end(args);
  if (n < 0)
    return fail(b, DA_EINVAL);
  if (grow(b, (size_t)n))
    return b->failed;
  va_start(args, format);
  vsnprintf(b->data + b->len, (size_t)n + 1, format, args);
  va_end(args);
  b->len += (size_t)n;
  return DA_OK;
}

char *da_buf_room(da_buf *b, size_t len) {
  return grow(b, len) ? NULL : b->data + b->len;
}

char *da_buf_take(da_buf *b, size_t *len) {
  char *data;
  if (b->failed || (!b->data && grow(b, 0)))
    return NULL;
  data = b->data;
  data[b->len] = '\0';
  if (len)
    *len = b->len;
  da_buf_init(b, b->cap);
  return data;
}

int da_buf_check(const da_buf *b, const char *what, da_err *err) {
  if (b->failed == DA_ETOOLARGE)
    return da_fail(err, DA_ETOOLARGE, "%s is larger than %zu bytes", what,
                   b->cap);
  if (b->failed == DA_ENOMEM)
    return da_nomem(err);
  if (b->failed)
    return da_fail(err, b->failed, "%s could not be built", what);
  return DA_OK;
}

char *da_memdup(const char *bytes, size_t len) {
  char *copy = malloc(len + 1);
  if (!copy)
    return NULL;
  if (len)
    memcpy(copy, bytes, len);
  copy[len] = '\0';
  return copy;
}
