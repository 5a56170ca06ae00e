/* test_chat_calls.c - calls of tools, as services send them, whole and in
** pieces. No network. */
#include "chat_stream.h"

#include "chat_kit.h"

/* An id that was made, as in "call_1k86s087vf5gm0k4rkbs". */
#define MADE "call_@"

/* Puts MADE in the place of made ids, and counts them. */
static int hide_made(da_buf *b) {
  static const char front[] = "call_";
  char *at = b->data;
  int n = 0;
  while (at && (at = strstr(at, front)) != NULL) {
    size_t len = strspn(at + 5, "0123456789abcdefghijklmnopqrstuv");
    char *end = at + 5 + len;
    if (len == DA_MESSAGE_ID_SIZE) {
      at[5] = '@';
      memmove(at + 6, end, strlen(end) + 1);
      b->len -= len - 1;
      n++;
    }
    at++;
  }
  return n;
}

static void check_calls(outcome *o, const char *calls, size_t count) {
  da_text value = {"", 0};
  if (o->code != DA_OK)
    fprintf(stderr, "%s\n", o->err.message);
  CHECK_INT(o->code, DA_OK);
  CHECK_INT(o->a.calls, count);
  hide_made(&o->a.message);
  CHECK_INT(da_json_check(da_buf_text(&o->a.message), NULL), DA_OK);
  da_json_get(da_buf_text(&o->a.message), "tool_calls", &value);
  if (value.len != strlen(calls) || memcmp(value.data, calls, value.len) != 0)
    fprintf(stderr, "got  %.*s\nwant %s\n", (int)value.len, value.data, calls);
  CHECK(value.len == strlen(calls) &&
        memcmp(value.data, calls, value.len) == 0);
}

/* ---- in pieces ---- */

static void run(outcome *o, const char *body, size_t at) {
  chat_stream s;
  da_text first = {body, at}, rest = text(body + at);
  begin(o);
  chat_stream_init(&s, &reply, &o->a, NULL, NULL, CAP);
  o->code = chat_stream_feed(&s, first, &o->err);
  if (o->code == DA_OK)
    o->code = chat_stream_feed(&s, rest, &o->err);
  if (o->code == DA_OK)
    o->code = chat_stream_finish(&s, &o->err);
  chat_stream_dispose(&s);
}

/* Whatever the split of the bytes. */
static void streamed(const char *body, const char *calls, size_t count) {
  size_t len = strlen(body);
  for (size_t at = 0; at <= len && !check_failed_here; at += 7) {
    outcome o;
    run(&o, body, at);
    check_calls(&o, calls, count);
    if (check_failed_here)
      fprintf(stderr, "split at %zu of %s\n", at, body);
    dispose(&o);
  }
}

#define DELTA(d) "data: {\"choices\":[{\"delta\":" d "}]}\n\n"
#define CALLS(c) DELTA("{\"tool_calls\":[" c "]}")
#define END(why)                                                              \
  "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"" why "\"}]}\n\n"
#define DONE END("tool_calls") "data: [DONE]\n\n"

/* A call as a message has it. */
#define CALL(id, name, args)                                                  \
  "{\"id\":\"" id "\",\"type\":\"function\",\"function\":{\"name\":\"" name   \
  "\",\"arguments\":\"" args "\"}}"
#define F1 CALL("c1", "f", "{\\\"a\\\":1}")
#define G2 CALL("c2", "g", "{\\\"b\\\":2}")

/* Pieces: with an index, an id, a name, arguments. */
#define ARGS(s) "\"function\":{\"arguments\":\"" s "\"}"
#define BOTH(n, s) "\"function\":{\"name\":\"" n "\",\"arguments\":\"" s "\"}"
#define I(n) "\"index\":" n ","
#define ID(s) "\"id\":\"" s "\","

