/* test_message.c - messages: their text to the byte, ids, what is refused. */
#include "da_message.h"

#include "check.h"
#include "da_clock.h"
#include "text_kit.h"

static da_err err;

static da_message *new_message(const char *wire) {
  da_message *m = NULL;
  da_text t = kit_exact(kit_text_of(wire));
  CHECK_INT(da_message_new(&m, t, NULL, -1, &err), DA_OK);
  kit_free(t);
  return m;
}

static da_message *parse(da_text line) {
  da_message *m = NULL;
  da_text t = kit_exact(line);
  CHECK_INT(da_message_parse(&m, t, &err), DA_OK);
  kit_free(t);
  return m;
}

static int content_is(const da_message *m, const char *want, size_t len) {
  da_buf b;
  int same;
  da_buf_init(&b, KIT_CAP);
  same = da_message_content(m, &b) == DA_OK &&
         kit_same(da_buf_text(&b), (da_text){want, len});
  da_buf_dispose(&b);
  return same;
}

#define CONTENT(m, want) CHECK(content_is(m, want, sizeof(want) - 1))

/* A loaded line is the same message, whole. */
static void check_loads_as_it_was(const da_message *m) {
  da_message *again = parse(da_message_json(m));
  CHECK(kit_same(da_message_json(again), da_message_json(m)));
  CHECK(kit_same(da_message_tail(again), da_message_tail(m)));
  CHECK(kit_same(da_message_id(again), da_message_id(m)));
  CHECK(da_message_created_at(again) == da_message_created_at(m));
  CHECK_INT(da_message_role(again), da_message_role(m));
  CHECK(da_message_hash(again) == da_message_hash(m));
  da_message_unref(again);
}

/* ---- making ---- */

static void from_text(void) {
  static const char text[] = "Hi \"you\"\n\\ \0 \xf0\x9f\x98\x80";
  double before = da_wall();
  da_message *m = NULL;
  CHECK_INT(
      da_message_text(&m, "user", (da_text){text, sizeof text - 1}, &err),
      DA_OK);
  CHECK(kit_is_text(da_message_tail(m),
                    "\"role\":\"user\",\"content\":\"Hi \\\"you\\\"\\n\\\\ "
                    "\\u0000 \xf0\x9f\x98\x80\"}"));
  CHECK(content_is(m, text, sizeof text - 1));
  CHECK_INT(da_message_role(m), DA_ROLE_USER);
  CHECK_INT(da_message_id(m).len, DA_MESSAGE_ID_SIZE);
  CHECK(da_message_created_at(m) >= before - 0.002 &&
        da_message_created_at(m) <= da_wall() + 0.002);
  CHECK_INT(da_json_check(da_message_json(m), &err), DA_OK);
  CHECK_INT(da_message_framed(m), 1);
  CHECK(memcmp(da_message_json(m).data - DA_FRAME_BEFORE, "    {\"id\":\"",
               DA_FRAME_BEFORE + 7) == 0);
  CHECK(memcmp(da_message_json(m).data + da_message_json(m).len, ",\n",
               DA_FRAME_AFTER) == 0);
  check_loads_as_it_was(m);
  da_message_unref(m);
  CHECK_INT(da_message_text(&m, "user", kit_text_of(""), &err), DA_OK);
  CONTENT(m, "");
  da_message_unref(m);
}

static void id_and_time_are_kept(void) {
  da_text id = kit_text_of("msg-1_A.~");
  da_message *m = NULL;
  CHECK_INT(da_message_new(&m, kit_text_of("{\"role\":\"user\"}"), &id,
                           1700000000.123, &err),
            DA_OK);
  CHECK(kit_is_text(da_message_json(m),
                    "{\"id\":\"msg-1_A.~\",\"created_at\":1700000000.123,"
                    "\"role\":\"user\"}"));
  CHECK(kit_is_text(da_message_id(m), "msg-1_A.~"));
  CHECK(da_message_created_at(m) == 1700000000.123);
  check_loads_as_it_was(m);
  da_message_unref(m);
}

static int compare_ids(const void *a, const void *b) {
  return memcmp(a, b, DA_MESSAGE_ID_SIZE);
}

