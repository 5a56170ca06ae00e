/* turn.c - the JSON of a turn: building a request of so many messages, and
** reading an answer as long as they are; with and without calls of tools.
** The limit is cJSON doing the same: it prints the trees that it holds; it
** parses the answer, and makes of it the text and the message to keep.
*/
#include <cjson/cJSON.h>

#include "chat_answer.h"
#include "chat_request.h"
#include "model.h"

enum { ROUNDS = 9, LEAST_US = 4000 };

typedef struct work {
  da_history history, turn;
  cJSON *tree;           /* the request as cJSON has it */
  da_buf request, reply; /* texts of both */
} work;

static const char MEMBERS[] =
    "\"temperature\":0.7,\"tools\":[{\"type\":\"function\",\"function\":{"
    "\"name\":\"lookup\",\"description\":\"What a word means.\","
    "\"parameters\":{\"type\":\"object\",\"properties\":{\"word\":{\"type\":"
    "\"string\"}},\"required\":[\"word\"]}}}]";

static da_text text_of(const char *s) {
  return (da_text){s, strlen(s)};
}

/* ---- what is measured ---- */

static void put_request(da_buf *body, const work *w) {
  da_request r = {.model = text_of("gpt-4o-mini"),
                  .system = text_of("You are brief."),
                  .members = text_of(MEMBERS),
                  .history = &w->history,
                  .turn = &w->turn};
  da_err err;
  da_buf_init(body, CHAT_REQUEST_MAX);
  must(chat_build_request(body, &r, 0, &err), &err);
}

static void build(const work *w) {
  da_buf body;
  put_request(&body, w);
  da_buf_dispose(&body);
}

static void build_by_cjson(const work *w) {
  free(cJSON_PrintUnformatted(w->tree));
}

/* Into memory that is there already. */
static void copy(da_text t) {
  static char *bytes;
  static size_t size;
  if (size < t.len) {
    free(bytes);
    size = t.len;
    bytes = malloc(size);
    if (!bytes)
      die("turn", "out of memory");
  }
  memcpy(bytes, t.data, t.len);
  /* else the copy would be left out */
  __asm__ volatile("" : : "r"(bytes) : "memory");
}

static void copy_request(const work *w) {
  copy(da_buf_text(&w->request));
}

static void copy_reply(const work *w) {
  copy(da_buf_text(&w->reply));
}

static void parse(const work *w) {
  static const da_http http = {.status = 200,
                               .content_type = "application/json"};
  chat_reply reply = {&http, NULL, 0, 0};
  da_answer answer;
  da_err err;
  da_answer_init(&answer);
  must(chat_read_answer(&reply, da_buf_text(&w->reply), &answer, &err), &err);
  da_answer_dispose(&answer);
}

static void parse_by_cjson(const work *w) {
  cJSON *tree = cJSON_ParseWithLength(w->reply.data, w->reply.len);
  const cJSON *choices = cJSON_GetObjectItem(tree, "choices");
  cJSON *message =
      cJSON_GetObjectItem(cJSON_GetArrayItem(choices, 0), "message");
  const cJSON *text = cJSON_GetObjectItem(message, "content");
  if (!message)
    die("cJSON", "cannot parse it");
  free(cJSON_IsString(text) ? strdup(text->valuestring) : NULL);
  free(cJSON_PrintUnformatted(message));
  cJSON_Delete(tree);
}

/* ---- the workload ---- */

static void append(da_history *h, const da_buf *wire) {
  da_message *m;
  da_err err;
  must(da_buf_check(wire, "the message", &err), &err);
  must(da_message_new(&m, da_buf_text(wire), NULL, -1, &err), &err);
  must(da_history_append(h, m), &err);
}

/* Message i: a question or an answer; of four with calls, the second asks for
** a call and the third is its result. */
static void put_message(da_buf *out, size_t i, int calls) {
  char said[LONGEST_CONTENT];
  size_t len = content(said, i);
  size_t kind = calls ? i % 4 : i % 2 ? 3 : 0;
  da_buf_puts(out, kind == 0   ? "{\"role\":\"user\",\"content\":"
                   : kind == 2 ? "{\"role\":\"tool\",\"tool_call_id\":"
                                 "\"call_PkRGedQNRFUz\",\"content\":"
                   : kind == 3
                       ? "{\"role\":\"assistant\",\"content\":"
                       : "{\"role\":\"assistant\",\"content\":null,"
                         "\"tool_calls\":[{\"id\":\"call_PkRGedQNRFUz\","
                         "\"type\":\"function\",\"function\":{"
                         "\"name\":\"lookup\",\"arguments\":");
  da_json_put_string(out, said, len);
  da_buf_puts(out, kind == 1 ? "}}]}" : "}");
}

