/* test_chat_stream.c - streams of the chat-completions protocol, at every
** split of the bytes. No network. */
#include "chat_stream.h"

#include "chat_kit.h"

/* ---- streams ---- */

static int add_delta(void *ctx, da_text delta, da_err *err) {
  outcome *o = ctx;
  (void)err;
  CHECK(delta.len > 0);
  return da_buf_put(&o->deltas, delta.data, delta.len);
}

static chat_reply limited = {&head, secret, 1, 0};
static size_t largest_event = CAP, largest_message = CAP;

/* Runs `body` through a stream, cut in two at `at`. */
static void run_stream(outcome *o, const char *body, size_t at) {
  chat_stream s;
  da_text first = {body, at}, rest = text(body + at);
  begin(o);
  da_answer_limit(&o->a, largest_message);
  chat_stream_init(&s, &limited, &o->a, add_delta, o, largest_event);
  o->code = chat_stream_feed(&s, first, &o->err);
  if (o->code == DA_OK)
    o->code = chat_stream_feed(&s, rest, &o->err);
  if (o->code == DA_OK)
    o->code = chat_stream_finish(&s, &o->err);
  chat_stream_dispose(&s);
}

static void check_stream(const char *body, const char *want_text,
                         const char *want_message) {
  size_t len = strlen(body);
  for (size_t at = 0; at <= len && !check_failed_here; at++) {
    outcome o;
    run_stream(&o, body, at);
    CHECK_INT(o.code, DA_OK);
    CHECK_STR(da_buf_text(&o.a.text).data, want_text);
    CHECK_STR(da_buf_text(&o.deltas).data, want_text);
    CHECK_STR(da_buf_text(&o.a.message).data, want_message);
    if (check_failed_here)
      fprintf(stderr, "split at %zu of %s: %s\n", at, body, o.err.message);
    dispose(&o);
  }
}

/* Checks how a stream ends whatever its split, and what was heard of it. */
static void check_failure(const char *body, int code, const char *message,
                          const char *heard) {
  size_t len = strlen(body);
  for (size_t at = 0; at <= len && !check_failed_here; at++) {
    outcome o;
    run_stream(&o, body, at);
    CHECK_INT(o.code, code);
    CHECK_INT(o.err.code, code);
    CHECK_INT(o.err.status, 200);
    CHECK_INT(o.err.retryable, 0);
    CHECK_STR(o.err.request_id, "req_1");
    CHECK_STR(o.err.message, message);
    CHECK_STR(da_buf_text(&o.deltas).data, heard);
    if (check_failed_here)
      fprintf(stderr, "split at %zu of %s: %s\n", at, body, o.err.message);
    dispose(&o);
  }
}

#define CHUNK(delta) "data: {\"choices\":[{\"delta\":{" delta "}}]}\n\n"
#define SAY(s) CHUNK("\"content\":\"" s "\"")
#define STOP                                                                  \
  "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":"          \
  "\"stop\"}]}\n\n"
#define DONE "data: [DONE]\n\n"

static void streamed_texts(void) {
  check_stream(SAY("Hel") SAY("lo \xE2\x9C\x93") STOP DONE,
               "Hello \xE2\x9C\x93",
               SAYS("\"content\":\"Hello "
                    "\xE2\x9C\x93\""));
  check_stream(SAY("a") STOP, "a", SAYS("\"content\":\"a\""));
  check_stream("data: {\"choices\":[{\"native_finish_reason\":{\"delta\":1},"
               "\"delta\":{\"content\":\"a\"}}]}\n\n" DONE,
               "a", SAYS("\"content\":\"a\""));
  check_stream(SAY("a") "data: [DONE]", "a", SAYS("\"content\":\"a\""));
  check_stream(SAY("a") DONE "data: nonsense\n\n" SAY("b"), "a",
               SAYS("\"content\":\"a\""));
  check_stream(SAY("a") STOP "data: {\"cut", "a", SAYS("\"content\":\"a\""));
  check_stream(SAY("") STOP DONE, "", SAYS("\"content\":\"\""));
  check_stream(CHUNK("\"role\":\"system\",\"content\":\"x\\n\\\"\"") DONE,
               "x\n\"", SAYS("\"content\":\"x\\n\\\"\""));
  check_stream("data: {\ndata: \"choices\":[{\"delta\":\ndata:{\"content\":"
               "[{\"type\":\"text\",\"text\":\"a\"}]}}]}\n\n" DONE,
               "a", SAYS("\"content\":\"a\""));
}

