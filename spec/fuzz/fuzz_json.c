/* fuzz_json.c - strict JSON text: what the check, the walk, the readers and
** the writers say of it must fit together. */
#include "fuzz.h"

#include <errno.h>
#include <math.h>

#include "da_json.h"
#include "da_utf8.h"

/* ---- leaves ---- */

static void check_string(da_text raw, da_buf *plain) {
  da_text inside = {raw.data + 1, raw.len - 2}, once;
  da_buf quoted, again;
  da_json j;
  int escapes;
  char *to;
  da_buf_reset(plain);
  MUST(da_json_unescape(plain, raw, NULL) == DA_OK);
  once = da_buf_text(plain);
  MUST(da_utf8_check(once.data, once.len) == once.len);
  to = malloc(inside.len ? inside.len : 1);
  MUST(to && da_json_decode(to, inside) == once.len);
  MUST(fuzz_same((da_text){to, once.len}, once));
  free(to);
  da_json_init(&j, raw);
  MUST(fuzz_same(da_json_string(&j, &escapes), inside) && da_json_end(&j));
  MUST(escapes == (inside.len && memchr(inside.data, '\\', inside.len)));
  da_buf_init(&quoted, FUZZ_CAP);
  da_buf_init(&again, FUZZ_CAP);
  MUST(da_json_put_string(&quoted, once.data, once.len) == DA_OK);
  MUST(da_json_check(da_buf_text(&quoted), NULL) == DA_OK);
  MUST(da_json_unescape(&again, da_buf_text(&quoted), NULL) == DA_OK);
  MUST(fuzz_same(da_buf_text(&again), once));
  MUST(memchr(once.data, 0, once.len) || da_json_equals(raw, once.data));
  da_buf_dispose(&quoted);
  da_buf_dispose(&again);
}

static void check_number(da_text raw) {
  char *s = malloc(raw.len + 1), *end;
  double d = da_json_double(raw), back;
  int64_t n = 0;
  long long want;
  int whole = da_json_int64(raw, &n);
  MUST(s != NULL);
  memcpy(s, raw.data, raw.len);
  s[raw.len] = '\0';
  back = strtod(s, NULL);
  MUST(memcmp(&d, &back, sizeof d) == 0);
  errno = 0;
  want = strtoll(s, &end, 10);
  MUST(whole == (errno == 0 && *end == '\0'));
  MUST(!whole || n == want);
  free(s);
  if (isfinite(d)) {
    da_buf text;
    da_buf_init(&text, 100);
    MUST(da_json_put_double(&text, d) == DA_OK);
    MUST(da_json_check(da_buf_text(&text), NULL) == DA_OK);
    back = da_json_double(da_buf_text(&text));
    MUST(memcmp(&d, &back, sizeof d) == 0);
    da_buf_dispose(&text);
  }
}

/* ---- the walk ---- */

/* The last of equal members is the one that counts. `plain`: a key. */
static void check_get(da_text object, const da_buf *plain, da_text value) {
  da_text got = {NULL, 0}, key = da_buf_text(plain);
  da_json_type type;
  da_json j;
  if (memchr(key.data, 0, key.len))
    return;
  type = da_json_get(object, key.data, &got);
  MUST(type != DA_JSON_BAD && got.data >= value.data);
  da_json_init(&j, got);
  MUST(da_json_peek(&j) == type);
}

/* Walks the value that comes next, into the deep, and writes what it means
** to *out: without blanks, each string written anew. 0 if it is bad. */
static int walk(da_json *j, int depth, da_buf *out, da_buf *plain);

static int walk_members(da_json *j, int depth, da_buf *out, da_buf *plain) {
  da_text key;
  int more, n = 0;
  da_buf_puts(out, "{");
  while ((more = da_json_member(j, &key)) == 1) {
    da_buf_puts(out, n++ ? "," : "");
    da_buf_reset(plain);
    da_json_unescape(plain, key, NULL);
    da_json_put_string(out, da_buf_text(plain).data, plain->len);
    da_buf_puts(out, ":");
    if (!walk(j, depth + 1, out, plain))
      return 0;
  }
  da_buf_puts(out, "}");
  return more == 0;
}

