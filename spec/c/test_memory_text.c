/* test_memory_text.c - the lower floors without memory: texts, messages,
** histories, documents, streams of events, the stores by themselves. */
#include "memory_kit.h"

#include "da_document.h"
#include "da_history.h"
#include "da_meta.h"
#include "da_part.h"
#include "da_sse.h"
#include "da_store.h"
#include "store_file.h"
#include "store_memory.h"

#define CAP ((size_t)1 << 20)

static da_text text(const char *s) {
  da_text t = {s, strlen(s)};
  return t;
}

static int is(da_text t, const char *s) {
  return t.len == strlen(s) && memcmp(t.data, s, t.len) == 0;
}

/* ---- JSON text ---- */

static da_buf out;

static void buf_begin(void) {
  da_buf_init(&out, CAP);
}

static void buf_end(void) {
  da_buf_dispose(&out);
}

static void write_json(void) {
  static const char raw[] = "\"a\\u00e9\\ud83d\\ude00 and \\\"so\\\" on\"";
  da_text json = text("[ {\"a\" : [1, 2.5e3, null]} , \"\\u0000\", true ]");
  OK(da_json_check(json, &err));
  for (int i = 0; i < 20; i++)
    da_json_put_compact(&out, json);
  da_json_unescape(&out, text(raw), NULL);
  da_json_put_double(&out, 0.1);
  da_buf_printf(&out, "%0200d", 7);
  da_json_put_string(&out, "\x01\"\xe2\x82\xac", 5);
}

/* The failure sticks, and what was there before stays. */
static void check_json(void) {
  size_t before = out.len;
  int code = da_buf_check(&out, "it", &err);
  char *taken;
  if (!OK(code)) {
    CHECK_INT(da_buf_puts(&out, "x"), DA_ENOMEM);
    CHECK_INT(out.len, before);
    CHECK(!out.len || out.data[out.len] == '\0');
    CHECK(da_buf_take(&out, NULL) == NULL);
    da_buf_reset(&out);
    write_json();
    CHECK_INT(out.failed, DA_OK);
  }
  CHECK(out.len > 900 && strstr(out.data, "\"\\u0001\\\"\xe2\x82\xac\""));
  taken = da_buf_take(&out, &before);
  CHECK(taken && strlen(taken) == before);
  free(taken);
}

/* ---- parts of content ---- */

static int put_parts(void) {
  const da_media gif = {.bytes = {"GIF89a", 6}}, self = {.path = "/dev/null"};
  int code = da_part_text(&out, text("a"), &err);
  if (!code)
    code = da_part_image(&out, &gif, &err);
  if (!code) /* never a regular file: the descriptor goes, too */
    CHECK_INT(da_part_file(&out, &self, &err), DA_EUNSAFE);
  return code ? code : da_part_file_id(&out, text("f"), &err);
}

/* Whole parts or none. */
static void parts_act(void) {
  da_nomem(&err);
  OK(put_parts());
  CHECK(!out.len || out.data[out.len - 1] == '}');
}

static void check_parts(void) {
  CHECK_INT(out.failed, DA_OK);
  da_buf_reset(&out);
  CHECK_INT(put_parts(), DA_OK);
  CHECK(strstr(out.data, ";base64,R0lGODlh\"}}"));
}

/* ---- messages ---- */

enum { MESSAGES = 4 };
static da_message *messages[MESSAGES];

static void messages_begin(void) {
  memset(messages, 0, sizeof messages);
  da_buf_init(&out, CAP);
}

static int message(int i) {
  static const char parts[] = "{\"content\":[{\"type\":\"text\",\"text\":"
                              "\"a\\u0041\"}],\"id\":\"m-3\",\"role\":"
                              "\"tool\",\"created_at\":17.5}";
  da_text id = text("mine");
  switch (i) {
  case 0:
    return da_message_text(&messages[0], "user", text("H\xc3\xa4?"), &err);
  case 1:
    return da_message_new(&messages[1], text("{\"role\":\"assistant\"}"), &id,
                          1700000000, &err);
  case 2: /* all is to be put in order */
    return da_message_parse(&messages[2], text(parts), &err);
  default:
    return da_message_parse(&messages[3], text("{\"role\":\"user\"}"), &err);
  }
}

