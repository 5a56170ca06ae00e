/* da_json_text.c - what checked JSON text says, and writing it (floor 0). */
#include "da_json.h"

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "da_utf8.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* ---- reading ---- */

void da_json_pick(da_text object, da_json_field *fields, size_t n) {
  da_json j;
  da_text key, value;
  for (size_t i = 0; i < n; i++) {
    fields[i].type = DA_JSON_BAD;
    fields[i].value = (da_text){NULL, 0};
  }
  da_json_init(&j, object);
  da_json_trust(&j);
  if (!da_json_object(&j))
    return;
  while (da_json_member(&j, &key) == 1) {
    da_json_type type = da_json_value(&j, &value);
    for (size_t i = 0; i < n; i++)
      if (da_json_equals(key, fields[i].name)) {
        fields[i].type = type;
        fields[i].value = value;
      }
  }
}

da_json_type da_json_get(da_text object, const char *key, da_text *raw) {
  da_json_type found = DA_JSON_BAD;
  da_json j;
  da_text k, v;
  da_json_init(&j, object);
  da_json_trust(&j);
  if (!da_json_object(&j))
    return DA_JSON_BAD;
  while (da_json_member(&j, &k) == 1) {
    da_json_type type = da_json_value(&j, &v);
    if (type == DA_JSON_BAD)
      return DA_JSON_BAD;
    if (da_json_equals(k, key)) {
      found = type;
      *raw = v;
    }
  }
  return j.why ? DA_JSON_BAD : found;
}

static da_text inside(da_text raw) {
  if (raw.len >= 2 && raw.data[0] == '"') {
    raw.data++;
    raw.len -= 2;
  }
  return raw;
}

int da_json_equals(da_text raw, const char *s) {
  size_t len = strlen(s);
  raw = inside(raw);
  if (raw.len == len && memcmp(raw.data, s, len) == 0)
    return 1;
  if (raw.len <= len || !memchr(raw.data, '\\', raw.len))
    return 0;
  da_buf b;
  int same;
  da_buf_init(&b, raw.len);
  same = !da_json_unescape(&b, raw, NULL) && b.len == len &&
         memcmp(b.data, s, len) == 0;
  da_buf_dispose(&b);
  return same;
}

static uint32_t hex4(const char *p) {
  uint32_t v = 0;
  for (int i = 0; i < 4; i++) {
    char c = p[i];
    v = v << 4 | (uint32_t)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
  }
  return v;
}

/* One UTF-16 unit of a \u escape, which may be half a character. */
static void put_unit(da_buf *out, uint32_t unit, uint32_t *high) {
  if (*high && unit >= 0xdc00 && unit <= 0xdfff) {
    da_utf8_put(out, 0x10000 + ((*high - 0xd800) << 10) + (unit - 0xdc00));
    *high = 0;
    return;
  }
  if (*high)
    da_utf8_put(out, 0xfffd);
  *high = 0;
  if (unit >= 0xd800 && unit <= 0xdbff)
    *high = unit;
  else
    da_utf8_put(out, unit);
}

static void flush_high(da_buf *out, uint32_t *high) {
  if (*high)
    da_utf8_put(out, 0xfffd);
  *high = 0;
}

/* The escape at p; returns its length. */
static size_t put_escape(da_buf *out, const char *p, uint32_t *high) {
  static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
  if (p[1] == 'u') {
    put_unit(out, hex4(p + 2), high);
    return 6;
  }
  flush_high(out, high);
  da_buf_put(out, to + (strchr(from, p[1]) - from), 1);
  return 2;
}

int da_json_unescape(da_buf *out, da_text raw, uint32_t *surrogate) {
  uint32_t alone = 0, *high = surrogate ? surrogate : &alone;
  const char *p, *end;
  raw = inside(raw);
  p = raw.data;
  end = p + raw.len;
  while (p < end) {
    const char *slash = memchr(p, '\\', (size_t)(end - p));
    const char *stop = slash ? slash : end;
    if (stop > p) {
      flush_high(out, high);
      da_buf_put(out, p, (size_t)(stop - p));
    }
    p = slash ? slash + put_escape(out, slash, high) : end;
  }
  if (!surrogate)
    flush_high(out, high);
  return out->failed;
}

