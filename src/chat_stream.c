/* chat_stream.c - an answer that comes in chunks.
**
** Each chunk is walked once, which also checks it; only then does anything
** of it count. Nothing is allocated for a chunk but room for its text.
*/
#include "chat_stream.h"

#include <string.h>

#include "da_utf8.h"

#define STOP 1 /* what on_event returns once it has seen enough */

void chat_stream_init(chat_stream *s, const chat_reply *reply,
                      da_answer *answer, da_delta_fn delta, void *ctx,
                      size_t cap) {
  memset(s, 0, sizeof *s);
  s->reply = reply;
  s->answer = answer;
  s->delta = delta;
  s->ctx = ctx;
  da_sse_init(&s->sse, cap);
  chat_piece_init(&s->refusal, answer->text.cap);
  chat_piece_init(&s->reasoning, answer->text.cap);
  chat_piece_init(&s->reasoning_content, answer->text.cap);
  chat_calls_init(&s->calls, answer->message.cap);
  chat_logprobs_init(&s->logprobs, answer->logprobs.cap);
  chat_more_init(&s->more, answer->choices.cap);
  chat_extra_init(&s->extra, answer->message.cap);
  da_buf_init(&s->usage, cap);
}

void chat_stream_dispose(chat_stream *s) {
  da_sse_dispose(&s->sse);
  chat_piece_dispose(&s->refusal);
  chat_piece_dispose(&s->reasoning);
  chat_piece_dispose(&s->reasoning_content);
  chat_calls_dispose(&s->calls);
  chat_logprobs_dispose(&s->logprobs);
  chat_more_dispose(&s->more);
  chat_extra_dispose(&s->extra);
  da_buf_dispose(&s->usage);
}

/* ---- walking a chunk ---- */

typedef struct value {
  da_json_type type; /* DA_JSON_BAD if it is not there */
  da_text raw;
} value;

static const value absent = {DA_JSON_BAD, {NULL, 0}};

typedef struct choice {
  value index, finish_reason, error, logprobs;
  value content, refusal, reasoning, reasoning_content; /* of its delta */
  value tool_calls, function_call;
  da_text odd; /* the delta, if there are others in it; else data NULL */
} choice;

static const choice no_choice = {
    .index = {DA_JSON_BAD, {NULL, 0}},
    .finish_reason = {DA_JSON_BAD, {NULL, 0}},
    .error = {DA_JSON_BAD, {NULL, 0}},
    .logprobs = {DA_JSON_BAD, {NULL, 0}},
    .content = {DA_JSON_BAD, {NULL, 0}},
    .refusal = {DA_JSON_BAD, {NULL, 0}},
    .reasoning = {DA_JSON_BAD, {NULL, 0}},
    .reasoning_content = {DA_JSON_BAD, {NULL, 0}},
    .tool_calls = {DA_JSON_BAD, {NULL, 0}},
    .function_call = {DA_JSON_BAD, {NULL, 0}},
    .odd = {NULL, 0},
};

typedef struct chunk {
  value error, usage, model, groq;
  choice first; /* the one with index 0 */
  int has_first, has_choices;
  da_text choices; /* the array, if there are others in it; else data NULL */
} chunk;

/* Whether the raw key is `name`. The slow way is for keys with escapes,
** which are longer. */
static inline int is_key(da_text key, const char *name, size_t len) {
  if (key.len == len)
    return memcmp(key.data, name, len) == 0;
  return key.len >= len + 5 && memchr(key.data, '\\', key.len) &&
         da_json_equals(key, name);
}
#define IS(name) is_key(key, name, sizeof(name) - 1)

static void take(da_json *j, value *v) {
  v->type = da_json_value(j, &v->raw);
}

static void walk_delta(da_json *j, choice *c) {
  const char *begin = j->p;
  int others = 0;
  da_text key;
  if (!da_json_object(j)) {
    da_json_value(j, NULL);
    return;
  }
  while (da_json_member(j, &key) == 1) {
    if (IS("content"))
      take(j, &c->content);
    else if (IS("refusal"))
      take(j, &c->refusal);
    else if (IS("reasoning"))
      take(j, &c->reasoning);
    else if (IS("reasoning_content"))
      take(j, &c->reasoning_content);
    else if (IS("tool_calls"))
      take(j, &c->tool_calls);
    else if (IS("function_call"))
      take(j, &c->function_call);
    else
      others |= da_json_value(j, NULL) > DA_JSON_NULL && !IS("role");
  }
  c->odd.data = others ? begin : NULL;
  c->odd.len = (size_t)(j->p - begin);
}

