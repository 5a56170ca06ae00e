/* test_attempt.c - one request with its tries, other services, rate limit and
** cache, with a model that fails as it is told. Over HTTP: retry_spec.lua,
** fallback_spec.lua, cache_spec.lua. */
#include "da_attempt.h"
#include "da_clock.h"
#include "da_retry.h"
#include "store_memory.h"

#include "check.h"
#include "text_kit.h"

static da_err err;

/* ---- a model that fails as it is told ---- */

/* What one try does; code 0: it answers "done". */
typedef struct act {
  int code, retryable;
  double retry_after; /* 0: nothing asked */
  int in_start;       /* it does not even begin */
  const char *delta;  /* said before */
  int begun;          /* something has come */
} act;

typedef struct actor {
  da_provider base;
  const act *acts; /* the last of them again and again */
  size_t count;
  size_t tries, running, closed;
  char keys[8][64];
  char request[256]; /* the last one: model, system, members, messages */
  double total;      /* of its timeouts */
} actor;

struct da_call {
  const act *act;
  da_answer *answer;
  da_delta_fn delta;
  void *ctx;
};

static int act_fail(const act *it, da_err *e) {
  da_fail(e, it->code, "try failed");
  e->retryable = it->retryable;
  if (it->retry_after > 0)
    e->retry_after = it->retry_after;
  return it->code;
}

static void note_messages(da_buf *b, const da_history *h, size_t from) {
  for (size_t i = from; i < h->len; i++) {
    da_buf_puts(b, "|");
    da_message_content(da_history_at(h, i), b);
  }
}

static void note(actor *a, const da_request *r) {
  da_buf b;
  da_buf_init(&b, KIT_CAP);
  da_buf_put(&b, r->model.data, r->model.len);
  da_buf_puts(&b, "|");
  da_buf_put(&b, r->system.data, r->system.len);
  da_buf_puts(&b, "|");
  da_buf_put(&b, r->members.data, r->members.len);
  note_messages(&b, r->history, r->first);
  note_messages(&b, r->turn, 0);
  snprintf(a->request, sizeof a->request, "%s", b.data);
  da_buf_dispose(&b);
  if (a->tries < 8)
    snprintf(a->keys[a->tries], sizeof a->keys[0], "%s",
             r->idempotency_key ? r->idempotency_key : "none");
  a->total = r->timeouts.total;
}

static int actor_start(da_provider *p, da_call **out, const da_request *r,
                       da_answer *answer, da_delta_fn delta, void *ctx,
                       da_err *e) {
  actor *a = (actor *)p;
  const act *it = &a->acts[a->tries < a->count ? a->tries : a->count - 1];
  note(a, r);
  a->tries++;
  CHECK_INT(answer->text.len, 0); /* nothing of the try before */
  CHECK_INT(answer->begun, 0);
  if (it->in_start)
    return act_fail(it, e);
  *out = calloc(1, sizeof **out);
  **out = (da_call){it, answer, delta, ctx};
  a->running++;
  return DA_OK;
}

static int actor_step(da_provider *p, da_call *c, double seconds, da_err *e) {
  const act *it = c->act;
  (void)p, (void)seconds;
  c->answer->begun = it->begun;
  if (it->delta) {
    da_text text = {it->delta, strlen(it->delta)};
    int code;
    da_buf_puts(&c->answer->text, it->delta);
    code = c->delta ? c->delta(c->ctx, text, e) : DA_OK;
    if (code)
      return code;
  }
  if (it->code)
    return act_fail(it, e);
  da_buf_puts(&c->answer->message,
              "{\"role\":\"assistant\",\"content\":\"done\"}");
  da_buf_puts(&c->answer->text, "done");
  strcpy(c->answer->finish_reason, "stop");
  return 1;
}

static void actor_end(da_provider *p, da_call *c) {
  ((actor *)p)->running--;
  free(c);
}

static void actor_close(da_provider *p) {
  ((actor *)p)->closed++;
}

static const da_provider_ops ops = {DA_PROVIDER_VERSION, "actor",
                                    actor_start,         actor_step,
                                    actor_end,           actor_close};

