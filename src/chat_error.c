/* chat_error.c - what a chat service's errors mean.
**
** Services agree on little: {"error":{"message","type","code"}} (OpenAI and
** most), {"error":"text"} (Ollama), [{"error":{...}}] (Gemini), a bare
** {"message"} or {"detail"}, HTML, nothing. The status decides first, then
** the service's own words where the status is too coarse or says 200.
*/
#include "chat_error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "da_clock.h"
#include "da_http.h"
#include "da_utf8.h"

/* What could be read out of an error. */
typedef struct facts {
  da_buf message; /* decoded */
  da_buf kinds;   /* code, type and status, with a blank after each */
  da_buf code;    /* the first of them: what err.service_code shows */
  int64_t number; /* a code that is a number, else 0 */
} facts;

static void facts_init(facts *f) {
  da_buf_init(&f->message, SIZE_MAX / 2);
  da_buf_init(&f->kinds, SIZE_MAX / 2);
  da_buf_init(&f->code, SIZE_MAX / 2);
  f->number = 0;
}

static void facts_dispose(facts *f) {
  da_buf_dispose(&f->message);
  da_buf_dispose(&f->kinds);
  da_buf_dispose(&f->code);
}

/* ---- reading ---- */

static void add_kind(facts *f, da_json_type type, da_text value) {
  if (type == DA_JSON_NUMBER)
    da_json_int64(value, &f->number);
  else if (type != DA_JSON_STRING || value.len <= 2)
    return;
  da_json_unescape(&f->kinds, value, NULL);
  if (!f->code.len)
    da_json_unescape(&f->code, value, NULL);
  da_buf_put(&f->kinds, " ", 1);
}

/* A message may hide: {"detail":"..."}, {"detail":[{"msg":"..."}]}. */
static void add_message(facts *f, da_json_type type, da_text value) {
  static const char *const names[] = {"message", "msg", "detail", "error"};
  da_text inner = {NULL, 0};
  da_json j;
  if (f->message.len)
    return;
  if (type == DA_JSON_STRING) {
    da_json_unescape(&f->message, value, NULL);
  } else if (type == DA_JSON_ARRAY) {
    da_json_init(&j, value);
    da_json_array(&j);
    if (da_json_item(&j) == 1 && da_json_peek(&j) == DA_JSON_OBJECT) {
      da_json_value(&j, &inner);
      if (da_json_get(inner, "msg", &value) == DA_JSON_STRING)
        da_json_unescape(&f->message, value, NULL);
    }
  } else if (type == DA_JSON_OBJECT) {
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
      if (da_json_get(value, names[i], &inner) == DA_JSON_STRING)
        add_message(f, DA_JSON_STRING, inner);
  }
}

static void read_object(facts *f, da_text object) {
  static const char *const kinds[] = {"code", "type", "status"};
  static const char *const messages[] = {"message", "detail", "error"};
  da_text value = {NULL, 0};
  da_json_type type;
  for (size_t i = 0; i < 3; i++) {
    type = da_json_get(object, kinds[i], &value);
    add_kind(f, type, value);
  }
  for (size_t i = 0; i < 3; i++) {
    type = da_json_get(object, messages[i], &value);
    add_message(f, type, value);
  }
}

static void read_value(facts *f, da_text value) {
  if (value.len && *value.data == '"')
    add_message(f, DA_JSON_STRING, value);
  else
    read_object(f, value);
}

int chat_is_error(da_json_type type, da_text value) {
  return type == DA_JSON_OBJECT || (type == DA_JSON_STRING && value.len > 2);
}

/* {"object":"error","message":...}, {"code":...,"message":...}: what is an
** error without being called one, where an answer would have choices. */
static int is_bare_error(const da_json_field *f) {
  const da_json_field *choices = f + 1, *message = f + 2, *object = f + 3;
  const da_json_field *code = f + 4;
  return choices->type <= DA_JSON_NULL && message->type == DA_JSON_STRING &&
         message->value.len > 2 &&
         (code->type == DA_JSON_NUMBER || code->type == DA_JSON_STRING ||
          (object->type == DA_JSON_STRING &&
           da_json_equals(object->value, "error")));
}

int chat_find_error(da_text json, da_text *value) {
  da_json_field f[] = {{.name = "error"},
                       {.name = "choices"},
                       {.name = "message"},
                       {.name = "object"},
                       {.name = "code"}};
  da_json j;
  da_text first = json;
  da_json_init(&j, json);
  if (da_json_array(&j) &&
      (da_json_item(&j) != 1 || da_json_value(&j, &first) != DA_JSON_OBJECT))
    return 0;
  da_json_pick(first, f, sizeof f / sizeof *f);
  *value = f[0].value;
  if (f[0].type != DA_JSON_BAD && chat_is_error(f[0].type, *value))
    return 1;
  *value = first;
  return is_bare_error(f);
}