static void walk_choice(da_json *j, choice *c) {
  da_text key;
  while (da_json_member(j, &key) == 1) {
    if (IS("delta"))
      walk_delta(j, c);
    else if (IS("index"))
      take(j, &c->index);
    else if (IS("finish_reason"))
      take(j, &c->finish_reason);
    else if (IS("error"))
      take(j, &c->error);
    else if (IS("logprobs"))
      take(j, &c->logprobs);
    else
      da_json_value(j, NULL);
  }
}

/* Of several answers to one question the first is the answer. */
static int is_first(const choice *c) {
  int64_t n = 0;
  return c->index.type != DA_JSON_NUMBER ||
         (da_json_int64(c->index.raw, &n) && n == 0);
}

static void walk_choices(da_json *j, chunk *c) {
  const char *begin = j->p;
  int others = 0;
  if (!da_json_array(j)) {
    da_json_value(j, NULL);
    return;
  }
  while (da_json_item(j) == 1) {
    if (c->has_first || !da_json_object(j)) {
      others |= da_json_value(j, NULL) == DA_JSON_OBJECT;
      continue;
    }
    c->first = no_choice;
    walk_choice(j, &c->first);
    c->has_first = is_first(&c->first);
    others |= !c->has_first;
  }
  c->choices.data = others ? begin : NULL;
  c->choices.len = (size_t)(j->p - begin);
}

static void walk_chunk(da_json *j, chunk *c) {
  da_text key;
  c->error = c->usage = c->model = c->groq = absent;
  c->has_first = c->has_choices = 0;
  c->choices.data = NULL;
  while (da_json_member(j, &key) == 1) {
    if (IS("choices")) {
      c->has_choices = 1;
      walk_choices(j, c);
    } else if (IS("usage"))
      take(j, &c->usage);
    else if (IS("model"))
      take(j, &c->model);
    else if (IS("x_groq"))
      take(j, &c->groq);
    else if (IS("error"))
      take(j, &c->error);
    else
      da_json_value(j, NULL);
  }
}

/* ---- what it means ---- */

static int call_delta(chat_stream *s, size_t from) {
  const da_buf *text = &s->answer->text;
  da_text t = da_buf_text(text);
  int rc;
  t.data += from;
  t.len -= from;
  if (text->failed)
    return chat_check_buf(s->reply, text, s->err);
  if (!s->delta || !t.len)
    return DA_OK;
  rc = s->delta(s->ctx, t, s->err);
  return rc < 0 ? rc : DA_OK;
}

static int add_text(chat_stream *s, const value *content) {
  size_t from = s->answer->text.len;
  if (chat_put_content(&s->answer->text, content->type, content->raw,
                       &s->surrogate) == DA_EPROTOCOL)
    return chat_fail(s->reply, DA_EPROTOCOL, "the answer's content is no text",
                     s->err);
  return call_delta(s, from);
}

static int add_piece(chat_stream *s, chat_piece *p, const value *v) {
  if (v->type == DA_JSON_STRING)
    chat_piece_add(p, v->raw);
  return chat_check_buf(s->reply, &p->text, s->err);
}

static int check_calls(const chat_stream *s) {
  int rc = chat_calls_check(&s->calls, s->err);
  if (rc != DA_OK)
    chat_add_head(s->reply, s->err);
  return rc;
}

static int add_calls(chat_stream *s, const choice *c) {
  if (c->tool_calls.type > DA_JSON_NULL)
    chat_calls_delta(&s->calls, c->tool_calls.raw);
  if (c->function_call.type > DA_JSON_NULL)
    chat_calls_function(&s->calls, c->function_call.raw);
  return check_calls(s);
}

static int add_extra(chat_stream *s, da_text delta) {
  int code;
  if (!delta.data)
    return DA_OK;
  chat_extra_delta(&s->extra, delta);
  code = s->extra.failed;
  if (code == DA_ENOMEM)
    return da_nomem(s->err);
  if (code == DA_ETOOLARGE)
    return chat_fail(s->reply, code, "the answer is too large", s->err);
  return code ? chat_fail(s->reply, code,
                          "the answer has too many unknown members", s->err)
              : DA_OK;
}

