/* test_document.c - sessions as documents: there and back, and by hand. */
#include "document_kit.h"

static const char meta[] = "{\"created_at\":1700000000.000,\"x\":[{},null]}";

/* ---- there and back ---- */

static void round_trip(unsigned n) {
  da_history h = DA_HISTORY_EMPTY;
  da_text doc, again;
  loaded l;
  kit_append(&h, 0, n);
  doc = kit_build("user-alice", meta, &h);
  CHECK_INT(da_json_check(doc, &err), DA_OK);
  CHECK(doc.data[doc.len - 1] == '\n');
  kit_load(&l, "user-alice", doc);
  CHECK_INT(l.code, DA_OK);
  CHECK(kit_same_history(&l.history, &h));
  CHECK(kit_is_text(da_buf_text(&l.meta), meta));
  again = kit_build("user-alice", meta, &l.history);
  CHECK(kit_same(again, doc));
  kit_free(again);
  kit_free(doc);
  da_history_dispose(&h);
  kit_unload(&l);
}

static void there_and_back(void) {
  round_trip(0);
  round_trip(1);
  round_trip(2);
  round_trip(17);
  round_trip(1000);
  round_trip(10000);
}

/* Loaded, continued, stored: as if it had never been anywhere. */
static void continued(void) {
  static const unsigned sizes[] = {0, 1, 2, 17, 1000};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    for (unsigned more = 1; more <= 3; more++) {
      da_history fresh = DA_HISTORY_EMPTY, first = DA_HISTORY_EMPTY;
      da_text a, b, c;
      loaded l;
      kit_append(&first, 0, sizes[i]);
      kit_append(&fresh, 0, sizes[i] + more);
      a = kit_build("id", meta, &first);
      kit_load(&l, "id", a);
      kit_append(&l.history, sizes[i], more);
      b = kit_build("id", meta, &l.history);
      c = kit_build("id", meta, &fresh);
      CHECK(kit_same(b, c));
      CHECK_INT(kit_code("id", b), DA_OK);
      kit_free(a);
      kit_free(b);
      kit_free(c);
      kit_unload(&l);
      da_history_dispose(&first);
      da_history_dispose(&fresh);
    }
}

/* What was loaded is written from where it lies, in one piece. */
static void few_pieces(void) {
  da_history h = DA_HISTORY_EMPTY;
  da_document doc;
  da_text bytes;
  loaded l;
  kit_append(&h, 0, 1000);
  bytes = kit_build("id", meta, &h);
  kit_load(&l, "id", bytes);
  CHECK_INT(da_document_build(&doc, "id", kit_text_of(meta), &l.history, &err),
            DA_OK);
  CHECK(doc.count <= 6);
  da_document_dispose(&doc);
  kit_append(&l.history, 1000, 2);
  CHECK_INT(da_document_build(&doc, "id", kit_text_of(meta), &l.history, &err),
            DA_OK);
  CHECK(doc.count <= 10);
  da_document_dispose(&doc);
  kit_unload(&l);
  kit_free(bytes);
  da_history_dispose(&h);
}

static void looks(void) {
  static const char head[] =
      "{\n  \"version\": 1,\n  \"id\": \"a\\\"b\",\n  \"metadata\": {},\n"
      "  \"messages\": [\n    {\"id\":\"m1\",\"created_at\":1.500,"
      "\"role\":\"user\"}\n  ],\n";
  da_history h = DA_HISTORY_EMPTY;
  da_text doc, id = {"m1", 2};
  da_message *m;
  char sum[64];
  CHECK_INT(
      da_message_new(&m, kit_text_of("{\"role\":\"user\"}"), &id, 1.5, &err),
      DA_OK);
  CHECK_INT(da_history_append(&h, m), DA_OK);
  doc = kit_build("a\"b", "{}", &h);
  CHECK(kit_begins(doc, head));
  snprintf(sum, sizeof sum, "  \"checksum\": \"%zu:", sizeof head - 1);
  CHECK(kit_begins(
      (da_text){doc.data + sizeof head - 1, doc.len - sizeof head + 1}, sum));
  CHECK_INT(doc.len, sizeof head - 1 + strlen(sum) + 16 + 4);
  CHECK_STR(doc.data + doc.len - 4, "\"\n}\n");
  CHECK_INT(kit_code("a\"b", doc), DA_OK);
  kit_free(doc);
  da_history_dispose(&h);
}