static void by_index(void) {
  streamed(CALLS("{" I("0") ID("c1") BOTH("f", "") "}")
               CALLS("{" I("0") ARGS("{\\\"a") "}")
                   CALLS("{" I("0") ARGS("\\\":1}") "}") DONE,
           "[" F1 "]", 1);
  streamed(CALLS("{" I("0") ID("c1") BOTH("f", "") "}")
               CALLS("{" I("1") ID("c2") BOTH("g", "{") "}")
                   CALLS("{" I("0") ARGS("{") "}")
                       CALLS("{" I("1") ARGS("\\\"b\\\":2}") "},{" I("0")
                                 ARGS("\\\"a\\\":1}") "}") DONE,
           "[" F1 "," G2 "]", 2);
  /* What is no index is none; what is a strange one is one. */
  streamed(CALLS("{" I("7") ID("c1") BOTH("f", "{\\\"a\\\":1}") "}")
               CALLS("{" I("-1") ID("c2") BOTH("g", "{\\\"b\\\"") "}")
                   CALLS("{" I("-1.0") ARGS(":2}") "}") DONE,
           "[" F1 "," G2 "]", 2);
  streamed(
      CALLS("{" I("9007199254740993") ID("c1") BOTH("f", "{\\\"a\\\":") "}")
          CALLS("{" I("9007199254740992") ID("c2")
                    BOTH("g", "{\\\"b\\\":2}") "}")
              CALLS("{" I("9007199254740993") ARGS("1}") "}") DONE,
      "[" F1 "," G2 "]", 2);
}

static void by_id(void) {
  /* no index */
  streamed(CALLS("{" ID("c1") BOTH("f", "{\\\"a\\\":1}") "}")
               CALLS("{" ID("c2") BOTH("g", "{\\\"b\\\":2}") "}") DONE,
           "[" F1 "," G2 "]", 2);
  streamed(CALLS("{" ID("c1") BOTH("f", "") "},{" ID("c2") BOTH("g", "") "}")
               CALLS("{" ID("c1") ARGS("{\\\"a\\\":1}") "}")
                   CALLS("{" ID("c2") ARGS("{\\\"b\\\":2}") "}") DONE,
           "[" F1 "," G2 "]", 2);
  streamed(CALLS("{" ID("c1") BOTH("f", "") "}")
               CALLS("{" ARGS("{\\\"a\\\"") "}") CALLS("{" ARGS(":1}") "}")
                   CALLS("{" ID("c2") BOTH("g", "{\\\"b\\\"") "}")
                       CALLS("{" ARGS(":2}") "}") DONE,
           "[" F1 "," G2 "]", 2);
  /* always zero */
  streamed(CALLS("{" I("0") ID("c1") BOTH("f", "") "}")
               CALLS("{" I("0") ARGS("{\\\"a\\\":1}") "}")
                   CALLS("{" I("0") ID("c2") BOTH("g", "") "}")
                       CALLS("{" I("0") ARGS("{\\\"b\\\":2}") "}") DONE,
           "[" F1 "," G2 "]", 2);
  streamed(CALLS("{" I("0") ID("c1") BOTH("f", "") "},{" I("0") ID("c2")
                     BOTH("g", "") "}")
               CALLS("{" I("0") ID("c1") ARGS("{\\\"a\\\":1}") "},{" I("0")
                         ID("c2") ARGS("{\\\"b\\\":2}") "}") DONE,
           "[" F1 "," G2 "]", 2);
  /* repeated, with the name too; also escaped otherwise */
  streamed(CALLS("{" I("0") ID("c1") BOTH("f", "{\\\"a\\\"") "}")
               CALLS("{" I("0") ID("c1") BOTH("f", ":1}") "}") DONE,
           "[" F1 "]", 1);
  streamed(CALLS("{" ID("c1") BOTH("f", "{\\\"a\\\"") "}")
               CALLS("{" ID("\\u00631") BOTH("\\u0066", ":1}") "}") DONE,
           "[" F1 "]", 1);
  /* the whole call once more at the end */
  streamed(CALLS("{" ID("c1") BOTH("f", "{\\\"a\\\":") "}")
               CALLS("{" ID("c1") ARGS("1}") "}")
                   CALLS("{" ID("c1") BOTH("f", "{\\\"a\\\":1}") "}") DONE,
           "[" F1 "]", 1);
  /* another id for each piece, or one that comes late */
  streamed(CALLS("{" I("0") ID("c1") BOTH("f", "{\\\"a\\\"") "}")
               CALLS("{" I("0") ID("c9") ARGS(":1}") "}") DONE,
           "[" F1 "]", 1);
  streamed(CALLS("{" I("0") BOTH("f", "") "}")
               CALLS("{" I("0") ID("c1") ARGS("{\\\"a\\\":1}") "}") DONE,
           "[" F1 "]", 1);
}

