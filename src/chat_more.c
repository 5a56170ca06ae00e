/* chat_more.c - further choices and logprobs, put together from chunks. */
#include "chat_more.h"

#include <stdlib.h>
#include <string.h>

#include "chat_answer.h"

void chat_more_init(chat_more *m, size_t cap) {
  memset(m, 0, sizeof *m);
  m->cap = cap;
}

void chat_more_dispose(chat_more *m) {
  for (size_t i = 0; i < m->count; i++) {
    chat_further *f = &m->items[i];
    chat_piece_dispose(&f->content);
    chat_piece_dispose(&f->refusal);
    da_buf_dispose(&f->finish_reason);
    chat_calls_dispose(&f->calls);
  }
  free(m->items);
  m->items = NULL;
  m->count = 0;
}

/* ---- finding one ---- */

static void further_init(chat_further *f, int64_t index, size_t cap) {
  memset(f, 0, sizeof *f);
  f->index = index;
  chat_piece_init(&f->content, cap);
  chat_piece_init(&f->refusal, cap);
  da_buf_init(&f->finish_reason, cap);
  chat_calls_init(&f->calls, cap);
}

/* They stand in the order of their index. NULL upon failure. */
static chat_further *find(chat_more *m, int64_t index) {
  chat_further *items;
  size_t i = 0;
  while (i < m->count && m->items[i].index < index)
    i++;
  if (i < m->count && m->items[i].index == index)
    return &m->items[i];
  if (m->count == CHAT_CHOICES_MAX) {
    m->failed = DA_ETOOLARGE;
    return NULL;
  }
  items = realloc(m->items, (m->count + 1) * sizeof *items);
  if (!items) {
    m->failed = DA_ENOMEM;
    return NULL;
  }
  m->items = items;
  memmove(items + i + 1, items + i, (m->count - i) * sizeof *items);
  m->count++;
  further_init(&items[i], index, m->cap);
  return &items[i];
}

/* ---- reading ---- */

static void add_delta(chat_further *f, da_text delta) {
  da_text value = {NULL, 0};
  da_json_type type = da_json_get(delta, "content", &value);
  chat_put_content(&f->content.text, type, value, &f->content.surrogate);
  if (da_json_get(delta, "refusal", &value) == DA_JSON_STRING)
    chat_piece_add(&f->refusal, value);
  if (da_json_get(delta, "tool_calls", &value) > DA_JSON_NULL)
    chat_calls_delta(&f->calls, value);
  if (da_json_get(delta, "function_call", &value) > DA_JSON_NULL)
    chat_calls_function(&f->calls, value);
}

static int failure(const chat_further *f) {
  int code = f->content.text.failed;
  code = code ? code : f->refusal.text.failed;
  code = code ? code : f->finish_reason.failed;
  return code ? code : f->calls.failed;
}

void chat_more_add(chat_more *m, int64_t index, da_text choice) {
  chat_further *f = m->failed ? NULL : find(m, index);
  da_text value;
  if (!f)
    return;
  if (da_json_get(choice, "delta", &value) == DA_JSON_OBJECT)
    add_delta(f, value);
  if (da_json_get(choice, "finish_reason", &value) == DA_JSON_STRING &&
      value.len > 2) {
    da_buf_reset(&f->finish_reason);
    da_buf_put(&f->finish_reason, value.data, value.len);
  }
  m->failed = failure(f);
}

/* ---- writing ---- */

static int is_cut(const chat_further *f) {
  char reason[32] = "";
  chat_copy_name(reason, sizeof reason, DA_JSON_STRING,
                 da_buf_text(&f->finish_reason));
  return da_finish_check(reason) != DA_OK;
}

static void put_message(chat_further *f, da_buf *out) {
  size_t calls = chat_calls_count(&f->calls);
  chat_piece_end(&f->content);
  chat_piece_end(&f->refusal);
  da_buf_puts(out, "{\"role\":\"assistant\",\"content\":");
  if (!f->content.text.len && (calls || f->refusal.text.len))
    da_buf_puts(out, "null");
  else
    chat_piece_put(&f->content, out);
  if (f->refusal.text.len) {
    da_buf_puts(out, ",\"refusal\":");
    chat_piece_put(&f->refusal, out);
  }
  if (calls) {
    da_buf_puts(out, ",\"tool_calls\":");
    chat_calls_put(&f->calls, out, is_cut(f));
  }
  da_buf_puts(out, "}");
}

int chat_more_put(chat_more *m, da_buf *out) {
  if (m->failed && !out->failed)
    out->failed = m->failed;
  for (size_t i = 0; i < m->count; i++) {
    chat_further *f = &m->items[i];
    da_buf_printf(out, "%s{\"index\":%lld,\"message\":", i ? "," : "[",
                  (long long)f->index);
    put_message(f, out);
    da_buf_puts(out, ",\"finish_reason\":");
    da_buf_puts(out, f->finish_reason.len ? f->finish_reason.data : "null");
    da_buf_puts(out, "}");
  }
  return m->count ? da_buf_puts(out, "]") : out->failed;
}

/* ---- logprobs ---- */

void chat_logprobs_init(chat_logprobs *l, size_t cap) {
  da_buf_init(&l->content, cap);
  da_buf_init(&l->refusal, cap);
}

void chat_logprobs_dispose(chat_logprobs *l) {
  da_buf_dispose(&l->content);
  da_buf_dispose(&l->refusal);
}

static void add_items(da_buf *to, da_text object, const char *name) {
  da_text array, item;
  da_json j;
  if (da_json_get(object, name, &array) != DA_JSON_ARRAY)
    return;
  da_json_init(&j, array);
  da_json_array(&j);
  while (da_json_item(&j) == 1) {
    da_json_value(&j, &item);
    if (to->len)
      da_buf_puts(to, ",");
    da_buf_put(to, item.data, item.len);
  }
}

void chat_logprobs_add(chat_logprobs *l, da_text object) {
  add_items(&l->content, object, "content");
  add_items(&l->refusal, object, "refusal");
}

static void put_items(const da_buf *items, const char *name, da_buf *out) {
  if (items->failed && !out->failed)
    out->failed = items->failed;
  if (!items->len)
    return;
  da_buf_printf(out, "%s\"%s\":[", out->len > 1 ? "," : "", name);
  da_buf_put(out, items->data, items->len);
  da_buf_puts(out, "]");
}

int chat_logprobs_put(const chat_logprobs *l, da_buf *out) {
  if (l->content.failed || l->refusal.failed || l->content.len ||
      l->refusal.len) {
    da_buf_puts(out, "{");
    put_items(&l->content, "content", out);
    put_items(&l->refusal, "refusal", out);
    da_buf_puts(out, "}");
  }
  return out->failed;
}
