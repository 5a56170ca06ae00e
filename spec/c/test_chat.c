/* test_chat.c - the chat-completions protocol: requests, whole answers,
** streams, errors. No network. */
#include "chat_options.h"
#include "chat_request.h"
#include "chat_stream.h"

#include "check.h"

#define CAP ((size_t)1 << 20)

static da_text text(const char *s) {
  da_text t = {s, strlen(s)};
  return t;
}

/* ---- requests ---- */

static da_message *message(const char *wire) {
  da_message *m = NULL;
  da_err err;
  CHECK_INT(da_message_new(&m, text(wire), NULL, -1, &err), DA_OK);
  return m;
}

/* A request with these messages, the last of which is the turn. */
static int build(da_buf *body, da_request *r, const char *const *wires,
                 da_err *err) {
  da_history history = DA_HISTORY_EMPTY;
  da_message *turn;
  int rc;
  for (; wires[1]; wires++)
    CHECK_INT(da_history_append(&history, message(*wires)), DA_OK);
  turn = message(*wires);
  r->history = &history;
  r->turn = turn;
  if (!r->model.data)
    r->model = text("m");
  da_buf_init(body, CHAT_REQUEST_MAX);
  rc = chat_build_request(body, r, err);
  da_message_unref(turn);
  da_history_dispose(&history);
  return rc;
}

static void check_body(da_request r, const char *const *wires,
                       const char *want) {
  da_buf body;
  da_err err = {0};
  CHECK_INT(build(&body, &r, wires, &err), DA_OK);
  CHECK_STR(da_buf_text(&body).data, want);
  CHECK_INT(da_json_check(da_buf_text(&body), &err), DA_OK);
  da_buf_dispose(&body);
}

static const char *const hi[] = {"{\"role\":\"user\",\"content\":\"Hi\"}",
                                 NULL};

static void plain_request(void) {
  da_request r = {0};
  check_body(r, hi,
             "{\"model\":\"m\",\"messages\":["
             "{\"role\":\"user\",\"content\":\"Hi\"}]}");
  r.model = text("a\"b\\");
  r.system = text("Be\n\"kind\"");
  r.members = text("\"temperature\":0.7,\"seed\":1");
  check_body(r, hi,
             "{\"model\":\"a\\\"b\\\\\",\"temperature\":0.7,\"seed\":1,"
             "\"messages\":[{\"role\":\"system\",\"content\":\"Be\\n"
             "\\\"kind\\\"\"},{\"role\":\"user\",\"content\":\"Hi\"}]}");
}

static void streaming_request(void) {
  da_request r = {0};
  r.stream = 1;
  check_body(r, hi,
             "{\"model\":\"m\",\"stream\":true,\"stream_options\":"
             "{\"include_usage\":true},\"messages\":["
             "{\"role\":\"user\",\"content\":\"Hi\"}]}");
  r.members = text("\"stream_options\":{}");
  check_body(r, hi,
             "{\"model\":\"m\",\"stream_options\":{},\"stream\":true,"
             "\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}");
}

static void messages_to_the_byte(void) {
  static const char *const wires[] = {
      "{\"role\":\"user\",\"content\":\"1\"}",
      "{\"role\" : \"user\", \"content\":[ {\"x\":{}} ],\"n\":1e400,"
      "\"name\":null}",
      "{\"role\":\"assistant\",\"content\":\"say \\\"x\\\\\"}",
      "{\"role\":\"assistant\",\"content\":\"x\",\"refusal\":null,"
      "\"annotations\":[1],\"reasoning\":\"r\",\"reasoning_content\":\"r\","
      "\"executed_tools\":[],\"reasoning_details\":[{}],\"z\":-0.0}",
      "{\"content\":null,\"role\":\"assistant\",\"audio\":null}",
      "{\"role\":\"user\",\"content\":\"2\"}",
      NULL};
  da_request r = {0};
  r.first = 1;
  check_body(r, wires,
             "{\"model\":\"m\",\"messages\":["
             "{\"role\" : \"user\", \"content\":[ {\"x\":{}} ],\"n\":1e400,"
             "\"name\":null},"
             "{\"role\":\"assistant\",\"content\":\"say \\\"x\\\\\"},"
             "{\"role\":\"assistant\",\"content\":\"x\","
             "\"reasoning_details\":[{}],\"z\":-0.0},"
             "{\"content\":null,\"role\":\"assistant\"},"
             "{\"role\":\"user\",\"content\":\"2\"}]}");
}