static int walk_items(da_json *j, int depth, da_buf *out, da_buf *plain) {
  int more, n = 0;
  da_buf_puts(out, "[");
  while ((more = da_json_item(j)) == 1) {
    da_buf_puts(out, n++ ? "," : "");
    if (!walk(j, depth + 1, out, plain))
      return 0;
  }
  da_buf_puts(out, "]");
  return more == 0;
}

static int walk(da_json *j, int depth, da_buf *out, da_buf *plain) {
  da_text raw;
  da_json_type type = da_json_peek(j);
  if (type >= DA_JSON_ARRAY && depth == DA_JSON_DEPTH)
    return 0;
  if (da_json_object(j))
    return walk_members(j, depth, out, plain);
  if (da_json_array(j))
    return walk_items(j, depth, out, plain);
  if (da_json_value(j, &raw) != type || type == DA_JSON_BAD)
    return 0;
  if (type == DA_JSON_STRING) {
    check_string(raw, plain);
    da_json_put_string(out, da_buf_text(plain).data, plain->len);
    return 1;
  }
  if (type == DA_JSON_NUMBER)
    check_number(raw);
  da_buf_put(out, raw.data, raw.len);
  return 1;
}

/* Whether it is one value; then *out is what it means. */
static int meaning(da_text text, da_buf *out) {
  da_buf plain;
  da_json j;
  int ok;
  da_buf_init(&plain, FUZZ_CAP);
  da_json_init(&j, text);
  ok = walk(&j, 0, out, &plain) && da_json_end(&j);
  MUST(!out->failed && !plain.failed);
  da_buf_dispose(&plain);
  return ok;
}

/* ---- the whole ---- */

static void check_members(da_text text) {
  da_buf plain;
  da_json j;
  da_text key, value;
  da_buf_init(&plain, FUZZ_CAP);
  da_json_init(&j, text);
  da_json_object(&j);
  while (da_json_member(&j, &key) == 1) {
    MUST(da_json_value(&j, &value) != DA_JSON_BAD);
    da_buf_reset(&plain);
    da_json_unescape(&plain, key, NULL);
    check_get(text, &plain, value);
  }
  da_buf_dispose(&plain);
}

static void check_compact(da_text text, const da_buf *means) {
  da_buf once, twice, again;
  da_buf_init(&once, FUZZ_CAP);
  da_buf_init(&twice, FUZZ_CAP);
  da_buf_init(&again, FUZZ_CAP);
  MUST(da_json_put_compact(&once, text) == DA_OK && once.len <= text.len);
  MUST(da_json_put_compact(&twice, da_buf_text(&once)) == DA_OK);
  MUST(fuzz_same(da_buf_text(&once), da_buf_text(&twice)));
  MUST(!memchr(once.data, '\n', once.len) &&
       !memchr(once.data, '\r', once.len));
  MUST(meaning(da_buf_text(&once), &again));
  MUST(fuzz_same(da_buf_text(means), da_buf_text(&again)));
  da_buf_dispose(&once);
  da_buf_dispose(&twice);
  da_buf_dispose(&again);
}

/* A container that is cut off is none. */
static void check_prefix(da_text text, size_t cut) {
  const char *last = text.data + text.len;
  while (last[-1] != '}' && last[-1] != ']')
    last--;
  text.len = (size_t)(last - text.data);
  text.len = cut % text.len;
  MUST(da_json_check(text, NULL) == DA_EJSON);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  char *s = fuzz_exact(bytes, len);
  da_text text = {s, len};
  da_buf means;
  da_err err;
  int code = da_json_check(text, &err);
  MUST(code == DA_OK || (code == DA_EJSON && err.code == DA_EJSON));
  da_buf_init(&means, FUZZ_CAP);
  MUST(meaning(text, &means) == (code == DA_OK));
  if (code == DA_OK) {
    uint32_t state = (uint32_t)len;
    da_json j;
    da_json_init(&j, text);
    check_compact(text, &means);
    if (da_json_peek(&j) == DA_JSON_OBJECT)
      check_members(text);
    if (da_json_peek(&j) >= DA_JSON_ARRAY)
      check_prefix(text, fuzz_next(&state));
  }
  da_buf_dispose(&means);
  free(s);
  return 0;
}
