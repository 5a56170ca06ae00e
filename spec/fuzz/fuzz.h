/* fuzz.h - what the fuzz targets share. A target states properties: what is
** not so ends the process, here as under libFuzzer. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "da_buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define FUZZ_CAP ((size_t)1 << 24)

#define MUST(condition)                                                       \
  do {                                                                        \
    if (!(condition)) {                                                       \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
      abort();                                                                \
    }                                                                         \
  } while (0)

/* In a block of its very size, so that a sanitizer sees what is read
** beyond it. To be freed. */
static inline char *fuzz_exact(const void *bytes, size_t len) {
  char *copy = calloc(1, len ? len : 1);
  MUST(copy != NULL);
  if (len)
    memcpy(copy, bytes, len);
  return copy;
}

static inline da_text fuzz_text(const uint8_t *bytes, size_t len) {
  da_text t = {(const char *)bytes, len};
  return t;
}

static inline int fuzz_same(da_text a, da_text b) {
  return a.len == b.len && (!a.len || memcmp(a.data, b.data, a.len) == 0);
}

/* Takes the text up to `c` off *rest, and the `c`. */
static inline da_text fuzz_cut(da_text *rest, char c) {
  const char *at = rest->len ? memchr(rest->data, c, rest->len) : NULL;
  da_text first = {rest->data, at ? (size_t)(at - rest->data) : rest->len};
  size_t gone = first.len + (at != NULL);
  rest->data += gone;
  rest->len -= gone;
  return first;
}

/* Numbers that follow from the input, for places to cut or to damage. */
static inline uint32_t fuzz_next(uint32_t *state) {
  *state = *state * 1664525u + 1013904223u;
  return *state >> 8;
}

#endif