static void bad_requests(void) {
  da_request r = {0};
  da_buf body;
  da_err err;
  r.model = text("m\r\n");
  CHECK_INT(build(&body, &r, hi, &err), DA_EINVAL);
  da_buf_dispose(&body);
  r.model = text("\xff");
  CHECK_INT(build(&body, &r, hi, &err), DA_EUTF8);
  da_buf_dispose(&body);
  r.model = text("m");
  r.system = text("\xc3");
  CHECK_INT(build(&body, &r, hi, &err), DA_EUTF8);
  da_buf_dispose(&body);
  r.system.len = 0;
  r.members = text("\"a\":1}{");
  CHECK_INT(build(&body, &r, hi, &err), DA_EINVAL);
  da_buf_dispose(&body);
}

/* ---- options ---- */

static da_transport *no_transport(void *ctx, da_err *err) {
  (void)ctx;
  da_fail(err, DA_EUNSUPPORTED, "none");
  return NULL;
}

static da_chat_options options(void) {
  da_chat_options o;
  memset(&o, 0, sizeof o);
  o.base_url = text("https://api.example.com/v1/");
  o.api_key = text("sk-0123456789");
  o.transport = no_transport;
  return o;
}

static void copied_options(void) {
  static const char *const headers[] = {"api-key:  0123456789", "X-A: short",
                                        "authorization: Basic abcdefgh", NULL};
  da_chat_options o = options();
  chat_options c;
  da_err err;
  CHECK_INT(chat_options_copy(&c, &o, &err), DA_OK);
  CHECK_STR(c.url, "https://api.example.com/v1/chat/completions");
  CHECK_INT(c.header_count, 2);
  CHECK_STR(c.headers[1], "Authorization: Bearer sk-0123456789");
  CHECK_STR(c.secrets[0].data, "sk-0123456789");
  chat_options_dispose(&c);
  o.headers = headers;
  CHECK_INT(chat_options_copy(&c, &o, &err), DA_OK);
  CHECK_INT(c.header_count, 4);
  CHECK_INT(c.secret_count, 2);
  CHECK_STR(c.secrets[0].data, "0123456789");
  chat_options_dispose(&c);
}

static int options_code(const da_chat_options *o) {
  chat_options c;
  da_err err = {0};
  int rc = chat_options_copy(&c, o, &err);
  CHECK(strstr(err.message, "hunter2") == NULL);
  chat_options_dispose(&c);
  return rc;
}

static void refused_options(void) {
  static const char *const no_colon[] = {"hunter2", NULL};
  static const char *const injected[] = {"X-A: hunter2\r\nX-B: 1", NULL};
  static const char *const owned[] = {"Host: hunter2", NULL};
  da_chat_options o = options();
  o.base_url = text("http://example.com");
  CHECK_INT(options_code(&o), DA_EURL);
  o.allow_http = 1;
  CHECK_INT(options_code(&o), DA_OK);
  o.api_key = text("hunter2\n");
  CHECK_INT(options_code(&o), DA_EINVAL);
  o.api_key.len = 0;
  o.headers = no_colon;
  CHECK_INT(options_code(&o), DA_EINVAL);
  o.headers = injected;
  CHECK_INT(options_code(&o), DA_EINVAL);
  o.headers = owned;
  CHECK_INT(options_code(&o), DA_EINVAL);
}

static void a_missing_key(void) {
  static const char *const own[] = {"Authorization: Basic x", NULL};
  da_chat_options o = options();
  da_request r = {0};
  da_provider *p;
  da_call *call;
  da_answer a;
  da_err err;
  o.name = "openai";
  o.needs_key = 1;
  o.api_key.len = 0;
  o.key_help = "set OPENAI_API_KEY";
  r.model = text("m");
  r.turn = message(*hi);
  for (int i = 0; i < 2; i++) {
    da_answer_init(&a);
    CHECK_INT(da_provider_chat(&p, &o, &err), DA_OK);
    CHECK_INT(p->ops->start(p, &call, &r, &a, NULL, NULL, &err),
              i ? DA_EUNSUPPORTED : DA_EKEY);
    CHECK_STR(err.message,
              i ? "none" : "openai has no API key: set OPENAI_API_KEY");
    p->ops->close(p);
    da_answer_dispose(&a);
    o.headers = own;
  }
  da_message_unref((da_message *)(uintptr_t)r.turn);
}