#define ACTOR(name, ...)                                                      \
  static const act name##_acts[] = {__VA_ARGS__};                             \
  actor name = {.base = {&ops},                                               \
                .acts = name##_acts,                                          \
                .count = sizeof name##_acts / sizeof *name##_acts}

#define DOWN                                                                  \
  { DA_ESERVER, 1, 0, 0, NULL, 0 }
#define FINE                                                                  \
  { DA_OK, 0, 0, 0, NULL, 0 }

/* ---- agents ---- */

static da_runtime *rt;
static char logged[4096];

static void on_log(void *ctx, da_level level, const char *message, int code,
                   const char *session) {
  size_t n = strlen(logged);
  (void)ctx, (void)session;
  if (level != DA_DEBUG)
    snprintf(logged + n, sizeof logged - n, "%d %s: %s\n", (int)level,
             da_code_name(code), message);
}

static da_agent *agent_of(actor *p, const char *model) {
  const da_retry soon = {2, 0.001, 0.001, 0};
  da_agent *a = NULL;
  CHECK_INT(da_agent_new(&a, rt, model, NULL, NULL, &err), DA_OK);
  CHECK_INT(da_agent_set_provider(a, &p->base, &err), DA_OK);
  CHECK_INT(da_agent_set_retry(a, &soon, &err), DA_OK);
  da_agent_set_logger(a, on_log, NULL);
  logged[0] = '\0';
  return a;
}

/* The code of an ask; 0 only if the answer is "done". */
static int ask(da_agent *a, const char *question) {
  char *text = NULL;
  int code = da_agent_ask(a, question, &text, &err);
  if (!code)
    CHECK_STR(text, "done");
  free(text);
  return code;
}

/* ---- when ---- */

static double wait_after(const da_retry *r, int tries, double retry_after,
                         double chance) {
  da_err e;
  da_fail(&e, DA_ESERVER, "x");
  e.retryable = 1;
  e.retry_after = retry_after;
  return da_retry_wait(r, tries, &e, chance);
}

#define NEAR(a, b) CHECK((a) - (b) < 1e-9 && (b) - (a) < 1e-9)

static void waits(void) {
  da_retry r;
  da_err e;
  da_retry_init(&r);
  CHECK_INT(r.max, 2);
  NEAR(wait_after(&r, 1, -1, 1), 0.5);
  NEAR(wait_after(&r, 1, -1, 0), 0.25);
  NEAR(wait_after(&r, 2, -1, 1), 1);
  NEAR(wait_after(&r, 3, -1, 1), -1);
  r.max = 100;
  NEAR(wait_after(&r, 5, -1, 1), 8);
  NEAR(wait_after(&r, 100, -1, 1), 8);
  NEAR(wait_after(&r, 100, -1, 0), 4);
  NEAR(wait_after(&r, 101, -1, 1), -1);
  NEAR(wait_after(&r, 1, 0, 1), 0);
  NEAR(wait_after(&r, 9, 120, 1), 120);
  NEAR(wait_after(&r, 1, 120.1, 1), -1);
  r.cap = 0.1; /* below the base */
  NEAR(wait_after(&r, 1, -1, 1), 0.1);
  r.base = 0;
  NEAR(wait_after(&r, 9, -1, 1), 0);
  da_fail(&e, DA_ESERVER, "x");
  NEAR(da_retry_wait(&r, 1, &e, 1), -1); /* not retryable */
}

static void checks(void) {
  ACTOR(p, FINE);
  da_agent *a = agent_of(&p, "m"), *b;
  da_retry bad[] = {{-1, 1, 1, 0},       {101, 1, 1, 0}, {1, -1, 1, 0},
                    {1, 3601, 1, 0},     {1, 1, -1, 0},  {1, 1, 1, -1},
                    {1, 0.0 / 0.0, 1, 0}};
  da_runtime *other;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    CHECK_INT(da_agent_set_retry(a, &bad[i], &err), DA_EINVAL);
  CHECK_INT(da_agent_set_rate_limit(a, -1, 1, &err), DA_EINVAL);
  CHECK_INT(da_agent_set_rate_limit(a, 1e9, 1, &err), DA_EINVAL);
  CHECK_INT(da_agent_set_rate_limit(a, 1, 0, &err), DA_EINVAL);
  CHECK_INT(da_runtime_new(&other, NULL, &err), DA_OK);
  CHECK_INT(da_agent_new(&b, other, "m", "https://a.example", NULL, &err),
            DA_OK);
  CHECK_INT(da_agent_set_fallback(a, &b, 1, &err), DA_EINVAL);
  da_agent_free(b);
  da_runtime_free(other);
  CHECK_INT(da_agent_new(&b, rt, "m", "ftp://a.example", NULL, &err), DA_OK);
  CHECK_INT(da_agent_set_fallback(a, &b, 1, &err), DA_EURL);
  da_agent_free(b);
  CHECK_INT(ask(a, "hi"), DA_OK);
  da_agent_free(a);
}

/* ---- tries ---- */

static void tries(void) {
  ACTOR(p, DOWN, {DA_ENETWORK, 1, 0, 1, NULL, 0}, FINE);
  da_agent *a = agent_of(&p, "m");
  CHECK_INT(ask(a, "hi"), DA_OK);
  CHECK_INT(p.tries, 3);
  CHECK_STR(p.keys[0], p.keys[1]);
  CHECK_STR(p.keys[0], p.keys[2]);
  CHECK(strstr(logged, "1 server: try 1 of 3 failed: try failed; the next"));
  CHECK(strstr(logged, "1 network: try 2 of 3 failed"));
  CHECK_INT(ask(a, "ho"), DA_OK);
  CHECK(strcmp(p.keys[0], p.keys[3]) != 0);
  CHECK_INT(p.running, 0);
  da_agent_free(a);
  CHECK_INT(p.closed, 1);
}

static void no_tries(void) {
  static const da_retry none = {0, 1, 1, 0};
  ACTOR(p, DOWN);
  ACTOR(q, {DA_EAUTH, 0, 0, 0, NULL, 0});
  ACTOR(s, {DA_ERATE, 1, 121, 0, NULL, 0});
  da_agent *a = agent_of(&p, "m");
  CHECK_INT(da_agent_set_retry(a, &none, &err), DA_OK);
  CHECK_INT(ask(a, "hi"), DA_ESERVER);
  CHECK_INT(p.tries, 1);
  CHECK_STR(p.keys[0], "none");
  da_agent_free(a);
  a = agent_of(&q, "m");
  CHECK_INT(ask(a, "hi"), DA_EAUTH);
  CHECK_INT(q.tries, 1);
  da_agent_free(a);
  a = agent_of(&s, "m");
  CHECK_INT(ask(a, "hi"), DA_ERATE);
  CHECK_INT(s.tries, 1);
  CHECK(err.retry_after == 121);
  da_agent_free(a);
}

static int on_delta(void *ctx, da_text delta, da_err *e) {
  int *count = ctx;
  (void)delta;
  return ++*count == 2 ? da_fail(e, DA_ECANCELLED, "enough") : DA_OK;
}

/* Who has heard something hears nothing else instead. */
static void heard(void) {
  ACTOR(p, {DA_ETRUNCATED, 1, 0, 0, "half", 1}, FINE);
  da_agent *a = agent_of(&p, "m");
  char *text;
  int count = 0;
  CHECK_INT(da_agent_stream(a, "hi", on_delta, &count, &text, &err),
            DA_ETRUNCATED);
  CHECK_INT(p.tries, 1);
  p.tries = 0;
  CHECK_INT(da_agent_stream(a, "hi", on_delta, &count, &text, &err),
            DA_ECANCELLED);
  CHECK_INT(p.tries, 1);
  p.tries = 0;
  CHECK_INT(ask(a, "hi"), DA_OK); /* nobody listened */
  CHECK_INT(p.tries, 2);
  da_agent_free(a);
}

static void silence(void) {
  ACTOR(p, {DA_ETIMEOUT, 1, 0, 0, NULL, 0}, {DA_ETIMEOUT, 1, 0, 0, NULL, 1});
  da_agent *a = agent_of(&p, "m");
  CHECK_INT(ask(a, "hi"), DA_ETIMEOUT);
  CHECK_INT(p.tries, 2);
  da_agent_free(a);
}

/* ---- the machine ---- */

typedef struct held {
  da_attempt *attempt;
  da_answer answer;
  int count;
} held;

/* What it was made from is gone before its first step. */
static int hold(held *h, da_agent *a, double total) {
  da_history history = DA_HISTORY_EMPTY, turn = DA_HISTORY_EMPTY;
  char model[] = "model", system[] = "system", members[] = "\"a\":1";
  da_request r = {0};
  da_message *m;
  da_text one = {"one", 3}, two = {"two", 3};
  int code;
  memset(h, 0, sizeof *h);
  CHECK_INT(da_message_text(&m, "user", one, &err), DA_OK);
  CHECK_INT(da_history_append(&history, m), DA_OK);
  CHECK_INT(da_message_text(&m, "user", two, &err), DA_OK);
  CHECK_INT(da_history_append(&turn, m), DA_OK);
  r.model = (da_text){model, strlen(model)};
  r.system = (da_text){system, strlen(system)};
  r.members = (da_text){members, strlen(members)};
  r.history = &history;
  r.turn = &turn;
  r.timeouts.total = total;
  da_answer_init(&h->answer);
  code = da_attempt_start(&h->attempt, a, &r, &h->answer, on_delta, &h->count,
                          &err);
  memset(model, 'x', strlen(model));
  memset(system, 'x', strlen(system));
  memset(members, 'x', strlen(members));
  da_history_dispose(&history);
  da_history_dispose(&turn);
  return code;
}

static void let_go(held *h) {
  da_attempt_free(h->attempt);
  da_answer_dispose(&h->answer);
}

static int run(held *h) {
  int code;
  while ((code = da_attempt_step(h->attempt, 10, &err)) == 0)
    ;
  return code;
}

static void keeps_what_it_needs(void) {
  ACTOR(p, DOWN, DOWN, FINE);
  da_agent *a = agent_of(&p, "m");
  held h;
  CHECK_INT(hold(&h, a, 0), DA_OK);
  CHECK_INT(run(&h), 1);
  CHECK_STR(p.request, "model|system|\"a\":1|one|two");
  CHECK_INT(p.tries, 3);
  CHECK(p.total <= 0);                                /* no deadline */
  CHECK_INT(da_attempt_step(h.attempt, 10, &err), 1); /* it stays so */
  let_go(&h);
  da_agent_free(a);
}

static void steps_while_it_waits(void) {
  ACTOR(p, {DA_ERATE, 1, 100, 0, NULL, 0}, FINE);
  da_agent *a = agent_of(&p, "m");
  held h;
  CHECK_INT(hold(&h, a, 0), DA_OK);
  for (int i = 0; i < 5; i++)
    CHECK_INT(da_attempt_step(h.attempt, 0, &err), 0);
  CHECK_INT(da_attempt_step(h.attempt, 0.01, &err), 0);
  CHECK_INT(p.tries, 1);
  CHECK_INT(p.running, 0); /* no call is open meanwhile */
  let_go(&h);              /* given up while it waits */
  p.tries = 0;
  CHECK_INT(hold(&h, a, 0), DA_OK);
  CHECK_INT(p.running, 1);
  let_go(&h); /* and while it runs */
  CHECK_INT(p.running, 0);
  da_attempt_free(NULL);
  da_agent_free(a);
}

static void has_one_deadline(void) {
  ACTOR(p, {DA_ERATE, 1, 0.05, 0, NULL, 0});
  ACTOR(q, {DA_ERATE, 1, 60, 0, NULL, 0});
  da_agent *a = agent_of(&p, "m");
  held h;
  CHECK_INT(hold(&h, a, 30), DA_OK);
  CHECK(p.total > 0 && p.total <= 30);
  CHECK_INT(run(&h), DA_ERATE);
  CHECK_INT(p.tries, 3);
  CHECK(p.total > 0 && p.total <= 29.91); /* of the last: what was left */
  CHECK_INT(da_attempt_step(h.attempt, 0, &err), DA_ERATE);
  let_go(&h);
  da_agent_free(a);
  a = agent_of(&q, "m");
  CHECK_INT(hold(&h, a, 30), DA_OK); /* no time for that wait */
  CHECK_INT(run(&h), DA_ERATE);
  CHECK_INT(q.tries, 1);
  let_go(&h);
  da_agent_free(a);
}

static void has_a_budget(void) {
  static const da_retry brief = {9, 0.001, 0.001, 50};
  ACTOR(p, {DA_ERATE, 1, 60, 0, NULL, 0});
  da_agent *a = agent_of(&p, "m");
  CHECK_INT(da_agent_set_retry(a, &brief, &err), DA_OK);
  CHECK_INT(ask(a, "hi"), DA_ERATE);
  CHECK_INT(p.tries, 1);
  da_agent_free(a);
}

/* What came of the last try stays readable. */
static void keeps_the_partial_text(void) {
  ACTOR(p, {DA_ESERVER, 1, 0, 0, NULL, 0}, {DA_ENETWORK, 1, 0, 0, "ha", 1});
  da_agent *a = agent_of(&p, "m");
  held h;
  CHECK_INT(hold(&h, a, 0), DA_OK);
  CHECK_INT(run(&h), DA_ENETWORK);
  CHECK_STR(h.answer.text.data, "ha");
  let_go(&h);
  da_agent_free(a);
}

/* ---- other services ---- */

static void falls_back(void) {
  ACTOR(p, DOWN);
  ACTOR(q, {DA_EQUOTA, 0, 0, 0, NULL, 0});
  ACTOR(s, FINE);
  da_agent *a = agent_of(&p, "first"), *clone, *others[2];
  da_last last;
  others[0] = agent_of(&q, "second");
  others[1] = agent_of(&s, "third");
  CHECK_INT(da_agent_set_member(a, "seed", "1", &err), DA_OK);
  CHECK_INT(da_agent_set_member(a, "top_p", "1", &err), DA_OK);
  CHECK_INT(da_agent_set_member(others[1], "seed", "2", &err), DA_OK);
  CHECK_INT(da_agent_set_system(a, "S", 1, &err), DA_OK);
  CHECK_INT(da_agent_set_system(others[1], "not", 3, &err), DA_OK);
  CHECK_INT(da_agent_set_fallback(a, others, 2, &err), DA_OK);
  da_agent_free(others[0]);
  da_agent_free(others[1]);
  CHECK_INT(s.closed, 0);
  CHECK_INT(da_agent_clone(&clone, a, &err), DA_OK);
  CHECK_INT(ask(a, "hi"), DA_OK);
  CHECK_INT(p.tries, 3);
  CHECK_INT(q.tries, 1);
  CHECK_INT(s.tries, 1);
  CHECK_STR(p.request, "first|S|\"seed\":1,\"top_p\":1|hi");
  CHECK_STR(s.request, "third|S|\"top_p\":1,\"seed\":2|hi");
  CHECK_INT(da_agent_last(a, &last), 1);
  CHECK_STR(last.model, "third");
  CHECK(strcmp(p.keys[0], s.keys[0]) != 0);
  CHECK(strstr(logged, "2 server: first failed: try failed; going on with "
                       "second\n2 quota: second failed: try failed; going on "
                       "with third\n"));
  da_agent_free(a);
  CHECK_INT(s.closed, 0);
  CHECK_INT(ask(clone, "ho"), DA_OK);
  CHECK_INT(da_agent_set_fallback(clone, NULL, 0, &err), DA_OK);
  CHECK_INT(s.closed, 1);
  CHECK_INT(ask(clone, "ho"), DA_ESERVER);
  da_agent_free(clone);
  CHECK_INT(p.closed, 1);
}

static void stays(void) {
  static const int codes[] = {DA_EBADREQUEST, DA_ECONTEXT, DA_EAUTH,
                              DA_ETLS,        DA_EKEY,     DA_ENOMEM,
                              DA_EPROVIDER};
  ACTOR(s, FINE);
  da_agent *spare = agent_of(&s, "spare");
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
    const act acts[] = {{codes[i], 0, 0, 0, NULL, 0}};
    actor p = {.base = {&ops}, .acts = acts, .count = 1};
    da_agent *a = agent_of(&p, "m");
    CHECK_INT(da_agent_set_fallback(a, &spare, 1, &err), DA_OK);
    CHECK_INT(ask(a, "hi"), codes[i]);
    CHECK_INT(s.tries, 0);
    da_agent_free(a);
  }
  da_agent_free(spare);
}