static int add_choice(chat_stream *s, const choice *c) {
  da_answer *a = s->answer;
  int rc;
  s->begun = 1;
  if (c->error.type != DA_JSON_BAD &&
      chat_is_error(c->error.type, c->error.raw))
    return chat_service_error(s->reply, c->error.raw, s->err);
  if (c->content.type > DA_JSON_NULL) {
    rc = add_text(s, &c->content);
    if (rc != DA_OK)
      return rc;
  }
  if (c->finish_reason.type == DA_JSON_STRING)
    chat_copy_name(a->finish_reason, sizeof a->finish_reason,
                   c->finish_reason.type, c->finish_reason.raw);
  if (c->logprobs.type == DA_JSON_OBJECT)
    chat_logprobs_add(&s->logprobs, c->logprobs.raw);
  rc = add_calls(s, c);
  if (rc == DA_OK)
    rc = add_extra(s, c->odd);
  if (rc == DA_OK)
    rc = add_piece(s, &s->refusal, &c->refusal);
  if (rc == DA_OK)
    rc = add_piece(s, &s->reasoning, &c->reasoning);
  return rc == DA_OK
             ? add_piece(s, &s->reasoning_content, &c->reasoning_content)
             : rc;
}

static void add_further(chat_stream *s, da_text choices) {
  da_json j;
  da_text one, index;
  int64_t n;
  da_json_init(&j, choices);
  da_json_array(&j);
  while (da_json_item(&j) == 1)
    if (da_json_value(&j, &one) == DA_JSON_OBJECT &&
        da_json_get(one, "index", &index) == DA_JSON_NUMBER &&
        da_json_int64(index, &n) && n > 0)
      chat_more_add(&s->more, n, one);
}

/* The last one counts, but for an empty one, which counts nothing. */
static int keep_usage(chat_stream *s, da_text usage) {
  da_json j;
  da_text key;
  da_json_init(&j, usage);
  if (!da_json_object(&j) || da_json_member(&j, &key) != 1)
    return DA_OK;
  da_buf_reset(&s->usage);
  da_buf_put(&s->usage, usage.data, usage.len);
  return da_buf_check(&s->usage, "the usage", s->err);
}

static int add_chunk(chat_stream *s, const chunk *c) {
  da_answer *a = s->answer;
  da_text usage;
  int rc = DA_OK;
  if (c->error.type != DA_JSON_BAD &&
      chat_is_error(c->error.type, c->error.raw))
    return chat_service_error(s->reply, c->error.raw, s->err);
  if (!*a->model && c->model.type == DA_JSON_STRING)
    chat_copy_name(a->model, sizeof a->model, c->model.type, c->model.raw);
  if (c->usage.type == DA_JSON_OBJECT)
    rc = keep_usage(s, c->usage.raw);
  else if (c->groq.type == DA_JSON_OBJECT &&
           da_json_get(c->groq.raw, "usage", &usage) == DA_JSON_OBJECT)
    rc = keep_usage(s, usage);
  if (c->choices.data)
    add_further(s, c->choices);
  return rc == DA_OK && c->has_first ? add_choice(s, &c->first) : rc;
}

/* ---- events ---- */

/* What is no chunk: an array may wrap an error, as Gemini does it, and null
** says nothing. */
static int other_value(chat_stream *s, da_text data) {
  da_text error;
  da_err bad;
  da_json_type type;
  da_json j;
  da_json_init(&j, data);
  da_json_limit(&j, s->reply->depth);
  type = da_json_value(&j, NULL);
  if (type != DA_JSON_BAD && da_json_end(&j)) {
    if (chat_find_error(data, &error))
      return chat_service_error(s->reply, error, s->err);
    if (type == DA_JSON_ARRAY || type == DA_JSON_NULL)
      return DA_OK;
  }
  if (s->ending) /* cut off within a line: what came so far decides */
    return DA_OK;
  da_json_error(&j, &bad);
  return chat_fail(s->reply, DA_EPROTOCOL, bad.message, s->err);
}

static int error_event(chat_stream *s, da_text data) {
  da_text error;
  da_buf quoted;
  int rc;
  if (da_json_check_depth(data, s->reply->depth, NULL) == DA_OK)
    return chat_service_error(
        s->reply, chat_find_error(data, &error) ? error : data, s->err);
  da_buf_init(&quoted, SIZE_MAX / 2);
  da_json_put_string(&quoted, data.data, data.len);
  rc = da_buf_check(&quoted, "the error", s->err);
  if (rc == DA_OK)
    rc = chat_service_error(s->reply, da_buf_text(&quoted), s->err);
  da_buf_dispose(&quoted);
  return rc;
}

static da_text trim(da_text t) {
  while (t.len && (t.data[t.len - 1] == ' ' || t.data[t.len - 1] == '\n'))
    t.len--;
  while (t.len && (*t.data == ' ' || *t.data == '\n')) {
    t.data++;
    t.len--;
  }
  return t;
}

