/* agent_kit.h - agents whose model is a parrot: "hi" is answered with
** "You said: hi". Tests may look at what it was sent, and make it fail. */
#ifndef AGENT_KIT_H
#define AGENT_KIT_H

#include "da_agent.h"
#include "store_memory.h"

#include "check.h"
#include "text_kit.h"

static da_err err;

/* What all parrots of a test have in common: they themselves are gone with
** their agents. */
typedef struct cage {
  int asked, closed, running;
  int fail_start, fail_step; /* the next one fails so */
  const char *message;       /* instead of what it would say */
  size_t sent;               /* messages of the last request */
  int stream;
  char model[64], system[64], members[256], first[64];
} cage;

typedef struct parrot {
  da_provider base;
  cage *cage;
} parrot;

struct da_call {
  da_answer *answer;
  da_delta_fn delta;
  void *ctx;
  da_buf said;
  int steps;
};

static inline void kit_copy(char *to, size_t size, da_text from) {
  snprintf(to, size, "%.*s", (int)from.len, from.len ? from.data : "");
}

static inline void parrot_note(cage *c, const da_request *r) {
  da_buf b;
  kit_copy(c->model, sizeof c->model, r->model);
  kit_copy(c->system, sizeof c->system, r->system);
  kit_copy(c->members, sizeof c->members, r->members);
  c->sent = r->history->len - r->first + 1;
  c->stream = r->stream;
  c->first[0] = '\0';
  if (r->first < r->history->len) {
    da_buf_init(&b, KIT_CAP);
    da_message_content(da_history_at(r->history, r->first), &b);
    kit_copy(c->first, sizeof c->first, da_buf_text(&b));
    da_buf_dispose(&b);
  }
}

static inline int parrot_start(da_provider *p, da_call **out,
                               const da_request *r, da_answer *answer,
                               da_delta_fn delta, void *ctx, da_err *e) {
  cage *c = ((parrot *)p)->cage;
  da_call *call;
  int code = c->fail_start;
  parrot_note(c, r);
  c->asked++;
  c->fail_start = 0;
  if (code)
    return da_fail(e, code, "told to fail");
  call = calloc(1, sizeof *call);
  call->answer = answer;
  call->delta = delta;
  call->ctx = ctx;
  da_buf_init(&call->said, KIT_CAP);
  da_buf_puts(&call->said, "You said: ");
  da_message_content(da_history_at(r->turn, 0), &call->said);
  c->running++;
  *out = call;
  return DA_OK;
}

/* "You ", "said: ", and the rest. */
static inline int parrot_delta(da_call *call, da_err *e) {
  static const size_t at[] = {0, 4, 10};
  da_text piece = {call->said.data + at[call->steps], 0};
  size_t end = call->steps < 2 ? at[call->steps + 1] : call->said.len;
  piece.len = end - at[call->steps++];
  if (call->delta && piece.len)
    return call->delta(call->ctx, piece, e);
  return DA_OK;
}

static inline int parrot_step(da_provider *p, da_call *call, double seconds,
                              da_err *e) {
  cage *c = ((parrot *)p)->cage;
  da_answer *a = call->answer;
  int code = c->fail_step;
  (void)seconds;
  c->fail_step = 0;
  if (code)
    return da_fail(e, code, "told to fail");
  if (call->steps < 3)
    return parrot_delta(call, e);
  if (c->message) {
    da_buf_puts(&a->message, c->message);
  } else {
    da_buf_puts(&a->message, "{\"role\":\"assistant\",\"content\":");
    da_json_put_string(&a->message, call->said.data, call->said.len);
    da_buf_puts(&a->message, "}");
  }
  da_buf_put(&a->text, call->said.data, call->said.len);
  strcpy(a->finish_reason, "stop");
  strcpy(a->model, "parrot-1");
  a->usage = (da_usage){.prompt = 3, .completion = 5, .total = 8};
  a->has_usage = 1;
  return 1;
}

static inline void parrot_end(da_provider *p, da_call *call) {
  ((parrot *)p)->cage->running--;
  da_buf_dispose(&call->said);
  free(call);
}

static inline void parrot_close(da_provider *p) {
  ((parrot *)p)->cage->closed++;
  free(p);
}

static const da_provider_ops parrot_ops = {DA_PROVIDER_VERSION, "parrot",
                                           parrot_start,        parrot_step,
                                           parrot_end,          parrot_close};

static inline da_provider *parrot_new(cage *c) {
  parrot *p = calloc(1, sizeof *p);
  p->base.ops = &parrot_ops;
  p->cage = c;
  return &p->base;
}

static inline da_runtime *kit_runtime(void) {
  da_runtime *rt = NULL;
  CHECK_INT(da_runtime_new(&rt, NULL, &err), DA_OK);
  return rt;
}

static inline da_agent *kit_agent(da_runtime *rt, cage *c) {
  da_agent *a = NULL;
  CHECK_INT(da_agent_new(&a, rt, "parrot", NULL, NULL, &err), DA_OK);
  CHECK_INT(da_agent_set_provider(a, parrot_new(c), &err), DA_OK);
  da_agent_set_save_timeout(a, CHECK_LONG);
  return a;
}

/* 1 if that question has that answer. */
static inline int kit_ask(da_agent *a, const char *question,
                          const char *want) {
  char *text = NULL;
  int code = da_agent_ask(a, question, &text, &err), same;
  if (code)
    return 0;
  same = strcmp(text, want) == 0;
  free(text);
  return same;
}

#define ASK(a, question) CHECK(kit_ask(a, question, "You said: " question))

/* The code of an ask that fails. */
static inline int kit_ask_fails(da_agent *a, const char *question) {
  char *text = NULL;
  int code = da_agent_ask(a, question, &text, &err);
  if (!code)
    free(text);
  return code;
}

static inline size_t kit_count_messages(da_agent *a) {
  size_t n = 0;
  CHECK_INT(da_agent_count(a, &n, &err), DA_OK);
  return n;
}

/* "hi|You said: hi", valid until the next call. */
static inline const char *kit_said(da_agent *a) {
  static char text[4096];
  size_t n = 0, used = 0;
  da_agent_count(a, &n, &err);
  text[0] = '\0';
  for (size_t i = 0; i < n; i++) {
    da_text raw = {"\"\"", 2};
    da_json_get(da_agent_message(a, i), "content", &raw);
    used += (size_t)snprintf(text + used, sizeof text - used, "%s%.*s",
                             i ? "|" : "", (int)raw.len - 2, raw.data + 1);
  }
  return text;
}

#endif
