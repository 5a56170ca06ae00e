/* memory.c - the memory that conversations take. bench/run turns malloc's
** caches of small blocks off, which count as used what is free.
*/
#include <malloc.h>

#include "model.h"

/* After a pause in which former runtimes' threads come to their end. */
static size_t used(void) {
  usleep(20000);
  struct mallinfo2 m = mallinfo2();
  return m.uordblks + m.hblkhd;
}

/* The memory of an agent whose session has `n` messages, which it loads, or
** which it has said and saved; *text: the bytes of their JSON. */
static size_t agent_bytes(const char *path, const char *id, size_t n,
                          int loaded, size_t *text) {
  size_t before, after, have;
  da_runtime *rt;
  da_err err;
  if (loaded)
    store_session(path, id, n);
  must(da_runtime_new(&rt, NULL, &err), &err);
  before = used();
  da_agent *a = model_agent(rt, file_store(path, 0), id);
  da_agent_set_auto_save(a, 0);
  must(da_agent_count(a, &have, &err), &err);
  grow_to(a, n);
  if (!loaded)
    must(da_agent_save(a, &err), &err);
  after = used();
  *text = 0;
  for (size_t i = 0; i < n; i++)
    *text += da_agent_message(a, i).len;
  must(da_agent_close(a, &err), &err);
  da_agent_free(a);
  da_runtime_free(rt);
  return after - before;
}

/* The limit is 1.5 times the text, and 100 bytes, for each message. What an
** agent takes that has none is not theirs. */
static void measure_memory(const char *path, size_t n, int loaded) {
  static samples each;
  char id[32], what[80];
  size_t text, none, all;
  each.n = 0;
  for (int i = 0; i < 5; i++) {
    snprintf(id, sizeof id, "none-%d-%d-%zu", i, loaded, n);
    none = agent_bytes(path, id, 0, loaded, &text);
    snprintf(id, sizeof id, "memory-%d-%d-%zu", i, loaded, n);
    all = agent_bytes(path, id, n, loaded, &text);
    sample(&each, ((double)all - (double)none) / (double)n);
  }
  snprintf(what, sizeof what, "memory per message, N=%zu, %s", n,
           loaded ? "loaded" : "grown");
  row(what, median(&each), 1.5 * (double)text / (double)n + 100, "bytes", 1);
}

int main(void) {
  char path[512];
  scratch(path, sizeof path, "memory");
  for (size_t n = 10; n <= 10000; n *= 10)
    for (int loaded = 1; loaded >= 0; loaded--)
      measure_memory(path, n, loaded);
  return 0;
}