static void make_history(work *w, size_t n, int calls) {
  da_buf wire;
  for (size_t i = 0; i < n; i++) {
    da_buf_init(&wire, DA_MESSAGE_MAX);
    put_message(&wire, i, calls);
    append(i < n - 1 ? &w->history : &w->turn, &wire);
    da_buf_dispose(&wire);
  }
}

/* All that was said as one text, or as the arguments of a call. */
static void make_reply(work *w, size_t n, int calls) {
  char said[LONGEST_CONTENT];
  da_buf all;
  da_buf_init(&all, CHAT_REQUEST_MAX);
  for (size_t i = 0; i < n; i++)
    da_buf_put(&all, said, content(said, i));
  da_buf_init(&w->reply, CHAT_REQUEST_MAX);
  da_buf_puts(&w->reply,
              "{\"id\":\"chatcmpl-C9jhPsYUtVnHeB1Ugq0wOTFpK3Dxm\",\"object\":"
              "\"chat.completion\",\"created\":1756400000,\"model\":"
              "\"gpt-4o-mini-2024-07-18\",\"choices\":[{\"index\":0,"
              "\"message\":{\"role\":\"assistant\",\"content\":");
  if (calls)
    da_buf_puts(&w->reply,
                "null,\"tool_calls\":[{\"id\":\"call_PkRGedQNRFUz\","
                "\"type\":\"function\",\"function\":{"
                "\"name\":\"lookup\",\"arguments\":");
  da_json_put_string(&w->reply, all.data, all.len);
  da_buf_puts(&w->reply, calls ? "}}],\"refusal\":null},\"finish_reason\":"
                                 "\"tool_calls\"}]"
                               : ",\"refusal\":null},\"finish_reason\":"
                                 "\"stop\"}]");
  da_buf_puts(&w->reply, ",\"usage\":{\"prompt_tokens\":11,"
                         "\"completion_tokens\":7,\"total_tokens\":18}}");
  da_buf_dispose(&all);
}

static void make(work *w, size_t n, int calls) {
  memset(w, 0, sizeof *w);
  make_history(w, n, calls);
  make_reply(w, n, calls);
  put_request(&w->request, w);
  w->tree = cJSON_ParseWithLength(w->request.data, w->request.len);
  if (!w->tree)
    die("cJSON", "cannot parse a request");
}

static void dispose(work *w) {
  da_history_dispose(&w->history);
  da_history_dispose(&w->turn);
  cJSON_Delete(w->tree);
  da_buf_dispose(&w->request);
  da_buf_dispose(&w->reply);
}

/* ---- the clock ---- */

typedef void (*task)(const work *w);

static double cpu_us(void) {
  return clock_us(CLOCK_PROCESS_CPUTIME_ID);
}

/* Microseconds of CPU, each: often enough for the clock. */
static double time_of(task t, const work *w) {
  for (size_t n = 1;; n *= 2) {
    double start = cpu_us(), took;
    for (size_t i = 0; i < n; i++)
      t(w);
    took = cpu_us() - start;
    if (took > LEAST_US)
      return took / (double)n;
  }
}

/* `bytes` of JSON by us, by cJSON, and by memcpy. */
static void measure(const char *what, const work *w, size_t bytes,
                    const task t[3], double allowed) {
  static samples s[3];
  double us[3];
  for (int i = 0; i < 3; i++)
    s[i].n = 0;
  for (int round = 0; round < ROUNDS; round++)
    for (int i = 0; i < 3; i++)
      sample(&s[i], time_of(t[i], w));
  for (int i = 0; i < 3; i++)
    us[i] = quantile(&s[i], 0);
  row(what, us[0], us[1], "us", allowed);
  note("  JSON, against memcpy", (double)bytes / us[0], (double)bytes / us[2],
       "MB/s");
}

int main(void) {
  static const task building[] = {build, build_by_cjson, copy_request};
  static const task parsing[] = {parse, parse_by_cjson, copy_reply};
  char what[80];
  work w;
  for (size_t n = 10; n <= 10000; n *= 10)
    for (int calls = 0; calls < 2; calls++) {
      const char *tail = calls ? ", with calls" : "";
      make(&w, n, calls);
      snprintf(what, sizeof what, "request / cJSON, N=%zu%s", n, tail);
      measure(what, &w, w.request.len, building, 0.5);
      snprintf(what, sizeof what, "answer as long / cJSON, N=%zu%s", n, tail);
      measure(what, &w, w.reply.len, parsing, 1.5);
      dispose(&w);
    }
  return 0;
}