/* Exact texts, as in test_message.c, through a document. */
static void exact(void) {
  static const char *const wires[] = {
      ("{\"role\":\"user\",\"content\":\"a\\u0000b\\ud83d\",\"n\":[1e400,-0.0,"
       "9007199254740993,18446744073709551616,5e-324,0.10]}"),
      "{\"role\":\"tool\",\"content\":{},\"x\":[],\"y\":null,\"z\":[{},{}]}",
      "{\"id\":\"theirs\",\"created_at\":\"then\",\"role\":\"root\"}",
      "{\"role\":\"user\",\"messages\":[],\"checksum\":\"0:0\",\"version\":9}",
      "{\"role\":\"user\",\"content\":\"],\\n  \\\"checksum\\\": \\\"\"}"};
  da_history h = DA_HISTORY_EMPTY;
  da_message *m;
  da_text doc;
  loaded l;
  for (size_t i = 0; i < 5; i++) {
    CHECK_INT(da_message_new(&m, kit_text_of(wires[i]), NULL, -1, &err),
              DA_OK);
    CHECK_INT(da_history_append(&h, m), DA_OK);
  }
  doc = kit_build("id", meta, &h);
  kit_load(&l, "id", doc);
  CHECK(kit_same_history(&l.history, &h));
  for (size_t i = 0; i < 5 && i < l.history.len; i++)
    CHECK(kit_is_text(da_message_tail(da_history_at(&l.history, i)),
                      wires[i] + 1));
  kit_unload(&l);
  kit_free(doc);
  da_history_dispose(&h);
}

/* ---- edited by hand ---- */

static int loads(const char *text, size_t messages) {
  loaded l;
  int ok;
  kit_load(&l, "id", kit_text_of(text));
  ok = l.code == DA_OK && l.history.len == messages;
  if (!ok)
    fprintf(stderr, "%s: %s\n", text, l.code ? err.message : "other count");
  kit_unload(&l);
  return ok;
}

#define SUM "\"checksum\":\"999:0123456789abcdef\""
#define MESSAGE "{\"role\":\"user\",\"content\":\"x\"}"

static void by_hand(void) {
  CHECK(loads("{\"messages\":[]}", 0));
  CHECK(loads("{\"messages\":[" MESSAGE "]}", 1));
  CHECK(loads(" {\"messages\" : [ " MESSAGE " , " MESSAGE " ] } \n", 2));
  CHECK(loads("{\"messages\":[" MESSAGE "],\"id\":\"id\",\"version\":1}", 1));
  CHECK(loads("{\"unknown\":{\"messages\":5},\"messages\":[]}", 0));
  CHECK(loads("{\"messages\":[" MESSAGE "]," SUM "}", 1));
  CHECK(loads("{" SUM ",\"messages\":[" MESSAGE "]}", 1));
  CHECK(loads("{\"\\u0069d\":\"\\u0069d\",\"m\\u0065ssages\":[]}", 0));
  CHECK(loads("[]", 0));
  CHECK(loads("[" MESSAGE "]", 1));
  CHECK(loads("\r\n[\r\n\t" MESSAGE " ,\r\n" MESSAGE "\r\n]\r\n", 2));
}