/* Nothing but names tells them apart. */
static void by_name(void) {
  streamed(CALLS("{" BOTH("f", "{\\\"a\\\":1}") "}")
               CALLS("{" BOTH("f", "{\\\"a\\\":1}") "}")
                   CALLS("{" I("0") ID("") BOTH("g", "") "}") DONE,
           "[" CALL(MADE, "f", "{\\\"a\\\":1}") "," CALL(
               MADE, "f", "{\\\"a\\\":1}") "," CALL(MADE, "g", "{}") "]",
           3);
  streamed(CALLS("{" I("0") BOTH("f", "") "},{" I("0") BOTH("g", "") "}")
               CALLS("{" I("0") ARGS("{\\\"b\\\":2}") "}") DONE,
           "[" CALL(MADE, "f", "{}") "," CALL(MADE, "g", "{\\\"b\\\":2}") "]",
           2);
  streamed(CALLS("{" I("0") BOTH("f", "{\\\"a\\\":1}") "}")
               CALLS("{" I("0") BOTH("g", "{\\\"b\\\"") "}")
                   CALLS("{" I("0") BOTH("g", ":2}") "}") DONE,
           "[" CALL(MADE, "f", "{\\\"a\\\":1}") "," CALL(MADE, "g",
                                                         "{\\\"b\\\":2}") "]",
           2);
  streamed(CALLS("{" I("0") ID("c1") BOTH("get_", "") "}")
               CALLS("{" I("0") BOTH("weather", "{}") "}") DONE,
           "[" CALL("c1", "get_weather", "{}") "]", 1);
  streamed(CALLS("{" I("0") ID("c1") BOTH("weather", "") "}")
               CALLS("{" I("0") BOTH("_at", "{}") "}") DONE,
           "[" CALL("c1", "weather_at", "{}") "]", 1);
  streamed(CALLS("{" I("0") ID("c1") BOTH("f", "{") "}") CALLS(
               "{" I("0") "\"function\":{\"name\":null,\"arguments\":\"}\"}}")
               CALLS("{" I("0") "\"id\":null,\"type\":null,\"function\":"
                                "null}") DONE,
           "[" CALL("c1", "f", "{}") "]", 1);
}

static void ids_are_made(void) {
  outcome o;
  streamed(CALLS("{" I("0") BOTH("f", "{}") "}") DONE,
           "[" CALL(MADE, "f", "{}") "]", 1);
  streamed(CALLS("{" I("0") ID("") BOTH("f", "{}") "}") DONE,
           "[" CALL(MADE, "f", "{}") "]", 1);
  streamed(CALLS("{" I("0") "\"id\":7," BOTH("f", "{}") "}") DONE,
           "[" CALL(MADE, "f", "{}") "]", 1);
  /* two calls with one id */
  streamed(CALLS("{" I("0") ID("c1") BOTH("f", "{\\\"a\\\":1}") "},{" I("1")
                     ID("c1") BOTH("g", "{\\\"b\\\":2}") "}") DONE,
           "[" F1 "," CALL(MADE, "g", "{\\\"b\\\":2}") "]", 2);
  streamed(CALLS("{" ID("c1") BOTH("f", "{\\\"a\\\":1}") "}")
               CALLS("{" ID("c1") BOTH("g", "{\\\"b\\\":2}") "}") DONE,
           "[" F1 "," CALL(MADE, "g", "{\\\"b\\\":2}") "]", 2);
  streamed(CALLS("{" I("0") ID("c1") BOTH("f", "") "}")
               CALLS("{" I("1") ID("c1") BOTH("f", "") "}")
                   CALLS("{" I("0") ARGS("{\\\"a\\\":1}") "}") DONE,
           "[" F1 "," CALL(MADE, "f", "{}") "]", 2);
  /* none is like another */
  run(&o, CALLS("{" BOTH("f", "{}") "},{" BOTH("f", "{}") "}") DONE, 0);
  CHECK_INT(o.a.calls, 2);
  CHECK_INT(chat_calls_are_plain(text("[]"), &o.a.calls), 1);
  da_text calls = {"", 0};
  da_json_get(da_buf_text(&o.a.message), "tool_calls", &calls);
  CHECK_INT(chat_calls_are_plain(calls, &o.a.calls), 1);
  CHECK_INT(o.a.calls, 2);
  dispose(&o);
}