/* ---- whole answers ---- */

typedef struct outcome {
  da_answer a;
  da_buf deltas;
  da_err err;
  int code;
} outcome;

static da_http head;
static const da_text secret[] = {{"sk-0123456789", 13}};
static const chat_reply reply = {&head, secret, 1};

static void begin(outcome *o) {
  memset(&head, 0, sizeof head);
  head.status = 200;
  strcpy(head.request_id, "req_1");
  da_answer_init(&o->a);
  da_buf_init(&o->deltas, CAP);
  da_err_clear(&o->err);
}

static void dispose(outcome *o) {
  da_answer_dispose(&o->a);
  da_buf_dispose(&o->deltas);
}

static void check_whole(const char *body, const char *want_text,
                        const char *want_message) {
  outcome o;
  begin(&o);
  CHECK_INT(chat_read_answer(&reply, text(body), &o.a, &o.err), DA_OK);
  CHECK_STR(da_buf_text(&o.a.text).data, want_text);
  CHECK_STR(da_buf_text(&o.a.message).data, want_message);
  dispose(&o);
}

#define MESSAGE(m) "{\"choices\":[{\"message\":" m "}]}"
#define SAYS(rest) "{\"role\":\"assistant\"," rest "}"

static void whole_messages(void) {
  static const char *const kept[] = {
      SAYS("\"content\":\"x\", \"a\" : {},\"n\":12345678901234567890")};
  check_whole(MESSAGE(SAYS("\"content\":\"x\", \"a\" : {},"
                           "\"n\":12345678901234567890")),
              "x", kept[0]);
  check_whole("\xEF\xBB\xBF\r\n" MESSAGE(SAYS("\"content\":null")), "",
              SAYS("\"content\":null"));
  check_whole(MESSAGE(SAYS("\"content\":null,\"refusal\":\"no\"")), "no",
              SAYS("\"content\":null,\"refusal\":\"no\""));
  check_whole(MESSAGE(SAYS("\"content\":[{\"type\":\"text\",\"text\":\"a\"},"
                           "{\"type\":\"thinking\",\"text\":\"b\"},7,"
                           "{\"type\":\"text\",\"text\":\"c\"}]")),
              "ac",
              SAYS("\"content\":[{\"type\":\"text\",\"text\":\"a\"},"
                   "{\"type\":\"thinking\",\"text\":\"b\"},7,"
                   "{\"type\":\"text\",\"text\":\"c\"}]"));
  check_whole(MESSAGE(SAYS("\"content\":\"\xff\"")), "\xEF\xBF\xBD",
              SAYS("\"content\":\"\xEF\xBF\xBD\""));
}

static void roles_are_forced(void) {
  check_whole(MESSAGE("{\"content\":\"x\"}"), "x", SAYS("\"content\":\"x\""));
  check_whole(MESSAGE("{\"role\":\"system\",\"content\":\"x\"}"), "x",
              SAYS("\"content\":\"x\""));
  check_whole(MESSAGE("{\"role\":null,\"content\":\"x\"}"), "x",
              SAYS("\"content\":\"x\""));
  check_whole(MESSAGE("{\"role\":\"assistant\",\"content\":\"x\","
                      "\"r\\u006fle\":\"user\"}"),
              "x", SAYS("\"content\":\"x\""));
}

static void whole_details(void) {
  outcome o;
  begin(&o);
  CHECK_INT(
      chat_read_answer(
          &reply,
          text("{\"model\":\"m-1\",\"usage\":{\"prompt_tokens\":3,"
               "\"completion_tokens\":4.0},\"choices\":[{\"finish_reason\":"
               "\"length\",\"message\":{\"content\":\"\"}}]}"),
          &o.a, &o.err),
      DA_OK);
  CHECK_STR(o.a.model, "m-1");
  CHECK_STR(o.a.finish_reason, "length");
  CHECK_INT(o.a.has_usage, 1);
  CHECK_INT(o.a.usage.prompt, 3);
  CHECK_INT(o.a.usage.completion, 4);
  CHECK_INT(o.a.usage.total, 7);
  dispose(&o);
}