static void streamed_surrogates(void) {
  check_stream(SAY("\\ud83d") SAY("\\ude00") DONE, "\xF0\x9F\x98\x80",
               SAYS("\"content\":\"\xF0\x9F\x98\x80\""));
  check_stream(SAY("a\\ud83d") SAY("b") DONE,
               "a\xEF\xBF\xBD"
               "b",
               SAYS("\"content\":\"a\xEF\xBF\xBD"
                    "b\""));
  check_stream(SAY("a\\ud83d") DONE, "a\xEF\xBF\xBD",
               SAYS("\"content\":\"a\xEF\xBF\xBD\""));
}

static void streamed_extras(void) {
  check_stream("data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"B\""
               "}},{\"index\":0,\"delta\":{\"content\":\"A\"}}]}\n\n"
               "data: {\"choices\":null}\n\ndata: []\n\ndata: null\n\n"
               "data: {}\n\n: ping\n\ndata:\n\nevent: ping\ndata: {}\n\n" DONE,
               "A", SAYS("\"content\":\"A\""));
  check_stream(CHUNK("\"reasoning_content\":\"hm\",\"content\":null")
                   CHUNK("\"reasoning\":\"\\ud83d\"")
                       CHUNK("\"reasoning\":\"\\ude00\"") SAY("a") DONE,
               "a",
               SAYS("\"content\":\"a\",\"reasoning_content\":\"hm\","
                    "\"reasoning\":\"\xF0\x9F\x98\x80\""));
  check_stream(CHUNK("\"content\":null,\"refusal\":\"I \"")
                   CHUNK("\"refusal\":\"won't\"") STOP DONE,
               "I won't", SAYS("\"content\":null,\"refusal\":\"I won't\""));
  check_stream("data: {\"choices\":[{\"delta\":{\"content\":\"A\","
               "\"c\\u006fntent\":\"B\"}}]}\n\n" DONE,
               "B", SAYS("\"content\":\"B\""));
  check_stream(
      "data: {\"choices\":[{\"logprobs\":{\"content\":\"X\"},\"delta\":"
      "{\"content\":\"A\",\"x\":[]}}],\"content\":\"Y\"}\n\n" DONE,
      "A", SAYS("\"content\":\"A\""));
  /* The first answer only, and what is none is passed over. */
  check_stream("data: {\"choices\":[7,{\"delta\":{\"content\":\"A\"}},"
               "{\"delta\":{\"content\":\"B\"}},{\"index\":0.5,\"delta\":"
               "{\"content\":\"C\"}}]}\n\n" DONE,
               "A", SAYS("\"content\":\"A\""));
  check_stream("data:   \ndata:  {\"choices\":[{\"delta\":{\"content\":\"A\"}"
               "}]} \ndata: \n\ndata:  [DONE] \n\n",
               "A", SAYS("\"content\":\"A\""));
  check_stream(CHUNK("\"content\":\"A\",\"tool_calls\":null")
                   CHUNK("\"function_call\":{\"name\":\"\"}")
                       CHUNK("\"refusal\":\"no\\ud83d\"") DONE,
               "A", SAYS("\"content\":\"A\",\"refusal\":\"no\xEF\xBF\xBD\""));
}

