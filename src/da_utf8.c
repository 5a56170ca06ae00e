/* da_utf8.c - checking and repairing UTF-8 (floor 0). */
#include "da_utf8.h"

#include <string.h>

/* The range of the second byte depends on the first: this is what keeps
** overlong forms, surrogates and what lies above U+10FFFF out. Returns the
** number of bytes after the first, 0 for a byte that begins nothing. */
static int lead(unsigned char c, unsigned char *low, unsigned char *high) {
  *low = 0x80;
  *high = 0xbf;
  if (c >= 0xc2 && c <= 0xdf)
    return 1;
  if (c >= 0xe0 && c <= 0xef) {
    if (c == 0xe0)
      *low = 0xa0;
    if (c == 0xed)
      *high = 0x9f;
    return 2;
  }
  if (c >= 0xf0 && c <= 0xf4) {
    if (c == 0xf0)
      *low = 0x90;
    if (c == 0xf4)
      *high = 0x8f;
    return 3;
  }
  return 0;
}

/* How many bytes at s are a sequence or the beginning of one; *whole tells
** which. At least 1 for len > 0: the maximal subpart to replace. */
static size_t subpart(const unsigned char *s, size_t len, int *whole) {
  unsigned char low, high;
  size_t more, i;
  *whole = *s < 0x80;
  if (*whole)
    return 1;
  more = (size_t)lead(*s, &low, &high);
  for (i = 1; i <= more; i++) {
    if (i >= len || s[i] < low || s[i] > high)
      return i;
    low = 0x80;
    high = 0xbf;
  }
  *whole = more > 0;
  return i;
}

size_t da_utf8_sequence(const unsigned char *s, size_t len) {
  int whole;
  size_t n = len ? subpart(s, len, &whole) : 0;
  return n && whole ? n : 0;
}

size_t da_utf8_check(const char *text, size_t len) {
  const unsigned char *s = (const unsigned char *)text;
  size_t i = 0;
  while (i < len) {
    uint64_t eight;
    size_t n;
    if (len - i >= 8) { /* most text is ASCII: eight bytes at a time */
      memcpy(&eight, s + i, 8);
      if (!(eight & 0x8080808080808080u)) {
        i += 8;
        continue;
      }
    }
    n = da_utf8_quick(s + i, len - i);
    if (!n)
      return i;
    i += n;
  }
  return i;
}

int da_utf8_repair(da_buf *out, const char *text, size_t len) {
  const unsigned char *s = (const unsigned char *)text;
  while (len) {
    size_t good = da_utf8_check((const char *)s, len);
    int whole;
    da_buf_put(out, s, good);
    s += good;
    len -= good;
    if (len) {
      size_t bad = subpart(s, len, &whole);
      da_buf_puts(out, "\xef\xbf\xbd");
      s += bad;
      len -= bad;
    }
  }
  return out->failed;
}

size_t da_utf8_encode(char to[4], uint32_t c) {
  size_t n;
  if ((c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff)
    c = 0xfffd;
  if (c < 0x80) {
    to[0] = (char)c;
    n = 1;
  } else if (c < 0x800) {
    to[0] = (char)(0xc0 | c >> 6);
    n = 2;
  } else if (c < 0x10000) {
    to[0] = (char)(0xe0 | c >> 12);
    n = 3;
  } else {
    to[0] = (char)(0xf0 | c >> 18);
    n = 4;
  }
  for (size_t i = 1; i < n; i++)
    to[i] = (char)(0x80 | (c >> (6 * (n - 1 - i)) & 0x3f));
  return n;
}

int da_utf8_put(da_buf *out, uint32_t c) {
  char bytes[4];
  return da_buf_put(out, bytes, da_utf8_encode(bytes, c));
}