static void check_refused(const char *body, int code, int retryable) {
  outcome o;
  begin(&o);
  CHECK_INT(chat_read_answer(&reply, text(body), &o.a, &o.err), code);
  if (o.err.code != code || o.err.retryable != retryable)
    fprintf(stderr, "%s: %s\n", body, o.err.message);
  CHECK_INT(o.err.code, code);
  CHECK_INT(o.err.retryable, retryable);
  CHECK_INT(o.err.status, 200);
  CHECK_STR(o.err.request_id, "req_1");
  dispose(&o);
}

static void whole_errors(void) {
  check_refused("", DA_EEMPTY, 1);
  check_refused(" \r\n", DA_EEMPTY, 1);
  check_refused("<!DOCTYPE html>", DA_ECONTENTTYPE, 0);
  check_refused("Bad gateway", DA_ECONTENTTYPE, 0);
  check_refused("{\"choices\":[{\"mess", DA_EPROTOCOL, 0);
  check_refused(MESSAGE("{\"content\":\"x\"}") "x", DA_EPROTOCOL, 0);
  check_refused("{}", DA_EPROTOCOL, 0);
  check_refused("[]", DA_EPROTOCOL, 0);
  check_refused("{\"choices\":{}}", DA_EPROTOCOL, 0);
  check_refused("{\"choices\":[]}", DA_EPROTOCOL, 0);
  check_refused("{\"choices\":[1]}", DA_EPROTOCOL, 0);
  check_refused("{\"choices\":[{}]}", DA_EPROTOCOL, 0);
  check_refused(MESSAGE("{\"content\":7}"), DA_EPROTOCOL, 0);
  check_refused(MESSAGE("{\"content\":null,\"tool_calls\":[{}]}"),
                DA_EUNSUPPORTED, 0);
  check_refused("{\"error\":\"broken\"}", DA_EAPI, 0);
  check_refused("{\"error\":{\"type\":\"server_error\"}}", DA_EAPI, 1);
  check_refused("[{\"error\":{\"code\":429}}]", DA_ERATE, 1);
  check_refused("{\"choices\":[{\"error\":{\"code\":502}}]}", DA_ESERVER, 1);
}

/* ---- streams ---- */

static int add_delta(void *ctx, da_text delta, da_err *err) {
  outcome *o = ctx;
  (void)err;
  CHECK(delta.len > 0);
  return da_buf_put(&o->deltas, delta.data, delta.len);
}

/* Runs `body` through a stream, cut in two at `at`. */
static void run_stream(outcome *o, const char *body, size_t at) {
  chat_stream s;
  da_text first = {body, at}, rest = text(body + at);
  begin(o);
  chat_stream_init(&s, &reply, &o->a, add_delta, o, CAP);
  o->code = chat_stream_feed(&s, first, &o->err);
  if (o->code == DA_OK)
    o->code = chat_stream_feed(&s, rest, &o->err);
  if (o->code == DA_OK)
    o->code = chat_stream_finish(&s, &o->err);
  chat_stream_dispose(&s);
}

static void check_stream(const char *body, const char *want_text,
                         const char *want_message) {
  size_t len = strlen(body);
  for (size_t at = 0; at <= len && !check_failed_here; at++) {
    outcome o;
    run_stream(&o, body, at);
    CHECK_INT(o.code, DA_OK);
    CHECK_STR(da_buf_text(&o.a.text).data, want_text);
    CHECK_STR(da_buf_text(&o.deltas).data, want_text);
    CHECK_STR(da_buf_text(&o.a.message).data, want_message);
    if (check_failed_here)
      fprintf(stderr, "split at %zu of %s: %s\n", at, body, o.err.message);
    dispose(&o);
  }
}

#define CHUNK(delta) "data: {\"choices\":[{\"delta\":{" delta "}}]}\n\n"
#define SAY(s) CHUNK("\"content\":\"" s "\"")
#define STOP                                                                  \
  "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":"          \
  "\"stop\"}]}\n\n"