static void make_messages(void) {
  for (int i = 0; i < MESSAGES; i++)
    if (!OK(message(i)))
      messages[i] = NULL;
  if (messages[2] && da_message_content(messages[2], &out) == DA_OK)
    CHECK(is(da_buf_text(&out), "aA"));
}

static void check_messages(void) {
  for (int i = 0; i < MESSAGES; i++)
    if (!messages[i])
      CHECK_INT(message(i), DA_OK);
  CHECK(is(da_message_json(messages[1]),
           "{\"id\":\"mine\",\"created_at\":1700000000.000,"
           "\"role\":\"assistant\"}"));
  CHECK(is(da_message_id(messages[2]), "m-3"));
}

static void messages_end(void) {
  for (int i = 0; i < MESSAGES; i++)
    da_message_unref(messages[i]);
  da_buf_dispose(&out);
}

/* ---- histories ---- */

static da_history all, other, merged;

static da_message *numbered(unsigned n) {
  char id[32], wire[96];
  da_text id_text = {id, 0};
  da_message *m = NULL;
  memory_exempt++;
  id_text.len = (size_t)snprintf(id, sizeof id, "m-%u", n);
  snprintf(wire, sizeof wire, "{\"role\":\"%s\",\"content\":\"number %u\"}",
           n % 2 ? "assistant" : "user", n);
  CHECK_INT(da_message_new(&m, text(wire), &id_text, 1700000000 + n, &err),
            DA_OK);
  memory_exempt--;
  return m;
}

/* Messages from..to-1; 0 as soon as one is refused. */
static int append(da_history *h, unsigned from, unsigned to) {
  for (; from < to; from++)
    if (da_history_append(h, numbered(from)))
      return 0;
  return 1;
}

/* Whether its numbers are these, up to 0. */
static int numbers(const da_history *h, unsigned first, size_t count) {
  char id[32];
  if (h->len < count)
    return 0;
  for (size_t i = 0; i < count; i++) {
    snprintf(id, sizeof id, "m-%zu", first + i);
    if (!is(da_message_id(da_history_at(h, i)), id))
      return 0;
  }
  return 1;
}

static void histories_begin(void) {
  memset(&all, 0, sizeof all);
  memset(&other, 0, sizeof other);
  memset(&merged, 0, sizeof merged);
  append(&all, 0, 10);
}

/* Both go on from the same 10 messages. */
static void grow(void) {
  da_history_copy(&other, &all);
  append(&all, 10, 60);
  append(&other, 10, 60);
}

static void walk(const da_history *h) {
  da_history_iter it;
  size_t n = 0;
  da_history_begin(&it, h, 3);
  while (da_history_next(&it))
    n++;
  if (it.failed)
    CHECK(n == 0 && atomic_load(&memory_failed));
  else
    CHECK_INT(n, h->len - 3);
  da_history_end(&it);
}

static void grow_and_walk(void) {
  grow();
  walk(&all);
}

static void check_histories(void) {
  CHECK(numbers(&all, 0, all.len) && numbers(&other, 0, other.len));
  CHECK(append(&all, (unsigned)all.len, 60));
  CHECK(append(&other, (unsigned)other.len, 60));
  CHECK_INT(all.len, 60);
  CHECK_INT(other.len, 60);
  walk(&all);
}

static void histories_end(void) {
  da_history_dispose(&all);
  da_history_dispose(&other);
  da_history_dispose(&merged);
}

static void merge_begin(void) {
  histories_begin();
  da_history_copy(&other, &all);
  append(&all, 10, 40);
  append(&other, 100, 130);
}

static int merge(void) {
  da_history base = DA_HISTORY_EMPTY;
  int code;
  memory_exempt++;
  append(&base, 0, 10);
  memory_exempt--;
  code = da_history_merge(&merged, &base, &all, &other);
  da_history_dispose(&base);
  return code;
}

static void merge_act(void) {
  da_nomem(&err);
  if (!OK(merge()))
    CHECK_INT(merged.len, 0);
}

