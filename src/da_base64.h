/* da_base64.h - bytes as base64 (RFC 4648, section 4; floor 0). */
#ifndef DA_BASE64_H
#define DA_BASE64_H

#include <stddef.h>

/* How many characters `len` bytes become, the padding included. */
static inline size_t da_base64_size(size_t len) {
  return (len / 3 + (len % 3 != 0)) * 4;
}

/* Writes them to `to`, without a NUL. Pieces whose lengths are multiples of
** three can be written one after the other. */
void da_base64(char *to, const void *bytes, size_t len);

#endif