/* Ids differ and sort by time. */
static void ids(void) {
  enum { N = 2000 };
  static char seen[N][DA_MESSAGE_ID_SIZE];
  da_message *m;
  for (int i = 0; i < N; i++) {
    CHECK_INT(da_message_new(&m, kit_text_of("{\"role\":\"user\"}"), NULL,
                             1700000000 + (double)i * 0.001, &err),
              DA_OK);
    memcpy(seen[i], da_message_id(m).data, DA_MESSAGE_ID_SIZE);
    for (int k = 0; k < DA_MESSAGE_ID_SIZE; k++)
      CHECK(strchr("0123456789abcdefghijklmnopqrstuv", seen[i][k]) != NULL);
    CHECK(i == 0 || memcmp(seen[i - 1], seen[i], DA_MESSAGE_ID_SIZE) < 0);
    da_message_unref(m);
  }
  for (int i = 0; i < N; i++) { /* at the same time: chance tells them apart */
    CHECK_INT(da_message_new(&m, kit_text_of("{\"role\":\"user\"}"), NULL,
                             1700000000, &err),
              DA_OK);
    memcpy(seen[i], da_message_id(m).data, DA_MESSAGE_ID_SIZE);
    da_message_unref(m);
  }
  qsort(seen, N, DA_MESSAGE_ID_SIZE, compare_ids);
  for (int i = 1; i < N; i++)
    CHECK(memcmp(seen[i - 1], seen[i], DA_MESSAGE_ID_SIZE) != 0);
}

/* ---- exactness ---- */

static const char *const wires[] = {
    "{\"role\":\"user\",\"content\":\"a\\u0000b\"}",
    "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[]}",
    "{\"role\":\"assistant\",\"content\":{},\"x\":[{},[],null]}",
    "{\"role\":\"tool\",\"content\":[],\"n\":9007199254740993}",
    "{\"role\":\"user\",\"n\":[-0.0,-0,0.10,1e400,1E+5,1.0,5e-324]}",
    "{\"role\":\"user\",\"content\":\"\\ud83d\",\"y\":\"\\ude00\\/\\u0041\"}",
    "{\"role\":\"user\",\"weird\\u0020key\":true,\"role2\":\"\\u00e4\"}",
    "{\"role\":\"user\",\"a\":1,\"a\":2,\"content\":\"x\",\"content\":\"y\"}",
    "{\"content\":\"first\",\"role\":\"user\"}",
    "{\"role\":\"\\u0075ser\",\"content\":\"same role\"}",
    "{\"role\":\"user\", \"content\" : [ 1 , 2 ] , \"z\" : { } }",
    "{\"role\":\"user\",\"id\":\"chatcmpl-1\",\"created_at\":17}",
    "{\"id\":\"chatcmpl-1\",\"created_at\":17,\"role\":\"user\"}",
    "{\"id\":5,\"role\":\"user\",\"created_at\":\"2024\"}",
    "{\"id\":null,\"created_at\":null,\"role\":\"user\"}",
    "{\"id\":[],\"created_at\":{},\"role\":\"user\"}",
    "{\"id\":{\"id\":\"x\"},\"created_at\":true,\"role\":\"user\"}",
    "{\"id\":\"\",\"created_at\":-1,\"role\":\"user\"}",
    "{\"id\":\"\\u0061\",\"created_at\":1e400,\"role\":\"user\"}",
    ("{\"id\":\"a\",\"id\":\"b\",\"created_at\":1,\"created_at\":2,"
     "\"role\":\"user\"}")};

static void wire_is_kept(void) {
  for (size_t i = 0; i < sizeof wires / sizeof *wires; i++) {
    da_message *m = new_message(wires[i]);
    if (!m)
      continue;
    if (!kit_is_text(da_message_tail(m), wires[i] + 1)) {
      fprintf(stderr, "%s\n", wires[i]);
      CHECK(0 && "kept");
    }
    CHECK_INT(da_message_id(m).len, DA_MESSAGE_ID_SIZE);
    CHECK(da_message_created_at(m) > 1.6e9);
    CHECK_INT(da_json_check(da_message_json(m), &err), DA_OK);
    check_loads_as_it_was(m);
    da_message_unref(m);
  }
}

/* A message is one line: where a service laid it out over several, the
** blanks between its tokens go, and nothing else. */
static void one_line(void) {
  da_message *m = new_message("{\"role\":\"user\",\n\t\"content\": [ \"a  b"
                              "\\n\\\\\" , { \"\\\" \" : -0.0 } ]\r\n}");
  CHECK(
      kit_is_text(da_message_tail(m),
                  "\"role\":\"user\",\"content\":[\"a  b\\n\\\\\",{\"\\\" \":"
                  "-0.0}]}"));
  check_loads_as_it_was(m);
  da_message_unref(m);
}