static void check_merge(void) {
  CHECK(all.len == 40 && other.len == 40);
  if (!merged.len)
    CHECK_INT(merge(), DA_OK);
  CHECK_INT(merged.len, 70);
  CHECK(numbers(&merged, 0, 10));
}

/* ---- documents ---- */

static char *bytes; /* what is read, from malloc */
static size_t bytes_len;
static da_buf meta;
static int built;

static void build(void) {
  da_document doc;
  int code = da_document_build(&doc, "id", text("{\"a\":1}"), &all, &err);
  built = OK(code);
  if (!built)
    return;
  memory_exempt++;
  bytes = malloc(doc.bytes + 1);
  bytes_len = 0;
  for (size_t i = 0; i < doc.count; i++) {
    memcpy(bytes + bytes_len, doc.pieces[i].data, doc.pieces[i].len);
    bytes_len += doc.pieces[i].len;
  }
  bytes[bytes_len] = '\0';
  memory_exempt--;
  da_document_dispose(&doc);
}

static void check_build(void) {
  if (!built)
    build();
  da_buf_init(&meta, CAP);
  CHECK_INT(da_document_parse(&other, &meta, "id", bytes, bytes_len, &err),
            DA_OK);
  CHECK(other.len == 10 && is(da_buf_text(&meta), "{\"a\":1}"));
  da_buf_dispose(&meta);
}

static void give(const char *document) {
  bytes_len = strlen(document);
  memory_exempt++;
  bytes = malloc(bytes_len + 1);
  memcpy(bytes, document, bytes_len + 1);
  memory_exempt--;
}

static void parse_begin(void) {
  memset(&all, 0, sizeof all);
  da_buf_init(&meta, CAP);
}

/* Laid out by hand, with a message without an id, and the Go peer's array. */
static const char by_hand[] =
    "{\"messages\": [{\"role\":\"user\",\"content\":\"Hi\"},\n"
    "    {\"id\":\"x\",\"created_at\":17.000,\"role\":\"assistant\"}],"
    "\"metadata\":{\"z\":0}}";
static const char of_go[] =
    "[{\"Role\":\"user\",\"Content\":\"Hi\",\"ToolCalls\":null,"
    "\"ToolCallID\":\"\"},{\"Role\":\"assistant\",\"Content\":\"\","
    "\"ToolCalls\":[{\"ID\":\"c1\",\"Type\":\"function\",\"Function\":"
    "{\"Name\":\"f\",\"Arguments\":\"{}\"}}]}]";

static void parse(const char *document) {
  if (all.len)
    return;
  give(document);
  if (!OK(da_document_parse(&all, &meta, "id", bytes, bytes_len, &err)))
    CHECK(all.len == 0);
  else
    CHECK_INT(all.len, 2);
}

static void parse_by_hand(void) {
  parse(by_hand);
}

static void check_by_hand(void) {
  da_buf_reset(&meta);
  parse_by_hand();
  CHECK(is(da_buf_text(&meta), "{\"z\":0}") || !meta.len);
}

static void parse_of_go(void) {
  parse(of_go);
}

static void parse_end(void) {
  da_history_dispose(&all);
  da_buf_dispose(&meta);
}

/* ---- what is stored beside the messages ---- */

static int merge_meta(void) {
  return da_meta_merge(
      &out, text("{\"usage\":{\"total_tokens\":1}}"),
      text("{\"usage\":{\"total_tokens\":4},\"shared\":1,\"n\\u0061me\":2}"),
      text("{\"usage\":{\"total_tokens\":5},\"shared\":3,\"name\":4}"));
}

static void meta_act(void) {
  da_nomem(&err);
  OK(merge_meta());
}

/* Others' members come once. */
static void check_meta(void) {
  const char *end;
  if (out.failed) {
    da_buf_reset(&out);
    CHECK_INT(merge_meta(), DA_OK);
  }
  end = strstr(out.data, ",\"shared\"");
  CHECK_STR(end, ",\"shared\":3,\"name\":4}");
  CHECK(strstr(out.data, "\"total_tokens\":8"));
}

/* ---- streams of events ---- */

static da_sse sse;
static char events[256];

static int note_event(void *ctx, const da_sse_event *e) {
  size_t n = strlen(events);
  (void)ctx;
  snprintf(events + n, sizeof events - n, "%.*s:%.*s;", (int)e->type.len,
           e->type.data, (int)e->data.len, e->data.data);
  return DA_OK;
}

