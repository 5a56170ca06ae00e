/* test_memory_agent.c - agents without memory: making and setting them,
** talking, with a model in C and over HTTP. A failed call changes nothing. */
#include "memory_kit.h"

/* The server's threads come and go by themselves: they are not counted. */
void *__real_malloc(size_t);
#define malloc __real_malloc
#define free __real_free
#define pthread_create __real_pthread_create
#include "loopback.h"
#undef malloc
#undef free
#undef pthread_create

#include "memory_agent.h"

/* ---- making agents ---- */

enum { MADE = 6 };
static da_agent *made[MADE];

static void making_begin(void) {
  memset(made, 0, sizeof made);
  rt = NULL;
  setenv("OPENAI_API_KEY", "sk-key", 1);
  setenv("OPENAI_ORG_ID", "org", 1);
  setenv("OPENAI_PROJECT_ID", "project", 1);
}

static const da_azure_options azure_key = {"https://x.org", "2024-10-21",
                                           "key", NULL};
static const da_azure_options azure_token = {"https://x.org", NULL, NULL,
                                             "token"};

static int make(int i) {
  switch (i) {
  case 0:
    return da_openai(&made[0], rt, "m", NULL, &err);
  case 1:
    return da_ollama(&made[1], rt, "m", &err);
  case 2:
    return da_agent_new(&made[2], rt, "m", "https://x.org", "key", &err);
  case 3:
    return da_agent_clone(&made[3], made[0], &err);
  case 4:
    return da_azure(&made[4], rt, "a/b", &azure_key, &err);
  default:
    return da_azure(&made[5], rt, "m", &azure_token, &err);
  }
}

static void making_act(void) {
  if (!OK(da_runtime_new(&rt, &da_transport_curl, &err)))
    return;
  for (int i = 0; i < MADE; i++)
    if ((i != 3 || made[0]) && !OK(make(i)))
      made[i] = NULL;
}

static void making_check(void) {
  if (!rt)
    CHECK_INT(da_runtime_new(&rt, &da_transport_curl, &err), DA_OK);
  for (int i = 0; i < MADE; i++)
    if (!made[i])
      CHECK_INT(make(i), DA_OK);
  CHECK_INT(made[3]->settings.headers.count, 2);
  CHECK_STR(made[3]->settings.api_key, "sk-key");
  CHECK_STR(made[4]->settings.base_url,
            "https://x.org/openai/deployments/a%2Fb?api-version=2024-10-21");
  CHECK_STR(made[5]->settings.headers.items[0], "Authorization: Bearer token");
}

static void making_end(void) {
  for (int i = 0; i < MADE; i++)
    da_agent_free(made[i]);
  da_runtime_free(rt);
}

/* ---- settings ---- */

static const char *const lines[] = {
    "{\"role\":\"user\",\"content\":\"a\"}",
    "{\"role\":\"assistant\",\"content\":\"b\"}"};

enum { SETTINGS = 16 };

/* Setting i, the n-th time. */
static int set(int i, int n) {
  const char *word = n ? "second" : "first";
  da_store *s = NULL;
  int code;
  switch (i) {
  case 0:
    return da_agent_set_system(a, word, strlen(word), &err);
  case 1:
    return da_agent_add_header(a, "X-Same", word, &err);
  case 2:
    return da_agent_add_header(a, n ? "X-Two" : "X-One", word, &err);
  case 3:
    return da_agent_set_ca_file(a, word, &err);
  case 4:
    return da_agent_set_proxy(a, word, &err);
  case 5:
    return da_agent_set_api_key(a, word, &err);
  case 6:
    return da_agent_set_base_url(a, word, &err);
  case 7:
    return da_agent_set_member(a, "stop", n ? "[\"b\"]" : "[\"a\"]", &err);
  case 8:
    return da_agent_set_member(a, n ? "seed" : "top_p", "1", &err);
  case 9:
    return da_agent_set_extra(a, "user", n ? "\"b\"" : "\"a\"", &err);
  case 10:
    return da_agent_set_extra(a, n ? "x" : "y", "null", &err);
  case 11:
    return da_agent_add_message(a, lines[n], &err);
  case 12:
    return da_agent_set_session_id(a, word, &err);
  case 13:
    return da_agent_set_provider(a, memory_model(), &err);
  case 14:
    code = da_store_memory(&s, &err);
    return code ? code : da_agent_set_store(a, s, &err);
  default:
    return da_agent_set_insecure(a, n, &err);
  }
}

