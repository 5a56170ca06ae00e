/* da_schema_equal.c - whether two values, or strings, are the same (floor 1).
** Without memory of its own: nothing can fail. */
#include <string.h>

#include "da_schema_parts.h"

/* ---- strings ---- */

/* The characters of a raw string, byte by byte. */
typedef struct bytes {
  const char *p, *end;
  char escaped[8]; /* of the escape that was met, */
  size_t count, at;
} bytes;

static int is_hex_between(char c, char low, char high) {
  char lower = (char)(c | 32);
  return lower >= low && lower <= high;
}

/* A pair of surrogates is one escape. */
static size_t escape_length(const char *p, const char *end) {
  int high = p[1] == 'u' && is_hex_between(p[2], 'd', 'd') &&
             (p[3] == '8' || p[3] == '9' || is_hex_between(p[3], 'a', 'b'));
  if (p[1] != 'u')
    return 2;
  return high && end - p >= 12 && p[6] == '\\' && p[7] == 'u' &&
                 is_hex_between(p[8], 'd', 'd') &&
                 is_hex_between(p[9], 'c', 'f')
             ? 12
             : 6;
}

/* -1: the end. */
static int next_byte(bytes *b) {
  if (b->at < b->count)
    return (unsigned char)b->escaped[b->at++];
  if (b->p == b->end)
    return -1;
  if (*b->p == '\\') {
    da_text escape = {b->p, escape_length(b->p, b->end)};
    b->p += escape.len;
    b->count = da_json_decode(b->escaped, escape);
    b->at = 1;
    return (unsigned char)b->escaped[0];
  }
  return (unsigned char)*b->p++;
}

static bytes bytes_of(da_text raw) {
  bytes b = {raw.data, raw.data + raw.len, {0}, 0, 0};
  return b;
}

static int has_escapes(da_text raw) {
  return raw.len && memchr(raw.data, '\\', raw.len) != NULL;
}

static int same_bytes(da_text a, da_text b) {
  return a.len == b.len && (!a.len || memcmp(a.data, b.data, a.len) == 0);
}

int da_schema_same_string(da_text a, da_text b) {
  bytes x, y;
  int c;
  if (!has_escapes(a) && !has_escapes(b))
    return same_bytes(a, b);
  x = bytes_of(a);
  y = bytes_of(b);
  do {
    c = next_byte(&x);
    if (c != next_byte(&y))
      return 0;
  } while (c >= 0);
  return 1;
}

int da_schema_says(da_text raw, da_text plain) {
  bytes b;
  if (!has_escapes(raw))
    return same_bytes(raw, plain);
  b = bytes_of(raw);
  for (size_t i = 0; i < plain.len; i++)
    if (next_byte(&b) != (unsigned char)plain.data[i])
      return 0;
  return next_byte(&b) < 0;
}

uint64_t da_schema_length(da_text raw) {
  bytes b = bytes_of(raw);
  uint64_t n = 0;
  for (int c = next_byte(&b); c >= 0; c = next_byte(&b))
    n += (c & 0xc0) != 0x80;
  return n;
}

/* ---- values ---- */

da_json_type da_schema_type(da_text value) {
  da_json j;
  da_json_init(&j, value);
  return da_json_peek(&j);
}

static int spend(size_t *work, size_t cost) {
  *work = *work > cost ? *work - cost : 0;
  return *work > 0;
}

/* The value of the last member of that raw name. */
static int find(da_text object, da_text name, da_text *value) {
  da_json j;
  da_text key, raw;
  int found = 0;
  da_json_init(&j, object);
  da_json_object(&j);
  while (da_json_member(&j, &key) == 1) {
    da_json_value(&j, &raw);
    if (da_schema_same_string(key, name)) {
      *value = raw;
      found = 1;
    }
  }
  return found;
}

/* Each member of `a` is in `b`, the same if `values`. What a key means is its
** last value. */
static int within(da_text a, da_text b, int values, size_t *work) {
  da_json j;
  da_text key, raw, mine = {NULL, 0}, other = {NULL, 0};
  da_json_init(&j, a);
  da_json_object(&j);
  while (da_json_member(&j, &key) == 1) {
    da_json_value(&j, &raw);
    if (!spend(work, a.len + b.len) || !find(b, key, &other))
      return 0;
    if (values && (!find(a, key, &mine) || !da_schema_same(mine, other, work)))
      return 0;
  }
  return 1;
}

static int same_array(da_text a, da_text b, size_t *work) {
  da_json i, j;
  da_text x, y;
  int more;
  da_json_init(&i, a);
  da_json_init(&j, b);
  da_json_array(&i);
  da_json_array(&j);
  while ((more = da_json_item(&i)) == da_json_item(&j) && more == 1) {
    da_json_value(&i, &x);
    da_json_value(&j, &y);
    if (!da_schema_same(x, y, work))
      return 0;
  }
  return more == 0 && i.p == i.end && j.p == j.end;
}

int da_schema_same(da_text a, da_text b, size_t *work) {
  da_json_type type = da_schema_type(a);
  if (!spend(work, 8 + (a.len < b.len ? a.len : b.len)) ||
      type != da_schema_type(b))
    return 0;
  switch (type) {
  case DA_JSON_NUMBER:
    return da_schema_compare(a, b) == 0;
  case DA_JSON_STRING:
    return da_schema_same_string(da_schema_inside(a), da_schema_inside(b));
  case DA_JSON_ARRAY:
    return same_array(a, b, work);
  case DA_JSON_OBJECT:
    return within(a, b, 1, work) && within(b, a, 0, work);
  default:
    return 1;
  }
}

int da_schema_unique(da_text array, size_t *first, size_t *second,
                     size_t *work) {
  da_json i, j;
  da_text x, y;
  da_json_init(&i, array);
  da_json_array(&i);
  for (*first = 0; da_json_item(&i) == 1; ++*first) {
    da_json_value(&i, &x);
    j = i;
    for (*second = *first + 1; da_json_item(&j) == 1; ++*second) {
      da_json_value(&j, &y);
      if (!spend(work, y.len) || da_schema_same(x, y, work))
        return 0;
    }
  }
  return 1;
}