static void arguments(void) {
  /* an object, also in the place of what came before */
  streamed(CALLS("{" ID("c1") "\"function\":{\"name\":\"f\",\"arguments\":{ "
                              "\"a\" : 1 }}}") DONE,
           "[" F1 "]", 1);
  streamed(CALLS("{" ID("c1") BOTH("f", "") "}")
               CALLS("{" ID("c1") "\"function\":{\"arguments\":{\"a\":1}}}")
                   DONE,
           "[" F1 "]", 1);
  /* nothing */
  streamed(CALLS("{" ID("c1") "\"function\":{\"name\":\"f\"}}") DONE,
           "[" CALL("c1", "f", "{}") "]", 1);
  streamed(CALLS("{" ID("c1") "\"function\":{\"name\":\"f\",\"arguments\":"
                              "null}}") DONE,
           "[" CALL("c1", "f", "{}") "]", 1);
  streamed(CALLS("{" ID("c1") BOTH("f", " \\n") "}") DONE,
           "[" CALL("c1", "f", "{}") "]", 1);
  /* what is wrong is for the model to hear of */
  streamed(CALLS("{" ID("c1") BOTH("f", "{\\\"a\\\":}") "}") DONE,
           "[" CALL("c1", "f", "{\\\"a\\\":}") "]", 1);
  streamed(CALLS("{" ID("c1") "\"function\":{\"name\":\"f\",\"arguments\":"
                              "[1]}}") DONE,
           "[" CALL("c1", "f", "[1]") "]", 1);
  /* escapes that are cut, of both levels */
  streamed(CALLS("{" ID("c1") BOTH("f", "{\\\"a\\\":\\\"\\\\u00") "}")
               CALLS("{" ARGS("e9\\\\") "}") CALLS("{" ARGS("n\\\"}") "}")
                   DONE,
           "[" CALL("c1", "f", "{\\\"a\\\":\\\"\\\\u00e9\\\\n\\\"}") "]", 1);
  streamed(CALLS("{" ID("c1") BOTH("f", "{\\\"\\ud83d") "}")
               CALLS("{" ARGS("\\ude00\\\":1}") "}") DONE,
           "[" CALL("c1", "f", "{\\\"\xF0\x9F\x98\x80\\\":1}") "]", 1);
  streamed(CALLS("{" ID("c1") BOTH("f", "{\\ud83d") "}") DONE,
           "[" CALL("c1", "f", "{\xEF\xBF\xBD") "]", 1);
  /* braces in strings do not end them */
  streamed(CALLS("{" BOTH("f", "{\\\"}") "}")
               CALLS("{" BOTH("f", "{\\\":1}") "}") DONE,
           "[" CALL(MADE, "f", "{\\\"}{\\\":1}") "]", 1);
  streamed(CALLS("{" BOTH("f", "{\\\"}\\\\\\\"}") "}")
               CALLS("{" BOTH("f", "{\\\":1}") "}") DONE,
           "[" CALL(MADE, "f", "{\\\"}\\\\\\\"}{\\\":1}") "]", 1);
}

/* An answer that was cut: what did not come is not nothing. */
static void cut_off(void) {
  outcome o;
  streamed(CALLS("{" ID("c1") BOTH("f", "{\\\"a\\\":") "}") END("length"),
           "[" CALL("c1", "f", "{\\\"a\\\":") "]", 1);
  streamed(CALLS("{" ID("c1") BOTH("f", "") "}") END("length"),
           "[" CALL("c1", "f", "") "]", 1);
  streamed(CALLS("{" ID("c1") BOTH("f", "") "}") END("content_filter"),
           "[" CALL("c1", "f", "") "]", 1);
  streamed(CALLS("{" ID("c1") BOTH("f", "") "}") END("stop"),
           "[" CALL("c1", "f", "{}") "]", 1);
  run(&o, CALLS("{" ID("c1") BOTH("f", "{}") "}"), 0);
  CHECK_INT(o.code, DA_ETRUNCATED);
  CHECK_INT(o.a.calls, 0);
  CHECK_INT(o.a.message.len, 0);
  dispose(&o);
}