/* ---- not too often ---- */

static void bucket(void) {
  da_rate *r;
  double wait;
  CHECK_INT(da_rate_new(&r, 0.001, 2, &err), DA_OK);
  CHECK(da_rate_take(r) == 0);
  CHECK(da_rate_take(da_rate_ref(r)) == 0);
  wait = da_rate_take(r);
  CHECK(wait > 900 && wait <= 1000);
  da_rate_unref(r);
  CHECK(da_rate_take(r) > 0);
  da_rate_unref(r);
  da_rate_unref(NULL);
  CHECK_INT(da_rate_new(&r, 1e6, 1, &err), DA_OK); /* never more than 1 */
  da_sleep(0.01);
  CHECK(da_rate_take(r) == 0);
  da_rate_unref(r);
}

static void limits_tries(void) {
  ACTOR(p, DOWN);
  da_agent *a = agent_of(&p, "m"), *clone;
  double from = da_now();
  held h;
  CHECK_INT(da_agent_set_rate_limit(a, 50, 1, &err), DA_OK);
  CHECK_INT(da_agent_clone(&clone, a, &err), DA_OK);
  CHECK_INT(ask(a, "hi"), DA_ESERVER);
  CHECK_INT(ask(clone, "hi"), DA_ESERVER);
  CHECK_INT(p.tries, 6);
  CHECK(da_now() - from >= 0.0999);
  CHECK_INT(da_agent_set_rate_limit(a, 0.001, 1, &err), DA_OK);
  CHECK_INT(hold(&h, a, 30), DA_OK); /* takes the one that there is */
  let_go(&h);
  CHECK_INT(hold(&h, a, 30), DA_ETIMEOUT);
  let_go(&h);
  CHECK_INT(hold(&h, a, 0), DA_OK); /* all the time of the world */
  CHECK_INT(da_attempt_step(h.attempt, 0.001, &err), 0);
  let_go(&h);
  CHECK_INT(p.tries, 7);
  da_agent_free(clone);
  da_agent_free(a);
}