/* All that the settings say, but for pointers. */
static const char *told(void) {
  static char text[4096];
  const da_settings *s = &a->settings;
  size_t n = 0;
#define TELL(...) n += (size_t)snprintf(text + n, sizeof text - n, __VA_ARGS__)
  TELL("%s %s %s %s %s %s ", s->system, s->ca_file, s->proxy, s->api_key,
       s->base_url, s->session_id);
  for (size_t i = 0; i < s->headers.count; i++)
    TELL("%s ", s->headers.items[i]);
  for (size_t i = 0; i < s->members.names.count; i++)
    TELL("%s=%s ", s->members.names.items[i], s->members.values.items[i]);
  for (size_t i = 0; i < s->extra.names.count; i++)
    TELL("%s=%s ", s->extra.names.items[i], s->extra.values.items[i]);
  CHECK_INT(s->members.names.count, s->members.values.count);
  CHECK_INT(s->extra.names.count, s->extra.values.count);
  TELL("%zu %zu %d %d", s->system_len, s->start.len, s->own != NULL,
       s->backend != NULL);
  return text;
}

static void settings_begin(void) {
  plain_begin();
  for (int i = 0; i < SETTINGS; i++)
    CHECK_INT(set(i, 0), DA_OK);
}

static int settings_left[SETTINGS];

/* What is refused stays what it was. */
static void settings_act(void) {
  char before[4096];
  for (int i = 0; i < SETTINGS; i++) {
    strcpy(before, told());
    settings_left[i] = !OK(set(i, 1));
    if (settings_left[i])
      CHECK_STR(told(), before);
  }
}

static void settings_check(void) {
  for (int i = 0; i < SETTINGS; i++)
    if (settings_left[i])
      CHECK_INT(set(i, 1), DA_OK);
  CHECK_STR(told(), "second second second second second second X-Same: second "
                    "X-One: first X-Two: second stop=[\"b\"] top_p=1 seed=1 "
                    "user=\"b\" y=null x=null 6 2 1 1");
}

static da_agent *copy;

static void clone_begin(void) {
  settings_begin();
  for (int i = 0; i < SETTINGS; i++)
    CHECK_INT(set(i, 1), DA_OK);
  copy = NULL;
}

static void clone_act(void) {
  if (!OK(da_agent_clone(&copy, a, &err)))
    copy = NULL;
}

static void clone_check(void) {
  char before[4096];
  da_agent *original = a;
  if (!copy)
    CHECK_INT(da_agent_clone(&copy, a, &err), DA_OK);
  strcpy(before, told());
  a = copy;
  CHECK_STR(told(), before);
  a = original;
  CHECK_INT(a->settings.own->refs, 2);
  da_agent_free(copy);
}

/* ---- talking ---- */

static void talk_begin(void) {
  plain_begin();
  CHECK_INT(da_agent_set_provider(a, memory_model(), &err), DA_OK);
  CHECK_INT(da_agent_set_system(a, "Be brief.", 9, &err), DA_OK);
  da_agent_set_memory(a, 1);
  da_agent_set_logger(a, memory_log, NULL);
  ask("0"); /* there is a history */
}

static void talk_act(void) {
  ask("1");
  stream("2");
}

static void talk_check(void) {
  ask_surely("3");
  said_is_right();
}

/* 16 messages to a chunk: the history grows into another one. */
static void many_begin(void) {
  talk_begin();
  da_agent_set_max_history(a, 7);
  for (int i = 0; i < 6; i++)
    ask("x");
}

static void many_act(void) {
  for (int i = 0; i < 4; i++)
    ask("y");
}

static void history_begin(void) {
  talk_begin();
  da_agent_set_memory(a, 0);
}

/* Without memory (of the conversation) each ask stands alone. */
static void alone_act(void) {
  ask_alone("1");
}

static void alone_check(void) {
  ask_alone("2");
  said_is_right();
}

/* The text is nobody's yet: no buffer was needed for it. */
static void empty_act(void) {
  char *text = NULL;
  size_t before = a->history.len;
  if (OK(da_agent_ask(a, "-", &text, &err))) {
    CHECK_STR(text, "");
    free(text);
    before += 2;
  }
  CHECK_INT(a->history.len, before);
}

static void start_begin(void) {
  plain_begin();
  CHECK_INT(da_agent_set_provider(a, memory_model(), &err), DA_OK);
  da_agent_set_memory(a, 1);
}

