/* da_schema_node.c - a schema's keywords, types, references, and places
** (floor 1). */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "da_schema_parts.h"

/* ---- keywords ---- */

static const struct {
  const char *name;
  size_t len;
  da_schema_kind kind;
} words[] = {
#define DA_SCHEMA_WORD(symbol, name, kind)                                    \
  {name, sizeof name - 1, DA_KIND_##kind},
    DA_SCHEMA_WORDS(DA_SCHEMA_WORD)
#undef DA_SCHEMA_WORD
};

int da_schema_word_of(da_text key) {
  int plain = !key.len || !memchr(key.data, '\\', key.len);
  for (int i = 0; i < DA_SCHEMA_WORD_COUNT; i++) {
    da_text name = {words[i].name, words[i].len};
    if (plain ? key.len == name.len && !memcmp(key.data, name.data, name.len)
              : da_schema_says(key, name))
      return i;
  }
  return -1;
}

da_schema_kind da_schema_word_kind(int word) {
  return words[word].kind;
}

void da_schema_read(da_schema_node *n, da_text schema) {
  da_json j;
  da_text key, value;
  memset(n, 0, sizeof *n);
  da_json_init(&j, schema);
  if (!da_json_object(&j))
    return;
  while (da_json_member(&j, &key) == 1) {
    int word = da_schema_word_of(key);
    da_json_value(&j, &value);
    if (word >= 0)
      n->words[word] = value;
  }
}

/* ---- types ---- */

static const struct {
  const char *name, *phrase;
  unsigned bit;
} types[] = {{"string", "a string", DA_IS_STRING},
             {"integer", "an integer", DA_IS_INTEGER},
             {"number", "a number", DA_IS_NUMBER},
             {"boolean", "a boolean", DA_IS_BOOLEAN},
             {"array", "an array", DA_IS_ARRAY},
             {"object", "an object", DA_IS_OBJECT},
             {"null", "null", DA_IS_NULL}};

enum { TYPES = sizeof types / sizeof *types };

unsigned da_schema_type_bit(da_text name) {
  for (int i = 0; i < TYPES; i++) {
    da_text plain = {types[i].name, strlen(types[i].name)};
    if (da_schema_says(da_schema_inside(name), plain))
      return types[i].bit;
  }
  return 0;
}

void da_schema_put_types(da_buf *out, unsigned set) {
  const char *between = "";
  for (int i = 0; i < TYPES; i++) {
    if (!(set & types[i].bit))
      continue;
    set &= ~types[i].bit;
    da_buf_puts(out, between);
    da_buf_puts(out, types[i].phrase);
    between = set & (set - 1) ? ", " : " or ";
  }
}

/* ---- places ---- */

static int is_name(da_text key) {
  if (!key.len || (*key.data >= '0' && *key.data <= '9'))
    return 0;
  for (size_t i = 0; i < key.len; i++) {
    char c = key.data[i];
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
          (c >= '0' && c <= '9') || c == '_' || c == '$'))
      return 0;
  }
  return 1;
}

/* One step of a path, in `to`; its length. A long key is cut. */
static size_t put_step(char *to, size_t size, const da_place *at) {
  int n, len = at->key.len > 40 ? 40 : (int)at->key.len;
  const char *cut = at->key.len > 40 ? "..." : "";
  if (!at->key.data)
    n = snprintf(to, size, "[%zu]", at->index);
  else if (is_name(at->key))
    n = snprintf(to, size, ".%.*s%s", len, at->key.data, cut);
  else
    n = snprintf(to, size, "[\"%.*s%s\"]", len, at->key.data, cut);
  return (size_t)n;
}

/* From the end to the front; of a long path the front is left out. */
static const char *path(char *text, size_t size, const da_place *at) {
  char step[64];
  char *p = text + size - 1;
  *p = '\0';
  for (; at && at->up; at = at->up) {
    size_t n = put_step(step, sizeof step, at);
    if ((size_t)(p - text) < n + 4) {
      p -= 3;
      memcpy(p, "...", 3);
      break;
    }
    p -= n;
    memcpy(p, step, n);
  }
  *--p = '$';
  return p;
}

int da_schema_fail(da_err *err, int code, const da_place *at,
                   const char *format, ...) {
  char where[200], why[300];
  va_list args;
  va_start(args, format);
  vsnprintf(why, sizeof why, format, args);
  va_end(args);
  return da_fail(err, code, "%s: %s", path(where, sizeof where, at), why);
}

/* ---- references ---- */

/* The schema's member of that plain name, or item of that number. */
static int step_into(da_text *at, da_text token) {
  da_json j;
  da_text key, raw;
  size_t index = 0, wanted = 0;
  int found = 0;
  da_json_init(&j, *at);
  if (da_json_object(&j)) {
    while (da_json_member(&j, &key) == 1) {
      da_json_value(&j, &raw);
      if (da_schema_says(key, token)) {
        *at = raw;
        found = 1;
      }
    }
    return found;
  }
  if (!da_json_array(&j) || !token.len || token.len > 9)
    return 0;
  for (size_t i = 0; i < token.len; i++) {
    if (token.data[i] < '0' || token.data[i] > '9')
      return 0;
    wanted = wanted * 10 + (size_t)(token.data[i] - '0');
  }
  while (da_json_item(&j) == 1) {
    da_json_value(&j, &raw);
    if (index++ == wanted) {
      *at = raw;
      return 1;
    }
  }
  return 0;
}

static int hex(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  c |= 32;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place: %XX of a URI, then ~0 and ~1 of a pointer. */
static size_t decode_percent(char *s, size_t len) {
  size_t n = 0;
  for (size_t i = 0; i < len; i++) {
    if (s[i] == '%' && i + 2 < len && hex(s[i + 1]) >= 0 &&
        hex(s[i + 2]) >= 0) {
      s[n++] = (char)(hex(s[i + 1]) * 16 + hex(s[i + 2]));
      i += 2;
    } else {
      s[n++] = s[i];
    }
  }
  return n;
}

static size_t decode_tilde(char *s, size_t len) {
  size_t n = 0;
  for (size_t i = 0; i < len; i++) {
    if (s[i] == '~' && i + 1 < len && (s[i + 1] == '0' || s[i + 1] == '1'))
      s[n++] = s[++i] == '0' ? '~' : '/';
    else
      s[n++] = s[i];
  }
  return n;
}

int da_schema_resolve(da_text root, da_text ref, da_text *schema) {
  char text[512];
  size_t len, i = 1;
  ref = da_schema_inside(ref);
  if (ref.len > sizeof text)
    return 0;
  len = decode_percent(text, da_json_decode(text, ref));
  if (!len || text[0] != '#')
    return 0;
  *schema = root;
  while (i < len) {
    da_text token = {text + i + 1, 0};
    size_t next;
    if (text[i] != '/')
      return 0;
    for (next = i + 1; next < len && text[next] != '/'; next++)
      ;
    token.len = decode_tilde(text + i + 1, next - i - 1);
    if (!step_into(schema, token))
      return 0;
    i = next;
  }
  return *schema->data == '{' || *schema->data == 't' || *schema->data == 'f';
}
