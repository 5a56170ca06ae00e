/* chat_extra.c - the members of deltas that are not known here. */
#include "chat_extra.h"

#include <stdlib.h>
#include <string.h>

struct chat_extra_member {
  da_buf key; /* raw */
  da_json_type type;
  chat_piece text;  /* of a string */
  da_buf raw;       /* of a list the items before `last`, with commas behind;
                    ** of others the value */
  chat_extra *last; /* an object, or a list's last item that is one */
  da_buf place;     /* that item's index and type, raw; empty: no index */
};

void chat_extra_init(chat_extra *e, size_t cap) {
  memset(e, 0, sizeof *e);
  e->cap = cap;
}

static void drop_last(chat_extra_member *m) {
  if (m->last)
    chat_extra_dispose(m->last);
  free(m->last);
  m->last = NULL;
}

void chat_extra_dispose(chat_extra *e) {
  for (size_t i = 0; i < e->count; i++) {
    chat_extra_member *m = &e->items[i];
    drop_last(m);
    da_buf_dispose(&m->key);
    chat_piece_dispose(&m->text);
    da_buf_dispose(&m->raw);
    da_buf_dispose(&m->place);
  }
  free(e->items);
  e->items = NULL;
  e->count = 0;
}

static void fail(chat_extra *e, int code) {
  if (!e->failed)
    e->failed = code;
}

/* ---- finding one ---- */

/* NULL upon failure. */
static chat_extra_member *find(chat_extra *e, da_text key) {
  chat_extra_member *m;
  for (size_t i = 0; i < e->count; i++) {
    m = &e->items[i];
    if (m->key.len == key.len &&
        (!key.len || memcmp(m->key.data, key.data, key.len) == 0))
      return m;
  }
  if (!e->items)
    e->items = calloc(CHAT_EXTRA_MOST, sizeof *e->items);
  if (!e->items || e->count == CHAT_EXTRA_MOST) {
    fail(e, e->items ? DA_EPROTOCOL : DA_ENOMEM);
    return NULL;
  }
  m = &e->items[e->count++];
  da_buf_init(&m->key, e->cap);
  chat_piece_init(&m->text, e->cap);
  da_buf_init(&m->raw, e->cap);
  da_buf_init(&m->place, e->cap);
  m->type = DA_JSON_NULL;
  da_buf_put(&m->key, key.data, key.len);
  return m;
}

/* ---- reading ---- */

static void put_members(chat_extra *e, da_buf *out);
static void add(chat_extra *e, da_text key, da_json_type type, da_text value);

static void add_members(chat_extra *e, da_text object) {
  da_text key, value;
  da_json j;
  da_json_init(&j, object);
  da_json_object(&j);
  while (!e->failed && da_json_member(&j, &key) == 1) {
    da_json_type type = da_json_value(&j, &value);
    add(e, key, type, value);
  }
}

/* What is whole goes to the items before. */
static void flush(chat_extra_member *m) {
  if (m->last)
    put_members(m->last, &m->raw);
  if (m->last && m->type == DA_JSON_ARRAY)
    da_buf_puts(&m->raw, ",");
  drop_last(m);
}

static void add_object(chat_extra *e, chat_extra_member *m, da_text object) {
  if (!m->last) {
    m->last = malloc(sizeof *m->last);
    if (!m->last) {
      fail(e, DA_ENOMEM);
      return;
    }
    chat_extra_init(m->last, e->cap);
    m->last->inner = 1;
  }
  add_members(m->last, object);
  if (m->last->failed)
    fail(e, m->last->failed);
}

/* Of an item with an index: which one it is a piece of. */
static void put_place(da_buf *out, da_text item) {
  da_text index, type;
  if (da_json_get(item, "index", &index) != DA_JSON_NUMBER)
    return;
  da_buf_put(out, index.data, index.len);
  if (da_json_get(item, "type", &type) == DA_JSON_STRING)
    da_buf_put(out, type.data, type.len);
}

static void add_item(chat_extra *e, chat_extra_member *m, da_text item) {
  da_buf place;
  int same;
  da_buf_init(&place, e->cap);
  put_place(&place, item);
  same = place.len && place.len == m->place.len &&
         memcmp(place.data, m->place.data, place.len) == 0;
  if (!same)
    flush(m);
  da_buf_dispose(&m->place);
  m->place = place;
  add_object(e, m, item);
}

