/* chat_answer.c - whole answers of the chat-completions protocol. */
#include "chat_answer.h"

#include <stdlib.h>
#include <string.h>

#include "da_utf8.h"

int chat_fail(const chat_reply *r, int code, const char *message,
              da_err *err) {
  da_fail(err, code, "%s", message);
  err->retryable = code == DA_EEMPTY || code == DA_ETRUNCATED;
  chat_add_head(r, err);
  return code;
}

int chat_check_buf(const chat_reply *r, const da_buf *b, da_err *err) {
  int code = da_buf_check(b, "the answer", err);
  if (code)
    chat_add_head(r, err);
  return code;
}

/* ---- pieces ---- */

static int put_part(da_buf *out, da_text part, uint32_t *surrogate) {
  da_text type, text;
  if (da_json_get(part, "type", &type) == DA_JSON_STRING &&
      da_json_equals(type, "text") &&
      da_json_get(part, "text", &text) == DA_JSON_STRING)
    return da_json_unescape(out, text, surrogate);
  return DA_OK;
}

int chat_put_content(da_buf *out, da_json_type type, da_text content,
                     uint32_t *surrogate) {
  da_json j;
  da_text part;
  switch (type) {
  case DA_JSON_BAD:
  case DA_JSON_NULL:
    return DA_OK;
  case DA_JSON_STRING:
    return da_json_unescape(out, content, surrogate);
  case DA_JSON_ARRAY:
    break;
  default:
    return DA_EPROTOCOL;
  }
  da_json_init(&j, content);
  da_json_array(&j);
  while (da_json_item(&j) == 1) {
    da_json_value(&j, &part);
    put_part(out, part, surrogate);
  }
  return out->failed;
}

static int64_t get_count(da_text usage, const char *name) {
  da_text raw;
  int64_t n = 0;
  if (da_json_get(usage, name, &raw) != DA_JSON_NUMBER)
    return 0;
  if (!da_json_int64(raw, &n)) { /* some count in floats: 12.0 */
    double d = da_json_double(raw);
    n = d >= 0 && d < 1e15 ? (int64_t)d : 0;
  }
  return n > 0 ? n : 0;
}

void chat_read_usage(da_answer *a, da_text usage) {
  da_usage *u = &a->usage;
  u->prompt = get_count(usage, "prompt_tokens");
  u->completion = get_count(usage, "completion_tokens");
  u->total = get_count(usage, "total_tokens");
  if (!u->total && __builtin_add_overflow(u->prompt, u->completion, &u->total))
    u->total = INT64_MAX;
  a->has_usage = u->total > 0;
}

/* The character that an escape stands for, if it is one of ASCII; *i is
** where its backslash is, and then its last byte. */
static char escaped(da_text raw, size_t *i) {
  char hex[5] = {0};
  long unit;
  char c = raw.data[++*i];
  if (c != 'u')
    return strchr("bfnrt", c) ? '\0' : c;
  memcpy(hex, raw.data + *i + 1, 4);
  *i += 4;
  unit = strtol(hex, NULL, 16);
  return unit < 0x80 ? (char)unit : '\0';
}

void chat_copy_name(char *to, size_t size, da_json_type type, da_text raw) {
  size_t used = 0;
  if (type != DA_JSON_STRING)
    return;
  for (size_t i = 1; i + 1 < raw.len && used + 1 < size; i++) {
    char c = raw.data[i];
    if (c == '\\')
      c = escaped(raw, &i);
    if (c >= ' ' && c <= '~')
      to[used++] = c;
  }
  if (used)
    to[used] = '\0';
}

/* ---- calls of tools ---- */

int chat_is_call(da_json_type type, da_text value) {
  da_json j;
  da_text name;
  if (type == DA_JSON_OBJECT) /* some send one with an empty name */
    return da_json_get(value, "name", &name) == DA_JSON_STRING && name.len > 2;
  da_json_init(&j, value);
  return type == DA_JSON_ARRAY && da_json_array(&j) && da_json_item(&j) == 1;
}

int chat_check_calls(const chat_reply *r, const da_answer *a, int called,
                     da_err *err) {
  if (a->text.len)
    return DA_OK;
  if (called)
    return chat_fail(r, DA_EUNSUPPORTED,
                     "the model asked for a tool; tools are not supported yet",
                     err);
  if (strcmp(a->finish_reason, "tool_calls") == 0)
    return chat_fail(r, DA_EPROTOCOL,
                     "the answer ends for tool calls and has none", err);
  return DA_OK;
}

static int is_call_member(da_text key) {
  return da_json_equals(key, "tool_calls") ||
         da_json_equals(key, "function_call");
}

/* ---- the message ---- */

static int needs_change(da_text message, int called) {
  da_text role;
  return called || da_json_get(message, "role", &role) != DA_JSON_STRING ||
         !da_json_equals(role, "assistant");
}

