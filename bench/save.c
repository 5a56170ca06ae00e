/* save.c - saves against what no save can do without: the same bytes written
** to a new file that is renamed over the old one, with and without flushes.
*/
#include "model.h"

typedef struct place {
  char path[512];
  int dir;
} place;

static void open_place(place *p, const char *name) {
  scratch(p->path, sizeof p->path, name);
  p->dir = sys(open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), p->path);
}

static char *saved_bytes(const place *p, const char *id, size_t *len) {
  char path[600];
  snprintf(path, sizeof path, "%s/%s.json", p->path, id);
  return slurp(path, len);
}

/* An agent with a conversation of `n` messages: one that this process held
** all along, or one that was loaded. */
static da_agent *open_agent(da_runtime *rt, const place *p, const char *id,
                            size_t n, int durable, int loaded) {
  size_t have;
  da_err err;
  if (loaded)
    store_session(p->path, id, n);
  da_agent *a = model_agent(rt, file_store(p->path, durable), id);
  da_agent_set_auto_save(a, 0);
  if (!loaded)
    grow_to(a, n);
  must(da_agent_count(a, &have, &err), &err);
  if (have != n)
    die(id, "has another number of messages");
  turn(a, n / 2);
  must(da_agent_save(a, &err), &err);
  return a;
}

typedef struct plan {
  const char *what;
  size_t n, rounds;
  int durable, loaded;
  double allowed;
} plan;

static void sample_bare(samples *bare, const place *at, const char *bytes,
                        size_t len, int durable) {
  double start = wall_us();
  bare_save(at->dir, "bare", bytes, len, durable);
  sample(bare, wall_us() - start);
}

/* One more turn and a save of it, and the bare save of the same bytes (less
** that turn, so that they do not come out of the cache that we have warmed).
** They lead by turns: who comes second finds the file system's code and data
** in the caches. */
static void measure(const plan *p) {
  static samples ours, bare;
  static unsigned serial;
  char id[32], what[80];
  da_runtime *rt;
  da_err err;
  place at;
  ours.n = bare.n = 0;
  snprintf(id, sizeof id, "save-%u", serial++);
  open_place(&at, "save");
  must(da_runtime_new(&rt, NULL, &err), &err);
  da_agent *a = open_agent(rt, &at, id, p->n, p->durable, p->loaded);
  for (size_t i = 0; i < p->rounds; i++) {
    size_t len;
    char *bytes = saved_bytes(&at, id, &len);
    turn(a, p->n / 2 + i);
    if (i % 2)
      sample_bare(&bare, &at, bytes, len, p->durable);
    double start = wall_us();
    must(da_agent_save(a, &err), &err);
    sample(&ours, wall_us() - start);
    if (i % 2 == 0)
      sample_bare(&bare, &at, bytes, len, p->durable);
    free(bytes);
  }
  must(da_agent_close(a, &err), &err);
  da_agent_free(a);
  da_runtime_free(rt);
  close(at.dir);
  snprintf(what, sizeof what, "%s, N=%zu, C, %s", p->what, p->n,
           p->loaded ? "loaded" : "grown");
  row(what, median(&ours), median(&bare), "us", p->allowed);
}

int main(void) {
  static const plan plans[] = {
      {"durable save", 1000, 150, 1, 1, 1.2},
      {"durable save", 1000, 150, 1, 0, 1.2},
      {"durable=false save", 10, 400, 0, 1, 1.4},
      {"durable=false save", 100, 400, 0, 1, 1.4},
      {"durable=false save", 1000, 400, 0, 1, 1.4},
      {"durable=false save", 10000, 60, 0, 1, 1.4},
      {"durable=false save", 10, 400, 0, 0, 1.4},
      {"durable=false save", 100, 400, 0, 0, 1.4},
      {"durable=false save", 1000, 400, 0, 0, 1.4},
      {"durable=false save", 10000, 60, 0, 0, 1.4},
  };
  for (size_t i = 0; i < sizeof plans / sizeof *plans; i++)
    measure(&plans[i]);
  return 0;
}