#define DONE "data: [DONE]\n\n"

static void streamed_texts(void) {
  check_stream(SAY("Hel") SAY("lo \xE2\x9C\x93") STOP DONE,
               "Hello \xE2\x9C\x93",
               SAYS("\"content\":\"Hello "
                    "\xE2\x9C\x93\""));
  check_stream(SAY("a") STOP, "a", SAYS("\"content\":\"a\""));
  check_stream(SAY("a") "data: [DONE]", "a", SAYS("\"content\":\"a\""));
  check_stream(SAY("a") DONE "data: nonsense\n\n" SAY("b"), "a",
               SAYS("\"content\":\"a\""));
  check_stream(SAY("a") STOP "data: {\"cut", "a", SAYS("\"content\":\"a\""));
  check_stream(SAY("") STOP DONE, "", SAYS("\"content\":\"\""));
  check_stream(CHUNK("\"role\":\"system\",\"content\":\"x\\n\\\"\"") DONE,
               "x\n\"", SAYS("\"content\":\"x\\n\\\"\""));
  check_stream("data: {\ndata: \"choices\":[{\"delta\":\ndata:{\"content\":"
               "[{\"type\":\"text\",\"text\":\"a\"}]}}]}\n\n" DONE,
               "a", SAYS("\"content\":\"a\""));
}

static void streamed_surrogates(void) {
  check_stream(SAY("\\ud83d") SAY("\\ude00") DONE, "\xF0\x9F\x98\x80",
               SAYS("\"content\":\"\xF0\x9F\x98\x80\""));
  check_stream(SAY("a\\ud83d") SAY("b") DONE,
               "a\xEF\xBF\xBD"
               "b",
               SAYS("\"content\":\"a\xEF\xBF\xBD"
                    "b\""));
  check_stream(SAY("a\\ud83d") DONE, "a\xEF\xBF\xBD",
               SAYS("\"content\":\"a\xEF\xBF\xBD\""));
}

static void streamed_extras(void) {
  check_stream("data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"B\""
               "}},{\"index\":0,\"delta\":{\"content\":\"A\"}}]}\n\n"
               "data: {\"choices\":null}\n\ndata: []\n\ndata: null\n\n"
               "data: {}\n\n: ping\n\ndata:\n\nevent: ping\ndata: {}\n\n" DONE,
               "A", SAYS("\"content\":\"A\""));
  check_stream(CHUNK("\"reasoning_content\":\"hm\",\"content\":null")
                   CHUNK("\"reasoning\":\"\\ud83d\"")
                       CHUNK("\"reasoning\":\"\\ude00\"") SAY("a") DONE,
               "a",
               SAYS("\"content\":\"a\",\"reasoning_content\":\"hm\","
                    "\"reasoning\":\"\xF0\x9F\x98\x80\""));
  check_stream(CHUNK("\"content\":null,\"refusal\":\"I \"")
                   CHUNK("\"refusal\":\"won't\"") STOP DONE,
               "I won't", SAYS("\"content\":null,\"refusal\":\"I won't\""));
  check_stream("data: {\"choices\":[{\"delta\":{\"content\":\"A\","
               "\"c\\u006fntent\":\"B\"}}]}\n\n" DONE,
               "B", SAYS("\"content\":\"B\""));
}

static void streamed_details(void) {
  outcome o;
  run_stream(&o,
             "data: {\"model\":\"m\",\"usage\":{\"prompt_tokens\":1},"
             "\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"
             "data: {\"choices\":[{\"finish_reason\":\"eos\"}]}\n\n"
             "data: {\"choices\":[{\"finish_reason\":\"\"}]}\n\n"
             "data: {\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":6,"
             "\"total_tokens\":11},\"choices\":[]}\n\n"
             "data: {\"usage\":null}\n\n" DONE,
             0);
  CHECK_INT(o.code, DA_OK);
  CHECK_STR(o.a.model, "m");
  CHECK_STR(o.a.finish_reason, "eos");
  CHECK_INT(o.a.usage.prompt, 5);
  CHECK_INT(o.a.usage.completion, 6);
  CHECK_INT(o.a.usage.total, 11);
  dispose(&o);
}