/* The next quote or backslash; there is one before `end`. */
static inline const char *quote_or_slash(const char *p, const char *end) {
#ifdef __SSE2__
  const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\');
  for (; end - p >= 16; p += 16) {
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    int hit = _mm_movemask_epi8(
        _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash)));
    if (hit)
      return p + __builtin_ctz((unsigned)hit);
  }
#endif
  while (p < end && *p != '"' && *p != '\\')
    p++;
  return p;
}

da_text da_json_string(da_json *j, int *escapes) {
  const char *p = quote_or_slash(j->p + 1, j->end);
  da_text raw = {j->p + 1, 0};
  *escapes = p < j->end && *p == '\\';
  while (p < j->end && *p == '\\')
    p = quote_or_slash(p + 2, j->end);
  raw.len = (size_t)(p - raw.data);
  for (p++;
       p < j->end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t');
       p++)
    ;
  j->p = p;
  j->fresh = 0;
  return raw;
}

/* The character of the escape at *p, which is moved past it. */
static uint32_t escaped(const char **p, const char *end) {
  const char *e = *p;
  uint32_t c, low;
  *p = e + 2;
  switch (e[1]) {
  case 'b':
    return '\b';
  case 'f':
    return '\f';
  case 'n':
    return '\n';
  case 'r':
    return '\r';
  case 't':
    return '\t';
  case 'u':
    break;
  default:
    return (unsigned char)e[1];
  }
  c = hex4(e + 2);
  *p = e + 6;
  if (c < 0xd800 || c > 0xdbff || end - *p < 6 || e[6] != '\\' || e[7] != 'u')
    return c;
  low = hex4(e + 8);
  if (low < 0xdc00 || low > 0xdfff)
    return c;
  *p = e + 12;
  return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
}

/* Copies up to the next backslash; `to` has room for all up to `end`. */
static inline const char *copy_plain(char **to, const char *p,
                                     const char *end) {
  char *out = *to;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  const uint64_t ones = 0x0101010101010101u;
  for (; end - p >= 8; p += 8, out += 8) {
    uint64_t eight, zero;
    memcpy(&eight, p, 8);
    memcpy(out, &eight, 8);
    zero = eight ^ ones * '\\';
    zero = (zero - ones) & ~zero & ones << 7;
    if (zero) { /* its lowest bit is in the first byte that is one */
      int n = __builtin_ctzll(zero) / 8;
      *to = out + n;
      return p + n;
    }
  }
#endif
  while (p < end && *p != '\\')
    *out++ = *p++;
  *to = out;
  return p;
}

size_t da_json_decode(char *to, da_text raw) {
  const char *p = raw.data, *end = p + raw.len;
  char *out = to;
  while ((p = copy_plain(&out, p, end)) < end) {
    uint32_t c = escaped(&p, end);
    if (c < 0x80)
      *out++ = (char)c;
    else
      out += da_utf8_encode(out, c);
  }
  return (size_t)(out - to);
}

int da_json_int64(da_text raw, int64_t *value) {
  size_t i = raw.len && raw.data[0] == '-';
  int64_t v = 0;
  if (i == raw.len)
    return 0;
  for (; i < raw.len; i++) {
    int digit = raw.data[i] - '0';
    if (digit < 0 || digit > 9 || __builtin_mul_overflow(v, 10, &v) ||
        __builtin_sub_overflow(v, digit, &v)) /* downward: -2^63 fits */
      return 0;
  }
  if (raw.data[0] != '-' && __builtin_sub_overflow(0, v, &v))
    return 0;
  *value = v;
  return 1;
}

/* strtod and printf speak the locale's decimal point, which may have several
** bytes; JSON does not. The locale is the host's: we translate instead of
** changing it. */
enum { POINT_SIZE = 24 };

static size_t locale_point(char point[POINT_SIZE]) {
  int n = snprintf(point, POINT_SIZE, "%.1f", 0.5) - 2; /* "0", "5" */
  memmove(point, point + 1, (size_t)n);
  point[n] = '\0';
  return (size_t)n;
}

