/* fuzz_chat.c - what a service of the chat-completions protocol answers. The
** first byte of the input says whether it is a stream (and how that is cut),
** a whole answer, or an error. */
#include "fuzz.h"

#include "chat_stream.h"
#include "da_utf8.h"

#define SECRET "sk-0123456789"
#define ALL ((size_t)1 << 20)

static const da_text secret[] = {{SECRET, sizeof SECRET - 1}};

typedef struct outcome {
  da_answer answer;
  da_buf deltas;
  da_err err;
  int code;
} outcome;

static void begin(outcome *o) {
  da_answer_init(&o->answer);
  da_buf_init(&o->deltas, FUZZ_CAP);
  da_err_clear(&o->err);
  o->code = DA_OK;
}

static void dispose(outcome *o) {
  da_answer_dispose(&o->answer);
  da_buf_dispose(&o->deltas);
}

/* ---- what must hold ---- */

static void check_error(const da_err *err, int code) {
  size_t len = strlen(err->message);
  MUST(code < 0 && err->code == code && len > 0);
  MUST(da_utf8_check(err->message, len) == len);
  for (size_t i = 0; i < len; i++)
    MUST((unsigned char)err->message[i] >= ' ' && err->message[i] != 0x7f);
  MUST(!strstr(err->message, SECRET) && !strstr(err->service_code, SECRET));
}

static void check_name(const char *name) {
  for (; *name; name++)
    MUST(*name >= ' ' && *name <= '~');
}

/* As many as are told, each with what its result needs to find it. */
static void check_calls(const da_answer *a) {
  da_text json = da_buf_text(&a->message), calls, call, id;
  size_t n = 0;
  da_json j;
  if (da_json_get(json, "tool_calls", &calls) == DA_JSON_ARRAY) {
    da_json_init(&j, calls);
    da_json_array(&j);
    for (; da_json_item(&j) == 1; n++) {
      da_json_value(&j, &call);
      MUST(da_json_get(call, "id", &id) == DA_JSON_STRING && id.len > 2);
    }
  }
  MUST(n == a->calls && n <= CHAT_CALLS_MAX);
}

/* It can be kept, and is the assistant's, whoever it says it is. */
static void check_answer(const da_answer *a) {
  da_text json = da_buf_text(&a->message), role;
  da_message *m;
  MUST(da_utf8_check(da_buf_text(&a->text).data, a->text.len) == a->text.len);
  MUST(da_json_get(json, "role", &role) == DA_JSON_STRING);
  MUST(da_json_equals(role, "assistant"));
  MUST(da_message_new(&m, json, NULL, -1, NULL) == DA_OK);
  MUST(da_message_role(m) == DA_ROLE_ASSISTANT);
  da_message_unref(m);
  check_calls(a);
  check_name(a->finish_reason);
  check_name(a->model);
  MUST(a->usage.prompt >= 0 && a->usage.completion >= 0);
  MUST(a->usage.total >= 0);
}

static void check_outcome(const outcome *o) {
  if (o->code == DA_OK)
    check_answer(&o->answer);
  else
    check_error(&o->err, o->code);
}

static void check_same(const outcome *a, const outcome *b) {
  MUST(a->code == b->code);
  MUST(fuzz_same(da_buf_text(&a->deltas), da_buf_text(&b->deltas)));
  MUST(strcmp(a->err.message, b->err.message) == 0);
  if (a->code != DA_OK)
    return;
  MUST(fuzz_same(da_buf_text(&a->answer.text), da_buf_text(&b->answer.text)));
  /* Ids that are made differ, but not in their length. */
  if (a->answer.calls)
    MUST(a->answer.message.len == b->answer.message.len);
  else
    MUST(fuzz_same(da_buf_text(&a->answer.message),
                   da_buf_text(&b->answer.message)));
  MUST(a->answer.calls == b->answer.calls);
  MUST(strcmp(a->answer.model, b->answer.model) == 0);
  MUST(strcmp(a->answer.finish_reason, b->answer.finish_reason) == 0);
  MUST(a->answer.usage.total == b->answer.usage.total);
}

/* ---- streams ---- */

static int add_delta(void *ctx, da_text delta, da_err *err) {
  outcome *o = ctx;
  (void)err;
  MUST(delta.len > 0 && da_utf8_check(delta.data, delta.len) == delta.len);
  return da_buf_put(&o->deltas, delta.data, delta.len);
}

/* Pieces of 1 to `most` bytes; 0: all at once. */
static void run_stream(outcome *o, const chat_reply *reply, da_text body,
                       size_t cap, uint32_t state, uint32_t most) {
  chat_stream s;
  begin(o);
  chat_stream_init(&s, reply, &o->answer, add_delta, o, cap);
  while (o->code == DA_OK && body.len) {
    size_t n = most ? fuzz_next(&state) % most + 1 : body.len;
    da_text piece = {NULL, n < body.len ? n : body.len};
    char *bytes = fuzz_exact(body.data, piece.len);
    piece.data = bytes;
    o->code = chat_stream_feed(&s, piece, &o->err);
    free(bytes);
    body.data += piece.len;
    body.len -= piece.len;
  }
  if (o->code == DA_OK)
    o->code = chat_stream_finish(&s, &o->err);
  chat_stream_dispose(&s);
  check_outcome(o);
  if (o->code == DA_OK)
    MUST(fuzz_same(da_buf_text(&o->deltas), da_buf_text(&o->answer.text)));
}

static void as_stream(const chat_reply *reply, da_text body, size_t cap,
                      uint32_t seed) {
  static const uint32_t most[] = {1, 60};
  outcome whole, cut;
  run_stream(&whole, reply, body, cap, 0, 0);
  MUST(cap < ALL || whole.code != DA_ETOOLARGE);
  for (int i = 0; i < 2; i++) {
    run_stream(&cut, reply, body, cap, seed, most[i]);
    check_same(&whole, &cut);
    dispose(&cut);
  }
  dispose(&whole);
}

/* ---- the whole ---- */

static void as_answer(const chat_reply *reply, da_text body) {
  outcome o;
  begin(&o);
  o.code = chat_read_answer(reply, body, &o.answer, &o.err);
  check_outcome(&o);
  dispose(&o);
}

static void as_error(const chat_reply *reply, da_text body) {
  da_err err;
  int code;
  da_err_clear(&err);
  code = chat_http_error(reply, body, &err);
  check_error(&err, code);
  MUST(err.status == reply->http->status);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  static const int statuses[] = {400, 401, 404, 413, 429, 500, 302, 418};
  uint8_t kind = len ? bytes[0] : 0;
  char *body = fuzz_exact(bytes + (len > 0), len - (len > 0));
  da_text text = {body, len - (len > 0)};
  da_http head;
  chat_reply reply = {&head, secret, 1, 0};
  memset(&head, 0, sizeof head);
  head.status = 200;
  if (kind % 4 == 0) {
    as_answer(&reply, text);
  } else if (kind % 4 == 1) {
    head.status = statuses[kind / 4 % 8];
    as_error(&reply, text);
  } else {
    as_stream(&reply, text, kind % 4 == 2 ? ALL : kind, kind);
  }
  free(body);
  return 0;
}