/* What is not known here goes back as it came. */
static void unknown_members(void) {
  streamed(CALLS("{" I("0") ID("c1") BOTH(
               "f", "{}") ",\"extra_content\":"
                          "{\"google\":{\"thought_signature\":\"a\\/b\" }}}")
               CALLS("{" I("0") "\"x\":null,\"function\":{\"y\":[1]}}")
                   CALLS("{" I("0") "\"n\":1}") CALLS("{" I("0") "\"n\":2}")
                       DONE,
           "[{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\""
           ",\"arguments\":\"{}\",\"y\":[1]},\"extra_content\":{\"google\":"
           "{\"thought_signature\":\"a\\/b\"}},\"n\":2}]",
           1);
  streamed(CALLS("{" I("0") ID("c1") "\"type\":\"custom\",\"custom\":{"
                                     "\"name\":\"f\",\"input\":\"x\"}}") DONE,
           "[{\"id\":\"c1\",\"type\":\"custom\",\"custom\":{\"name\":\"f\","
           "\"input\":\"x\"}}]",
           1);
}

static void what_is_none(void) {
  streamed(DELTA("{\"content\":\"x\",\"tool_calls\":[]}")
               DELTA("{\"tool_calls\":null}")
                   DELTA("{\"tool_calls\":\"f\",\"function_call\":[]}")
                       CALLS("null,7,{},{\"function\":{}}") END("stop"),
           "", 0);
  streamed(DELTA("{\"tool_calls\":{" ID("c1") BOTH("f", "{}") "}}") DONE,
           "[" CALL("c1", "f", "{}") "]", 1);
}

static void the_former_way(void) {
  streamed(DELTA("{\"function_call\":{\"name\":\"f\",\"arguments\":\"{\"}}")
               DELTA("{\"function_call\":{\"arguments\":\"}\"}}")
                   END("function_call"),
           "[" CALL(MADE, "f", "{}") "]", 1);
  streamed(DELTA("{\"content\":\"x\",\"function_call\":{\"name\":\"\","
                 "\"arguments\":\"\"}}") END("stop"),
           "", 0);
  streamed(DELTA("{\"function_call\":{\"name\":\"f\",\"arguments\":\"{}\"},"
                 "\"tool_calls\":[{" ID("c1") BOTH("f", "{}") "}]}") DONE,
           "[" CALL("c1", "f", "{}") "]", 1);
}

/* The message has a text beside its calls, or null. */
static void messages(void) {
  outcome o;
  run(&o,
      DELTA("{\"content\":\"I will\",\"reasoning_content\":\"hm\"}")
          CALLS("{" ID("c1") BOTH("f", "{}") "}") DONE,
      0);
  CHECK_STR(o.a.message.data,
            SAYS("\"content\":\"I will\",\"reasoning_content\":\"hm\","
                 "\"tool_calls\":[" CALL("c1", "f", "{}") "]"));
  CHECK_STR(o.a.text.data, "I will");
  dispose(&o);
  run(&o,
      DELTA("{\"content\":\"\"}") CALLS("{" ID("c1") BOTH("f", "{}") "}") DONE,
      0);
  CHECK_STR(o.a.message.data, SAYS("\"content\":null,\"tool_calls\":[" CALL(
                                  "c1", "f", "{}") "]"));
  CHECK_INT(o.a.text.len, 0);
  dispose(&o);
}

/* ---- whole ---- */

#define MESSAGE(m, why)                                                       \
  "{\"choices\":[{\"finish_reason\":\"" why "\",\"message\":" m "}]}"

static void read_whole(outcome *o, const char *body) {
  begin(o);
  o->code = chat_read_answer(&reply, text(body), &o->a, &o->err);
}

static void check_message(const char *message, const char *want,
                          size_t count) {
  char body[2048];
  outcome o;
  snprintf(body, sizeof body, MESSAGE("%s", "stop"), message);
  read_whole(&o, body);
  CHECK_INT(o.code, DA_OK);
  CHECK_INT(o.a.calls, count);
  hide_made(&o.a.message);
  CHECK_STR(da_buf_text(&o.a.message).data, want);
  dispose(&o);
}

