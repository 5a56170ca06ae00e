/* chat_calls.c - the calls of tools in an answer, read piece by piece. */
#include "chat_calls.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_MEMBERS = 32 };

void chat_calls_init(chat_calls *c, size_t cap) {
  memset(c, 0, sizeof *c);
  c->cap = cap;
}

static void dispose_call(chat_one_call *k) {
  chat_piece_dispose(&k->id);
  chat_piece_dispose(&k->name);
  chat_piece_dispose(&k->arguments);
  chat_piece_dispose(&k->type);
  for (size_t i = 0; i < k->member_count; i++)
    da_buf_dispose(&k->members[i].raw);
  free(k->members);
}

void chat_calls_dispose(chat_calls *c) {
  for (size_t i = 0; i < c->count; i++)
    dispose_call(&c->items[i]);
  free(c->items);
  c->items = NULL;
  c->count = c->size = 0;
}

static void fail(chat_calls *c, int code) {
  if (!c->failed)
    c->failed = code;
}

int chat_calls_check(const chat_calls *c, da_err *err) {
  switch (c->failed) {
  case DA_OK:
    return DA_OK;
  case DA_ENOMEM:
    return da_nomem(err);
  case DA_ETOOLLIMIT:
    return da_fail(err, c->failed,
                   "the answer has more than %d calls of tools",
                   CHAT_CALLS_MAX);
  case DA_EPROTOCOL:
    return da_fail(err, c->failed,
                   "a call of a tool has more than %d unknown members",
                   MOST_MEMBERS);
  default:
    return da_fail(err, c->failed,
                   "the answer's calls of tools are larger than %zu bytes",
                   c->cap);
  }
}

int chat_call_is_empty(const chat_one_call *k) {
  return !k->id.text.len && !k->name.text.len && !k->arguments.text.len &&
         !k->member_count;
}

size_t chat_calls_count(const chat_calls *c) {
  size_t n = 0;
  for (size_t i = 0; i < c->count; i++)
    n += !chat_call_is_empty(&c->items[i]);
  return n;
}

/* ---- putting into a call ---- */

/* `b` had `before` bytes: what it has now counts, and what fails there fails
** here. */
static void count(chat_calls *c, const da_buf *b, size_t before) {
  if (b->failed)
    fail(c, b->failed);
  c->bytes = c->bytes - before + b->len;
  if (c->bytes > c->cap)
    fail(c, DA_ETOOLARGE);
}

static void add(chat_calls *c, chat_piece *p, da_text raw) {
  size_t before = p->text.len;
  chat_piece_add(p, raw);
  count(c, &p->text, before);
}

/* Follows the arguments, so that it is known when they are whole. */
static void follow(chat_one_call *k, size_t from) {
  da_text t = da_buf_text(&k->arguments.text);
  for (size_t i = from; i < t.len; i++) {
    char ch = t.data[i];
    if (k->escaped)
      k->escaped = 0;
    else if (ch == '"')
      k->in_string = !k->in_string;
    else if (k->in_string)
      k->escaped = ch == '\\';
    else if (ch == '{' || ch == '[')
      k->depth++;
    else if (ch == '}' || ch == ']')
      k->whole = --k->depth == 0;
  }
}

/* A piece of a string, or the value itself, which is all of it. */
static void put_arguments(chat_calls *c, chat_one_call *k, da_json_type type,
                          da_text raw) {
  da_buf *b = &k->arguments.text;
  size_t before = b->len;
  if (type == DA_JSON_STRING) {
    if (k->whole && chat_piece_equals(&k->arguments, raw)) /* repeated */
      return;
    add(c, &k->arguments, raw);
    follow(k, before);
  } else if (type != DA_JSON_NULL) {
    da_buf_reset(b);
    da_json_put_compact(b, raw);
    count(c, b, before);
    k->whole = 1;
    k->depth = k->in_string = k->escaped = 0;
  }
}

/* Repeated, or in pieces. */
static void put_name(chat_calls *c, chat_one_call *k, da_text raw) {
  if (!k->name.text.len || !chat_piece_equals(&k->name, raw))
    add(c, &k->name, raw);
}

static chat_member *find_member(chat_calls *c, chat_one_call *k, da_text key,
                                int inside) {
  chat_member *m;
  for (size_t i = 0; i < k->member_count; i++) {
    m = &k->members[i];
    if (m->inside == inside && m->key == key.len &&
        memcmp(m->raw.data, key.data, key.len) == 0)
      return m;
  }
  if (!k->members)
    k->members = calloc(MOST_MEMBERS, sizeof *k->members);
  if (!k->members || k->member_count == MOST_MEMBERS) {
    fail(c, k->members ? DA_EPROTOCOL : DA_ENOMEM);
    return NULL;
  }
  m = &k->members[k->member_count++];
  da_buf_init(&m->raw, c->cap);
  m->inside = inside;
  m->key = 0;
  return m;
}

