/* load.c - loading a stored conversation into the C history, against cJSON's
** parse of the same bytes; and the memory that conversations take.
*/
#include <cjson/cJSON.h>
#include <malloc.h>

#include "da_document.h"
#include "da_store.h"
#include "model.h"

enum { LOADED = 1000, ROUNDS = 400 };

/* ---- time ---- */

static double time_store(da_backend *b, const char *id, size_t n) {
  da_stored stored;
  da_err err;
  da_stored_init(&stored);
  double start = wall_us();
  int code = da_store_load(b, id, &stored, &err);
  double took = wall_us() - start;
  must(code, &err);
  if (stored.history.len != n)
    die(id, "has another number of messages");
  da_stored_dispose(&stored);
  return took;
}

static double time_parse(const char *bytes, size_t len, const char *id) {
  da_history history = DA_HISTORY_EMPTY;
  char *copy = malloc(len + 1);
  da_buf meta;
  da_err err;
  if (!copy)
    die("load", "out of memory");
  memcpy(copy, bytes, len + 1);
  da_buf_init(&meta, DA_MESSAGE_MAX);
  double start = wall_us();
  int code = da_document_parse(&history, &meta, id, copy, len, &err);
  double took = wall_us() - start;
  must(code, &err);
  da_history_dispose(&history);
  da_buf_dispose(&meta);
  return took;
}

static double time_cjson(const char *bytes, size_t len) {
  double start = wall_us();
  cJSON *tree = cJSON_ParseWithLength(bytes, len);
  double took = wall_us() - start;
  if (!tree)
    die("cJSON", "cannot parse it");
  cJSON_Delete(tree);
  return took;
}

static void measure_time(const char *path) {
  static samples store, parse, cjson;
  char file[600];
  size_t len;
  da_backend *b;
  da_err err;
  store_session(path, "load", LOADED);
  snprintf(file, sizeof file, "%s/load.json", path);
  char *bytes = slurp(file, &len);
  must(da_backend_new(&b, file_store(path, 1), &err), &err);
  for (int i = 0; i < ROUNDS; i++) {
    sample(&store, time_store(b, "load", LOADED));
    sample(&cjson, time_cjson(bytes, len));
    sample(&parse, time_parse(bytes, len, "load"));
  }
  da_backend_unref(b);
  free(bytes);
  row("load from file, N=1000 / cJSON_Parse", median(&store), median(&cjson),
      "us", 0.6);
  note("  of that, the parse", median(&parse), median(&cjson), "us");
}

/* ---- memory ---- */

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

/* The limit is 1.5 times the text, and 100 bytes, for each message. */
static void measure_memory(const char *path, size_t n, int loaded) {
  char id[32], what[80];
  size_t text, none, all;
  snprintf(id, sizeof id, "none-%d-%zu", loaded, n);
  none = agent_bytes(path, id, 0, loaded, &text);
  snprintf(id, sizeof id, "memory-%d-%zu", loaded, n);
  all = agent_bytes(path, id, n, loaded, &text);
  snprintf(what, sizeof what, "memory per message, N=%zu, %s", n,
           loaded ? "loaded" : "grown");
  row(what, (double)(all - none) / (double)n,
      1.5 * (double)text / (double)n + 100, "bytes", 1);
}

int main(void) {
  char path[512];
  scratch(path, sizeof path, "load");
  measure_time(path);
  for (size_t n = 10; n <= 10000; n *= 10)
    for (int loaded = 1; loaded >= 0; loaded--)
      measure_memory(path, n, loaded);
  return 0;
}
