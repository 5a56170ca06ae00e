/* test_chat_request.c - requests of the chat-completions protocol, and the
** options of its provider. */
#include "chat_options.h"
#include "chat_request.h"

#include "chat_kit.h"

/* ---- requests ---- */

static da_message *message(const char *wire) {
  da_message *m = NULL;
  da_err err;
  CHECK_INT(da_message_new(&m, text(wire), NULL, -1, &err), DA_OK);
  return m;
}

static int drop_thoughts;

/* A request with these messages, the last of which is the turn. */
static int build(da_buf *body, da_request *r, const char *const *wires,
                 da_err *err) {
  da_history history = DA_HISTORY_EMPTY;
  da_history turn = DA_HISTORY_EMPTY;
  int rc;
  for (; wires[1]; wires++)
    CHECK_INT(da_history_append(&history, message(*wires)), DA_OK);
  CHECK_INT(da_history_append(&turn, message(*wires)), DA_OK);
  r->history = &history;
  r->turn = &turn;
  if (!r->model.data)
    r->model = text("m");
  da_buf_init(body, CHAT_REQUEST_MAX);
  rc = chat_build_request(body, r, drop_thoughts, err);
  da_history_dispose(&turn);
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
             "{\"content\":\"\",\"role\":\"assistant\"},"
             "{\"role\":\"user\",\"content\":\"2\"}]}");
}

#define SAYS_CALLS "\"tool_calls\":[{ \"id\":\"c\",\"x\":null}]"

/* Calls go back to the byte, with what led to them; what they gave, too. */
static void calls_go_back(void) {
  static const char *const wires[] = {
      "{\"role\":\"user\",\"content\":\"1\"}",
      "{\"role\":\"assistant\",\"content\":null," SAYS_CALLS ","
      "\"refusal\":null,\"reasoning_content\":\"r\",\"reasoning\":\"s\","
      "\"annotations\":[]}",
      "{\"role\":\"tool\",\"tool_call_id\":\"c\",\"content\":\"\","
      "\"annotations\":[ ],\"n\":null}",
      "{\"role\":\"assistant\",\"content\":\"x\",\"tool_calls\":[ ],"
      "\"function_call\":{\"name\":\"\"},\"reasoning\":\"s\"}",
      "{\"role\":\"assistant\",\"content\":null,\"audio\":{\"data\":\"AAA\","
      "\"id\":\"audio_1\",\"transcript\":\"Hi\"}}",
      "{\"role\":\"assistant\",\"content\":\"y\",\"audio\":{\"data\":\"\","
      "\"id\":\"\"}}",
      "{\"role\":\"assistant\",\"content\":null,\"refusal\":\"no\"}",
      "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[],"
      "\"reasoning\":\"hm\"}",
      NULL};
  da_request r = {0};
  check_body(r, wires,
             "{\"model\":\"m\",\"messages\":["
             "{\"role\":\"user\",\"content\":\"1\"},"
             "{\"role\":\"assistant\",\"content\":null," SAYS_CALLS
             ",\"reasoning_content\":\"r\",\"reasoning\":\"s\"},"
             "{\"role\":\"tool\",\"tool_call_id\":\"c\",\"content\":\"\","
             "\"annotations\":[ ],\"n\":null},"
             "{\"role\":\"assistant\",\"content\":\"x\"},"
             "{\"role\":\"assistant\",\"content\":null,\"audio\":{\"id\":"
             "\"audio_1\"}},{\"role\":\"assistant\",\"content\":\"y\"},"
             "{\"role\":\"assistant\",\"content\":null,\"refusal\":\"no\"},"
             "{\"role\":\"assistant\",\"content\":\"\"}]}");
}