/* ---- not twice ---- */

static int was_cached(da_agent *a) {
  da_last last;
  return da_agent_last(a, &last) && last.cached;
}

static void caches(void) {
  ACTOR(p, FINE);
  da_agent *a = agent_of(&p, "m"), *clone;
  da_store *store;
  int count = 0;
  char *text;
  CHECK_INT(da_store_memory(&store, &err), DA_OK);
  CHECK_INT(da_agent_set_cache(a, store, 0, &err), DA_OK);
  CHECK_INT(da_agent_clone(&clone, a, &err), DA_OK);
  CHECK_INT(ask(a, "hi"), DA_OK);
  CHECK_INT(was_cached(a), 0);
  CHECK_INT(ask(a, "hi"), DA_OK);
  CHECK_INT(was_cached(a), 1);
  da_agent_free(a);
  CHECK_INT(da_agent_stream(clone, "hi", on_delta, &count, &text, &err),
            DA_OK);
  CHECK_STR(text, "done");
  free(text);
  CHECK_INT(count, 1);
  CHECK_STR(da_agent_finish_reason(clone), "stop");
  CHECK_INT(p.tries, 1);
  CHECK_INT(ask(clone, "ho"), DA_OK);
  CHECK_INT(was_cached(clone), 0);
  CHECK_INT(p.tries, 2);
  CHECK_INT(da_agent_set_cache(clone, NULL, 0, &err), DA_OK);
  CHECK_INT(ask(clone, "hi"), DA_OK);
  CHECK_INT(p.tries, 3);
  da_agent_free(clone);
}

int main(void) {
  CHECK_INT(da_runtime_new(&rt, NULL, &err), DA_OK);
  RUN(waits);
  RUN(checks);
  RUN(tries);
  RUN(no_tries);
  RUN(heard);
  RUN(silence);
  RUN(keeps_what_it_needs);
  RUN(steps_while_it_waits);
  RUN(has_one_deadline);
  RUN(has_a_budget);
  RUN(keeps_the_partial_text);
  RUN(falls_back);
  RUN(stays);
  RUN(bucket);
  RUN(limits_tries);
  RUN(caches);
  da_runtime_free(rt);
  return check_done();
}