/* A part of a document is replaced: of another length that is an edit, of
** the same one a fault of the storage, unless the checksum goes as well. */
static da_text edited(da_text doc, const char *from, const char *to) {
  const char *at = memmem(doc.data, doc.len, from, strlen(from));
  size_t before = at ? (size_t)(at - doc.data) : 0;
  char *bytes = malloc(doc.len + strlen(to) + 1);
  da_text out = {bytes, before + strlen(to)};
  CHECK(at != NULL);
  memcpy(bytes, doc.data, before);
  memcpy(bytes + before, to, strlen(to));
  memcpy(bytes + out.len, doc.data + before + strlen(from),
         doc.len - before - strlen(from));
  out.len += doc.len - before - strlen(from);
  return out;
}

static void edits(void) {
  static const struct {
    const char *from, *to;
    int code;
  } t[] = {{"and so on", "and so on and on", DA_OK},
           {"and so on", "", DA_OK},
           {"and so on", "And so on", DA_ECORRUPT},
           {"\"role\":\"user\"", "\"role\":\"tool\"", DA_ECORRUPT},
           {"\"role\":\"user\"", "\"role\": \"user\"", DA_OK},
           {"\"metadata\": {", "\"metadata\": {\"title\":\"T\",", DA_OK},
           {"1700000000.000", "1700000000.001", DA_ECORRUPT},
           {"  \"version\": 1,\n", "", DA_OK},
           {"  \"id\": \"id\",\n", "", DA_OK},
           {"\n  \"messages\"", "\r\n  \"messages\"", DA_OK}};
  da_history h = DA_HISTORY_EMPTY;
  da_text doc;
  kit_append(&h, 0, 3);
  doc = kit_build("id", meta, &h);
  for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
    da_text changed = edited(doc, t[i].from, t[i].to);
    if (kit_code("id", changed) != t[i].code) {
      fprintf(stderr, "%s: %s\n", t[i].to, err.message);
      CHECK(0 && "as it should");
    }
    kit_free(changed);
  }
  kit_free(doc);
  da_history_dispose(&h);
}

/* Without its last line: an edit may then keep the length. */
static void edit_without_checksum(void) {
  da_history h = DA_HISTORY_EMPTY;
  da_text doc, changed;
  const char *sum;
  loaded l;
  kit_append(&h, 0, 3);
  doc = kit_build("id", meta, &h);
  changed = edited(doc, "and so on", "AND SO ON");
  sum = memmem(changed.data, changed.len, ",\n  \"checksum\"", 14);
  changed.len = (size_t)(sum - changed.data) + 2;
  memcpy((char *)(uintptr_t)sum, "\n}", 2);
  kit_load(&l, "id", changed);
  CHECK_INT(l.code, DA_OK);
  CHECK_INT(l.history.len, 3);
  kit_unload(&l);
  kit_free(changed);
  kit_free(doc);
  da_history_dispose(&h);
}

/* A conversation that was laid out by hand is stored as ours are. */
static void laid_out_anew(void) {
  static const char text[] =
      "{ \"messages\" : [\n"
      "  { \"id\" : \"a\", \"role\" : \"user\",\n    \"content\" : \"x\" },\n"
      "  {\"id\":\"b\",\"created_at\":5,\"role\":\"assistant\",\"n\":1.50} ,"
      "\n    {\"id\":\"c\",\"created_at\":5,\"role\":\"user\"}\n  ]\n}\n";
  da_text doc;
  loaded l, again;
  kit_load(&l, "id", kit_text_of(text));
  CHECK_INT(l.code, DA_OK);
  CHECK_INT(l.history.len, 3);
  doc = kit_build("id", "{}", &l.history);
  CHECK(kit_has(doc, "[\n    {\"id\":\"a\",\"created_at\":"));
  CHECK(kit_has(doc, "},\n    {\"id\":\"b\",\"created_at\":5,\"role\":"
                     "\"assistant\",\"n\":1.50},\n    {\"id\":\"c\","
                     "\"created_at\":5,\"role\":\"user\"}\n  ],\n"));
  kit_load(&again, "id", doc);
  CHECK(kit_same_history(&l.history, &again.history));
  kit_unload(&again);
  kit_unload(&l);
  kit_free(doc);
}

/* ---- the Go peer ---- */

