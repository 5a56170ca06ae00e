/* fuzz_utf8.c - checking and repairing UTF-8, beside a decoder written the
** plain way. */
#include "fuzz.h"

#include "da_utf8.h"

/* The length of the sequence at s, from the code point that it gives. */
static size_t plain(const unsigned char *s, size_t len) {
  static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  size_t n = s[0] < 0x80   ? 1
             : s[0] < 0xc0 ? 0
             : s[0] < 0xe0 ? 2
             : s[0] < 0xf0 ? 3
             : s[0] < 0xf8 ? 4
                           : 0;
  uint32_t c;
  char again[4];
  if (n < 2 || n > len)
    return n > len ? 0 : n;
  c = s[0] & (0x7fu >> n);
  for (size_t i = 1; i < n; i++) {
    if ((s[i] & 0xc0) != 0x80)
      return 0;
    c = c << 6 | (s[i] & 0x3fu);
  }
  if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
    return 0;
  MUST(da_utf8_encode(again, c) == n && memcmp(again, s, n) == 0);
  return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  char *s = fuzz_exact(bytes, len);
  da_buf once, twice;
  size_t good = 0, n;
  while (good < len && (n = plain(bytes + good, len - good)) > 0) {
    MUST(da_utf8_quick(bytes + good, len - good) == n || n == 1);
    good += n;
  }
  MUST(da_utf8_check(s, len) == good);
  da_buf_init(&once, FUZZ_CAP);
  da_buf_init(&twice, FUZZ_CAP);
  MUST(da_utf8_repair(&once, s, len) == DA_OK);
  MUST(once.len >= good && once.len <= 3 * len);
  MUST(!good || memcmp(once.data, s, good) == 0);
  MUST((good == len) == fuzz_same(da_buf_text(&once), (da_text){s, len}));
  MUST(da_utf8_check(da_buf_text(&once).data, once.len) == once.len);
  MUST(da_utf8_repair(&twice, da_buf_text(&once).data, once.len) == DA_OK);
  MUST(fuzz_same(da_buf_text(&once), da_buf_text(&twice)));
  da_buf_dispose(&once);
  da_buf_dispose(&twice);
  free(s);
  return 0;
}