/* ---- judging ---- */

static int says(const da_buf *b, const char *const *words) {
  for (; b->len && *words; words++)
    if (strcasestr(b->data, *words))
      return 1;
  return 0;
}

static const char *const quota_kinds[] = {"insufficient_quota", "billing",
                                          "insufficient_credit",
                                          "insufficient_balance", NULL};
static const char *const quota_words[] = {"credit balance",
                                          "insufficient balance", NULL};
static const char *const rate_kinds[] = {"rate_limit", "too_many_requests",
                                         "resource_exhausted", NULL};
static const char *const auth_kinds[] = {"invalid_api_key", "authentication",
                                         "permission_denied",
                                         "unauthenticated", NULL};
static const char *const busy_kinds[] = {"overloaded", "unavailable", NULL};
static const char *const server_kinds[] = {"server_error", "internal",
                                           "timeout", NULL};
static const char *const context_kinds[] = {"context_length", "context_window",
                                            "context_size", NULL};
static const char *const context_words[] = {
    "context length",
    "context window",
    "prompt is too long",
    "input is too long",
    "prompt too long",
    "maximum number of tokens",
    "reduce the length of the messages",
    NULL,
};

static int is_quota(const facts *f) {
  return says(&f->kinds, quota_kinds) || says(&f->message, quota_words);
}

static int is_context(const facts *f) {
  return says(&f->kinds, context_kinds) || says(&f->message, context_words);
}

static int judge_refused(int status, const facts *f) {
  switch (status) {
  case 401:
    return DA_EAUTH;
  case 402:
    return DA_EQUOTA;
  case 403:
    return is_quota(f) ? DA_EQUOTA : DA_EAUTH;
  case 404:
    return DA_ENOTFOUND;
  case 408:
  case 409:
    return DA_ESERVER;
  case 413:
    return is_context(f) ? DA_ECONTEXT : DA_ETOOLARGE;
  case 429:
    return is_quota(f) ? DA_EQUOTA : DA_ERATE;
  case 400:
  case 422:
    if (is_context(f))
      return DA_ECONTEXT;
    return is_quota(f) ? DA_EQUOTA : DA_EBADREQUEST;
  default:
    return DA_EHTTP;
  }
}

static int judge_status(int status, const facts *f) {
  if (status >= 300 && status < 400)
    return DA_EREDIRECT;
  if (status >= 500 && status < 600)
    return DA_ESERVER;
  return judge_refused(status, f);
}

/* The status said 200: only clear words and numbers count. */
static int judge_words(const facts *f) {
  int number = f->number >= 401 && f->number < 600 ? (int)f->number : 0;
  if (is_quota(f))
    return DA_EQUOTA;
  if (says(&f->kinds, rate_kinds))
    return DA_ERATE;
  if (is_context(f))
    return DA_ECONTEXT;
  if (says(&f->kinds, auth_kinds))
    return DA_EAUTH;
  if (says(&f->kinds, busy_kinds))
    return DA_ESERVER;
  if (number) {
    int code = judge_status(number, f);
    return code == DA_EHTTP || code == DA_EBADREQUEST ? DA_EAPI : code;
  }
  return DA_EAPI;
}

/* ---- telling ---- */

#define SECRET_MIN 4 /* what is shorter would only make texts unreadable */

/* The first secret in `t`, the longest of those that begin there; NULL: there
** is none. The end of `t` may have been cut: there a part of one counts. */
static const char *find_secret(const chat_reply *r, da_text t, size_t *len) {
  const char *at = NULL;
  *len = 0;
  for (size_t i = 0; i < r->secret_count; i++) {
    da_text s = r->secrets[i];
    const char *found =
        s.len >= SECRET_MIN ? memmem(t.data, t.len, s.data, s.len) : NULL;
    size_t n = found || t.len > s.len ? s.len : t.len;
    while (!found && n >= SECRET_MIN)
      if (memcmp(t.data + t.len - n, s.data, n) == 0)
        found = t.data + t.len - n;
      else
        n--;
    if (found && (!at || found < at || (found == at && n > *len))) {
      at = found;
      *len = n;
    }
  }
  return at;
}

/* Nothing that is shown is so long; of secrets there may be as many as fit, and
** each is looked for anew. */
#define SHOWN_MOST 4096