/* A message that is parsed, not made, has its own id and time taken over
** where they are such, wherever they stand; nothing else moves. */
static int parsed_tail(const char *line, const char *id, const char *tail) {
  da_message *m = parse(kit_text_of(line));
  int ok = m && kit_is_text(da_message_tail(m), tail);
  if (!ok && m)
    fprintf(stderr, "%.*s\n", (int)da_message_json(m).len,
            da_message_json(m).data);
  if (ok && id)
    ok = kit_is_text(da_message_id(m), id);
  else if (ok)
    ok = da_message_id(m).len == DA_MESSAGE_ID_SIZE;
  if (m)
    check_loads_as_it_was(m);
  da_message_unref(m);
  return ok;
}

static void parsed_lines(void) {
  CHECK(parsed_tail("{\"id\":\"a\",\"created_at\":5,\"role\":\"user\"}", "a",
                    "\"role\":\"user\"}"));
  CHECK(parsed_tail("{\"role\":\"user\"}", NULL, "\"role\":\"user\"}"));
  CHECK(parsed_tail(" {\"role\":\"user\",\"id\":\"a\"} ", "a",
                    "\"role\":\"user\"}"));
  CHECK(parsed_tail("{\"created_at\":5,\"id\":\"a\",\"role\":\"user\"}", "a",
                    "\"role\":\"user\"}"));
  CHECK(parsed_tail("{\"role\":\"user\",\"id\":7}", NULL,
                    "\"role\":\"user\",\"id\":7}"));
  CHECK(parsed_tail("{\"role\":\"user\",\"id\":\"a\\nb\"}", NULL,
                    "\"role\":\"user\",\"id\":\"a\\nb\"}"));
  CHECK(parsed_tail("{\"id\":\"a\",\"id\":\"b\",\"role\":\"user\"}", "a",
                    "\"id\":\"b\",\"role\":\"user\"}"));
  CHECK(parsed_tail("{ \"id\" : \"a\" , \"role\" : \"user\" , \"n\" : 1.50 }",
                    "a", "\"role\" : \"user\",\"n\" : 1.50}"));
  CHECK(parsed_tail("{\"id\":\"a\",\"created_at\":5,\"role\":\"user\",\"id\":"
                    "\"b\",\"created_at\":6}",
                    "a", "\"role\":\"user\",\"id\":\"b\",\"created_at\":6}"));
}

#define USAGE "\"usage\":{\"total_tokens\":7}"

/* The tokens of an answer are the third member of ours: never of the wire. */
static void usages(void) {
  da_message *m = NULL;
  CHECK_INT(da_message_answer(
                &m, kit_text_of("{\"role\":\"assistant\",\"content\":\"\"}"),
                kit_text_of("{ \"total_tokens\" : 7 }"), &err),
            DA_OK);
  CHECK(kit_is_text(da_message_tail(m),
                    "\"role\":\"assistant\",\"content\":\"\"}"));
  CHECK(kit_is_text(da_message_usage(m), "{\"total_tokens\":7}"));
  CHECK(da_message_created_at(m) > 1.6e9);
  check_loads_as_it_was(m);
  da_message_unref(m);
  CHECK_INT(da_message_answer(&m, kit_text_of("{\"role\":\"assistant\"}"),
                              kit_text_of(""), &err),
            DA_OK);
  CHECK_INT(da_message_usage(m).len, 0);
  da_message_unref(m);
  CHECK(parsed_tail("{\"id\":\"a\",\"created_at\":5," USAGE
                    ",\"role\":\"user\"}",
                    "a", "\"role\":\"user\"}"));
  CHECK(parsed_tail("{\"role\":\"user\"," USAGE ",\"n\":1}", NULL,
                    "\"role\":\"user\",\"n\":1}"));
  CHECK(parsed_tail("{\"id\":\"a\"," USAGE ",\"created_at\":5,\"role\":"
                    "\"user\"," USAGE "}",
                    "a", "\"role\":\"user\"," USAGE "}"));
  m = parse(kit_text_of("{\"role\":\"user\", \"usage\" : { \"x\" : 1 } }"));
  CHECK(kit_is_text(da_message_usage(m), "{\"x\":1}"));
  da_message_unref(m);
  /* what is no object, or stands elsewhere in a line of ours, is not ours */
  CHECK(parsed_tail("{\"id\":\"a\",\"created_at\":5,\"usage\":7,\"role\":"
                    "\"user\"}",
                    "a", "\"usage\":7,\"role\":\"user\"}"));
  CHECK(parsed_tail("{\"id\":\"a\",\"created_at\":5,\"role\":\"user\"," USAGE
                    "}",
                    "a", "\"role\":\"user\"," USAGE "}"));
}

