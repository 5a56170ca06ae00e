/* fuzz_session.c - a stored session with any bytes in it. What loads must
** come back to the byte from what is saved; what is saved must not load with
** fewer messages when it was damaged; what is salvaged are messages. */
#include "fuzz.h"

#include "da_document.h"
#include "da_utf8.h"

#define ID "s"

typedef struct session {
  da_history history;
  da_buf meta;
} session;

static int load(session *s, const char *bytes, size_t len, da_err *err) {
  int code;
  s->history = (da_history)DA_HISTORY_EMPTY;
  da_buf_init(&s->meta, FUZZ_CAP);
  da_err_clear(err);
  code = da_document_parse(&s->history, &s->meta, ID, fuzz_exact(bytes, len),
                           len, err);
  MUST(code == err->code);
  MUST(code == DA_OK || (s->history.len == 0 && s->meta.len == 0));
  return code;
}

static void unload(session *s) {
  da_history_dispose(&s->history);
  da_buf_dispose(&s->meta);
}

static void save(da_buf *out, const session *s) {
  da_text meta = s->meta.len ? da_buf_text(&s->meta) : (da_text){"{}", 2};
  da_document doc;
  da_buf_init(out, FUZZ_CAP);
  MUST(da_document_build(&doc, ID, meta, &s->history, NULL) == DA_OK);
  for (size_t i = 0; i < doc.count; i++)
    da_buf_put(out, doc.pieces[i].data, doc.pieces[i].len);
  MUST(!out->failed && out->len == doc.bytes);
  da_document_dispose(&doc);
}

/* ---- what was loaded ---- */

static void check_message(const da_message *m) {
  da_text json = da_message_json(m), tail = da_message_tail(m), role, value;
  da_buf text;
  double at = da_message_created_at(m);
  da_message *again;
  MUST(da_json_check(json, NULL) == DA_OK && json.data[0] == '{');
  MUST(da_message_id_ok(da_message_id(m)));
  MUST(at >= 0 && at < 1e11);
  MUST(tail.len < json.len && tail.data[tail.len - 1] == '}');
  MUST(da_json_get(json, "role", &role) == DA_JSON_STRING);
  MUST((da_message_role(m) == DA_ROLE_SYSTEM) ==
       da_json_equals(role, "system"));
  if (da_json_get(json, "id", &value) == DA_JSON_STRING)
    MUST(tail.data > da_message_id(m).data);
  da_buf_init(&text, FUZZ_CAP);
  MUST(da_message_content(m, &text) == DA_OK);
  MUST(da_utf8_check(da_buf_text(&text).data, text.len) == text.len);
  da_buf_dispose(&text);
  if (!memchr(json.data, '\n', json.len) &&
      !memchr(json.data, '\r', json.len)) {
    MUST(da_message_parse(&again, json, NULL) == DA_OK);
    MUST(fuzz_same(da_message_json(again), json));
    MUST(fuzz_same(da_message_tail(again), tail));
    da_message_unref(again);
  }
}

static void check_same(const session *a, const session *b) {
  MUST(a->history.len == b->history.len);
  for (size_t i = 0; i < a->history.len; i++) {
    const da_message *m = da_history_at(&a->history, i);
    const da_message *n = da_history_at(&b->history, i);
    MUST(fuzz_same(da_message_json(m), da_message_json(n)));
    MUST(fuzz_same(da_message_id(m), da_message_id(n)));
    MUST(fuzz_same(da_message_tail(m), da_message_tail(n)));
    MUST(da_message_role(m) == da_message_role(n));
    MUST(da_message_hash(m) == da_message_hash(n));
  }
}

/* ---- salvage ---- */

static int is_double(const da_history *h, size_t i) {
  for (size_t k = 0; k < i; k++)
    if (fuzz_same(da_message_id(da_history_at(h, k)),
                  da_message_id(da_history_at(h, i))))
      return 1;
  return 0;
}

/* But for the id. What others laid out over several lines is read as it is,
** and salvaged as one line. */
static int same_rest(const da_message *a, const da_message *b) {
  da_text rest = da_message_tail(b);
  return memchr(rest.data, '\n', rest.len) || memchr(rest.data, '\r', rest.len)
             ? da_message_role(a) == da_message_role(b)
             : fuzz_same(da_message_tail(a), rest);
}

