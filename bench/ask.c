/* ask.c - what auto-save adds to `ask` on the calling thread: turns of an
** agent with a session, by turns with those of one without.
*/
#include "model.h"

enum { LIMIT_US = 10, ROUNDS = 400 };

typedef struct pair {
  da_agent *with, *without;
} pair;

/* `idle`: after a pause, so that caches are as cold as any other's. */
static double time_ask(da_agent *a, size_t i, int idle) {
  char question[LONGEST_CONTENT], *text;
  da_err err;
  content(question, i * 2);
  if (idle)
    usleep(200);
  double start = wall_us();
  int code = da_agent_ask(a, question, &text, &err);
  double took = wall_us() - start;
  must(code, &err);
  free(text);
  return took;
}

static void open_pair(pair *p, da_runtime *rt, const char *path,
                      unsigned serial, size_t n) {
  char id[32];
  da_err err;
  snprintf(id, sizeof id, "ask-%u", serial);
  p->with = model_agent(rt, file_store(path, 1), id);
  p->without = model_agent(rt, NULL, NULL);
  da_agent_set_auto_save(p->with, 0); /* until it has grown */
  grow_to(p->with, n);
  grow_to(p->without, n);
  da_agent_set_auto_save(p->with, 1);
  turn(p->with, n / 2);
  must(da_agent_flush(p->with, -1, &err), &err);
}

static void close_pair(pair *p) {
  da_err err;
  must(da_agent_close(p->with, &err), &err);
  da_agent_free(p->with);
  da_agent_free(p->without);
}

/* `idle`: each turn finds the saver asleep, as in a conversation with a
** person; else it is in the middle of saving former turns. */
static void measure(const char *path, size_t n, int idle) {
  static samples with, without;
  static unsigned serial;
  size_t turns = n < 100 ? 5 : n < 2000 ? n / 20 : 100;
  char what[80];
  da_runtime *rt;
  da_err err;
  must(da_runtime_new(&rt, NULL, &err), &err);
  with.n = without.n = 0;
  while (with.n < ROUNDS) {
    pair p;
    open_pair(&p, rt, path, serial++, n);
    for (size_t i = 0; i < turns; i++) {
      if (i % 2)
        sample(&without, time_ask(p.without, n / 2 + i, idle));
      sample(&with, time_ask(p.with, n / 2 + i, idle));
      if (i % 2 == 0)
        sample(&without, time_ask(p.without, n / 2 + i, idle));
      if (idle)
        must(da_agent_flush(p.with, -1, &err), &err);
    }
    close_pair(&p);
  }
  da_runtime_free(rt);
  snprintf(what, sizeof what, "auto-save adds to ask, N=%zu, C%s", n,
           idle ? "" : ", in a burst");
  row(what, median(&with) - median(&without), LIMIT_US, "us", 1);
}

int main(void) {
  char path[512];
  scratch(path, sizeof path, "ask");
  for (size_t n = 10; n <= 10000; n *= 10)
    measure(path, n, 1);
  measure(path, 10000, 0);
  return 0;
}