/* What nobody knows here is kept, as of an answer that comes whole. */
static void unknown_members(void) {
  check_stream(
      CHUNK(
          "\"reasoning_details\":[{\"type\":\"t\",\"text\":\"th\",\"index\":0,"
          "\"format\":\"f\",\"x\":{\"y\":[1]}}],\"n\":1,\"u\":\"a\"")
          CHUNK("\"reasoning_details\":[{\"type\":\"t\",\"text\":\"ink\","
                "\"index\":"
                "0,\"format\":\"f\"}],\"n\":12345678901234567890,\"u\":null")
              CHUNK(
                  "\"reasoning_details\":[{\"type\":\"t\",\"signature\":\"S="
                  "\","
                  "\"index\":0}, {\"type\":\"enc\",\"data\":\"D\",\"index\":0}"
                  ", {\"a\":1}, {\"a\":2}, 7 ],\"u\":\"b\",\"none\":[]")
                  SAY("a") STOP DONE,
      "a",
      SAYS("\"content\":\"a\",\"reasoning_details\":[{\"type\":\"t\",\"text\":"
           "\"think\",\"index\":0,\"format\":\"f\",\"x\":{\"y\":[1]},"
           "\"signature\":\"S=\"},{\"type\":\"enc\",\"data\":\"D\",\"index\":"
           "0},"
           "{\"a\":1},{\"a\":2},7],\"n\":12345678901234567890,\"u\":\"ab\""));
  check_stream(
      CHUNK("\"audio\":{\"id\":\"audio_1\",\"transcript\":\"Hel\"}") CHUNK(
          "\"audio\":{\"id\":\"audio_1\",\"transcript\":\"lo\",\"data\":"
          "\"AA\"}") CHUNK("\"audio\":{\"data\":\"BB\",\"expires_at\":5}")
          CHUNK("\"v\":[1],\"w\":\"x\"") CHUNK("\"v\":{},\"w\":\"x\"") DONE,
      "",
      SAYS("\"content\":\"\",\"audio\":{\"id\":\"audio_1\",\"transcript\":"
           "\"Hello\",\"data\":\"AABB\",\"expires_at\":5},\"v\":{},\"w\":"
           "\"x\""));
}

static void too_many_unknown_members(void) {
  da_buf body;
  outcome o;
  da_buf_init(&body, CAP);
  for (int i = 0; i < 33; i++)
    da_buf_printf(&body, CHUNK("\"m%d\":%d"), i, i);
  da_buf_puts(&body, DONE);
  run_stream(&o, body.data, 0);
  CHECK_INT(o.code, DA_EPROTOCOL);
  dispose(&o);
  da_buf_dispose(&body);
}

static void large_unknown_members(void) {
  outcome o;
  largest_message = 10;
  run_stream(&o, CHUNK("\"m\":\"0123456789a\"") DONE, 0);
  CHECK_INT(o.code, DA_ETOOLARGE);
  dispose(&o);
  largest_message = CAP;
}

static void streamed_details(void) {
  outcome o;
  run_stream(&o,
             "data: {\"model\":\"m\",\"usage\":{\"prompt_tokens\":1},"
             "\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"
             "data: {\"choices\":[{\"finish_reason\":\"eos\"}]}\n\n"
             "data: {\"choices\":[{\"finish_reason\":\"\"}]}\n\n"
             "data: {\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":6,"
             "\"total_tokens\":11},\"choices\":[]}\n\n"
             "data: {\"usage\":null}\n\n" DONE,
             0);
  CHECK_INT(o.code, DA_OK);
  CHECK_STR(o.a.model, "m");
  CHECK_STR(o.a.finish_reason, "eos");
  CHECK_INT(o.a.usage.prompt, 5);
  CHECK_INT(o.a.usage.completion, 6);
  CHECK_INT(o.a.usage.total, 11);
  dispose(&o);
}

/* A chunk of choice `n`. */
#define PART(n, d)                                                            \
  "data: {\"choices\":[{\"index\":" n ",\"delta\":{" d "}}]}\n\n"
#define ENDS(n, why)                                                          \
  "data: {\"choices\":[{\"index\":" n ",\"delta\":{},\"finish_reason\":"      \
  "\"" why "\"}]}\n\n"

