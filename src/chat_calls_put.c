/* chat_calls_put.c - calls of tools as a message has them. */
#include "chat_calls.h"

#include <string.h>

/* ---- writing ---- */

static int is_blank(da_text t) {
  for (size_t i = 0; i < t.len; i++)
    if (t.data[i] != ' ' && t.data[i] != '\t' && t.data[i] != '\r' &&
        t.data[i] != '\n')
      return 0;
  return 1;
}

/* Of two calls with one id the second gets its own: each result must find its
** call. */
static int needs_id(const chat_calls *c, const chat_one_call *k) {
  const da_buf *id = &k->id.text;
  for (const chat_one_call *b = c->items; id->len && b < k; b++)
    if (b->id.text.len == id->len &&
        memcmp(b->id.text.data, id->data, id->len) == 0)
      return 1;
  return !id->len;
}

static void put_id(const chat_calls *c, const chat_one_call *k, da_buf *out) {
  char fresh[DA_MESSAGE_ID_SIZE + 1];
  if (!needs_id(c, k)) {
    chat_piece_put(&k->id, out);
    return;
  }
  da_message_fresh_id(fresh);
  da_buf_printf(out, "\"call_%s\"", fresh);
}

static void put_members(const chat_one_call *k, da_buf *out, int inside) {
  for (size_t i = 0; i < k->member_count; i++)
    if (k->members[i].inside == inside)
      da_buf_put(out, k->members[i].raw.data, k->members[i].raw.len);
}

static void put_function(const chat_one_call *k, da_buf *out, int cut) {
  da_buf_puts(out, ",\"function\":{\"name\":");
  chat_piece_put(&k->name, out);
  da_buf_puts(out, ",\"arguments\":");
  if (!cut && is_blank(da_buf_text(&k->arguments.text)))
    da_buf_puts(out, "\"{}\"");
  else
    chat_piece_put(&k->arguments, out);
  put_members(k, out, 1);
  da_buf_puts(out, "}");
}

/* A call of another type ("custom") has no function. */
static int has_function(const chat_one_call *k) {
  return !k->type.text.len || k->name.text.len || k->arguments.text.len ||
         strcmp(k->type.text.data, "function") == 0;
}

static void put_call(const chat_calls *c, chat_one_call *k, da_buf *out,
                     int cut) {
  chat_piece_end(&k->id);
  chat_piece_end(&k->name);
  chat_piece_end(&k->arguments);
  chat_piece_end(&k->type);
  da_buf_puts(out, "{\"id\":");
  put_id(c, k, out);
  da_buf_puts(out, ",\"type\":");
  if (k->type.text.len)
    chat_piece_put(&k->type, out);
  else
    da_buf_puts(out, "\"function\"");
  if (has_function(k))
    put_function(k, out, cut);
  put_members(k, out, 0);
  da_buf_puts(out, "}");
}

void chat_calls_put(chat_calls *c, da_buf *out, int cut) {
  int n = 0;
  da_buf_puts(out, "[");
  for (size_t i = 0; i < c->count; i++) {
    if (chat_call_is_empty(&c->items[i]))
      continue;
    if (n++)
      da_buf_puts(out, ",");
    put_call(c, &c->items[i], out, cut);
  }
  da_buf_puts(out, "]");
}

/* ---- as they are ---- */

static int is_plain_function(da_text call) {
  da_text function, value;
  if (da_json_get(call, "function", &function) != DA_JSON_OBJECT)
    return 0;
  if (da_json_get(function, "name", &value) != DA_JSON_STRING ||
      da_json_get(function, "arguments", &value) != DA_JSON_STRING)
    return 0;
  value.data++;
  value.len -= 2;
  return !is_blank(value);
}

/* Ids without escapes are compared as they stand. */
static int is_plain(da_text call, da_text *id) {
  da_text type;
  if (da_json_get(call, "id", id) != DA_JSON_STRING || id->len <= 2 ||
      memchr(id->data, '\\', id->len))
    return 0;
  if (da_json_get(call, "type", &type) != DA_JSON_STRING || type.len <= 2)
    return 0;
  return !da_json_equals(type, "function") || is_plain_function(call);
}

int chat_calls_are_plain(da_text tool_calls, size_t *count) {
  da_text ids[CHAT_CALLS_MAX], call;
  da_json j;
  size_t n = 0;
  da_json_init(&j, tool_calls);
  da_json_trust(&j);
  if (!da_json_array(&j))
    return 0;
  for (; da_json_item(&j) == 1; n++) {
    if (n == CHAT_CALLS_MAX || da_json_value(&j, &call) != DA_JSON_OBJECT ||
        !is_plain(call, &ids[n]))
      return 0;
    for (size_t i = 0; i < n; i++)
      if (ids[i].len == ids[n].len &&
          memcmp(ids[i].data, ids[n].data, ids[n].len) == 0)
        return 0;
  }
  *count = n;
  return 1;
}
