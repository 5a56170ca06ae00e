/* da_json.c - strict JSON text: check and walk (floor 0). */
#include "da_json.h"

#include <stdint.h>
#include <string.h>

#include "da_utf8.h"

#if defined(__SSE2__) && !defined(DA_NO_SIMD)
#include <emmintrin.h>
#define USE_SSE2 1
#endif

static const char *bad(da_json *j, const char *p, const char *why) {
  if (!j->why) {
    j->p = p;
    j->why = why;
  }
  return NULL;
}

static inline const char *blank(const char *p, const char *end) {
  while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
    p++;
  return p;
}

/* ---- strings ---- */

/* The next byte of a string that needs a look: a quote, a backslash, a
** control character, or one beyond ASCII. */
static inline const char *plain_run(const char *p, const char *end) {
#ifdef USE_SSE2
  const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'),
                space = _mm_set1_epi8(' ');
  for (; end - p >= 16; p += 16) {
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    /* Signed: what is beyond ASCII is below the space, too. */
    __m128i hit = _mm_or_si128(
        _mm_cmplt_epi8(v, space),
        _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash)));
    int mask = _mm_movemask_epi8(hit);
    if (mask)
      return p + __builtin_ctz((unsigned)mask);
  }
#else
  const uint64_t ones = 0x0101010101010101u, high = ones << 7;
  for (; end - p >= 8; p += 8) {
    uint64_t v, quote, slash;
    memcpy(&v, p, 8);
    quote = v ^ ones * '"';
    slash = v ^ ones * '\\';
    if (((v - ones * ' ') | v | (quote - ones) | (slash - ones)) & high)
      break;
  }
#endif
  while (p < end && (unsigned char)*p >= 0x20 && (unsigned char)*p < 0x80 &&
         *p != '"' && *p != '\\')
    p++;
  return p;
}

static int hex4(const char *p, uint32_t *value) {
  uint32_t v = 0;
  for (int i = 0; i < 4; i++) {
    char c = p[i];
    uint32_t digit;
    if (c >= '0' && c <= '9')
      digit = (uint32_t)(c - '0');
    else if ((c | 32) >= 'a' && (c | 32) <= 'f')
      digit = (uint32_t)((c | 32) - 'a' + 10);
    else
      return 0;
    v = v << 4 | digit;
  }
  *value = v;
  return 1;
}

/* Past the escape at p, or NULL. */
static const char *skip_escape(da_json *j, const char *p) {
  uint32_t unit;
  if (j->end - p < 2)
    return bad(j, p, "unfinished string");
  switch (p[1]) {
  case '"':
  case '\\':
  case '/':
  case 'b':
  case 'f':
  case 'n':
  case 'r':
  case 't':
    return p + 2;
  case 'u':
    if (j->end - p >= 6 && hex4(p + 2, &unit))
      return p + 6;
    return bad(j, p, "bad \\u escape");
  default:
    return bad(j, p, "bad escape");
  }
}

/* Past the checked string at p: only its end is looked for, a quote with an
** even number of backslashes before it. */
static const char *skip_trusted(da_json *j, const char *p) {
  const char *from = ++p, *slash;
  while ((p = memchr(p, '"', (size_t)(j->end - p))) != NULL) {
    for (slash = p; slash > from && slash[-1] == '\\'; slash--)
      ;
    p++;
    if ((p - slash) % 2)
      return p;
  }
  return bad(j, j->end, "unfinished string");
}

/* Past the string whose opening quote is at p, or NULL. */
static const char *skip_string(da_json *j, const char *p) {
  const char *end = j->end;
  if (j->trusted)
    return skip_trusted(j, p);
  p++;
  for (;;) {
    p = plain_run(p, end);
    if (p == end)
      return bad(j, p, "unfinished string");
    if (*p == '"')
      return p + 1;
    if (*p == '\\') {
      p = skip_escape(j, p);
      if (!p)
        return NULL;
    } else if ((unsigned char)*p < 0x20) {
      return bad(j, p, "control character in a string");
    }
    while (p < end && (unsigned char)*p >= 0x80) {
      size_t n = da_utf8_quick((const unsigned char *)p, (size_t)(end - p));
      if (!n)
        return bad(j, p, "ill-formed UTF-8");
      p += n;
    }
  }
}

/* ---- numbers and words ---- */