/* Never mixed with the first; put together as whole answers have them. */
static void further_choices(void) {
  static const char body[] = PART("0", "\"content\":\"A\"") PART(
      "2", "\"content\":\"C\\ud83d\"") PART("1", "\"refusal\":\"no\"")
      PART("0", "\"content\":\"a\"") PART("2", "\"content\":\"\\ude00\"") PART(
          "3",
          "\"tool_calls\":[{\"id\":\"c\",\"function\":{"
          "\"name\":\"f\"}}]") "data: {\"choices\":[{\"index\":-1,\"delta\":{"
                               "\"content\":\"X\"}},{\"index\":\"1\"},7]}"
                               "\n\n" ENDS("2", "stop") ENDS("0", "stop")
                                   ENDS("1", "") DONE;
  for (size_t at = 0; at < sizeof body && !check_failed_here; at++) {
    outcome o;
    run_stream(&o, body, at);
    CHECK_INT(o.code, DA_OK);
    CHECK_STR(o.a.text.data, "Aa");
    CHECK_STR(
        da_buf_text(&o.a.choices).data,
        "[{\"index\":1,\"message\":" SAYS(
            "\"content\":null,\"refusal\":"
            "\"no\"") ",\"finish_reason\":null},"
                      "{\"index\":2,"
                      "\"message\":" SAYS(
                          "\"content\":"
                          "\"C\xF0\x9F\x98\x80"
                          "\"") ",\"finish_"
                                "reason\":"
                                "\"stop\"},{"
                                "\"index\":3,"
                                "\"message\""
                                ":" SAYS("\"cont"
                                         "ent\":"
                                         "null,"
                                         "\"tool"
                                         "_calls"
                                         "\":[{"
                                         "\"id\""
                                         ":\"c\""
                                         ",\"typ"
                                         "e\":"
                                         "\"func"
                                         "tion\""
                                         ",\"fun"
                                         "ction"
                                         "\":{"
                                         "\"name"
                                         "\":"
                                         "\"f\","
                                         "\"argu"
                                         "ments"
                                         "\":"
                                         "\"{}"
                                         "\"}}]") ",\"finish_reason\":null}]");
    dispose(&o);
  }
}

static void a_further_choice_may_call(void) {
  outcome o;
  run_stream(&o,
             SAY("a") PART("1", "\"function_call\":{\"name\":\"f\","
                                "\"arguments\":\"{\"}")
                 PART("1", "\"function_call\":{\"arguments\":\"}\"}") DONE,
             0);
  CHECK_INT(o.code, DA_OK);
  CHECK(strstr(da_buf_text(&o.a.choices).data,
               "\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}"));
  dispose(&o);
}

static void many_choices(void) {
  outcome o;
  da_buf body;
  da_buf_init(&body, CAP);
  da_buf_puts(&body, SAY("a"));
  for (int i = 1; i <= 129; i++)
    da_buf_printf(&body,
                  "data: {\"choices\":[{\"index\":%d,\"delta\":{}}]}\n\n",
                  i * 1000);
  da_buf_puts(&body, DONE);
  run_stream(&o, body.data, 0);
  CHECK_INT(o.code, DA_ETOOLARGE);
  dispose(&o);
  da_buf_dispose(&body);
}

static void streamed_logprobs(void) {
  outcome o;
  run_stream(&o,
             "data: {\"choices\":[{\"logprobs\":{\"content\":[{\"t\":1},"
             "{\"t\":2}],\"refusal\":null},\"delta\":{\"content\":\"a\"}}]}"
             "\n\ndata: {\"choices\":[{\"logprobs\":null}]}\n\n"
             "data: {\"choices\":[{\"logprobs\":{\"content\":[ {\"t\":3}],"
             "\"refusal\":[4]}}]}\n\n" DONE,
             0);
  CHECK_INT(o.code, DA_OK);
  CHECK_STR(da_buf_text(&o.a.logprobs).data,
            "{\"content\":[{\"t\":1},{\"t\":2},{\"t\":3}],\"refusal\":[4]}");
  CHECK_INT(o.a.choices.len, 0);
  CHECK_INT(o.a.refused, 0);
  dispose(&o);
}

static void streamed_usage(void) {
  outcome o;
  run_stream(&o,
             "data: {\"x_groq\":{\"id\":\"r\"}}\n\n" SAY(
                 "a") "data: {\"x_groq\":{\"usage\":{\"prompt_tokens\":3 ,"
                      "\"completion_tokens\":4}}}\n\n" DONE,
             0);
  CHECK_INT(o.a.usage.total, 7);
  CHECK_STR(da_buf_text(&o.a.raw_usage).data,
            "{\"prompt_tokens\":3 ,\"completion_tokens\":4}");
  dispose(&o);
  run_stream(&o,
             SAY("a") "data: {\"choices\":[],\"usage\":{\"total_tokens\":7}}"
                      "\n\ndata: {\"choices\":[],\"usage\":{ }}\n\n" DONE,
             0);
  CHECK_INT(o.a.usage.total, 7);
  CHECK_STR(da_buf_text(&o.a.raw_usage).data, "{\"total_tokens\":7}");
  dispose(&o);
  run_stream(&o, SAY("a") DONE, 0); /* never */
  CHECK_INT(o.a.has_usage, 0);
  CHECK_INT(o.a.raw_usage.len, 0);
  dispose(&o);
}

