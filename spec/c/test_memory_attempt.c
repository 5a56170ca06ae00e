/* test_memory_attempt.c - tries, other services, a rate limit and a cache
** while allocations fail, one after the other. */
#include "memory_agent.h"

/* ---- models ---- */

/* Down for ever. */
static int down_step(da_provider *p, da_call *c, double seconds, da_err *e) {
  (void)p, (void)c, (void)seconds;
  da_fail(e, DA_ESERVER, "down");
  e->retryable = 1;
  return DA_ESERVER;
}

/* Its answers are whole: what a cache keeps. */
static int whole_step(da_provider *p, da_call *c, double seconds, da_err *e) {
  int code = model_step(p, c, seconds, e);
  strcpy(c->answer->finish_reason, "stop");
  return code;
}

static da_provider *model_of(int down) {
  static const da_provider_ops ops[] = {
      {DA_PROVIDER_VERSION, "whole", model_start, whole_step, model_end,
       model_close},
      {DA_PROVIDER_VERSION, "down", model_start, down_step, model_end,
       model_close}};
  static da_provider models[] = {{&ops[0]}, {&ops[1]}};
  return &models[down];
}

/* ---- another service ---- */

static da_agent *spare;

static void begin(int down) {
  static const da_retry soon = {1, 0, 0, 0};
  plain_begin();
  CHECK_INT(da_agent_set_provider(a, model_of(down), &err), DA_OK);
  CHECK_INT(da_agent_set_retry(a, &soon, &err), DA_OK);
  CHECK_INT(da_agent_set_member(a, "seed", "1", &err), DA_OK);
  da_agent_set_memory(a, 1);
  da_agent_set_logger(a, memory_log, NULL);
}

static void elsewhere_begin(void) {
  begin(1);
  CHECK_INT(da_agent_new(&spare, rt, "spare", NULL, NULL, &err), DA_OK);
  CHECK_INT(da_agent_set_provider(spare, memory_model(), &err), DA_OK);
  CHECK_INT(da_agent_set_member(spare, "top_p", "1", &err), DA_OK);
  CHECK_INT(da_agent_set_fallback(a, &spare, 1, &err), DA_OK);
}

/* Set again, each is either as before or as it was to be. */
static void elsewhere_act(void) {
  OK(da_agent_set_fallback(a, &spare, 1, &err));
  OK(da_agent_set_rate_limit(a, 1e6, 1000, &err));
  ask("one");
  stream("two");
}

static void elsewhere_check(void) {
  ask_surely("three");
  said_is_right();
}

static void elsewhere_end(void) {
  da_agent_free(spare);
  plain_end();
}

/* ---- a cache ---- */

static void cache_begin(void) {
  begin(0);
}

/* Whatever the cache lacks, the answers are right. */
static void cache_act(void) {
  da_store *store;
  if (OK(da_store_memory(&store, &err)))
    OK(da_agent_set_cache(a, store, 60, &err));
  da_agent_set_memory(a, 0);
  ask_alone("hi");
  ask_alone("hi");
  da_agent_set_memory(a, 1);
  stream("hi");
}

static void cache_check(void) {
  da_last last;
  da_store *store;
  CHECK_INT(da_store_memory(&store, &err), DA_OK);
  CHECK_INT(da_agent_set_cache(a, store, 0, &err), DA_OK);
  da_agent_set_memory(a, 0);
  CHECK(ask_alone("ho"));
  CHECK(ask_alone("ho"));
  CHECK(da_agent_last(a, &last) && last.cached);
  da_agent_set_memory(a, 1);
  said_is_right();
}

int main(void) {
  static const scene scenes[] = {
      {"another service", elsewhere_begin, elsewhere_act, elsewhere_check,
       elsewhere_end, 0},
      {"a cache", cache_begin, cache_act, cache_check, plain_end, 0},
  };
  PLAY(scenes);
  return check_done();
}