/* All messages of a document that can be read are salvaged, of those with one
** id the first, and come first. A message without an id gets another one each
** time, so only the rest is compared. */
static size_t check_has(const da_history *salvaged, const da_history *read) {
  size_t n = 0;
  for (size_t i = 0; i < read->len; i++)
    if (!is_double(read, i)) {
      MUST(n < salvaged->len);
      MUST(same_rest(da_history_at(salvaged, n++), da_history_at(read, i)));
    }
  return n;
}

/* `read`: what was read of it, or NULL. `ours`: as we write it; in what others
** wrote, what comes behind the messages can hold more of them, which reading
** passes over, and what else is there is told of as dropped. */
static void check_salvage(const char *bytes, size_t len, const session *read,
                          int ours) {
  da_salvage s;
  size_t n, at = 0;
  da_salvage_init(&s);
  MUST(da_document_salvage(&s, bytes, len, NULL) == DA_OK);
  for (size_t i = 0; i < s.dropped_count; i++) {
    MUST(s.dropped[i].offset >= at && s.dropped[i].bytes > 0);
    at = s.dropped[i].offset + s.dropped[i].bytes;
    MUST(at <= len);
  }
  for (size_t i = 0; i < s.history.len; i++) {
    check_message(da_history_at(&s.history, i));
    MUST(!is_double(&s.history, i));
  }
  n = read ? check_has(&s.history, &read->history) : 0;
  if (ours) {
    MUST(s.dropped_count == 0 && s.history.len == n);
    MUST(n + s.doubles == read->history.len);
    MUST(fuzz_same(da_buf_text(&s.meta), da_buf_text(&read->meta)));
  }
  da_salvage_dispose(&s);
}

/* ---- damage ---- */

static void check_damage(const da_buf *saved, const session *s,
                         uint32_t state) {
  size_t cut = fuzz_next(&state) % saved->len;
  size_t at = fuzz_next(&state) % saved->len;
  char *bytes = fuzz_exact(saved->data, saved->len);
  session damaged;
  da_err err;
  MUST(load(&damaged, bytes, cut, &err) == DA_ECORRUPT);
  unload(&damaged);
  check_salvage(bytes, cut, NULL, 0);
  bytes[at] = (char)(bytes[at] ^ (1 << fuzz_next(&state) % 8));
  check_salvage(bytes, saved->len, NULL, 0);
  switch (load(&damaged, bytes, saved->len, &err)) {
  case DA_OK: /* in the last lines, which hold none of it */
    check_same(s, &damaged);
    break;
  case DA_EVERSION:
  case DA_ECORRUPT:
    break;
  default:
    MUST(0 && "a code that is documented");
  }
  unload(&damaged);
  free(bytes);
}

static void check_saved(const session *s, uint32_t state) {
  da_buf first, second;
  session again;
  da_err err;
  save(&first, s);
  MUST(load(&again, first.data, first.len, &err) == DA_OK);
  check_same(s, &again);
  check_salvage(first.data, first.len, &again, 1);
  if (s->meta.len)
    MUST(fuzz_same(da_buf_text(&s->meta), da_buf_text(&again.meta)));
  save(&second, &again);
  MUST(fuzz_same(da_buf_text(&first), da_buf_text(&second)));
  check_damage(&first, s, state);
  unload(&again);
  da_buf_dispose(&first);
  da_buf_dispose(&second);
}

/* ---- one message ---- */

/* As a backend in Lua gives them, each by itself; the bytes of the wire
** are kept. */
static void as_message(da_text wire) {
  da_message *m = NULL;
  da_text json;
  da_err err;
  int code = da_message_new(&m, wire, NULL, 5, &err);
  MUST(code == DA_OK || code == DA_EJSON || code == DA_EINVAL);
  if (code != DA_OK)
    return;
  check_message(m);
  json = da_message_tail(m);
  if (!memchr(wire.data, '\n', wire.len) && !memchr(wire.data, '\r', wire.len))
    MUST(memmem(wire.data, wire.len, json.data, json.len));
  da_message_unref(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  char *exact = fuzz_exact(bytes, len);
  session s;
  da_err err;
  uint32_t state = (uint32_t)len;
  int code = load(&s, exact, len, &err);
  MUST(code == DA_OK || code == DA_ECORRUPT || code == DA_EVERSION);
  for (size_t i = 0; i < len; i++)
    state = state * 31 + bytes[i];
  if (code == DA_OK) {
    for (size_t i = 0; i < s.history.len; i++)
      check_message(da_history_at(&s.history, i));
    check_saved(&s, state);
  }
  check_salvage(exact, len, code == DA_OK ? &s : NULL, 0);
  unload(&s);
  as_message((da_text){exact, len});
  free(exact);
  return 0;
}
