/* chat_request.c - the request of the chat-completions protocol.
**
** Messages are sent as the text that they hold, so building a request is
** copying. Of the assistant's own messages a few members stay behind: what
** services add to their answers and refuse to read.
*/
#include "chat_request.h"

#include <string.h>

#include "da_utf8.h"

/* ---- messages ---- */

/* Whether what follows '{' is just {"role":"assistant","content":"..."}, as
** we make it of a stream: told by looking for quotes only, much faster than
** a walk. */
static int is_simple(da_text tail) {
  static const char front[] = "\"role\":\"assistant\",\"content\":\"";
  const char *p = tail.data + sizeof front - 1, *end = tail.data + tail.len;
  if (tail.len < sizeof front + 1 ||
      memcmp(tail.data, front, sizeof front - 1) != 0)
    return 0;
  for (const char *from = p;; p++) {
    const char *slash;
    p = memchr(p, '"', (size_t)(end - p));
    if (!p)
      return 0;
    for (slash = p; slash > from && slash[-1] == '\\'; slash--)
      ;
    if ((p - slash) % 2 == 0)
      return p + 2 == end;
  }
}

static int is_one_of(da_text key, const char *const *names) {
  for (; *names; names++)
    if (da_json_equals(key, *names))
      return 1;
  return 0;
}

/* Whether there is nothing in "tool_calls" or "function_call", which some
** services send and none takes. */
static int is_no_call(da_json_type type, da_text value) {
  da_json j;
  da_text name;
  if (type == DA_JSON_OBJECT)
    return da_json_get(value, "name", &name) == DA_JSON_STRING &&
           name.len == 2;
  da_json_init(&j, value);
  return type == DA_JSON_ARRAY && da_json_array(&j) && da_json_item(&j) == 0;
}

/* What was spoken has an id; some send an "audio" with nothing in it. */
static int has_audio(da_text value, da_text *id) {
  return da_json_get(value, "id", id) == DA_JSON_STRING && id->len > 2;
}

/* Thoughts that led to calls of tools go back with them: some services take
** them as read, others insist; of other messages they refuse them. */
static int stays_behind(da_text key, da_json_type type, da_text value,
                        int with_calls) {
  static const char *const never[] = {"annotations", "executed_tools", NULL};
  static const char *const thoughts[] = {"reasoning", "reasoning_content",
                                         NULL};
  static const char *const calls[] = {"tool_calls", "function_call", NULL};
  da_text id;
  if (type == DA_JSON_NULL)
    return !da_json_equals(key, "content");
  if (da_json_equals(key, "audio"))
    return !has_audio(value, &id);
  if (is_one_of(key, calls))
    return is_no_call(type, value);
  return is_one_of(key, never) || (!with_calls && is_one_of(key, thoughts));
}

/* It goes back as that id only. 0: it is no such thing. */
static int put_audio(da_buf *body, da_text key, da_text value) {
  da_text id;
  if (!da_json_equals(key, "audio") || !has_audio(value, &id))
    return 0;
  da_buf_puts(body, "\"audio\":{\"id\":");
  da_buf_put(body, id.data, id.len);
  da_buf_puts(body, "}");
  return 1;
}

static int has_call(da_text json, const char *name) {
  da_text calls;
  da_json_type type = da_json_get(json, name, &calls);
  return type > DA_JSON_NULL && !is_no_call(type, calls);
}

static int has_calls(da_text json) {
  return has_call(json, "tool_calls");
}

/* Services send a content of null for an answer that was all thought, and do
** not take it back but from a message that says something else. */
static int needs_content(da_text json) {
  da_text value = {NULL, 0}, id;
  if (has_calls(json) || has_call(json, "function_call") ||
      da_json_get(json, "refusal", &value) == DA_JSON_STRING)
    return 0;
  return da_json_get(json, "audio", &value) != DA_JSON_OBJECT ||
         !has_audio(value, &id);
}