static void check_broken(const char *body, int code, int retryable) {
  outcome o;
  run_stream(&o, body, 0);
  if (o.code != code || o.err.retryable != retryable)
    fprintf(stderr, "%s: %s\n", body, o.err.message);
  CHECK_INT(o.code, code);
  CHECK_INT(o.err.code, code);
  CHECK_INT(o.err.retryable, retryable);
  dispose(&o);
}

static void broken_streams(void) {
  check_broken(SAY("a"), DA_ETRUNCATED, 1);
  check_broken(SAY("a") "data: {\"choi", DA_ETRUNCATED, 1);
  check_broken("data: {\"choices\":[{\"finish_reason\":\"\"}]}\n\n",
               DA_ETRUNCATED, 1);
  check_broken("", DA_ETRUNCATED, 1);
  check_broken(DONE, DA_EEMPTY, 1);
  check_broken("data: {} x\n\n" DONE, DA_EPROTOCOL, 0);
  check_broken("data: 7\n\n" DONE, DA_EPROTOCOL, 0);
  check_broken("data: hello\n\n" DONE, DA_EPROTOCOL, 0);
  check_broken("data: {\"choices\":[{]}\n\n" DONE, DA_EPROTOCOL, 0);
  check_broken(CHUNK("\"content\":42") DONE, DA_EPROTOCOL, 0);
  check_broken(
      SAY("a") "data: {\"error\":{\"type\":\"overloaded_error\"}}\n\n",
      DA_ESERVER, 1);
  check_broken("event: error\ndata: {\"message\":\"x\"}\n\n", DA_EAPI, 0);
  check_broken("event: error\ndata: out of luck\n\n", DA_EAPI, 0);
  check_broken("data: [{\"error\":{\"code\":429}}]\n\n", DA_ERATE, 1);
  check_broken(SAY("a") "data: {\"object\":\"error\",\"message\":\"x\","
                        "\"code\":503}\n\n" DONE,
               DA_ESERVER, 1);
  check_broken("data: {\"choices\":[{\"error\":{\"code\":502},"
               "\"finish_reason\":\"error\"}]}\n\n",
               DA_ESERVER, 1);
  check_broken("data: {\"choices\":[{\"error\":\"\"}]}\n\n", DA_ETRUNCATED, 1);
  check_broken("data: {\"error\":\"\"}\n\n", DA_ETRUNCATED, 1);
  check_broken("data: {\"error\":{\"code\":429},\"choices\":[]}\n\n" DONE,
               DA_ERATE, 1);
  check_broken(SAY("a") "data: {\"error\":{\"code\":429}}", DA_ERATE, 1);
}

static void too_long(void) {
  chat_stream s;
  outcome o;
  char line[300];
  begin(&o);
  memset(line, 'x', sizeof line - 1);
  line[sizeof line - 1] = '\0';
  chat_stream_init(&s, &reply, &o.a, add_delta, &o, 200);
  CHECK_INT(chat_stream_feed(&s, text(line), &o.err), DA_ETOOLARGE);
  CHECK_INT(o.err.code, DA_ETOOLARGE);
  CHECK_STR(o.err.message, "an event of the stream is larger than 200 bytes");
  CHECK_STR(o.err.request_id, "req_1");
  chat_stream_dispose(&s);
  dispose(&o);
  begin(&o);
  da_buf_init(&o.a.text, 5); /* an answer may have no more */
  chat_stream_init(&s, &reply, &o.a, add_delta, &o, CAP);
  CHECK_INT(chat_stream_feed(&s, text(SAY("abc")), &o.err), DA_OK);
  CHECK_INT(chat_stream_feed(&s, text(SAY("def")), &o.err), DA_ETOOLARGE);
  CHECK_INT(o.err.code, DA_ETOOLARGE);
  CHECK_STR(o.err.message, "the answer is larger than 5 bytes");
  chat_stream_dispose(&s);
  dispose(&o);
}

static int cancel(void *ctx, da_text delta, da_err *err) {
  (void)delta;
  ++*(int *)ctx;
  return da_fail(err, DA_ECANCELLED, "enough");
}