static void check_broken(const char *body, int code, int retryable) {
  outcome o;
  run_stream(&o, body, 0);
  if (o.code != code || o.err.retryable != retryable)
    fprintf(stderr, "%s: %s\n", body, o.err.message);
  CHECK_INT(o.code, code);
  CHECK_INT(o.err.code, code);
  CHECK_INT(o.err.retryable, retryable);
  dispose(&o);
}

static void broken_streams(void) {
  check_broken(SAY("a"), DA_ETRUNCATED, 1);
  check_broken(SAY("a") "data: {\"choi", DA_ETRUNCATED, 1);
  check_broken("data: {\"choices\":[{\"finish_reason\":\"\"}]}\n\n",
               DA_ETRUNCATED, 1);
  check_broken("", DA_ETRUNCATED, 1);
  check_broken(DONE, DA_EEMPTY, 1);
  check_broken("data: {} x\n\n" DONE, DA_EPROTOCOL, 0);
  check_broken("data: 7\n\n" DONE, DA_EPROTOCOL, 0);
  check_broken("data: hello\n\n" DONE, DA_EPROTOCOL, 0);
  check_broken("data: {\"choices\":[{]}\n\n" DONE, DA_EPROTOCOL, 0);
  check_broken(CHUNK("\"content\":42") DONE, DA_EPROTOCOL, 0);
  check_broken(
      SAY("a") "data: {\"error\":{\"type\":\"overloaded_error\"}}\n\n",
      DA_ESERVER, 1);
  check_broken("event: error\ndata: {\"message\":\"x\"}\n\n", DA_EAPI, 0);
  check_broken("event: error\ndata: out of luck\n\n", DA_EAPI, 0);
  check_broken("data: [{\"error\":{\"code\":429}}]\n\n", DA_ERATE, 1);
  check_broken("data: {\"choices\":[{\"error\":{\"code\":502},"
               "\"finish_reason\":\"error\"}]}\n\n",
               DA_ESERVER, 1);
  check_broken(CHUNK("\"tool_calls\":[{\"index\":0}]") STOP DONE,
               DA_EUNSUPPORTED, 0);
}

static int cancel(void *ctx, da_text delta, da_err *err) {
  (void)delta;
  ++*(int *)ctx;
  return da_fail(err, DA_ECANCELLED, "enough");
}

static void a_delta_function_stops_it(void) {
  chat_stream s;
  outcome o;
  int calls = 0;
  begin(&o);
  chat_stream_init(&s, &reply, &o.a, cancel, &calls, CAP);
  CHECK_INT(chat_stream_feed(&s, text(SAY("a") SAY("b")), &o.err),
            DA_ECANCELLED);
  CHECK_INT(calls, 1);
  CHECK_STR(o.err.message, "enough");
  chat_stream_dispose(&s);
  dispose(&o);
}

/* ---- errors ---- */

static void check_error(int status, const char *body, int code, int retryable,
                        const char *message) {
  da_err err;
  memset(&head, 0, sizeof head);
  head.status = status;
  strcpy(head.request_id, "req_1");
  CHECK_INT(chat_http_error(&reply, text(body), &err), code);
  CHECK_INT(err.code, code);
  CHECK_INT(err.status, status);
  CHECK_INT(err.retryable, retryable);
  CHECK_STR(err.message, message);
  CHECK_STR(err.request_id, "req_1");
}

static void statuses(void) {
  check_error(301, "", DA_EREDIRECT, 0,
              "HTTP 301: redirects are not followed; is the base URL right?");
  check_error(400, "{\"error\":{\"message\":\"bad\"}}", DA_EBADREQUEST, 0,
              "bad");
  check_error(401, "<html>", DA_EAUTH, 0, "HTTP 401 (an HTML page)");
  check_error(402, "", DA_EQUOTA, 0, "HTTP 402 (no text)");
  check_error(403, "{\"message\":\"no\"}", DA_EAUTH, 0, "no");
  check_error(404, "{\"error\":\"no such model\"}", DA_ENOTFOUND, 0,
              "no such model");
  check_error(408, "", DA_ESERVER, 1, "HTTP 408 (no text)");
  check_error(409, "", DA_ESERVER, 1, "HTTP 409 (no text)");
  check_error(413, "too big", DA_ETOOLARGE, 0, "HTTP 413: too big");
  check_error(418, "{}", DA_EHTTP, 0, "HTTP 418: {}");
  check_error(422, "{\"detail\":[{\"msg\":\"field required\"}]}",
              DA_EBADREQUEST, 0, "field required");
  check_error(429,
              "{\"error\":{\"code\":\"rate_limit_exceeded\","
              "\"message\":\"slow\"}}",
              DA_ERATE, 1, "slow");
  check_error(500, "\n", DA_ESERVER, 1, "HTTP 500 (no text)");
  check_error(529, "{\"error\":{\"message\":\"Overloaded\"}}", DA_ESERVER, 1,
              "Overloaded");
  check_error(999, "?", DA_EHTTP, 0, "HTTP 999: ?");
}

