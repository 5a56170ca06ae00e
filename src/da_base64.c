/* da_base64.c - bytes as base64. */
#include "da_base64.h"

static const char digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Four digits of the 24 bits. */
static void put(char *to, unsigned bits) {
  to[0] = digits[bits >> 18];
  to[1] = digits[bits >> 12 & 63];
  to[2] = digits[bits >> 6 & 63];
  to[3] = digits[bits & 63];
}

void da_base64(char *to, const void *bytes, size_t len) {
  const unsigned char *s = bytes;
  for (; len >= 3; s += 3, to += 4, len -= 3)
    put(to, (unsigned)s[0] << 16 | (unsigned)s[1] << 8 | s[2]);
  if (!len)
    return;
  put(to, (unsigned)s[0] << 16 | (len == 2 ? (unsigned)s[1] << 8 : 0));
  to[3] = '=';
  if (len == 1)
    to[2] = '=';
}