static const char stream[] = "data: one\ndata: two\n\nevent: e\nid: 7\n"
                             "data: bad \xff here\n\ndata: last\n\n";
#define EVENTS "message:one\ntwo;e:bad \xef\xbf\xbd here;message:last;"

/* Three bytes at a time. */
static int feed(void) {
  int code = DA_OK;
  da_sse_init(&sse, CAP);
  events[0] = '\0';
  for (size_t at = 0; !code && at < sizeof stream - 1; at += 3) {
    size_t left = sizeof stream - 1 - at;
    code =
        da_sse_feed(&sse, stream + at, left < 3 ? left : 3, note_event, NULL);
  }
  if (!code)
    code = da_sse_finish(&sse, note_event, NULL);
  da_sse_dispose(&sse);
  return code;
}

/* Whole events or none, as far as it goes. */
static void sse_act(void) {
  da_nomem(&err);
  if (OK(feed()))
    CHECK_STR(events, EVENTS);
  else
    CHECK(strncmp(events, EVENTS, strlen(events)) == 0);
}

static void check_sse(void) {
  CHECK_INT(feed(), DA_OK);
  CHECK_STR(events, EVENTS);
}

/* ---- stores ---- */

static char dir[PATH_MAX];
static da_backend *backend;
static da_revision revision;
static int listed;

static int note_id(da_store_ids *ids, da_text id) {
  (void)ids, (void)id;
  listed++;
  return DA_OK;
}

static int count_ids(void) {
  da_store_ids ids = {note_id};
  listed = 0;
  return da_store_list(backend, &ids, &err);
}

static int save(const char *id, const da_history *h) {
  revision.text[0] = '\0';
  return da_store_save(backend, id, h, 0, text("{}"), NULL, &revision, &err);
}

static int load(const char *id, size_t *count) {
  da_stored s;
  int code;
  da_stored_init(&s);
  code = da_store_load(backend, id, &s, &err);
  *count = s.history.len;
  da_stored_dispose(&s);
  return code;
}

static void open_files(void) {
  const da_file_options options = {dir, 1, 0};
  da_store *s = NULL;
  CHECK_INT(da_store_file(&s, &options, &err), DA_OK);
  CHECK_INT(da_backend_new(&backend, s, &err), DA_OK);
}

static void file_begin(void) {
  histories_begin();
  open_files();
  CHECK_INT(save("old", &all), DA_OK);
  append(&all, 10, 12);
  da_backend_unref(backend); /* so that it opens its directory again */
  open_files();
}

static void memory_begin(void) {
  da_store *s = NULL;
  histories_begin();
  CHECK_INT(da_store_memory(&s, &err), DA_OK);
  CHECK_INT(da_backend_new(&backend, s, &err), DA_OK);
  CHECK_INT(save("old", &all), DA_OK);
  append(&all, 10, 12);
}

static void store_act(void) {
  size_t n;
  if (!OK(save("old", &all)))
    CHECK_INT(revision.text[0], 0);
  OK(save("new", &all));
  if (OK(load("old", &n)))
    CHECK(n == 10 || n == 12);
  OK(count_ids());
}

/* A session is the old or the new one, and what failed works now. */
static void check_store(void) {
  size_t n;
  int code;
  CHECK_INT(load("old", &n), DA_OK);
  CHECK(n == 10 || n == 12);
  code = load("new", &n);
  CHECK(code == DA_ENOTFOUND || (!code && n == 12));
  CHECK_INT(save("old", &all), DA_OK);
  CHECK_INT(save("new", &all), DA_OK);
  CHECK_INT(load("new", &n), DA_OK);
  CHECK_INT(n, 12);
  CHECK_INT(count_ids(), DA_OK);
  CHECK_INT(listed, 2);
}

static void store_end(void) {
  CHECK_INT(da_store_remove(backend, "old", &err), DA_OK);
  CHECK_INT(da_store_remove(backend, "new", &err), DA_OK);
  da_backend_unref(backend);
  CHECK_INT(kit_count(dir, ""), kit_exists(dir, ".lock"));
  histories_end();
}

