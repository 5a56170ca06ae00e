/* memory_agent.h - for the tests without memory: an agent, a model in C that
** asks for none, and what the conversation must be. */
#ifndef MEMORY_AGENT_H
#define MEMORY_AGENT_H

#include "da_agent.h"
#include "memory_kit.h"
#include "store_memory.h"

static da_runtime *rt;
static da_agent *a;

/* What must have been said: "question|re: question|..." */
static char expected[8192];

/* ---- a model ---- */

struct da_call {
  da_answer *answer;
  da_delta_fn delta;
  void *ctx;
  char said[64];
};

static struct da_call the_call; /* one at a time */

static int model_start(da_provider *p, da_call **out, const da_request *r,
                       da_answer *answer, da_delta_fn delta, void *ctx,
                       da_err *e) {
  da_buf said;
  (void)p, (void)e;
  memory_exempt++;
  da_buf_init(&said, sizeof the_call.said);
  da_message_content(da_history_at(r->turn, 0), &said);
  snprintf(the_call.said, sizeof the_call.said, "re: %s", said.data);
  da_buf_dispose(&said);
  memory_exempt--;
  the_call.answer = answer;
  the_call.delta = delta;
  the_call.ctx = ctx;
  *out = &the_call;
  return DA_OK;
}

/* As provider_chat does, the answer's buffers are the turn's to check. */
static int model_step(da_provider *p, da_call *c, double seconds, da_err *e) {
  da_text text = {c->said, strlen(c->said)};
  int code = c->delta ? c->delta(c->ctx, text, e) : DA_OK;
  (void)p, (void)seconds;
  if (code)
    return code;
  if (strcmp(c->said, "re: -") == 0) { /* nothing to be said about that */
    da_buf_puts(&c->answer->message, "{\"role\":\"assistant\"}");
    return 1;
  }
  da_buf_puts(&c->answer->message, "{\"role\":\"assistant\",\"content\":");
  da_json_put_string(&c->answer->message, text.data, text.len);
  da_buf_puts(&c->answer->message, "}");
  da_buf_put(&c->answer->text, text.data, text.len);
  c->answer->usage = (da_usage){.prompt = 1, .completion = 2, .total = 3};
  c->answer->has_usage = 1;
  return 1;
}

static void model_end(da_provider *p, da_call *c) {
  (void)p, (void)c;
}

static void model_close(da_provider *p) {
  (void)p;
}

static inline da_provider *memory_model(void) {
  static const da_provider_ops ops = {DA_PROVIDER_VERSION, "model",
                                      model_start,         model_step,
                                      model_end,           model_close};
  static da_provider it = {&ops};
  return &it;
}

/* ---- talking ---- */

static inline void expect(const char *text) {
  size_t n = strlen(expected);
  snprintf(expected + n, sizeof expected - n, "%s%s", n ? "|" : "", text);
}

static inline void expect_turn(const char *question) {
  char answer[128];
  snprintf(answer, sizeof answer, "re: %s", question);
  expect(question);
  expect(answer);
}

static void memory_log(void *ctx, da_level level, const char *message,
                       int code, const char *session) {
  (void)ctx, (void)level, (void)session;
  CHECK(message && message[0]);
  (void)code;
}

/* 1 if it was answered, and rightly. */
static inline int ask_alone(const char *question) {
  char *text = NULL, want[128];
  snprintf(want, sizeof want, "re: %s", question);
  if (!OK(da_agent_ask(a, question, &text, &err)))
    return 0;
  CHECK_STR(text, want);
  free(text);
  return 1;
}

static inline int ask(const char *question) {
  int answered = ask_alone(question);
  if (answered)
    expect_turn(question);
  return answered;
}

static inline void ask_surely(const char *question) {
  CHECK(ask(question));
}

static int hear(void *ctx, da_text delta, da_err *e) {
  (void)e;
  strncat(ctx, delta.data, delta.len);
  return DA_OK;
}

static inline void stream(const char *question) {
  char *text = NULL, heard[128] = "";
  if (!OK(da_agent_stream(a, question, hear, heard, &text, &err)))
    return;
  CHECK_STR(text, heard);
  free(text);
  expect_turn(question);
}

/* What an agent has, as `expected` tells it. */
static inline const char *said_by(da_agent *agent) {
  static char text[8192];
  size_t n = agent->history.len, used = 0;
  text[0] = '\0';
  for (size_t i = 0; i < n; i++) {
    da_text raw = {"\"\"", 2};
    da_json_get(da_agent_message(agent, i), "content", &raw);
    used += (size_t)snprintf(text + used, sizeof text - used, "%s%.*s",
                             i ? "|" : "", (int)raw.len - 2, raw.data + 1);
  }
  return text;
}

static inline void said_is_right(void) {
  CHECK_STR(said_by(a), expected);
}

/* ---- its life ---- */

static inline void plain_begin(void) {
  expected[0] = '\0';
  CHECK_INT(da_runtime_new(&rt, &da_transport_curl, &err), DA_OK);
  CHECK_INT(da_agent_new(&a, rt, "m", NULL, NULL, &err), DA_OK);
}

static inline void plain_end(void) {
  da_agent_free(a);
  da_runtime_free(rt);
}

#endif