static int go(const char *text, const char *want_tail) {
  loaded l;
  int ok;
  kit_load(&l, "id", kit_text_of(text));
  ok = l.code == DA_OK && l.history.len == 1 &&
       kit_is_text(da_message_tail(da_history_at(&l.history, 0)), want_tail);
  if (!ok)
    fprintf(stderr, "%s\n  %s%.*s\n", text, err.message,
            l.history.len
                ? (int)da_message_tail(da_history_at(&l.history, 0)).len
                : 0,
            l.history.len ? da_message_tail(da_history_at(&l.history, 0)).data
                          : "");
  kit_unload(&l);
  return ok;
}

#define GO(role, rest) "[{\"Role\":\"" role "\"" rest "}]"

static void go_peer(void) {
  CHECK(go(
      GO("user", ",\"Content\":\"Hi\",\"ToolCalls\":null,\"ToolCallID\":\"\""),
      "\"role\":\"user\",\"content\":\"Hi\"}"));
  CHECK(go("[\n  {\n    \"Role\": \"user\",\n    \"Content\": \"a\\u0000\"\n"
           "  }\n]",
           "\"role\":\"user\",\"content\":\"a\\u0000\"}"));
  CHECK(go(GO("tool", ",\"Content\":\"4\",\"ToolCalls\":[],\"ToolCallID\":"
                      "\"call_1\",\"Name\":\"add\""),
           "\"role\":\"tool\",\"content\":\"4\",\"tool_call_id\":\"call_1\","
           "\"name\":\"add\"}"));
  CHECK(go(GO("assistant",
              ",\"Content\":\"\",\"ToolCalls\":[{\"ID\":\"call_1\",\"Type\":"
              "\"function\",\"Function\":{\"Name\":\"add\",\"Arguments\":"
              "\"{\\\"a\\\":1}\"}}]"),
           "\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"type\":"
           "\"function\",\"id\":\"call_1\",\"function\":{\"name\":\"add\","
           "\"arguments\":\"{\\\"a\\\":1}\"}}]}"));
  CHECK(go(GO("assistant", ",\"ToolCalls\":[{\"ID\":\"c\",\"Name\":\"add\","
                           "\"Arguments\":{\"a\":[1]}},5,null]"),
           "\"role\":\"assistant\",\"tool_calls\":[{\"type\":\"function\","
           "\"id\":\"c\",\"function\":{\"name\":\"add\",\"arguments\":"
           "\"{\\\"a\\\":[1]}\"}},{\"type\":\"function\",\"id\":\"\","
           "\"function\":{\"name\":\"\",\"arguments\":\"\"}},{\"type\":"
           "\"function\",\"id\":\"\",\"function\":{\"name\":\"\","
           "\"arguments\":\"\"}}]}"));
}

static void go_peer_refused(void) {
  CHECK_INT(kit_code_s("id", "[{\"Content\":\"x\"}]"), DA_ECORRUPT);
  CHECK_INT(kit_code_s("id", "[{\"Role\":5}]"), DA_ECORRUPT);
  CHECK_INT(kit_code_s("id", "[{\"Role\":null}]"), DA_ECORRUPT);
  CHECK_INT(kit_code_s("id", "[null]"), DA_ECORRUPT);
  CHECK_INT(kit_code_s("id", "[\"x\"]"), DA_ECORRUPT);
  CHECK_INT(kit_code_s("id", "[[]]"), DA_ECORRUPT);
  CHECK_INT(kit_code_s("id", "[{\"Role\":\"user\"}"), DA_ECORRUPT);
  CHECK_INT(kit_code_s("id", "[{\"Role\":\"user\"}]]"), DA_ECORRUPT);
}

int main(void) {
  RUN(there_and_back);
  RUN(continued);
  RUN(few_pieces);
  RUN(looks);
  RUN(exact);
  RUN(by_hand);
  RUN(edits);
  RUN(edit_without_checksum);
  RUN(laid_out_anew);
  RUN(go_peer);
  RUN(go_peer_refused);
  return check_done();
}
