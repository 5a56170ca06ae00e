/* fuzz_sse.c - event streams, beside a parser that follows the standard's
** own words: it decodes, cuts into lines, and takes them one by one. The
** first byte of the input says how the rest of it is cut. */
#include "fuzz.h"

#include "da_json.h"
#include "da_sse.h"
#include "da_utf8.h"

#define ALL ((size_t)1 << 20)

typedef struct run {
  da_buf events;
  int64_t retry;
  int code;
  size_t cap;
} run;

static void put_event(da_buf *out, da_text type, da_text data, da_text id) {
  da_json_put_string(out, type.data, type.len);
  da_json_put_string(out, data.data, data.len);
  da_json_put_string(out, id.data, id.len);
  da_buf_puts(out, "\n");
}

static int note(void *ctx, const da_sse_event *e) {
  run *r = ctx;
  MUST(da_utf8_check(e->data.data, e->data.len) == e->data.len);
  MUST(da_utf8_check(e->type.data, e->type.len) == e->type.len);
  MUST(da_utf8_check(e->id.data, e->id.len) == e->id.len);
  MUST(e->data.len <= 3 * r->cap && e->id.len <= r->cap);
  MUST(e->type.len <= (r->cap < 7 ? 7 : r->cap));
  put_event(&r->events, e->type, e->data, e->id);
  return DA_OK;
}

/* Pieces of 1 to `most` bytes; 0: all at once. */
static void feed(run *r, da_text text, size_t cap, uint32_t state,
                 uint32_t most) {
  da_sse s;
  memset(r, 0, sizeof *r);
  r->cap = cap;
  da_buf_init(&r->events, FUZZ_CAP);
  da_sse_init(&s, cap);
  while (r->code == DA_OK && text.len) {
    size_t n = most ? fuzz_next(&state) % most + 1 : text.len;
    char *piece;
    if (n > text.len)
      n = text.len;
    piece = fuzz_exact(text.data, n);
    r->code = da_sse_feed(&s, piece, n, note, r);
    free(piece);
    text.data += n;
    text.len -= n;
  }
  if (r->code == DA_OK)
    r->code = da_sse_finish(&s, note, r);
  MUST(r->code == DA_OK || r->code == DA_ETOOLARGE);
  r->retry = s.retry;
  da_sse_dispose(&s);
}

/* ---- the standard's way ---- */

typedef struct plain {
  da_buf data, type, id, *events;
  int64_t retry;
} plain;

static int is(da_text t, const char *s) {
  return t.len == strlen(s) && memcmp(t.data, s, t.len) == 0;
}

static void set(da_buf *to, da_text value) {
  da_buf_reset(to);
  da_buf_put(to, value.data, value.len);
}

static void set_retry(plain *p, da_text value) {
  int64_t n = 0;
  for (size_t i = 0; i < value.len; i++) {
    if (value.data[i] < '0' || value.data[i] > '9')
      return;
    if (__builtin_mul_overflow(n, 10, &n) ||
        __builtin_add_overflow(n, value.data[i] - '0', &n))
      n = INT64_MAX;
  }
  if (value.len)
    p->retry = n;
}

static void plain_field(plain *p, da_text line) {
  da_text value = line, name = fuzz_cut(&value, ':');
  if (value.len && *value.data == ' ') {
    value.data++;
    value.len--;
  }
  if (is(name, "data")) {
    da_buf_put(&p->data, value.data, value.len);
    da_buf_puts(&p->data, "\n");
  } else if (is(name, "event")) {
    set(&p->type, value);
  } else if (is(name, "id") &&
             !(value.len && memchr(value.data, 0, value.len))) {
    set(&p->id, value);
  } else if (is(name, "retry")) {
    set_retry(p, value);
  }
}

static void plain_line(plain *p, da_text line) {
  const da_text message = {"message", 7};
  if (line.len) {
    plain_field(p, line);
    return;
  }
  if (p->data.len) {
    p->data.len--; /* the last line's end */
    put_event(p->events, p->type.len ? da_buf_text(&p->type) : message,
              da_buf_text(&p->data), da_buf_text(&p->id));
  }
  da_buf_reset(&p->data);
  da_buf_reset(&p->type);
}

static void plain_lines(plain *p, da_text text) {
  const da_text blank = {"", 0};
  while (text.len) {
    size_t n = 0;
    while (n < text.len && text.data[n] != '\n' && text.data[n] != '\r')
      n++;
    plain_line(p, (da_text){text.data, n});
    if (n < text.len && text.data[n] == '\r')
      n += n + 1 < text.len && text.data[n + 1] == '\n';
    n += n < text.len;
    text.data += n;
    text.len -= n;
  }
  plain_line(p, blank); /* da_sse_finish gives the last event, too */
}

static int64_t plainly(da_buf *events, da_text text) {
  da_buf decoded;
  plain p;
  da_buf_init(&decoded, FUZZ_CAP);
  da_buf_init(&p.data, FUZZ_CAP);
  da_buf_init(&p.type, FUZZ_CAP);
  da_buf_init(&p.id, FUZZ_CAP);
  p.events = events;
  p.retry = -1;
  if (text.len >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0) {
    text.data += 3;
    text.len -= 3;
  }
  da_utf8_repair(&decoded, text.data, text.len);
  plain_lines(&p, da_buf_text(&decoded));
  da_buf_dispose(&decoded);
  da_buf_dispose(&p.data);
  da_buf_dispose(&p.type);
  da_buf_dispose(&p.id);
  return p.retry;
}

/* ---- the whole ---- */

static void must_be_same(const run *a, const run *b) {
  MUST(a->code == b->code && a->retry == b->retry);
  MUST(fuzz_same(da_buf_text(&a->events), da_buf_text(&b->events)));
}

static void whole_and_cut(da_text text, size_t cap, uint32_t seed,
                          run *whole) {
  static const uint32_t most[] = {1, 3, 40};
  run cut;
  feed(whole, text, cap, 0, 0);
  for (int i = 0; i < 3; i++) {
    feed(&cut, text, cap, seed, most[i]);
    must_be_same(whole, &cut);
    da_buf_dispose(&cut.events);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  uint32_t seed = len ? bytes[0] : 0;
  da_text text = fuzz_text(bytes + (len > 0), len - (len > 0));
  da_buf events;
  run whole, capped;
  whole_and_cut(text, ALL, seed, &whole);
  da_buf_init(&events, FUZZ_CAP);
  MUST(whole.code == DA_OK && whole.retry == plainly(&events, text));
  MUST(fuzz_same(da_buf_text(&whole.events), da_buf_text(&events)));
  whole_and_cut(text, seed % 64, seed, &capped);
  MUST(capped.code != DA_OK ||
       fuzz_same(da_buf_text(&capped.events), da_buf_text(&whole.events)));
  MUST(capped.events.len <= whole.events.len);
  da_buf_dispose(&events);
  da_buf_dispose(&whole.events);
  da_buf_dispose(&capped.events);
  return 0;
}