/* The messages to begin with come with the first turn. */
static void start_act(void) {
  for (int i = 0; i < 2; i++)
    if (OK(da_agent_add_message(a, lines[i], &err)))
      expect(i ? "b" : "a");
  ask("1");
}

/* ---- over HTTP ---- */

#define PIECE(text)                                                           \
  "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" text "\"}}]}"  \
  "\n\n"
#define LAST                                                                  \
  "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":"          \
  "\"stop\"}]}\n\ndata: [DONE]\n\n"
static const char whole[] =
    OK_HEAD "Content-Length: 114\r\n\r\n"
            "{\"id\":\"c\",\"model\":\"m-1\",\"choices\":[{\"message\":"
            "{\"role\":\"assistant\",\"content\":\"re: http\"},"
            "\"finish_reason\":\"stop\"}]}    ";
static const char streamed[] =
    SSE_HEAD PIECE("re") PIECE(": ht") PIECE("tp") LAST;
static const char refused[] =
    "HTTP/1.1 429 Slow Down\r\nContent-Type: application/json\r\n"
    "Retry-After: 3\r\nx-request-id: req_9\r\nContent-Length: 55\r\n\r\n"
    "{\"error\":{\"message\":\"slow down\",\"code\":\"rate_limited\"}}   ";
static const script is_whole[] = {{whole, 0, 0, 0, KEEP}};
static const script is_streamed[] = {{streamed, 0, 0, 0, CLOSE}};
static const script is_refused[] = {{refused, 0, 0, 0, KEEP}};
static loopback servers[3];

static void http_begin(int i) {
  char url[64];
  plain_begin();
  snprintf(url, sizeof url, "http://127.0.0.1:%d/v1", servers[i].port);
  CHECK_INT(da_agent_set_base_url(a, url, &err), DA_OK);
  CHECK_INT(da_agent_set_api_key(a, "sk-0123456789", &err), DA_OK);
  CHECK_INT(da_agent_add_header(a, "X-More", "of it, secret", &err), DA_OK);
  da_agent_set_memory(a, 1);
  da_agent_set_logger(a, memory_log, NULL);
}

static void whole_begin(void) {
  http_begin(0);
}

static void streamed_begin(void) {
  http_begin(1);
}

/* Else each would be tried again after the three seconds that it asks for. */
static void refused_begin(void) {
  const da_retry once = {0};
  http_begin(2);
  OK(da_agent_set_retry(a, &once, &err));
}

static void http_ask(void) {
  ask("http");
  ask("http");
}

static void http_stream(void) {
  stream("http");
  stream("http");
}

static void whole_check(void) {
  ask_surely("http");
  said_is_right();
}

static void streamed_check(void) {
  stream("http");
  said_is_right();
}

static void refused_act(void) {
  char *text = NULL;
  int code = da_agent_ask(a, "http", &text, &err);
  CHECK(code != DA_OK);
  if (code != DA_ERATE)
    OK(code);
}

static void refused_check(void) {
  char *text = NULL;
  CHECK_INT(da_agent_ask(a, "http", &text, &err), DA_ERATE);
  CHECK(err.retry_after == 3);
  CHECK_STR(err.request_id, "req_9");
  said_is_right();
}

int main(void) {
  static const scene scenes[] = {
      {"agents made", making_begin, making_act, making_check, making_end, 0},
      {"every setting", settings_begin, settings_act, settings_check,
       plain_end, 0},
      {"a clone", clone_begin, clone_act, clone_check, plain_end, 0},
      {"ask and stream", talk_begin, talk_act, talk_check, plain_end, 0},
      {"a longer talk", many_begin, many_act, talk_check, plain_end, 0},
      {"each ask alone", history_begin, alone_act, alone_check, plain_end, 0},
      {"an answer without text", talk_begin, empty_act, empty_act, plain_end,
       0},
      {"messages to start from", start_begin, start_act, talk_check, plain_end,
       0},
      {"HTTP, whole", whole_begin, http_ask, whole_check, plain_end, 0},
      {"HTTP, streamed", streamed_begin, http_stream, streamed_check,
       plain_end, 0},
      {"HTTP, refused", refused_begin, refused_act, refused_check, plain_end,
       0},
  };
  loopback_open(&servers[0], is_whole, 1);
  loopback_open(&servers[1], is_streamed, 1);
  loopback_open(&servers[2], is_refused, 1);
  PLAY(scenes);
  for (int i = 0; i < 3; i++)
    loopback_close(&servers[i]);
  return check_done();
}