static void kept(const char *message, size_t count) {
  check_message(message, message, count);
}

static void whole_to_the_byte(void) {
  kept(SAYS("\"content\":null , \"tool_calls\":[" F1 ", " G2 " ], \"x\":1"),
       2);
  kept(SAYS("\"content\":\"\",\"tool_calls\":[{\"index\":0,\"function\":{"
            "\"arguments\":\"{ }\",\"name\":\"f\"},\"extra_content\":{},"
            "\"type\":\"function\",\"id\":\"c1\"}],\"function_call\":null"),
       1);
  kept(SAYS("\"content\":null,\"tool_calls\":[{\"id\":\"c1\",\"type\":"
            "\"custom\",\"custom\":{\"name\":\"f\",\"input\":\"\"}}]"),
       1);
  kept(SAYS("\"content\":\"x\",\"tool_calls\":[],\"function_call\":{\"name\":"
            "\"\"}"),
       0);
  kept(SAYS("\"content\":\"x\",\"tool_calls\":null"), 0);
}

static void whole_made_anew(void) {
  check_message(
      SAYS("\"content\":null,\"tool_calls\":[{\"function\":{\"name\":\"f\"}}],"
           "\"x\":{ }"),
      SAYS("\"content\":null,\"x\":{ },\"tool_calls\":[" CALL(MADE, "f",
                                                              "{}") "]"),
      1);
  check_message(
      SAYS("\"content\":\"I\",\"tool_calls\":[{\"id\":\"c1\",\"x\":[ 1 ],"
           "\"function\":{\"name\":\"f\",\"arguments\":{ \"a\":1 }}},"
           "{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\","
           "\"arguments\":\"{}\"}}]"),
      SAYS("\"content\":\"I\",\"tool_calls\":[{\"id\":\"c1\",\"type\":"
           "\"function\",\"function\":{\"name\":\"f\",\"arguments\":"
           "\"{\\\"a\\\":1}\"},\"x\":[1]}," CALL(MADE, "f", "{}") "]"),
      2);
  check_message(
      SAYS("\"content\":null,\"function_call\":{\"name\":\"f\","
           "\"arguments\":\"{}\"}"),
      SAYS("\"content\":null,\"tool_calls\":[" CALL(MADE, "f", "{}") "]"), 1);
  check_message(SAYS("\"content\":\"x\",\"tool_calls\":[{}]"),
                SAYS("\"content\":\"x\""), 0);
  check_message("{\"role\":\"user\",\"content\":null,\"tool_calls\":[" F1 "]}",
                SAYS("\"content\":null,\"tool_calls\":[" F1 "]"), 1);
  check_message(
      SAYS("\"content\":null,\"tool_calls\":[{\"id\":\"\\u0063\","
           "\"type\":\"function\",\"function\":{\"name\":\"f\","
           "\"arguments\":\"{}\"}}]"),
      SAYS("\"content\":null,\"tool_calls\":[" CALL("c", "f", "{}") "]"), 1);
  check_message(/* an id twice */
                SAYS("\"content\":null,\"tool_calls\":[" F1
                     "," CALL("c1", "g", "{}") "]"),
                SAYS("\"content\":null,\"tool_calls\":[" F1
                     "," CALL(MADE, "g", "{}") "]"),
                2);
  check_message(
      SAYS("\"content\":null,\"tool_calls\":[{\"id\":\"c1\",\"type\":"
           "\"function\",\"function\":{\"name\":\"f\"}}]"),
      SAYS("\"content\":null,\"tool_calls\":[" CALL("c1", "f", "{}") "]"), 1);
  check_message(SAYS("\"content\":null,\"tool_calls\":" F1),
                SAYS("\"content\":null,\"tool_calls\":[" F1 "]"), 1);
  check_message(SAYS("\"content\":null,\"tool_calls\":[{}," F1 "]"),
                SAYS("\"content\":null,\"tool_calls\":[" F1 "]"), 1);
}