static void times(void) {
  static const char *const lines[] = {
      "{\"created_at\":-5,\"role\":\"user\"}",
      "{\"created_at\":1e999,\"role\":\"user\"}",
      "{\"created_at\":1e11,\"role\":\"user\"}"};
  da_message *m = parse(
      kit_text_of("{\"id\":\"a\",\"created_at\":12.5,\"role\":\"user\"}"));
  CHECK(da_message_created_at(m) == 12.5);
  da_message_unref(m);
  m = parse(kit_text_of("{\"role\":\"user\",\"created_at\":1700000000.5}"));
  CHECK(da_message_created_at(m) == 1700000000.5);
  da_message_unref(m);
  for (size_t i = 0; i < 3; i++) { /* none: it is given the present */
    m = parse(kit_text_of(lines[i]));
    CHECK(da_message_created_at(m) > 1.6e9 && da_message_created_at(m) < 1e11);
    da_message_unref(m);
  }
}

static void times_in_a_locale(void) {
  da_text id = kit_text_of("a");
  da_message *m = NULL;
  CHECK_INT(
      da_message_new(&m, kit_text_of("{\"role\":\"user\"}"), &id, 12.5, &err),
      DA_OK);
  CHECK(kit_is_text(da_message_json(m),
                    "{\"id\":\"a\",\"created_at\":12.500,\"role\":\"user\"}"));
  CHECK(da_message_created_at(m) == 12.5);
  da_message_unref(m);
}

/* ---- content and role ---- */

static void contents(void) {
  static const struct {
    const char *wire, *want;
  } t[] = {
      {"{\"role\":\"user\",\"content\":\"a\\u00e4\"}", "a\xc3\xa4"},
      {"{\"role\":\"user\",\"content\":null}", ""},
      {"{\"role\":\"user\"}", ""},
      {"{\"role\":\"user\",\"content\":5}", ""},
      {"{\"role\":\"user\",\"content\":{\"text\":\"x\"}}", ""},
      {"{\"role\":\"user\",\"content\":[]}", ""},
      {"{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},"
       "{\"type\":\"image_url\",\"image_url\":{\"url\":\"x\"}},null,5,\"z\","
       "{\"text\":7},{\"type\":\"text\",\"text\":\"b\"}]}",
       "ab"},
      {"{\"role\":\"user\",\"content\":\"\\ud83d\\ude00\\ud83d\"}",
       "\xf0\x9f\x98\x80\xef\xbf\xbd"}};
  for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
    da_message *m = new_message(t[i].wire);
    CHECK(content_is(m, t[i].want, strlen(t[i].want)));
    da_message_unref(m);
  }
}

static void roles(void) {
  static const struct {
    const char *wire;
    da_role role;
  } t[] = {{"{\"role\":\"user\"}", DA_ROLE_USER},
           {"{\"role\":\"system\"}", DA_ROLE_SYSTEM},
           {"{\"role\":\"assistant\"}", DA_ROLE_ASSISTANT},
           {"{\"role\":\"tool\"}", DA_ROLE_TOOL},
           {"{\"role\":\"developer\"}", DA_ROLE_OTHER},
           {"{\"role\":\"root\"}", DA_ROLE_OTHER},
           {"{\"role\":\"\"}", DA_ROLE_OTHER},
           {"{\"role\":\"System\"}", DA_ROLE_OTHER},
           {"{\"role\":\"system \"}", DA_ROLE_OTHER},
           {"{\"role\":\"system\\u0000\"}", DA_ROLE_OTHER},
           {"{\"role\":\"s\\u0079stem\"}", DA_ROLE_SYSTEM},
           {"{\"role\":\"user\",\"role\":\"tool\"}", DA_ROLE_TOOL}};
  for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
    da_message *m = new_message(t[i].wire);
    CHECK_INT(da_message_role(m), t[i].role);
    da_message_unref(m);
  }
}

/* ---- sizes, refusals, threads ---- */

static void a_megabyte(void) {
  size_t len = (size_t)1 << 20;
  char *text = malloc(len);
  uint64_t seed = 5;
  da_message *m = NULL;
  for (size_t i = 0; i < len; i++)
    text[i] = (char)kit_below(&seed, 0x80);
  CHECK_INT(da_message_text(&m, "user", (da_text){text, len}, &err), DA_OK);
  CHECK(content_is(m, text, len));
  check_loads_as_it_was(m);
  da_message_unref(m);
  free(text);
}

