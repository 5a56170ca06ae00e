/* many.c - 200 agents that save at once: each its own session, against plain
** threads that write the same bytes; all the same session, counting writes.
** And listing 10,000 sessions.
*/
#include <pthread.h>
#include <stdatomic.h>

#include "model.h"
#include "store_file.h"

enum { AGENTS = 200, MESSAGES = 10, ROUNDS = 11, SESSIONS = 10000 };

/* ---- all different ---- */

/* One turn of each agent, until the disk has all of them. */
static double time_agents(da_agent **agents, size_t i) {
  da_err err;
  double start = wall_us();
  for (int k = 0; k < AGENTS; k++)
    turn(agents[k], i);
  for (int k = 0; k < AGENTS; k++)
    must(da_agent_flush(agents[k], -1, &err), &err);
  return wall_us() - start;
}

typedef struct plain {
  int dir;
  const char *bytes;
  size_t len;
  atomic_int next;
} plain;

static void *plain_run(void *arg) {
  plain *p = arg;
  char name[32];
  int k;
  while ((k = atomic_fetch_add(&p->next, 1)) < AGENTS) {
    snprintf(name, sizeof name, "plain-%d.json", k);
    bare_save(p->dir, name, p->bytes, p->len, 1);
  }
  return NULL;
}

static double time_plain(plain *p, int threads) {
  pthread_t thread[AGENTS];
  atomic_store(&p->next, 0);
  double start = wall_us();
  for (int i = 0; i < threads; i++)
    if (pthread_create(&thread[i], NULL, plain_run, p))
      die("many", "no thread");
  for (int i = 0; i < threads; i++)
    pthread_join(thread[i], NULL);
  return wall_us() - start;
}

static void open_agents(da_agent **agents, da_runtime *rt, const char *path) {
  char id[32];
  da_err err;
  for (int k = 0; k < AGENTS; k++) {
    snprintf(id, sizeof id, "many-%d", k);
    store_session(path, id, MESSAGES);
  }
  agents[0] = model_agent(rt, file_store(path, 1), "many-0");
  for (int k = 0; k < AGENTS; k++) {
    size_t have;
    snprintf(id, sizeof id, "many-%d", k);
    if (k)
      must(da_agent_clone(&agents[k], agents[0], &err), &err);
    must(da_agent_set_session_id(agents[k], id, &err), &err);
    must(da_agent_count(agents[k], &have, &err), &err);
  }
}

static void measure_different(void) {
  static const int threads[] = {1, 16, 64};
  static samples ours, bare[3];
  da_agent *agents[AGENTS];
  char path[512], file[600], what[80];
  double best = 1e18;
  da_runtime *rt;
  da_err err;
  plain p;
  scratch(path, sizeof path, "many");
  p.dir = sys(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), path);
  must(da_runtime_new(&rt, NULL, &err), &err);
  open_agents(agents, rt, path);
  for (size_t i = 0; i < ROUNDS; i++) {
    sample(&ours, time_agents(agents, MESSAGES / 2 + i));
    snprintf(file, sizeof file, "%s/many-7.json", path);
    char *bytes = slurp(file, &p.len);
    p.bytes = bytes;
    for (int t = 0; t < 3; t++)
      sample(&bare[t], time_plain(&p, threads[t]));
    free(bytes);
  }
  for (int t = 0; t < 3; t++) {
    snprintf(what, sizeof what, "  plain C, %d thread%s", threads[t],
             t ? "s" : "");
    if (median(&bare[t]) < best)
      best = median(&bare[t]);
    note(what, median(&bare[t]), 0, "us");
  }
  row("200 durable saves, all different", median(&ours), best, "us", 1.5);
  for (int k = 0; k < AGENTS; k++)
    da_agent_free(agents[k]);
  da_runtime_free(rt);
  close(p.dir);
}

/* ---- all the same ---- */

/* A file store that counts. */
typedef struct counting {
  da_store store;
  da_store *inner;
  atomic_int saves;
} counting;

static counting counted;