/* To the byte, unless it must not be what it is: a role other than the
** assistant's would put words into another's mouth. */
static int keep_message(da_answer *a, da_text message, int called) {
  da_json j;
  da_text key, value;
  if (!needs_change(message, called))
    return da_buf_put(&a->message, message.data, message.len);
  da_buf_puts(&a->message, "{\"role\":\"assistant\"");
  da_json_init(&j, message);
  da_json_object(&j);
  while (da_json_member(&j, &key) == 1) {
    da_json_value(&j, &value);
    if (da_json_equals(key, "role") || (called && is_call_member(key)))
      continue;
    da_buf_puts(&a->message, ",");
    da_buf_put(&a->message, key.data - 1,
               (size_t)(value.data + value.len - key.data) + 1);
  }
  return da_buf_puts(&a->message, "}");
}

static int has_calls(da_text message) {
  static const char *const names[] = {"tool_calls", "function_call"};
  da_text value;
  for (int i = 0; i < 2; i++) {
    da_json_type type = da_json_get(message, names[i], &value);
    if (type != DA_JSON_BAD && chat_is_call(type, value))
      return 1;
  }
  return 0;
}

static int read_message(const chat_reply *r, da_text message, da_answer *a,
                        da_err *err) {
  da_text content = {NULL, 0}, refusal;
  da_json_type type = da_json_get(message, "content", &content);
  int called = has_calls(message), rc;
  if (chat_put_content(&a->text, type, content, NULL) == DA_EPROTOCOL)
    return chat_fail(r, DA_EPROTOCOL, "the answer's content is no text", err);
  if (!a->text.len && !a->text.failed &&
      da_json_get(message, "refusal", &refusal) == DA_JSON_STRING)
    da_json_unescape(&a->text, refusal, NULL);
  rc = chat_check_buf(r, &a->text, err);
  if (rc == DA_OK)
    rc = chat_check_calls(r, a, called, err);
  if (rc != DA_OK)
    return rc;
  keep_message(a, message, called);
  return chat_check_buf(r, &a->message, err);
}

/* ---- the whole ---- */

static int first_choice(da_text answer, da_text *choice) {
  da_json j;
  da_text choices;
  if (da_json_get(answer, "choices", &choices) != DA_JSON_ARRAY)
    return 0;
  da_json_init(&j, choices);
  da_json_array(&j);
  return da_json_item(&j) == 1 && da_json_value(&j, choice) == DA_JSON_OBJECT;
}

static int read_choice(const chat_reply *r, da_text choice, da_answer *a,
                       da_err *err) {
  da_text value = {NULL, 0}, message;
  da_json_type type = da_json_get(choice, "error", &value);
  if (type != DA_JSON_BAD && chat_is_error(type, value))
    return chat_service_error(r, value, err);
  type = da_json_get(choice, "finish_reason", &value);
  chat_copy_name(a->finish_reason, sizeof a->finish_reason, type, value);
  if (da_json_get(choice, "message", &message) != DA_JSON_OBJECT)
    return chat_fail(r, DA_EPROTOCOL, "the answer has no message", err);
  return read_message(r, message, a, err);
}

static int read_json(const chat_reply *r, da_text body, da_answer *a,
                     da_err *err) {
  da_text value = {NULL, 0}, choice;
  da_json_type type;
  da_err bad;
  if (da_json_check_depth(body, r->depth, &bad) != DA_OK)
    return chat_fail(r, DA_EPROTOCOL, bad.message, err);
  if (chat_find_error(body, &value))
    return chat_service_error(r, value, err);
  if (!first_choice(body, &choice))
    return chat_fail(r, DA_EPROTOCOL, "the answer has no choices", err);
  type = da_json_get(body, "model", &value);
  chat_copy_name(a->model, sizeof a->model, type, value);
  if (da_json_get(body, "usage", &value) == DA_JSON_OBJECT)
    chat_read_usage(a, value);
  return read_choice(r, choice, a, err);
}

static da_text skip_blank(da_text t) {
  if (t.len >= 3 && memcmp(t.data, "\xEF\xBB\xBF", 3) == 0) {
    t.data += 3;
    t.len -= 3;
  }
  while (t.len && strchr(" \t\r\n", *t.data) && *t.data) {
    t.data++;
    t.len--;
  }
  return t;
}

int chat_read_answer(const chat_reply *r, da_text body, da_answer *a,
                     da_err *err) {
  da_buf repaired;
  int rc;
  body = skip_blank(body);
  if (!body.len)
    return chat_fail(r, DA_EEMPTY, "the answer is empty", err);
  if (*body.data != '{' && *body.data != '[')
    return chat_fail(r, DA_ECONTENTTYPE,
                     *body.data == '<' ? "the answer is an HTML page, not JSON"
                                       : "the answer is not JSON",
                     err);
  da_buf_init(&repaired, body.len * 3);
  if (da_utf8_check(body.data, body.len) != body.len) {
    da_utf8_repair(&repaired, body.data, body.len);
    body = da_buf_text(&repaired);
  }
  rc = da_buf_check(&repaired, "the answer", err);
  if (rc == DA_OK)
    rc = read_json(r, body, a, err);
  da_buf_dispose(&repaired);
  return rc;
}
