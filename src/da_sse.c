/* da_sse.c - a parser for text/event-stream.
**
** The bytes are cut into lines at CR, LF and CRLF. A line that lies whole
** within the fed bytes is looked at where it is; only what a feed leaves
** unfinished is copied. The standard decodes UTF-8 first and cuts then;
** since line ends and field names are ASCII, repairing the values
** afterwards gives the same.
*/
#include "da_sse.h"

#include <string.h>

#include "da_utf8.h"

static const char bom[3] = {(char)0xEF, (char)0xBB, (char)0xBF};

void da_sse_init(da_sse *s, size_t cap) {
  memset(s, 0, sizeof *s);
  s->cap = cap;
  s->retry = -1;
  da_buf_init(&s->line, cap);
  da_buf_init(&s->data, cap);
  da_buf_init(&s->type, cap);
  da_buf_init(&s->id, cap);
  /* Each ill-formed byte may become the three of U+FFFD. */
  da_buf_init(&s->repaired, cap < SIZE_MAX / 3 ? cap * 3 : SIZE_MAX);
}

void da_sse_dispose(da_sse *s) {
  da_buf_dispose(&s->line);
  da_buf_dispose(&s->data);
  da_buf_dispose(&s->type);
  da_buf_dispose(&s->id);
  da_buf_dispose(&s->repaired);
}

/* ---- fields ---- */

/* `t`, or its repaired copy in `into`, which is then overwritten. */
static int valid(da_text *t, da_buf *into) {
  if (da_utf8_check(t->data, t->len) == t->len)
    return DA_OK;
  da_buf_reset(into);
  int rc = da_utf8_repair(into, t->data, t->len);
  *t = da_buf_text(into);
  return rc;
}

static int set(da_buf *to, da_text value) {
  da_buf_reset(to);
  if (da_utf8_check(value.data, value.len) == value.len)
    return da_buf_put(to, value.data, value.len);
  return da_utf8_repair(to, value.data, value.len);
}

/* The data of an event that has one line is a view of the fed bytes. It is
** copied when another line follows or when the bytes are about to go. */
static int settle(da_sse *s) {
  if (!s->view.data)
    return DA_OK;
  da_buf_reset(&s->data);
  int rc = da_buf_put(&s->data, s->view.data, s->view.len);
  s->view.data = NULL;
  return rc;
}

static int add_data(da_sse *s, da_text value) {
  if (!s->has_data) {
    s->has_data = 1;
    s->view = value;
    return DA_OK;
  }
  int rc = settle(s);
  if (rc == DA_OK)
    rc = da_buf_put(&s->data, "\n", 1);
  return rc == DA_OK ? da_buf_put(&s->data, value.data, value.len) : rc;
}

/* Only digits; anything else leaves the former value. */
static void set_retry(da_sse *s, da_text value) {
  int64_t n = 0;
  if (value.len == 0)
    return;
  for (size_t i = 0; i < value.len; i++) {
    int digit = value.data[i] - '0';
    if (digit < 0 || digit > 9)
      return;
    n = n > (INT64_MAX - digit) / 10 ? INT64_MAX : n * 10 + digit;
  }
  s->retry = n;
}

static int is(da_text name, const char *s, size_t len) {
  return name.len == len && memcmp(name.data, s, len) == 0;
}

static int field(da_sse *s, da_text line) {
  const char *colon = memchr(line.data, ':', line.len);
  da_text name = line, value = {line.data + line.len, 0};
  if (colon) {
    name.len = (size_t)(colon - line.data);
    value.data = colon + 1;
    value.len = line.len - name.len - 1;
    if (value.len && *value.data == ' ') {
      value.data++;
      value.len--;
    }
  }
  if (is(name, "data", 4))
    return add_data(s, value);
  if (is(name, "event", 5))
    return set(&s->type, value);
  if (is(name, "id", 2) && !memchr(value.data, 0, value.len))
    return set(&s->id, value);
  if (is(name, "retry", 5))
    set_retry(s, value);
  return DA_OK;
}

/* ---- events ---- */

static void forget(da_sse *s) {
  s->has_data = 0;
  s->view.data = NULL;
  da_buf_reset(&s->data);
  da_buf_reset(&s->type);
}