static int on_event(void *ctx, const da_sse_event *event) {
  chat_stream *s = ctx;
  da_text data = trim(event->data), error;
  da_json j;
  chunk c;
  if (!data.len)
    return DA_OK;
  if (data.len == 6 && memcmp(data.data, "[DONE]", 6) == 0) {
    s->done = 1;
    return STOP;
  }
  if (event->type.len == 5 && memcmp(event->type.data, "error", 5) == 0)
    return error_event(s, data);
  da_json_init(&j, data);
  da_json_limit(&j, s->reply->depth);
  if (!da_json_object(&j))
    return other_value(s, data);
  walk_chunk(&j, &c);
  if (!da_json_end(&j))
    return other_value(s, data);
  if (!c.has_choices && chat_find_error(data, &error))
    return chat_service_error(s->reply, error, s->err);
  return add_chunk(s, &c);
}

static int checked(chat_stream *s, int rc) {
  if (rc == STOP)
    return DA_OK;
  if (rc == DA_ENOMEM)
    return da_nomem(s->err);
  if (rc == DA_ETOOLARGE && s->err->code != rc) {
    da_fail(s->err, rc, "an event of the stream is larger than %zu bytes",
            s->sse.cap);
    chat_add_head(s->reply, s->err);
  }
  return rc;
}

int chat_stream_feed(chat_stream *s, da_text bytes, da_err *err) {
  if (s->done)
    return DA_OK;
  s->err = err;
  da_err_clear(err);
  return checked(s, da_sse_feed(&s->sse, bytes.data, bytes.len, on_event, s));
}

int chat_stream_complete(const chat_stream *s) {
  return s->done || *s->answer->finish_reason;
}

/* ---- the end ---- */

static void put_member(da_buf *out, const char *name, const chat_piece *p) {
  if (!p->text.len)
    return;
  da_buf_printf(out, ",\"%s\":", name);
  chat_piece_put(p, out);
}

/* A refusal is what the user gets to read if there is nothing else. In the
** message it keeps its own place, as in answers that come whole. */
static int end_text(chat_stream *s) {
  da_answer *a = s->answer;
  size_t from = a->text.len;
  chat_piece_end(&s->refusal);
  chat_piece_end(&s->reasoning);
  chat_piece_end(&s->reasoning_content);
  if (s->surrogate)
    da_utf8_put(&a->text, 0xFFFD);
  s->surrogate = 0;
  a->refused = !a->text.len && s->refusal.text.len;
  if (a->refused)
    da_buf_put(&a->text, s->refusal.text.data, s->refusal.text.len);
  return call_delta(s, from);
}

static int build_message(chat_stream *s) {
  da_answer *a = s->answer;
  da_buf *m = &a->message;
  da_buf_puts(m, "{\"role\":\"assistant\",\"content\":");
  if (a->refused || (a->calls && !a->text.len))
    da_buf_puts(m, "null");
  else
    da_json_put_string(m, da_buf_text(&a->text).data, a->text.len);
  put_member(m, "refusal", &s->refusal);
  put_member(m, "reasoning_content", &s->reasoning_content);
  put_member(m, "reasoning", &s->reasoning);
  chat_extra_put(&s->extra, m);
  if (a->calls) {
    da_buf_puts(m, ",\"tool_calls\":");
    chat_calls_put(&s->calls, m, chat_is_cut(a));
  }
  da_buf_puts(m, "}");
  return chat_check_buf(s->reply, m, s->err);
}

static int build_details(chat_stream *s) {
  da_answer *a = s->answer;
  if (s->usage.len)
    chat_read_usage(a, da_buf_text(&s->usage));
  chat_logprobs_put(&s->logprobs, &a->logprobs);
  chat_more_put(&s->more, &a->choices);
  return chat_check_details(s->reply, a, s->err);
}

int chat_stream_finish(chat_stream *s, da_err *err) {
  int rc = DA_OK;
  s->err = err;
  s->ending = 1;
  da_err_clear(err);
  if (!s->done)
    rc = checked(s, da_sse_finish(&s->sse, on_event, s));
  if (rc != DA_OK)
    return rc;
  if (!chat_stream_complete(s))
    return chat_fail(s->reply, DA_ETRUNCATED,
                     "the stream ended before the answer was complete", err);
  if (!s->begun)
    return chat_fail(s->reply, DA_EEMPTY, "the stream is empty", err);
  s->answer->calls = chat_calls_count(&s->calls);
  rc = end_text(s);
  if (rc == DA_OK)
    rc = chat_check_calls(s->reply, s->answer, err);
  if (rc == DA_OK)
    rc = build_message(s);
  return rc == DA_OK ? build_details(s) : rc;
}