/* Appends `text` with each secret replaced. */
static void put_masked(da_buf *out, const chat_reply *r, da_text text) {
  const char *at;
  size_t len;
  if (text.len > SHOWN_MOST)
    text.len = SHOWN_MOST;
  while ((at = find_secret(r, text, &len))) {
    da_buf_put(out, text.data, (size_t)(at - text.data));
    da_buf_puts(out, "***");
    text.len -= (size_t)(at + len - text.data);
    text.data = at + len;
  }
  da_buf_put(out, text.data, text.len);
}

static da_text trim(da_text t) {
  while (t.len && strchr(" \t\r\n", t.data[t.len - 1]))
    t.len--;
  while (t.len && strchr(" \t\r\n", *t.data)) {
    t.data++;
    t.len--;
  }
  return t;
}

static void put_message(da_buf *out, const chat_reply *r, const facts *f,
                        da_text body, int code) {
  int status = r->http->status;
  body = trim(body);
  if (code == DA_EREDIRECT)
    da_buf_printf(
        out, "HTTP %d: redirects are not followed; is the base URL right?",
        status);
  else if (trim(da_buf_text(&f->message)).len)
    put_masked(out, r, trim(da_buf_text(&f->message)));
  else if (!body.len)
    da_buf_printf(out, "HTTP %d (no text)", status);
  else if (*body.data == '<')
    da_buf_printf(out, "HTTP %d (an HTML page)", status);
  else {
    da_buf_printf(out, "HTTP %d: ", status);
    put_masked(out, r, body);
  }
}

int chat_mask(const chat_reply *r, char *text, size_t size) {
  const da_text given = {text, strlen(text)};
  da_buf masked;
  int code;
  da_buf_init(&masked, size * 4);
  put_masked(&masked, r, given);
  snprintf(text, size, "%s", da_buf_text(&masked).data);
  code = masked.failed;
  da_buf_dispose(&masked);
  return code;
}

void chat_add_head(const chat_reply *r, da_err *err) {
  err->status = r->http->status;
  memcpy(err->request_id, r->http->request_id, sizeof err->request_id);
  chat_mask(r, err->request_id, sizeof err->request_id);
}

static int tell(const chat_reply *r, const facts *f, da_text body, int code,
                da_err *err) {
  const char *retry = r->http->should_retry;
  da_buf message, kind;
  int failed = f->message.failed | f->kinds.failed | f->code.failed;
  da_buf_init(&message, SIZE_MAX / 2);
  da_buf_init(&kind, SIZE_MAX / 2);
  put_message(&message, r, f, body, code);
  put_masked(&kind, r, da_buf_text(&f->code));
  if (failed || message.failed || kind.failed) {
    code = da_nomem(err);
  } else {
    da_fail(err, code, "-");
    da_err_set_message(err, message.data, message.len);
    for (size_t i = 0; i < kind.len && i + 1 < sizeof err->service_code; i++)
      err->service_code[i] =
          kind.data[i] > ' ' && kind.data[i] <= '~' ? kind.data[i] : '_';
    err->retryable = code == DA_ERATE || code == DA_ESERVER ||
                     (code == DA_EAPI && says(&f->kinds, server_kinds));
    if (strcmp(retry, "true") == 0 || strcmp(retry, "false") == 0)
      err->retryable = *retry == 't';
    err->retry_after = da_http_retry_after(r->http, da_wall());
    chat_add_head(r, err);
  }
  da_buf_dispose(&message);
  da_buf_dispose(&kind);
  return code;
}

int chat_service_error(const chat_reply *r, da_text value, da_err *err) {
  facts f;
  int code;
  facts_init(&f);
  read_value(&f, value);
  code = tell(r, &f, value, judge_words(&f), err);
  facts_dispose(&f);
  return code;
}

int chat_http_error(const chat_reply *r, da_text body, da_err *err) {
  facts f;
  da_buf repaired;
  da_text value;
  int code;
  facts_init(&f);
  da_buf_init(&repaired, SIZE_MAX / 2);
  if (da_utf8_check(body.data, body.len) != body.len) {
    f.message.failed = da_utf8_repair(&repaired, body.data, body.len);
    body = da_buf_text(&repaired);
  }
  /* What is no JSON, or was cut, is shown as it is. */
  if (da_json_check_depth(body, r->depth, NULL) == DA_OK)
    read_value(&f, chat_find_error(body, &value) ? value : trim(body));
  code = tell(r, &f, body, judge_status(r->http->status, &f), err);
  da_buf_dispose(&repaired);
  facts_dispose(&f);
  return code;
}