static int c_load(da_store *s, const char *id, da_store_sink *sink,
                  da_revision *now, da_err *err) {
  da_store *inner = ((counting *)s)->inner;
  return inner->ops->load(inner, id, sink, now, err);
}

static int c_save(da_store *s, const char *id, const da_store_session *session,
                  da_revision *now, da_err *err) {
  da_store *inner = ((counting *)s)->inner;
  atomic_fetch_add(&((counting *)s)->saves, 1);
  return inner->ops->save(inner, id, session, now, err);
}

static int c_remove(da_store *s, const char *id, da_err *err) {
  da_store *inner = ((counting *)s)->inner;
  return inner->ops->remove(inner, id, err);
}

static int c_list(da_store *s, da_store_ids *ids, da_err *err) {
  da_store *inner = ((counting *)s)->inner;
  return inner->ops->list(inner, ids, err);
}

static void c_close(da_store *s) {
  da_store *inner = ((counting *)s)->inner;
  inner->ops->close(inner);
}

static void measure_same(void) {
  static const da_store_ops ops = {
      .version = DA_STORE_VERSION,
      .flags = DA_STORE_DOCUMENT | DA_STORE_LOCAL,
      .name = "counting",
      .load = c_load,
      .save = c_save,
      .remove = c_remove,
      .list = c_list,
      .close = c_close,
  };
  da_agent *agents[AGENTS];
  char path[512];
  size_t have;
  da_runtime *rt;
  da_err err;
  scratch(path, sizeof path, "same");
  must(da_runtime_new(&rt, NULL, &err), &err);
  counted.store.ops = &ops;
  counted.inner = file_store(path, 1);
  agents[0] = model_agent(rt, &counted.store, "same");
  for (int k = 0; k < AGENTS; k++) {
    if (k)
      must(da_agent_clone(&agents[k], agents[0], &err), &err);
    must(da_agent_count(agents[k], &have, &err), &err);
  }
  double took = time_agents(agents, 0);
  row("200 saves to one session: writes", atomic_load(&counted.saves), 10,
      "writes", 1);
  note("  time of it", took, 0, "us");
  must(da_agent_load(agents[0], &err), &err);
  must(da_agent_count(agents[0], &have, &err), &err);
  if (have != (size_t)2 * AGENTS)
    die("same", "turns were lost");
  for (int k = 0; k < AGENTS; k++)
    da_agent_free(agents[k]);
  da_runtime_free(rt);
}

/* ---- listing ---- */

typedef struct counter {
  da_store_ids base;
  size_t n;
} counter;

static int count(da_store_ids *base, da_text id) {
  ((counter *)base)->n += id.len > 0;
  return DA_OK;
}

static double time_readdir(const char *path) {
  size_t n = 0;
  double start = wall_us();
  DIR *d = opendir(path);
  while (d && readdir(d))
    n++;
  closedir(d);
  double took = wall_us() - start;
  if (n < SESSIONS)
    die(path, "lacks files");
  return took;
}

static void measure_list(void) {
  static samples ours, bare;
  char path[512], name[64];
  da_runtime *rt;
  da_err err;
  scratch(path, sizeof path, "list");
  int dir = sys(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), path);
  for (int i = 0; i < SESSIONS; i++) {
    snprintf(name, sizeof name, "user-%d.json", i);
    bare_save(dir, name, "[]\n", 3, 0);
  }
  close(dir);
  must(da_runtime_new(&rt, NULL, &err), &err);
  da_agent *a = model_agent(rt, file_store(path, 1), "list");
  for (int i = 0; i < 60; i++) {
    counter c = {{count}, 0};
    double start = wall_us();
    int code = da_agent_list(a, &c.base, &err);
    sample(&ours, wall_us() - start);
    must(code, &err);
    if (c.n != SESSIONS)
      die(path, "another number of sessions is listed");
    sample(&bare, time_readdir(path));
  }
  da_agent_free(a);
  da_runtime_free(rt);
  row("list 10,000 sessions, C / readdir", median(&ours), median(&bare), "us",
      1.8);
}

int main(void) {
  measure_different();
  measure_same();
  measure_list();
  return 0;
}