/* The last value counts. */
static void put_member(chat_calls *c, chat_one_call *k, da_text key,
                       da_text value, int inside) {
  da_buf begin;
  chat_member *m;
  size_t before;
  da_buf_init(&begin, c->cap);
  da_buf_printf(&begin, ",\"%.*s\":", (int)key.len, key.data);
  if (begin.failed)
    fail(c, begin.failed);
  m = begin.failed ? NULL : find_member(c, k, da_buf_text(&begin), inside);
  if (m) {
    before = m->raw.len;
    da_buf_reset(&m->raw);
    da_buf_put(&m->raw, begin.data, begin.len);
    da_json_put_compact(&m->raw, value);
    m->key = m->raw.failed ? 0 : begin.len;
    count(c, &m->raw, before);
  }
  da_buf_dispose(&begin);
}

/* ---- reading ---- */

static void put_function(chat_calls *c, chat_one_call *k, da_text function) {
  da_json j;
  da_text key, value;
  da_json_init(&j, function);
  da_json_object(&j);
  while (da_json_member(&j, &key) == 1) {
    da_json_type type = da_json_value(&j, &value);
    if (da_json_equals(key, "name")) {
      if (type == DA_JSON_STRING)
        put_name(c, k, value);
    } else if (da_json_equals(key, "arguments")) {
      put_arguments(c, k, type, value);
    } else if (type != DA_JSON_NULL) {
      put_member(c, k, key, value, 1);
    }
  }
}

/* The first id and type stay: they may be repeated, and some services make an
** id for each piece. */
static void put_call(chat_calls *c, chat_one_call *k, da_text item) {
  int has_id = k->id.text.len > 0, has_type = k->type.text.len > 0;
  da_json j;
  da_text key, value;
  da_json_init(&j, item);
  da_json_object(&j);
  while (da_json_member(&j, &key) == 1) {
    da_json_type type = da_json_value(&j, &value);
    if (type == DA_JSON_NULL || da_json_equals(key, "index"))
      continue;
    if (da_json_equals(key, "id")) {
      if (type == DA_JSON_STRING && !has_id)
        add(c, &k->id, value);
    } else if (da_json_equals(key, "type")) {
      if (type == DA_JSON_STRING && !has_type)
        add(c, &k->type, value);
    } else if (type == DA_JSON_OBJECT && da_json_equals(key, "function")) {
      put_function(c, k, value);
    } else {
      put_member(c, k, key, value, 0);
    }
  }
}

static chat_one_call *add_call(chat_calls *c) {
  chat_one_call *k;
  if (c->count == CHAT_CALLS_MAX) {
    fail(c, DA_ETOOLLIMIT);
    return NULL;
  }
  if (!c->items || c->count == c->size) {
    size_t size = c->size ? c->size * 2 : 4;
    chat_one_call *items = realloc(c->items, size * sizeof *items);
    if (!items) {
      fail(c, DA_ENOMEM);
      return NULL;
    }
    c->items = items;
    c->size = size;
  }
  k = &c->items[c->count++];
  memset(k, 0, sizeof *k);
  chat_piece_init(&k->id, c->cap);
  chat_piece_init(&k->name, c->cap);
  chat_piece_init(&k->arguments, c->cap);
  chat_piece_init(&k->type, c->cap);
  return k;
}

static void add_item(chat_calls *c, da_text item, int whole) {
  chat_signs s;
  chat_one_call *k;
  chat_signs_read(&s, item);
  k = whole ? NULL : chat_calls_find(c, &s);
  if (!k)
    k = add_call(c);
  if (!k)
    return;
  k->delta = c->delta;
  if (s.has_index) {
    k->has_index = 1;
    k->index = s.index;
  }
  put_call(c, k, item);
}

/* One call may stand without an array around it. */
static void add_items(chat_calls *c, da_text items, int whole) {
  da_json j;
  da_text item;
  c->delta++;
  da_json_init(&j, items);
  if (da_json_peek(&j) == DA_JSON_OBJECT) {
    add_item(c, items, whole);
    return;
  }
  if (!da_json_array(&j))
    return;
  while (!c->failed && da_json_item(&j) == 1)
    if (da_json_value(&j, &item) == DA_JSON_OBJECT)
      add_item(c, item, whole);
}

void chat_calls_delta(chat_calls *c, da_text tool_calls) {
  if (!c->failed)
    add_items(c, tool_calls, 0);
}

void chat_calls_whole(chat_calls *c, da_text tool_calls) {
  if (!c->failed)
    add_items(c, tool_calls, 1);
}

/* Where a service sends both, it is the same call twice. */
void chat_calls_function(chat_calls *c, da_text function) {
  chat_one_call *k = c->count ? c->items : NULL;
  da_json j;
  da_json_init(&j, function);
  if (c->failed || da_json_peek(&j) != DA_JSON_OBJECT || (k && !k->legacy))
    return;
  if (!k)
    k = add_call(c);
  if (!k)
    return;
  k->legacy = 1;
  put_function(c, k, function);
}