static inline const char *digits(const char *p, const char *end) {
  while (p < end && *p >= '0' && *p <= '9')
    p++;
  return p;
}

static const char *skip_number(da_json *j, const char *p) {
  const char *end = j->end, *q;
  if (*p == '-')
    p++;
  q = p < end && *p == '0' ? p + 1 : digits(p, end);
  if (q == p)
    return bad(j, p, "bad number");
  p = q;
  if (p < end && *p == '.') {
    q = digits(p + 1, end);
    if (q == p + 1)
      return bad(j, q, "bad number");
    p = q;
  }
  if (p < end && (*p | 32) == 'e') {
    p++;
    if (p < end && (*p == '+' || *p == '-'))
      p++;
    q = digits(p, end);
    if (q == p)
      return bad(j, q, "bad number");
    p = q;
  }
  return p;
}

static const char *skip_word(da_json *j, const char *p, const char *word) {
  size_t n = strlen(word);
  if ((size_t)(j->end - p) < n || memcmp(p, word, n) != 0)
    return bad(j, p, "unknown word");
  return p + n;
}

static da_json_type type_at(const char *p, const char *end) {
  if (p == end)
    return DA_JSON_BAD;
  switch (*p) {
  case '"':
    return DA_JSON_STRING;
  case '{':
    return DA_JSON_OBJECT;
  case '[':
    return DA_JSON_ARRAY;
  case 't':
    return DA_JSON_TRUE;
  case 'f':
    return DA_JSON_FALSE;
  case 'n':
    return DA_JSON_NULL;
  default:
    return *p == '-' || (*p >= '0' && *p <= '9') ? DA_JSON_NUMBER
                                                 : DA_JSON_BAD;
  }
}

/* Past the string, number or word at p, or NULL. */
static const char *skip_scalar(da_json *j, const char *p) {
  switch (type_at(p, j->end)) {
  case DA_JSON_STRING:
    return skip_string(j, p);
  case DA_JSON_NUMBER:
    return skip_number(j, p);
  case DA_JSON_TRUE:
    return skip_word(j, p, "true");
  case DA_JSON_FALSE:
    return skip_word(j, p, "false");
  case DA_JSON_NULL:
    return skip_word(j, p, "null");
  default:
    return bad(j, p, p == j->end ? "unfinished text" : "no value");
  }
}

/* ---- containers ---- */

/* Past a key and its colon, to where the value begins, or NULL. */
static const char *skip_key(da_json *j, const char *p, da_text *key) {
  const char *begin = p;
  if (p == j->end || *p != '"')
    return bad(j, p, "a key was expected");
  p = skip_string(j, p);
  if (!p)
    return NULL;
  if (key) {
    key->data = begin + 1;
    key->len = (size_t)(p - begin) - 2;
  }
  p = blank(p, j->end);
  if (p == j->end || *p != ':')
    return bad(j, p, "a colon was expected");
  return blank(p + 1, j->end);
}

static const char too_deep[] = "nested too deep";

/* One bit a level: is it an object? So that depth costs no C stack. */
typedef struct levels {
  uint64_t object[DA_JSON_DEPTH / 64];
  int depth;
} levels;

static inline int in_object(const levels *l) {
  int i = l->depth - 1;
  return (int)(l->object[i / 64] >> (i % 64) & 1);
}

static int enter(levels *l, int object, int most) {
  uint64_t bit = (uint64_t)1 << (l->depth % 64);
  if (l->depth == most)
    return 0;
  if (object)
    l->object[l->depth / 64] |= bit;
  else
    l->object[l->depth / 64] &= ~bit;
  l->depth++;
  return 1;
}

/* After a value: leaves the containers that end at p. Returns where the
** next value begins, or the end of the outermost one, or NULL. */
static const char *after_value(da_json *j, levels *l, const char *p) {
  while (l->depth) {
    char close = in_object(l) ? '}' : ']';
    p = blank(p, j->end);
    if (p == j->end)
      return bad(j, p, "unfinished text");
    if (*p == ',') {
      p = blank(p + 1, j->end);
      return close == '}' ? skip_key(j, p, NULL) : p;
    }
    if (*p != close)
      return bad(j, p, "a comma or the end was expected");
    p++;
    l->depth--;
  }
  return p;
}

