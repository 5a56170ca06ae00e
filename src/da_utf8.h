/* da_utf8.h - checking and repairing UTF-8 (floor 0). */
#ifndef DA_UTF8_H
#define DA_UTF8_H

#include "da_buf.h"

#include <stdint.h>

/* The length of the longest valid prefix of s; len if all is valid.
** Valid: RFC 3629, no surrogates, nothing overlong, nothing above
** U+10FFFF; NUL is a character like any other. */
size_t da_utf8_check(const char *s, size_t len);

/* Length in bytes of the valid sequence at s[0..len), 0 if there is none.
** Meant for the byte after an ASCII run. */
size_t da_utf8_sequence(const unsigned char *s, size_t len);

/* The same, with the common cases (two bytes; three bytes but for the first
** bytes E0 and ED) decided in place: most text is made of them. */
static inline size_t da_utf8_quick(const unsigned char *s, size_t len) {
  if (len >= 3 && (s[1] & 0xc0) == 0x80) {
    if (s[0] >= 0xc2 && s[0] <= 0xdf)
      return 2;
    if ((s[0] & 0xf0) == 0xe0 && s[0] != 0xe0 && s[0] != 0xed &&
        (s[2] & 0xc0) == 0x80)
      return 3;
  }
  return da_utf8_sequence(s, len);
}

/* Appends s with each maximal ill-formed part replaced by U+FFFD, as the
** WHATWG decoder does. */
int da_utf8_repair(da_buf *out, const char *s, size_t len);

/* The bytes of the code point (a surrogate becomes U+FFFD): how many. */
size_t da_utf8_encode(char to[4], uint32_t code_point);

/* Appends them. */
int da_utf8_put(da_buf *out, uint32_t code_point);

#endif