static void add_list(chat_extra *e, chat_extra_member *m, da_text list) {
  da_text item;
  da_json j;
  da_json_init(&j, list);
  da_json_array(&j);
  while (!e->failed && da_json_item(&j) == 1) {
    if (da_json_value(&j, &item) == DA_JSON_OBJECT) {
      add_item(e, m, item);
      continue;
    }
    flush(m);
    da_buf_put(&m->raw, item.data, item.len);
    da_buf_puts(&m->raw, ",");
  }
}

/* Whether a text within one of them comes in pieces; others are repeated. */
static int grows(da_text key) {
  static const char *const names[] = {"text", "summary", "thinking", "data",
                                      "transcript"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (da_json_equals(key, names[i]))
      return 1;
  return 0;
}

static void add_text(chat_extra *e, chat_extra_member *m, da_text value) {
  if (e->inner && !grows(da_buf_text(&m->key))) {
    da_buf_reset(&m->text.text);
    m->text.surrogate = 0;
  }
  if (e->inner || !m->text.text.len || !chat_piece_equals(&m->text, value))
    chat_piece_add(&m->text, value);
}

static void add(chat_extra *e, da_text key, da_json_type type, da_text value) {
  chat_extra_member *m = type == DA_JSON_NULL ? NULL : find(e, key);
  if (!m)
    return;
  if (m->type != type) { /* what was there before counts no more */
    drop_last(m);
    da_buf_reset(&m->raw);
    da_buf_reset(&m->text.text);
    m->type = type;
  }
  if (type == DA_JSON_STRING) {
    add_text(e, m, value);
  } else if (type == DA_JSON_OBJECT && !e->inner) {
    add_object(e, m, value);
  } else if (type == DA_JSON_ARRAY && !e->inner) {
    add_list(e, m, value);
  } else {
    da_buf_reset(&m->raw);
    da_buf_put(&m->raw, value.data, value.len);
  }
  if (m->key.failed || m->raw.failed || m->text.text.failed)
    fail(e, m->key.failed   ? m->key.failed
            : m->raw.failed ? m->raw.failed
                            : m->text.text.failed);
}

void chat_extra_delta(chat_extra *e, da_text delta) {
  static const char *const known[] = {
      "role",      "content",           "refusal",      "tool_calls",
      "reasoning", "reasoning_content", "function_call"};
  da_text key, value;
  da_json j;
  da_json_init(&j, delta);
  da_json_object(&j);
  while (!e->failed && da_json_member(&j, &key) == 1) {
    da_json_type type = da_json_value(&j, &value);
    size_t i = 0;
    while (i < sizeof known / sizeof *known && !da_json_equals(key, known[i]))
      i++;
    if (i == sizeof known / sizeof *known)
      add(e, key, type, value);
  }
}

/* ---- writing ---- */

static void put_value(chat_extra_member *m, da_buf *out) {
  if (m->type == DA_JSON_STRING) {
    chat_piece_end(&m->text);
    chat_piece_put(&m->text, out);
    return;
  }
  flush(m);
  if (m->type == DA_JSON_ARRAY)
    da_buf_puts(out, "[");
  if (m->type == DA_JSON_ARRAY && m->raw.len)
    m->raw.len--; /* the last comma */
  da_buf_put(out, m->raw.data, m->raw.len);
  if (m->type == DA_JSON_ARRAY)
    da_buf_puts(out, "]");
}

static void put_member(chat_extra_member *m, const char *between,
                       da_buf *out) {
  int code = m->key.failed   ? m->key.failed
             : m->raw.failed ? m->raw.failed
                             : m->text.text.failed;
  if (code && !out->failed)
    out->failed = code;
  da_buf_printf(out, "%s\"", between);
  da_buf_put(out, m->key.data, m->key.len);
  da_buf_puts(out, "\":");
  put_value(m, out);
}

static void put_members(chat_extra *e, da_buf *out) {
  if (e->failed && !out->failed)
    out->failed = e->failed;
  da_buf_puts(out, "{");
  for (size_t i = 0; i < e->count; i++)
    put_member(&e->items[i], i ? "," : "", out);
  da_buf_puts(out, "}");
}

/* Lists in which nothing ever was say nothing. */
int chat_extra_put(chat_extra *e, da_buf *out) {
  if (e->failed && !out->failed)
    out->failed = e->failed;
  for (size_t i = 0; i < e->count; i++) {
    chat_extra_member *m = &e->items[i];
    if (m->type != DA_JSON_ARRAY || m->raw.len || m->last)
      put_member(m, ",", out);
  }
  return out->failed;
}