/* Whole numbers up to 2^53 and powers of ten up to 10^22 are doubles without
** rounding, so the one division rounds as strtod would. 0: not that easy. */
static int easy_double(da_text raw, double *d) {
  static const double ten[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5,
                               1e6, 1e7, 1e8, 1e9, 1e10};
  size_t i = raw.len && raw.data[0] == '-', point = raw.len;
  uint64_t digits = 0;
  if (i == raw.len || raw.len > 17 || FLT_EVAL_METHOD != 0)
    return 0;
  for (; i < raw.len; i++) {
    unsigned digit = (unsigned)raw.data[i] - '0';
    if (digit <= 9)
      digits = digits * 10 + digit;
    else if (raw.data[i] == '.' && point == raw.len)
      point = i + 1;
    else
      return 0;
  }
  if (digits > (uint64_t)1 << 53 || raw.len - point > 10)
    return 0;
  *d = (double)digits / ten[raw.len - point];
  if (raw.data[0] == '-')
    *d = -*d;
  return 1;
}

double da_json_double(da_text raw) {
  char small[64], point[POINT_SIZE], *s = small;
  const char *dot = memchr(raw.data, '.', raw.len);
  size_t whole_len = dot ? (size_t)(dot - raw.data) : raw.len, n = 0;
  double d;
  if (easy_double(raw, &d))
    return d;
  if (dot)
    n = locale_point(point);
  if (raw.len + n >= sizeof small) {
    s = malloc(raw.len + n + 1);
    if (!s)
      return 0;
  }
  memcpy(s, raw.data, whole_len);
  if (dot) {
    memcpy(s + whole_len, point, n);
    memcpy(s + whole_len + n, dot + 1, raw.len - whole_len - 1);
    n--; /* in the place of the dot */
  }
  s[raw.len + n] = '\0';
  d = strtod(s, NULL);
  if (s != small)
    free(s);
  return d;
}

/* ---- writing ---- */

static int needs_escape(unsigned char c) {
  return c < 0x20 || c == '"' || c == '\\';
}

static void put_escaped(da_buf *out, unsigned char c) {
  static const char short_from[] = "\"\\\b\f\n\r\t", short_to[] = "\"\\bfnrt";
  const char *at = c ? strchr(short_from, c) : NULL;
  char pair[2] = {'\\', 0};
  if (at) {
    pair[1] = short_to[at - short_from];
    da_buf_put(out, pair, 2);
  } else {
    da_buf_printf(out, "\\u%04x", c);
  }
}

int da_json_put_string(da_buf *out, const char *s, size_t len) {
  size_t from = 0, i;
  da_buf_put(out, "\"", 1);
  for (i = 0; i < len; i++) {
    if (needs_escape((unsigned char)s[i])) {
      da_buf_put(out, s + from, i - from);
      put_escaped(out, (unsigned char)s[i]);
      from = i + 1;
    }
  }
  da_buf_put(out, s + from, len - from);
  return da_buf_put(out, "\"", 1);
}

static int is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

int da_json_put_compact(da_buf *out, da_text json) {
  const char *p = json.data, *end = p + json.len;
  while (p < end) {
    const char *from = p;
    if (*p == '"') {
      for (p++; p < end && *p != '"'; p++)
        p += *p == '\\' && p + 1 < end;
      p += p < end;
    } else {
      while (p < end && *p != '"' && !is_blank(*p))
        p++;
    }
    da_buf_put(out, from, (size_t)(p - from));
    while (p < end && is_blank(*p))
      p++;
  }
  return out->failed;
}

int da_json_put_double(da_buf *out, double d) {
  char s[64], point[POINT_SIZE], *at;
  size_t n;
  if (d == 0)
    return da_buf_puts(out, signbit(d) ? "-0.0" : "0.0");
  for (int precision = 15; precision <= 17; precision++) {
    snprintf(s, sizeof s, "%.*g", precision, d);
    if (strtod(s, NULL) == d)
      break;
  }
  n = locale_point(point);
  at = strstr(s, point);
  if (at) {
    *at = '.';
    memmove(at + 1, at + n, strlen(at + n) + 1);
  }
  da_buf_puts(out, s);
  /* A double stays one for readers that tell integers apart. */
  return strpbrk(s, ".e") ? out->failed : da_buf_puts(out, ".0");
}