/* Never more than the message's whole text. The walk passes our own members
** first, which stand before the tail. */
static void put_filtered(da_buf *body, da_text json, da_text tail,
                         int drop_thoughts) {
  int with_calls = !drop_thoughts && has_calls(json);
  da_json j;
  da_text key, value;
  size_t from = body->len;
  da_json_init(&j, json);
  da_json_trust(&j);
  da_json_object(&j);
  while (da_json_member(&j, &key) == 1) {
    da_json_type type = da_json_value(&j, &value);
    if (key.data < tail.data || stays_behind(key, type, value, with_calls))
      continue;
    da_buf_put(body, body->len == from ? "{" : ",", 1);
    if (type == DA_JSON_NULL && needs_content(json)) /* of all it is content */
      da_buf_puts(body, "\"content\":\"\"");
    else if (!put_audio(body, key, value))
      da_buf_put(body, key.data - 1,
                 (size_t)(value.data + value.len - key.data) + 1);
  }
  da_buf_puts(body, body->len == from ? "{}" : "}");
}

static void put_message(da_buf *body, const da_message *m, int drop_thoughts) {
  da_text tail = da_message_tail(m);
  if (da_message_role(m) == DA_ROLE_ASSISTANT && !is_simple(tail)) {
    put_filtered(body, da_message_json(m), tail, drop_thoughts);
  } else {
    da_buf_put(body, "{", 1);
    da_buf_put(body, tail.data, tail.len);
  }
}

/* Each with a comma behind it. */
static void put_messages(da_buf *body, const da_history *h, size_t from,
                         int drop_thoughts) {
  da_history_iter it;
  da_message *m;
  da_history_begin(&it, h, from);
  while ((m = da_history_next(&it)) != NULL) {
    put_message(body, m, drop_thoughts);
    da_buf_put(body, ",", 1);
  }
  if (it.failed)
    body->failed = DA_ENOMEM;
  da_history_end(&it);
}

/* ---- the whole ---- */

static size_t measure_messages(const da_history *h, size_t from) {
  size_t n = 0;
  da_history_iter it;
  da_message *m;
  da_history_begin(&it, h, from);
  while ((m = da_history_next(&it)) != NULL)
    n += da_message_tail(m).len + 3;
  da_history_end(&it);
  return n;
}

/* An upper bound of the body's length, but for what must be escaped. */
static size_t measure(const da_request *r) {
  return 256 + r->model.len + r->system.len + r->members.len +
         measure_messages(r->turn, 0) +
         (r->history ? measure_messages(r->history, r->first) : 0);
}

int chat_build_request(da_buf *body, const da_request *r, int drop_thoughts,
                       da_err *err) {
  int has_options, rc = da_model_check(r->model, err);
  if (rc != DA_OK)
    return rc;
  if (da_utf8_check(r->system.data, r->system.len) != r->system.len)
    return da_fail(err, DA_EUTF8, "the system prompt is not valid UTF-8");
  if (!da_buf_room(body, measure(r)))
    return da_buf_check(body, "the request", err);
  da_buf_puts(body, "{\"model\":");
  da_json_put_string(body, r->model.data, r->model.len);
  rc = da_request_put_members(r, body, "stream_options", &has_options, err);
  if (rc != DA_OK)
    return rc;
  if (r->stream)
    da_buf_puts(body, ",\"stream\":true");
  if (r->stream && !has_options)
    da_buf_puts(body, ",\"stream_options\":{\"include_usage\":true}");
  da_buf_puts(body, ",\"messages\":[");
  if (r->system.len) {
    da_buf_puts(body, "{\"role\":\"system\",\"content\":");
    da_json_put_string(body, r->system.data, r->system.len);
    da_buf_puts(body, "},");
  }
  if (r->history)
    put_messages(body, r->history, r->first, drop_thoughts);
  put_messages(body, r->turn, 0, drop_thoughts);
  if (!body->failed)
    body->len--; /* the last comma */
  da_buf_puts(body, "]}");
  return da_buf_check(body, "the request", err);
}
