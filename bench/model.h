/* model.h - a model that answers at once with the workload's texts, in C, so
** that a turn costs nothing but what the library makes of it; and agents and
** conversations to measure with.
*/
#ifndef BENCH_MODEL_H
#define BENCH_MODEL_H

#include "bench.h"
#include "da_agent.h"

typedef struct model {
  da_provider base;
  size_t asked; /* the number of the next answer */
} model;

static int model_start(da_provider *p, da_call **out, const da_request *r,
                       da_answer *answer, da_delta_fn delta, void *ctx,
                       da_err *err) {
  char text[LONGEST_CONTENT];
  model *m = (model *)p;
  size_t len = content(text, m->asked * 2 + 1);
  m->asked++;
  (void)r, (void)delta, (void)ctx, (void)err;
  da_buf_puts(&answer->message, "{\"role\":\"assistant\",\"content\":");
  da_json_put_string(&answer->message, text, len);
  da_buf_puts(&answer->message, "}");
  da_buf_put(&answer->text, text, len);
  *out = (da_call *)p;
  return DA_OK;
}

static int model_step(da_provider *p, da_call *c, double seconds,
                      da_err *err) {
  (void)p, (void)c, (void)seconds, (void)err;
  return 1;
}

static void model_end(da_provider *p, da_call *c) {
  (void)p, (void)c;
}

static void model_close(da_provider *p) {
  free(p);
}

/* An agent of this model; `store` NULL: without a session. */
static inline da_agent *model_agent(da_runtime *rt, da_store *store,
                                    const char *id) {
  static const da_provider_ops ops = {DA_PROVIDER_VERSION, "model",
                                      model_start,         model_step,
                                      model_end,           model_close};
  model *m = calloc(1, sizeof *m);
  da_agent *a;
  da_err err;
  if (!m)
    die("model", "out of memory");
  m->base.ops = &ops;
  must(da_agent_new(&a, rt, "model", NULL, NULL, &err), &err);
  must(da_agent_set_provider(a, &m->base, &err), &err);
  da_agent_set_memory(a, 1);
  if (store) {
    must(da_agent_set_store(a, store, &err), &err);
    must(da_agent_set_session_id(a, id, &err), &err);
    da_agent_set_save_timeout(a, 60);
  }
  return a;
}

static inline da_store *file_store(const char *path, int durable) {
  da_file_options o = {path, durable, 0};
  da_store *store;
  da_err err;
  must(da_store_file(&store, &o, &err), &err);
  return store;
}

/* One turn: question and answer number `i`. */
static inline void turn(da_agent *a, size_t i) {
  char question[LONGEST_CONTENT], *text;
  da_err err;
  content(question, i * 2);
  must(da_agent_ask(a, question, &text, &err), &err);
  free(text);
}

/* Asks until the conversation has `n` messages. */
static inline void grow_to(da_agent *a, size_t n) {
  size_t have;
  da_err err;
  must(da_agent_count(a, &have, &err), &err);
  for (; have < n; have += 2)
    turn(a, have / 2);
}

/* Stores a conversation of `n` messages as session `id` in `path`. */
static inline void store_session(const char *path, const char *id, size_t n) {
  da_runtime *rt;
  da_err err;
  must(da_runtime_new(&rt, NULL, &err), &err);
  da_agent *a = model_agent(rt, file_store(path, 0), id);
  da_agent_set_auto_save(a, 0);
  grow_to(a, n);
  must(da_agent_save(a, &err), &err);
  must(da_agent_close(a, &err), &err);
  da_agent_free(a);
  da_runtime_free(rt);
}

#endif