/* Not to a service that refuses them. */
static void dropped_thoughts(void) {
  static const char *const wires[] = {
      "{\"role\":\"user\",\"content\":\"1\"}",
      "{\"role\":\"assistant\",\"content\":\"\",\"reasoning_content\":\"r\","
      "\"tool_calls\":[{}]}",
      "{\"role\":\"assistant\",\"content\":\"2\",\"reasoning_content\":\"r\","
      "\"reasoning\":\"r\"}",
      "{\"role\":\"user\",\"content\":\"3\"}", NULL};
  da_request r = {0};
  check_body(r, wires,
             "{\"model\":\"m\",\"messages\":["
             "{\"role\":\"user\",\"content\":\"1\"},"
             "{\"role\":\"assistant\",\"content\":\"\",\"reasoning_content\":"
             "\"r\",\"tool_calls\":[{}]},"
             "{\"role\":\"assistant\",\"content\":\"2\"},"
             "{\"role\":\"user\",\"content\":\"3\"}]}");
  drop_thoughts = 1;
  check_body(r, wires,
             "{\"model\":\"m\",\"messages\":["
             "{\"role\":\"user\",\"content\":\"1\"},"
             "{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{}]},"
             "{\"role\":\"assistant\",\"content\":\"2\"},"
             "{\"role\":\"user\",\"content\":\"3\"}]}");
  drop_thoughts = 0;
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

static int is_secret(const chat_options *c, const char *s) {
  for (size_t i = 0; i < c->secret_count; i++)
    if (c->secrets[i].len == strlen(s) &&
        memcmp(c->secrets[i].data, s, c->secrets[i].len) == 0)
      return 1;
  return 0;
}

/* The path goes before the query, in which keys may stand. */
static void a_query(void) {
  da_chat_options o = options();
  chat_options c;
  da_err err;
  o.base_url = text("https://x.example/a//?api-version=2024-10-21&b=short&"
                    "key=long-enough&last-without-value");
  CHECK_INT(chat_options_copy(&c, &o, &err), DA_OK);
  CHECK_STR(c.url, "https://x.example/a/chat/completions?"
                   "api-version=2024-10-21&b=short&key=long-enough&"
                   "last-without-value");
  CHECK_INT(c.secret_count, 2);
  CHECK(is_secret(&c, "long-enough"));
  chat_options_dispose(&c);
  o.base_url = text("https://x.example?");
  CHECK_INT(chat_options_copy(&c, &o, &err), DA_OK);
  CHECK_STR(c.url, "https://x.example/chat/completions?");
  chat_options_dispose(&c);
}

/* In a header of another name, which the user may have set, too. */
static void a_key_header(void) {
  static const char *const own[] = {"API-Key: their-own-key", NULL};
  da_chat_options o = options();
  chat_options c;
  da_err err;
  o.key_header = "api-key";
  CHECK_INT(chat_options_copy(&c, &o, &err), DA_OK);
  CHECK_STR(c.headers[1], "api-key: sk-0123456789");
  CHECK(is_secret(&c, "sk-0123456789"));
  chat_options_dispose(&c);
  o.headers = own;
  CHECK_INT(chat_options_copy(&c, &o, &err), DA_OK);
  CHECK_INT(c.header_count, 2);
  CHECK_STR(c.headers[1], "API-Key: their-own-key");
  CHECK(is_secret(&c, "their-own-key"));
  chat_options_dispose(&c);
}

/* Also where they are shown without the scheme. */
static void credentials(void) {
  static const char *const headers[] = {
      "authorization:  Bearer  tok", "Proxy-Authorization: raw-secret", NULL};
  da_chat_options o = options();
  chat_options c;
  da_err err;
  o.headers = headers;
  CHECK_INT(chat_options_copy(&c, &o, &err), DA_OK);
  CHECK_INT(c.secret_count, 2);
  CHECK(is_secret(&c, "tok"));
  CHECK(is_secret(&c, "raw-secret"));
  chat_options_dispose(&c);
}

/* What is not encrypted stays on this machine. */
static void a_proxy(void) {
  da_chat_options o = options();
  chat_options c;
  da_err err;
  o.proxy = "http://proxy.example";
  CHECK_INT(chat_options_copy(&c, &o, &err), DA_OK);
  chat_options_dispose(&c);
  o.proxy = "http://user:hunter2@proxy.example";
  CHECK_INT(chat_options_copy(&c, &o, &err), DA_OK);
  CHECK(is_secret(&c, "hunter2"));
  chat_options_dispose(&c);
  o.proxy = "user:hunter2:again:@proxy.example";
  CHECK_INT(chat_options_copy(&c, &o, &err), DA_OK);
  CHECK(is_secret(&c, "hunter2:again:"));
  chat_options_dispose(&c);
  o.base_url = text("http://127.0.0.1/v1");
  CHECK_INT(chat_options_copy(&c, &o, &err), DA_EURL);
  chat_options_dispose(&c);
  o.allow_http = 1;
  CHECK_INT(chat_options_copy(&c, &o, &err), DA_OK);
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

static void a_missing_transport(void) {
  da_provider *p = NULL;
  da_chat_options o;
  da_err err;
  memset(&o, 0, sizeof o);
  o.base_url = text("https://example.com/v1");
  CHECK_INT(da_provider_chat(&p, &o, &err), DA_EINVAL);
  CHECK_STR(err.message, "there is no transport");
  CHECK(p == NULL);
}

static void a_missing_key(void) {
  static const char *const own[] = {"Authorization: Basic x", NULL};
  da_chat_options o = options();
  da_request r = {0};
  da_history turn = DA_HISTORY_EMPTY;
  da_provider *p;
  da_call *call;
  da_answer a;
  da_err err;
  o.name = "openai";
  o.needs_key = 1;
  o.api_key.len = 0;
  o.key_help = "set OPENAI_API_KEY";
  r.model = text("m");
  CHECK_INT(da_history_append(&turn, message(*hi)), DA_OK);
  r.turn = &turn;
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
  da_history_dispose(&turn);
}

int main(void) {
  RUN(plain_request);
  RUN(streaming_request);
  RUN(messages_to_the_byte);
  RUN(calls_go_back);
  RUN(dropped_thoughts);
  RUN(bad_requests);
  RUN(copied_options);
  RUN(a_query);
  RUN(a_key_header);
  RUN(credentials);
  RUN(a_proxy);
  RUN(refused_options);
  RUN(a_missing_transport);
  RUN(a_missing_key);
  return check_done();
}