static void refused(void) {
  static const struct {
    const char *wire;
    int code;
  } t[] = {{"", DA_EINVAL},
           {"[]", DA_EINVAL},
           {"null", DA_EINVAL},
           {"\"x\"", DA_EINVAL},
           {"{}", DA_EINVAL},
           {"{\"content\":\"x\"}", DA_EINVAL},
           {"{\"role\":5}", DA_EINVAL},
           {"{\"role\":null}", DA_EINVAL},
           {"{\"Role\":\"user\"}", DA_EINVAL},
           {"{\"role\":\"user\"", DA_EJSON},
           {"{\"role\":\"user\"}}", DA_EJSON},
           {"{\"role\":\"user\"}x", DA_EJSON},
           {"{\"role\":\"user\",}", DA_EJSON},
           {"{\"role\":\"user\",\"x\":01}", DA_EJSON},
           {"{\"role\":\"user\",\"x\":\"\xff\"}", DA_EJSON},
           {"\xef\xbb\xbf{\"role\":\"user\"}", DA_EINVAL}};
  for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
    da_message *m = NULL;
    da_text wire = kit_exact(kit_text_of(t[i].wire));
    int code = da_message_new(&m, wire, NULL, -1, &err);
    if (code == DA_OK)
      da_message_unref(m);
    if (code != t[i].code)
      fprintf(stderr, "%s\n", t[i].wire);
    CHECK_INT(code, t[i].code);
    CHECK_INT(err.code, code);
    CHECK_INT(da_message_parse(&m, wire, &err), t[i].code);
    kit_free(wire);
  }
}

static void bad_arguments(void) {
  static const char *const bad_ids[] = {"",     "a b",  "a\"b",
                                        "a\\b", "a\nb", "\xc3\xa4"};
  char long_id[257];
  da_message *m;
  da_text wire = kit_text_of("{\"role\":\"user\"}"), id;
  for (size_t i = 0; i < sizeof bad_ids / sizeof *bad_ids; i++) {
    id = kit_exact(kit_text_of(bad_ids[i]));
    CHECK_INT(da_message_new(&m, wire, &id, -1, &err), DA_EINVAL);
    kit_free(id);
  }
  memset(long_id, 'x', sizeof long_id);
  id = (da_text){long_id, 256};
  CHECK_INT(da_message_new(&m, wire, &id, -1, &err), DA_EINVAL);
  id.len = 255;
  CHECK_INT(da_message_new(&m, wire, &id, -1, &err), DA_OK);
  CHECK(kit_same(da_message_id(m), id));
  check_loads_as_it_was(m);
  da_message_unref(m);
  CHECK_INT(da_message_text(&m, "user", kit_text_of("\xff"), &err), DA_EUTF8);
  CHECK_INT(da_message_text(&m, "user", kit_text_of("\xed\xa0\x80"), &err),
            DA_EUTF8);
}

/* What is no object of ours on any account, cut at each byte. */
static void every_cut(void) {
  static const char line[] =
      "{\"id\":\"0abc\",\"created_at\":1700000000.123,\"role\":\"user\","
      "\"content\":\"x\\u00e4\xc3\xa4\",\"n\":[1,{\"a\":null}]}";
  for (size_t n = 0; n < sizeof line - 1; n++) {
    da_message *m = NULL;
    da_text t = kit_exact((da_text){line, n});
    CHECK(da_message_parse(&m, t, &err) < 0);
    CHECK(da_message_new(&m, t, NULL, -1, &err) < 0);
    kit_free(t);
  }
}

static void references(void) {
  da_message *m = new_message("{\"role\":\"user\"}");
  CHECK(da_message_ref(m) == m);
  da_message_unref(m);
  CHECK(kit_is_text(da_message_tail(m), "\"role\":\"user\"}"));
  da_message_unref(m);
  da_message_unref(NULL);
}

int main(void) {
  RUN(from_text);
  RUN(id_and_time_are_kept);
  RUN(ids);
  RUN(wire_is_kept);
  RUN(one_line);
  RUN(parsed_lines);
  RUN(usages);
  RUN(times);
  RUN(contents);
  RUN(roles);
  RUN(a_megabyte);
  RUN(refused);
  RUN(bad_arguments);
  RUN(every_cut);
  RUN(references);
  if (kit_locale(","))
    RUN(times_in_a_locale);
  else
    SKIP("times_in_a_locale", "localedef cannot make such a locale");
  kit_locale_end();
  return check_done();
}
