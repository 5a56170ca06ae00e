/* test_memory_chat.c - answers of chat services without memory: all of them
** or an error, never a part. */
#include "memory_kit.h"

#include "chat_stream.h"

#define CAP ((size_t)1 << 20)

static da_text text(const char *s) {
  da_text t = {s, strlen(s)};
  return t;
}

static da_http head;
static const chat_reply reply = {.http = &head};
static da_answer answer;

#define CHUNK(n, d)                                                           \
  "data: {\"choices\":[{\"index\":" n ",\"delta\":" d ",\"logprobs\":{"       \
  "\"content\":[{\"t\":1}]}}]}\n\n"

static const char streamed[] = CHUNK(
    "0", "{\"content\":\"a\",\"reasoning\":\"r\",\"d\":[{\"index\":0},1],"
         "\"e\":\"x\"}")
    CHUNK(
        "1",
        "{\"content\":\"b\",\"tool_calls\":[{\"function\":{\"name\":\"h\"}}]}")
        CHUNK("0", "{\"tool_calls\":[{\"index\":0,\"id\":\"c\\u0031\","
                   "\"signature\":\"s\",\"function\":{\"name\":\"f\","
                   "\"arguments\":\"{\\\"a\\\"\"}}]}")
            CHUNK("0", "{\"tool_calls\":[{\"index\":0,\"id\":\"c\\u0031\","
                       "\"function\":{\"name\":\"\\u0066\",\"arguments\":"
                       "\":1}\"}}]}")
                CHUNK("0", "{\"tool_calls\":[{\"id\":\"c2\","
                           "\"function\":{"
                           "\"name\":\"g\",\"arguments\":{\"b\":2}}}"
                           "]}") "data: "
                                 "{\"x_groq\":{\"usage\":{\"total_"
                                 "tokens\":7}}}\n\ndata: [DONE]\n\n";

static const char whole[] =
    "{\"usage\":{\"total_tokens\":7},\"choices\":[{\"logprobs\":{\"content\":["
    "{\"t\":1}]},\"message\":{\"content\":\"a\",\"reasoning\":\"r\","
    "\"d\":[{\"index\":0},1],\"e\":\"x\","
    "\"tool_calls\":[{\"id\":\"c1\",\"signature\":\"s\",\"function\":{"
    "\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}},{\"id\":\"c2\","
    "\"function\":{\"name\":\"g\",\"arguments\":{\"b\":2}}}]}},{\"index\":1}]"
    "}";

static const char message[] =
    "{\"role\":\"assistant\",\"content\":\"a\",\"reasoning\":\"r\","
    "\"d\":[{\"index\":0},1],\"e\":\"x\","
    "\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\",\"function\":{"
    "\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"},\"signature\":\"s\"},"
    "{\"id\":\"c2\",\"type\":\"function\",\"function\":{\"name\":\"g\","
    "\"arguments\":\"{\\\"b\\\":2}\"}}]}";

static int stream(void) {
  chat_stream s;
  int code;
  chat_stream_init(&s, &reply, &answer, NULL, NULL, CAP);
  code = chat_stream_feed(&s, text(streamed), &err);
  if (!code)
    code = chat_stream_finish(&s, &err);
  chat_stream_dispose(&s);
  return code;
}

static int read_whole(void) {
  return chat_read_answer(&reply, text(whole), &answer, &err);
}

static void check_answer(void) {
  CHECK_STR(da_buf_text(&answer.text).data, "a");
  CHECK_STR(da_buf_text(&answer.message).data, message);
  CHECK_INT(answer.calls, 2);
  CHECK_STR(da_buf_text(&answer.raw_usage).data, "{\"total_tokens\":7}");
  CHECK_INT(answer.usage.total, 7);
  CHECK(strstr(da_buf_text(&answer.logprobs).data, "{\"t\":1}") != NULL);
  CHECK(strstr(da_buf_text(&answer.choices).data, "\"index\":1") != NULL);
}

static void begin(void) {
  memset(&head, 0, sizeof head);
  head.status = 200;
  da_answer_init(&answer);
}

static void end(void) {
  da_answer_dispose(&answer);
}

/* What was there is there whole; what was not, comes when there is memory. */
static void act(int (*take)(void)) {
  da_nomem(&err);
  if (OK(take()))
    check_answer();
}

static void again(int (*take)(void)) {
  end();
  begin();
  CHECK_INT(take(), DA_OK);
  check_answer();
}

static void stream_act(void) {
  act(stream);
}

static void stream_again(void) {
  again(stream);
}

static void whole_act(void) {
  act(read_whole);
}

static void whole_again(void) {
  again(read_whole);
}

/* ---- the stored message ---- */

static int keep(da_message **m) {
  return da_message_answer(m, text("{\"role\":\"assistant\"}"),
                           text("{ \"total_tokens\":7}"), &err);
}

static void check_kept(da_message *m) {
  da_text usage = da_message_usage(m);
  CHECK(usage.len == 18 &&
        memcmp(usage.data, "{\"total_tokens\":7}", 18) == 0);
  da_message_unref(m);
}

static void keep_act(void) {
  da_message *m;
  if (OK(keep(&m)))
    check_kept(m);
}

static void keep_again(void) {
  da_message *m;
  CHECK_INT(keep(&m), DA_OK);
  check_kept(m);
}

int main(void) {
  static const scene scenes[] = {
      {"an answer in pieces", begin, stream_act, stream_again, end, 0},
      {"an answer that comes whole", begin, whole_act, whole_again, end, 0},
      {"an answer kept", memory_nothing, keep_act, keep_again, memory_nothing,
       0},
  };
  RUN(every_source_of_memory_is_made_to_fail);
  PLAY(scenes);
  return check_done();
}