static void remove_act(void) {
  OK(da_store_remove(backend, "old", &err));
}

/* It is gone, or it is there. */
static void check_remove(void) {
  size_t n;
  int code = load("old", &n);
  CHECK(code == DA_ENOTFOUND || (!code && n == 10));
  CHECK_INT(save("old", &all), DA_OK);
  CHECK_INT(save("new", &all), DA_OK);
}

/* Bytes that are no session. */
static void corrupt_begin(void) {
  file_begin();
  kit_write(dir, "old.json", "{\"messages\": [");
}

static int aside;

static void quarantine_act(void) {
  char kept[PATH_MAX] = "";
  size_t n;
  int code = load("old", &n);
  CHECK(code == DA_ECORRUPT || !OK(code));
  aside =
      OK(da_store_quarantine(backend, "old", NULL, kept, sizeof kept, &err));
}

/* The bytes are where they were, or aside. */
static void check_quarantine(void) {
  size_t n;
  CHECK_INT(load("old", &n), aside ? DA_ENOTFOUND : DA_ECORRUPT);
  CHECK_INT(kit_count(dir, "old.json.corrupt-"), aside);
  CHECK_INT(save("old", &all), DA_OK);
  CHECK_INT(save("new", &all), DA_OK);
}

static void quarantine_end(void) {
  const struct dirent *e;
  DIR *d = opendir(dir);
  while (d && (e = readdir(d)))
    if (strstr(e->d_name, ".corrupt-"))
      CHECK_INT(unlink(kit_path(dir, e->d_name)), 0);
  if (d)
    closedir(d);
  store_end();
}

/* ---- making stores ---- */

static da_store *fresh[3];

static void no_stores(void) {
  memset(fresh, 0, sizeof fresh);
}

/* A path that is relative, the user's home as the system has it, memory. */
static int make_store(int i) {
  const da_file_options relative = {"here", 1, 0}, home = {NULL, 1, 0};
  da_store *s = NULL;
  int code = i == 2 ? da_store_memory(&s, &err)
                    : da_store_file(&s, i ? &home : &relative, &err);
  fresh[i] = code ? NULL : s;
  return code;
}

static void stores_act(void) {
  unsetenv("HOME");
  unsetenv("DEEPAGENT_HOME");
  for (int i = 0; i < 3; i++)
    OK(make_store(i));
}

static void check_stores(void) {
  for (int i = 0; i < 3; i++)
    if (!fresh[i])
      CHECK_INT(make_store(i), DA_OK);
  for (int i = 0; i < 3; i++)
    kit_close(fresh[i]);
}

int main(void) {
  static const scene scenes[] = {
      {"JSON text", buf_begin, write_json, check_json, buf_end, 0},
      {"parts of content", buf_begin, parts_act, check_parts, buf_end, 0},
      {"messages", messages_begin, make_messages, check_messages, messages_end,
       0},
      {"histories", histories_begin, grow_and_walk, check_histories,
       histories_end, 0},
      {"two histories merged", merge_begin, merge_act, check_merge,
       histories_end, 0},
      {"a document written", histories_begin, build, check_build,
       histories_end, 0},
      {"a document read", parse_begin, parse_by_hand, check_by_hand, parse_end,
       0},
      {"the Go peer's document", parse_begin, parse_of_go, parse_of_go,
       parse_end, 0},
      {"metadata merged", buf_begin, meta_act, check_meta, buf_end, 0},
      {"a stream of events", memory_nothing, sse_act, check_sse,
       memory_nothing, 0},
      {"the file store", file_begin, store_act, check_store, store_end, 0},
      {"the memory store", memory_begin, store_act, check_store, store_end, 0},
      {"a file deleted", file_begin, remove_act, check_remove, store_end, 0},
      {"a corrupt file put aside", corrupt_begin, quarantine_act,
       check_quarantine, quarantine_end, 0},
      {"stores made", no_stores, stores_act, check_stores, memory_nothing, 0},
  };
  RUN(every_source_of_memory_is_made_to_fail);
  memory_leaves = kit_dir(dir);
  PLAY(scenes);
  kit_rm(dir);
  return check_done();
}
