/* load.c - loading a stored conversation into the C history, against cJSON's
** parse of the same bytes.
*/
#include <cjson/cJSON.h>

#include "da_document.h"
#include "da_store.h"
#include "model.h"

enum { LOADED = 1000, ROUNDS = 400 };

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

int main(void) {
  char path[512];
  scratch(path, sizeof path, "load");
  measure_time(path);
  return 0;
}