/* Past the container at p, or NULL. */
static const char *skip_container(da_json *j, const char *p) {
  levels l;
  l.depth = 0;
  do {
    if (*p == '{' || *p == '[') {
      int object = *p == '{';
      if (!enter(&l, object, j->levels))
        return bad(j, p, too_deep);
      p = blank(p + 1, j->end);
      if (p < j->end && *p == (object ? '}' : ']')) {
        l.depth--;
        p = after_value(j, &l, p + 1);
      } else if (object) {
        p = skip_key(j, p, NULL);
      }
    } else {
      p = skip_scalar(j, p);
      if (p)
        p = after_value(j, &l, p);
    }
    if (p && l.depth && p == j->end)
      return bad(j, p, "unfinished text");
  } while (p && l.depth);
  return p;
}

/* ---- the walk ---- */

void da_json_init(da_json *j, da_text text) {
  j->start = text.data;
  j->end = text.len ? text.data + text.len : text.data; /* may be NULL */
  j->p = blank(j->start, j->end);
  j->why = NULL;
  j->fresh = 0;
  j->levels = DA_JSON_DEPTH;
  j->counts = 0;
  j->trusted = 0;
}

void da_json_trust(da_json *j) {
  j->trusted = 1;
}

void da_json_limit(da_json *j, size_t depth) {
  if (depth && depth < DA_JSON_DEPTH)
    j->levels = (int)depth;
  j->counts = 1;
}

da_json_type da_json_peek(da_json *j) {
  da_json_type type = j->why ? DA_JSON_BAD : type_at(j->p, j->end);
  if (type == DA_JSON_BAD)
    bad(j, j->p, j->p == j->end ? "unfinished text" : "no value");
  return type;
}

da_json_type da_json_value(da_json *j, da_text *raw) {
  da_json_type type = da_json_peek(j);
  const char *p;
  if (type == DA_JSON_BAD)
    return type;
  p = type >= DA_JSON_ARRAY ? skip_container(j, j->p) : skip_scalar(j, j->p);
  if (!p)
    return DA_JSON_BAD;
  if (raw) {
    raw->data = j->p;
    raw->len = (size_t)(p - j->p);
  }
  j->p = blank(p, j->end);
  j->fresh = 0;
  return type;
}

static int open_container(da_json *j, char bracket) {
  if (j->why || j->p == j->end || *j->p != bracket)
    return 0;
  if (j->levels < j->counts) {
    bad(j, j->p, too_deep);
    return 0;
  }
  j->levels -= j->counts;
  j->p = blank(j->p + 1, j->end);
  j->fresh = 1;
  return 1;
}

int da_json_object(da_json *j) {
  return open_container(j, '{');
}

int da_json_array(da_json *j) {
  return open_container(j, '[');
}

/* Consumes the end or the comma: 0, 1, or -1. */
static int next(da_json *j, char close) {
  if (j->why)
    return -1;
  if (j->p == j->end) {
    bad(j, j->p, "unfinished text");
    return -1;
  }
  if (*j->p == close) {
    j->p = blank(j->p + 1, j->end);
    j->fresh = 0;
    j->levels += j->counts;
    return 0;
  }
  if (!j->fresh) {
    if (*j->p != ',') {
      bad(j, j->p, "a comma or the end was expected");
      return -1;
    }
    j->p = blank(j->p + 1, j->end);
  }
  j->fresh = 0;
  return 1;
}

int da_json_member(da_json *j, da_text *key) {
  int more = next(j, '}');
  if (more > 0) {
    const char *p = skip_key(j, j->p, key);
    if (!p)
      return -1;
    j->p = p;
  }
  return more;
}

int da_json_item(da_json *j) {
  return next(j, ']');
}

int da_json_end(da_json *j) {
  if (!j->why && j->p != j->end)
    bad(j, j->p, "something follows the value");
  return !j->why;
}

int da_json_error(const da_json *j, da_err *err) {
  return da_fail(err, DA_EJSON, "not JSON: %s at byte %zu",
                 j->why ? j->why : "an unexpected type",
                 (size_t)(j->p - j->start) + 1);
}

int da_json_check(da_text text, da_err *err) {
  return da_json_check_depth(text, DA_JSON_DEPTH, err);
}

int da_json_check_depth(da_text text, size_t depth, da_err *err) {
  da_json j;
  da_json_init(&j, text);
  da_json_limit(&j, depth);
  if (da_json_value(&j, NULL) == DA_JSON_BAD || !da_json_end(&j))
    return da_json_error(&j, err);
  return DA_OK;
}