static int dispatch(da_sse *s, da_sse_fn fn, void *ctx) {
  static const da_text message = {"message", 7};
  da_sse_event event;
  int rc = DA_OK;
  if (s->has_data) {
    event.data = s->view.data ? s->view : da_buf_text(&s->data);
    event.type = s->type.len ? da_buf_text(&s->type) : message;
    event.id = da_buf_text(&s->id);
    rc = valid(&event.data, &s->repaired);
    if (rc == DA_OK)
      rc = fn(ctx, &event);
  }
  forget(s);
  return rc;
}

static int line_end(da_sse *s, da_text line, da_sse_fn fn, void *ctx) {
  if (line.len > s->cap)
    return DA_ETOOLARGE;
  return line.len ? field(s, line) : dispatch(s, fn, ctx);
}

/* The line that began in earlier feeds ends with `rest`. */
static int long_line(da_sse *s, da_text rest, da_sse_fn fn, void *ctx) {
  int rc = da_buf_put(&s->line, rest.data, rest.len);
  if (rc == DA_OK)
    rc = line_end(s, da_buf_text(&s->line), fn, ctx);
  if (rc == DA_OK)
    rc = settle(s); /* the view, if any, is of s->line */
  da_buf_reset(&s->line);
  return rc;
}

/* ---- bytes ---- */

/* Takes a byte order mark off the front of the stream, which may come in
** pieces. Returns how many of the bytes are dealt with. */
static size_t skip_bom(da_sse *s, const char *p, size_t len) {
  size_t n = 0;
  while (s->bom >= 0 && n < len) {
    if (p[n] == bom[s->bom]) {
      n++;
      s->bom = s->bom == 2 ? -1 : s->bom + 1;
    } else { /* not one after all: what was held back begins a line */
      size_t held = (size_t)s->bom - n;
      (void)da_buf_put(&s->line, bom, held); /* sticks if it fails */
      s->bom = -1;
      n = 0;
    }
  }
  return n;
}

static const char *find(const char *p, const char *end, int c) {
  const char *at = memchr(p, c, (size_t)(end - p));
  return at ? at : end;
}

static int feed_lines(da_sse *s, const char *p, const char *end, da_sse_fn fn,
                      void *ctx) {
  int rc = DA_OK;
  /* The next LF and CR at or after p: each byte is searched once. */
  const char *lf = find(p, end, '\n'), *cr = find(p, end, '\r');
  while (rc == DA_OK) {
    const char *stop = lf < cr ? lf : cr;
    if (stop == end)
      break;
    da_text line = {p, (size_t)(stop - p)};
    s->skip_lf = stop == cr;
    rc =
        s->line.len ? long_line(s, line, fn, ctx) : line_end(s, line, fn, ctx);
    p = stop + 1;
    if (s->skip_lf && p < end) {
      p += *p == '\n';
      s->skip_lf = 0;
    }
    if (lf < p)
      lf = find(p, end, '\n');
    if (cr < p)
      cr = find(p, end, '\r');
  }
  if (rc == DA_OK && p < end)
    rc = da_buf_put(&s->line, p, (size_t)(end - p));
  return rc;
}

int da_sse_feed(da_sse *s, const char *bytes, size_t len, da_sse_fn fn,
                void *ctx) {
  const char *p = bytes, *end = bytes + len;
  if (s->bom >= 0)
    p += skip_bom(s, p, len);
  if (p == end)
    return s->line.failed;
  if (s->skip_lf) {
    p += *p == '\n';
    s->skip_lf = 0;
  }
  int rc = s->line.failed;
  if (rc == DA_OK)
    rc = feed_lines(s, p, end, fn, ctx);
  if (rc == DA_OK)
    return settle(s);
  s->view.data = NULL;
  return rc;
}

int da_sse_finish(da_sse *s, da_sse_fn fn, void *ctx) {
  int rc = DA_OK;
  if (s->bom > 0)
    (void)da_buf_put(&s->line, bom, (size_t)s->bom);
  s->bom = -1;
  if (s->line.failed)
    return s->line.failed;
  if (s->line.len)
    rc = long_line(s, (da_text){"", 0}, fn, ctx);
  return rc == DA_OK ? dispatch(s, fn, ctx) : rc;
}