static void words_of_services(void) {
  check_error(429,
              "{\"error\":{\"code\":\"insufficient_quota\","
              "\"message\":\"pay\"}}",
              DA_EQUOTA, 0, "pay");
  check_error(400,
              "{\"error\":{\"message\":\"Your credit balance is too low\"}}",
              DA_EQUOTA, 0, "Your credit balance is too low");
  check_error(400,
              "{\"error\":{\"code\":\"context_length_exceeded\","
              "\"message\":\"long\"}}",
              DA_ECONTEXT, 0, "long");
  check_error(400, "{\"error\":\"prompt is too long: 9 > 8\"}", DA_ECONTEXT, 0,
              "prompt is too long: 9 > 8");
  check_error(400, "[{\"error\":{\"code\":400,\"message\":\"x\"}}]",
              DA_EBADREQUEST, 0, "x");
  check_error(500, "\xff\xfe!", DA_ESERVER, 1,
              "HTTP 500: \xEF\xBF\xBD\xEF\xBF\xBD!");
  check_error(400, "{\"error\":{\"message\":\"a\\u0000b\\r\\nc\"}}",
              DA_EBADREQUEST, 0, "a?b??c");
}

static void secrets_are_masked(void) {
  check_error(401,
              "{\"error\":{\"message\":\"bad key sk-0123456789, really "
              "sk-0123456789\"}}",
              DA_EAUTH, 0, "bad key ***, really ***");
  check_error(401, "{\"error\":{\"message\":\"bad key sk-01234\\u00356789\"}}",
              DA_EAUTH, 0, "bad key ***");
  check_error(401, "key=sk-0123456789", DA_EAUTH, 0, "HTTP 401: key=***");
  {
    da_err err;
    da_text body = text("{\"error\":{\"code\":\"sk-0123456789 bad\"}}");
    CHECK_INT(chat_http_error(&reply, body, &err), DA_EAUTH);
    CHECK_STR(err.service_code, "***_bad");
  }
}

static void retry_hints(void) {
  da_err err;
  memset(&head, 0, sizeof head);
  head.status = 429;
  strcpy(head.retry_after, "2");
  strcpy(head.should_retry, "false");
  CHECK_INT(chat_http_error(&reply, text(""), &err), DA_ERATE);
  CHECK_INT(err.retryable, 0);
  CHECK_INT(err.retry_after, 2);
  head.status = 400;
  *head.retry_after = '\0';
  strcpy(head.should_retry, "true");
  CHECK_INT(chat_http_error(&reply, text(""), &err), DA_EBADREQUEST);
  CHECK_INT(err.retryable, 1);
  CHECK_INT(err.retry_after, -1);
}

int main(void) {
  RUN(plain_request);
  RUN(streaming_request);
  RUN(messages_to_the_byte);
  RUN(bad_requests);
  RUN(copied_options);
  RUN(refused_options);
  RUN(a_missing_key);
  RUN(whole_messages);
  RUN(roles_are_forced);
  RUN(whole_details);
  RUN(whole_errors);
  RUN(streamed_texts);
  RUN(streamed_surrogates);
  RUN(streamed_extras);
  RUN(streamed_details);
  RUN(broken_streams);
  RUN(a_delta_function_stops_it);
  RUN(statuses);
  RUN(words_of_services);
  RUN(secrets_are_masked);
  RUN(retry_hints);
  return check_done();
}