static void whole_ends(void) {
  outcome o;
  read_whole(&o, MESSAGE(SAYS("\"content\":null"), "tool_calls"));
  CHECK_INT(o.code, DA_EPROTOCOL);
  dispose(&o);
  read_whole(&o, MESSAGE(SAYS("\"content\":\"x\""), "tool_calls"));
  CHECK_INT(o.code, DA_OK);
  dispose(&o);
  read_whole(&o, MESSAGE(SAYS("\"content\":null,\"tool_calls\":[" CALL(
                             "c1", "f", "") "]"),
                         "length"));
  check_calls(&o, "[" CALL("c1", "f", "") "]", 1);
  dispose(&o);
  read_whole(&o, MESSAGE(SAYS("\"content\":null,\"refusal\":\"no\""), "stop"));
  CHECK_INT(o.a.refused, 1);
  CHECK_STR(o.a.text.data, "no");
  dispose(&o);
}

/* ---- limits ---- */

static void put_calls(da_buf *b, int n, const char *between) {
  for (int i = 0; i < n; i++)
    da_buf_printf(b,
                  "%s{\"id\":\"c%d\",\"type\":\"function\",\"function\":"
                  "{\"name\":\"f\",\"arguments\":\"{}\"}}",
                  i ? between : "", i);
}

static void run_many(outcome *o, int n, int whole) {
  da_buf body;
  da_buf_init(&body, CAP);
  da_buf_puts(&body, whole ? "{\"choices\":[{\"message\":{\"tool_calls\":["
                           : "data: {\"choices\":[{\"delta\":{"
                             "\"tool_calls\":[");
  put_calls(&body, n, ",");
  da_buf_puts(&body, whole ? "]}}]}" : "]}}]}\n\n" DONE);
  if (whole)
    read_whole(o, body.data);
  else
    run(o, body.data, 0);
  da_buf_dispose(&body);
}

static void many(void) {
  for (int whole = 0; whole < 2; whole++) {
    outcome o;
    run_many(&o, CHAT_CALLS_MAX, whole);
    CHECK_INT(o.code, DA_OK);
    CHECK_INT(o.a.calls, CHAT_CALLS_MAX);
    dispose(&o);
    run_many(&o, CHAT_CALLS_MAX + 1, whole);
    CHECK_INT(o.code, DA_ETOOLLIMIT);
    CHECK_STR(o.err.message, "the answer has more than 128 calls of tools");
    CHECK_STR(o.err.request_id, "req_1");
    CHECK_INT(o.err.retryable, 0);
    dispose(&o);
  }
}

/* All of them together count, not one by one. */
static void large(void) {
  static const char body[] =
      CALLS("{" ID("c1") BOTH("f", "{\\\"0123456789\\\":1}") "}")
          CALLS("{" ID("c2") BOTH("f", "{\\\"0123456789\\\":2}") "}") DONE;
  chat_stream s;
  outcome o;
  begin(&o);
  da_answer_limit(&o.a, 30);
  chat_stream_init(&s, &reply, &o.a, NULL, NULL, CAP);
  CHECK_INT(chat_stream_feed(&s, text(body), &o.err), DA_ETOOLARGE);
  CHECK_STR(o.err.message, "the answer's calls of tools are larger than 30 "
                           "bytes");
  chat_stream_dispose(&s);
  dispose(&o);
}

static void many_members(void) {
  outcome o;
  da_buf body;
  da_buf_init(&body, CAP);
  da_buf_puts(&body, "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{");
  for (int i = 0; i < 33; i++)
    da_buf_printf(&body, "\"m%d\":1,", i);
  da_buf_puts(&body, "\"id\":\"c\"}]}}]}\n\n" DONE);
  run(&o, body.data, 0);
  CHECK_INT(o.code, DA_EPROTOCOL);
  dispose(&o);
  da_buf_dispose(&body);
}

int main(void) {
  RUN(by_index);
  RUN(by_id);
  RUN(by_name);
  RUN(ids_are_made);
  RUN(arguments);
  RUN(cut_off);
  RUN(unknown_members);
  RUN(what_is_none);
  RUN(the_former_way);
  RUN(messages);
  RUN(whole_to_the_byte);
  RUN(whole_made_anew);
  RUN(whole_ends);
  RUN(many);
  RUN(large);
  RUN(many_members);
  return check_done();
}