static void a_delta_function_stops_it(void) {
  chat_stream s;
  outcome o;
  int calls = 0;
  begin(&o);
  chat_stream_init(&s, &reply, &o.a, cancel, &calls, CAP);
  CHECK_INT(chat_stream_feed(&s, text(SAY("a") SAY("b")), &o.err),
            DA_ECANCELLED);
  CHECK_INT(calls, 1);
  CHECK_STR(o.err.message, "enough");
  chat_stream_dispose(&s);
  dispose(&o);
}

/* ---- limits ---- */

static void deep_chunks(void) {
  static const char deep[] = "data: {\"choices\":[{\"delta\":{\"content\":"
                             "\"a\",\"x\":[[]]}}]}\n\n" STOP DONE;
  static const char around[] = "data: [[[[[[[]]]]]]]\n\n" SAY("a") STOP DONE;
  limited.depth = 6;
  check_stream(deep, "a", SAYS("\"content\":\"a\",\"x\":[[]]"));
  check_failure(around, DA_EPROTOCOL, "not JSON: nested too deep at byte 7",
                "");
  limited.depth = 5;
  check_failure(deep, DA_EPROTOCOL, "not JSON: nested too deep at byte 42",
                "");
  limited.depth = 1;
  check_failure(SAY("a"), DA_EPROTOCOL, "not JSON: nested too deep at byte 12",
                "");
  limited.depth = 7;
  check_stream(around, "a", SAYS("\"content\":\"a\""));
  limited.depth = 0;
  check_stream(around, "a", SAYS("\"content\":\"a\""));
}

#define ALPHABET "abcdefghijklmnopqrstuvwxyz"

/* An event of two lines, each within the limit. */
static void large_events(void) {
#define FIRST "{\"choices\":"
#define SECOND "[{\"delta\":{\"content\":\"" ALPHABET "\"}}]}"
  static const char body[] =
      SAY("b") "data: " FIRST "\ndata: " SECOND "\n\n" STOP;
  char why[64];
  largest_event = strlen(FIRST "\n" SECOND);
  check_stream(body, "b" ALPHABET, SAYS("\"content\":\"b" ALPHABET "\""));
  largest_event--;
  snprintf(why, sizeof why, "an event of the stream is larger than %zu bytes",
           largest_event);
  check_failure(body, DA_ETOOLARGE, why, "b");
  largest_event = CAP;
}

static void large_answers(void) {
  static const char message[] = SAYS("\"content\":\"" ALPHABET ALPHABET "\"");
  char why[64];
  largest_message = strlen(message);
  check_stream(SAY(ALPHABET) SAY(ALPHABET) STOP DONE, ALPHABET ALPHABET,
               message);
  largest_message--;
  snprintf(why, sizeof why, "the answer is larger than %zu bytes",
           largest_message);
  check_failure(SAY(ALPHABET) SAY(ALPHABET) STOP DONE, DA_ETOOLARGE, why,
                ALPHABET ALPHABET);
  /* As soon as the text alone is larger, not at the end. */
  largest_message = 51;
  check_failure(SAY(ALPHABET) SAY(ALPHABET), DA_ETOOLARGE,
                "the answer is larger than 51 bytes", ALPHABET);
  check_failure(CHUNK("\"refusal\":\"" ALPHABET ALPHABET "\""), DA_ETOOLARGE,
                "the answer is larger than 51 bytes", "");
  check_failure(CHUNK("\"reasoning\":\"" ALPHABET ALPHABET "\""), DA_ETOOLARGE,
                "the answer is larger than 51 bytes", "");
  largest_message = CAP;
}

int main(void) {
  RUN(streamed_texts);
  RUN(streamed_surrogates);
  RUN(streamed_extras);
  RUN(unknown_members);
  RUN(large_unknown_members);
  RUN(too_many_unknown_members);
  RUN(streamed_details);
  RUN(further_choices);
  RUN(a_further_choice_may_call);
  RUN(many_choices);
  RUN(streamed_logprobs);
  RUN(streamed_usage);
  RUN(broken_streams);
  RUN(too_long);
  RUN(a_delta_function_stops_it);
  RUN(deep_chunks);
  RUN(large_events);
  RUN(large_answers);
  return check_done();
}
