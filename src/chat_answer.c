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

int chat_check_details(const chat_reply *r, const da_answer *a, da_err *err) {
  int rc = chat_check_buf(r, &a->raw_usage, err);
  if (rc == DA_OK)
    rc = chat_check_buf(r, &a->logprobs, err);
  return rc == DA_OK ? chat_check_buf(r, &a->choices, err) : rc;
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

/* ---- the message ---- */

int chat_is_cut(const da_answer *a) {
  return da_finish_check(a->finish_reason) != DA_OK;
}

int chat_check_calls(const chat_reply *r, const da_answer *a, da_err *err) {
  if (!a->calls && !a->text.len &&
      (strcmp(a->finish_reason, "tool_calls") == 0 ||
       strcmp(a->finish_reason, "function_call") == 0))
    return chat_fail(r, DA_EPROTOCOL,
                     "the answer ends for tool calls and has none", err);
  return DA_OK;
}

static int is_call_member(da_text key) {
  return da_json_equals(key, "tool_calls") ||
         da_json_equals(key, "function_call");
}

/* The members but for role, which puts words into another's mouth, and calls,
** which go to the end. */
static void put_anew(da_answer *a, da_text message, chat_calls *calls) {
  da_buf *m = &a->message;
  da_json j;
  da_text key, value;
  da_buf_puts(m, "{\"role\":\"assistant\"");
  da_json_init(&j, message);
  da_json_trust(&j);
  da_json_object(&j);
  while (da_json_member(&j, &key) == 1) {
    da_json_value(&j, &value);
    if (da_json_equals(key, "role") || (calls && is_call_member(key)))
      continue;
    da_buf_puts(m, ",");
    da_buf_put(m, key.data - 1,
               (size_t)(value.data + value.len - key.data) + 1);
  }
  if (calls && a->calls) {
    da_buf_puts(m, ",\"tool_calls\":");
    chat_calls_put(calls, m, chat_is_cut(a));
  }
  da_buf_puts(m, "}");
}

/* To the byte, unless it must not be what it is. `calls` NULL: they may stay
** as they are. */
static int keep_message(const chat_reply *r, da_answer *a, da_text message,
                        const da_json_field *role, chat_calls *calls,
                        da_err *err) {
  int rc = calls ? chat_calls_check(calls, err) : DA_OK;
  if (rc != DA_OK) {
    chat_add_head(r, err);
    return rc;
  }
  rc = chat_check_calls(r, a, err);
  if (rc != DA_OK)
    return rc;
  if (calls || role->type != DA_JSON_STRING ||
      !da_json_equals(role->value, "assistant"))
    put_anew(a, message, calls);
  else
    da_buf_put(&a->message, message.data, message.len);
  return chat_check_buf(r, &a->message, err);
}

int chat_keep_message(const chat_reply *r, da_text message, da_answer *a,
                      da_err *err) {
  da_json_field f[] = {
      {.name = "tool_calls"}, {.name = "function_call"}, {.name = "role"}};
  da_text name;
  chat_calls calls;
  int legacy, rc;
  da_json_pick(message, f, sizeof f / sizeof *f);
  legacy = f[1].type == DA_JSON_OBJECT &&
           da_json_get(f[1].value, "name", &name) == DA_JSON_STRING &&
           name.len > 2; /* some send one with an empty name */
  if (!legacy && (f[0].type <= DA_JSON_NULL ||
                  chat_calls_are_plain(f[0].value, &a->calls)))
    return keep_message(r, a, message, &f[2], NULL, err);
  chat_calls_init(&calls, a->message.cap);
  if (f[0].type > DA_JSON_NULL)
    chat_calls_whole(&calls, f[0].value);
  if (legacy)
    chat_calls_function(&calls, f[1].value);
  a->calls = chat_calls_count(&calls);
  rc = keep_message(r, a, message, &f[2], &calls, err);
  chat_calls_dispose(&calls);
  return rc;
}

static int read_message(const chat_reply *r, da_text message, da_answer *a,
                        da_err *err) {
  da_json_field f[] = {{.name = "content"}, {.name = "refusal"}};
  int rc;
  da_json_pick(message, f, sizeof f / sizeof *f);
  if (chat_put_content(&a->text, f[0].type, f[0].value, NULL) == DA_EPROTOCOL)
    return chat_fail(r, DA_EPROTOCOL, "the answer's content is no text", err);
  if (!a->text.len && !a->text.failed && f[1].type == DA_JSON_STRING) {
    da_json_unescape(&a->text, f[1].value, NULL);
    a->refused = a->text.len > 0;
  }
  rc = chat_check_buf(r, &a->text, err);
  return rc == DA_OK ? chat_keep_message(r, message, a, err) : rc;
}

/* ---- the whole ---- */

/* The first choice; *rest is where the further ones begin. */
static int first_choice(const da_json_field *choices, da_text *choice,
                        da_json *rest) {
  if (choices->type != DA_JSON_ARRAY)
    return 0;
  da_json_init(rest, choices->value);
  da_json_trust(rest);
  da_json_array(rest);
  return da_json_item(rest) == 1 &&
         da_json_value(rest, choice) == DA_JSON_OBJECT;
}

static void put_further(da_json *rest, da_answer *a) {
  da_buf *out = &a->choices;
  da_text choice;
  while (da_json_item(rest) == 1) {
    da_json_value(rest, &choice);
    da_buf_puts(out, out->len ? "," : "[");
    da_buf_put(out, choice.data, choice.len);
  }
  if (out->len)
    da_buf_puts(out, "]");
}

static int read_choice(const chat_reply *r, da_text choice, da_answer *a,
                       da_err *err) {
  da_json_field f[] = {{.name = "error"},
                       {.name = "finish_reason"},
                       {.name = "logprobs"},
                       {.name = "message"}};
  da_json_pick(choice, f, sizeof f / sizeof *f);
  if (f[0].type != DA_JSON_BAD && chat_is_error(f[0].type, f[0].value))
    return chat_service_error(r, f[0].value, err);
  chat_copy_name(a->finish_reason, sizeof a->finish_reason, f[1].type,
                 f[1].value);
  if (f[2].type == DA_JSON_OBJECT)
    da_buf_put(&a->logprobs, f[2].value.data, f[2].value.len);
  if (f[3].type != DA_JSON_OBJECT)
    return chat_fail(r, DA_EPROTOCOL, "the answer has no message", err);
  return read_message(r, f[3].value, a, err);
}

static int read_json(const chat_reply *r, da_text body, da_answer *a,
                     da_err *err) {
  da_json_field f[] = {{.name = "choices"}, {.name = "model"}};
  da_text value = {NULL, 0}, choice;
  da_json rest;
  da_err bad;
  int rc;
  if (da_json_check_depth(body, r->depth, &bad) != DA_OK)
    return chat_fail(r, DA_EPROTOCOL, bad.message, err);
  if (chat_find_error(body, &value))
    return chat_service_error(r, value, err);
  da_json_pick(body, f, sizeof f / sizeof *f);
  if (!first_choice(&f[0], &choice, &rest))
    return chat_fail(r, DA_EPROTOCOL, "the answer has no choices", err);
  chat_copy_name(a->model, sizeof a->model, f[1].type, f[1].value);
  if (chat_find_usage(body, &value))
    chat_read_usage(a, value);
  rc = read_choice(r, choice, a, err);
  if (rc != DA_OK)
    return rc;
  put_further(&rest, a);
  return chat_check_details(r, a, err);
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
