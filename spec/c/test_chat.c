/* test_chat.c - whole answers of the chat-completions protocol, and its
** errors. No network. */
#include "chat_answer.h"

#include "chat_kit.h"

/* ---- whole answers ---- */

static void check_whole(const char *body, const char *want_text,
                        const char *want_message) {
  outcome o;
  begin(&o);
  CHECK_INT(chat_read_answer(&reply, text(body), &o.a, &o.err), DA_OK);
  CHECK_STR(da_buf_text(&o.a.text).data, want_text);
  CHECK_STR(da_buf_text(&o.a.message).data, want_message);
  dispose(&o);
}

#define MESSAGE(m) "{\"choices\":[{\"message\":" m "}]}"

static void whole_messages(void) {
  static const char *const kept[] = {
      SAYS("\"content\":\"x\", \"a\" : {},\"n\":12345678901234567890")};
  check_whole(MESSAGE(SAYS("\"content\":\"x\", \"a\" : {},"
                           "\"n\":12345678901234567890")),
              "x", kept[0]);
  check_whole("\xEF\xBB\xBF\r\n" MESSAGE(SAYS("\"content\":null")), "",
              SAYS("\"content\":null"));
  check_whole(MESSAGE(SAYS("\"content\":null,\"refusal\":\"no\"")), "no",
              SAYS("\"content\":null,\"refusal\":\"no\""));
  check_whole(MESSAGE(SAYS("\"content\":[{\"type\":\"text\",\"text\":\"a\"},"
                           "{\"type\":\"thinking\",\"text\":\"b\"},7,"
                           "{\"type\":\"text\",\"text\":\"c\"}]")),
              "ac",
              SAYS("\"content\":[{\"type\":\"text\",\"text\":\"a\"},"
                   "{\"type\":\"thinking\",\"text\":\"b\"},7,"
                   "{\"type\":\"text\",\"text\":\"c\"}]"));
  check_whole(MESSAGE(SAYS("\"content\":\"\xff\"")), "\xEF\xBF\xBD",
              SAYS("\"content\":\"\xEF\xBF\xBD\""));
}

static void roles_are_forced(void) {
  check_whole(MESSAGE("{\"content\":\"x\"}"), "x", SAYS("\"content\":\"x\""));
  check_whole(MESSAGE("{\"role\":\"system\",\"content\":\"x\"}"), "x",
              SAYS("\"content\":\"x\""));
  check_whole(MESSAGE("{\"role\":null,\"content\":\"x\"}"), "x",
              SAYS("\"content\":\"x\""));
  check_whole(MESSAGE("{\"role\":\"assistant\",\"content\":\"x\","
                      "\"r\\u006fle\":\"user\"}"),
              "x", SAYS("\"content\":\"x\""));
}

static void whole_details(void) {
  outcome o;
  begin(&o);
  CHECK_INT(
      chat_read_answer(
          &reply,
          text("{\"model\":\"m-1\",\"usage\":{\"prompt_tokens\":3,"
               "\"completion_tokens\":4.0},\"choices\":[{\"finish_reason\":"
               "\"length\",\"message\":{\"content\":\"\"}}]}"),
          &o.a, &o.err),
      DA_OK);
  CHECK_STR(o.a.model, "m-1");
  CHECK_STR(o.a.finish_reason, "length");
  CHECK_INT(o.a.has_usage, 1);
  CHECK_INT(o.a.usage.prompt, 3);
  CHECK_INT(o.a.usage.completion, 4);
  CHECK_INT(o.a.usage.total, 7);
  dispose(&o);
}

static void check_usage(const char *usage, int64_t prompt, int64_t completion,
                        int64_t total) {
  char body[512];
  outcome o;
  begin(&o);
  snprintf(body, sizeof body, "{\"usage\":%s,\"choices\":[{\"message\":%s}]}",
           usage, SAYS("\"content\":\"x\""));
  CHECK_INT(chat_read_answer(&reply, text(body), &o.a, &o.err), DA_OK);
  CHECK_INT(o.a.usage.prompt, prompt);
  CHECK_INT(o.a.usage.completion, completion);
  CHECK_INT(o.a.usage.total, total);
  CHECK_INT(o.a.has_usage, total > 0);
  dispose(&o);
}

/* In detail, wherever a service puts it. */
static void usage_in_detail(void) {
  static const struct {
    const char *usage;
    int64_t cached, reasoning, audio;
  } t[] = {
      {"{\"prompt_tokens_details\":{\"cached_tokens\":5,\"audio_tokens\":2},"
       "\"completion_tokens_details\":{\"reasoning_tokens\":7,"
       "\"audio_tokens\":3}}",
       5, 7, 5},
      {"{\"prompt_cache_hit_tokens\":6,\"reasoning_tokens\":8}", 6, 8, 0},
      {"{\"cached_tokens\":4}", 4, 0, 0},
      {"{\"num_cached_tokens\":9,\"prompt_tokens_details\":null}", 9, 0, 0},
      {"{\"prompt_tokens_details\":[],\"completion_tokens_details\":7}", 0, 0,
       0},
      {"{\"prompt_tokens_details\":{\"audio_tokens\":9223372036854775807},"
       "\"completion_tokens_details\":{\"audio_tokens\":1}}",
       0, 0, INT64_MAX}};
  for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
    char body[512];
    outcome o;
    begin(&o);
    snprintf(body, sizeof body,
             "{\"usage\":%s,\"choices\":[{\"message\":%s}]}", t[i].usage,
             SAYS("\"content\":\"x\""));
    CHECK_INT(chat_read_answer(&reply, text(body), &o.a, &o.err), DA_OK);
    CHECK_INT(o.a.usage.cached, t[i].cached);
    CHECK_INT(o.a.usage.reasoning, t[i].reasoning);
    CHECK_INT(o.a.usage.audio, t[i].audio);
    CHECK_STR(da_buf_text(&o.a.raw_usage).data, t[i].usage);
    dispose(&o);
  }
}

static void usage_of_groq(void) {
  outcome o;
  begin(&o);
  CHECK_INT(chat_read_answer(&reply,
                             text("{\"usage\":null,\"x_groq\":{\"usage\":{"
                                  "\"prompt_tokens\":3}},\"choices\":[{"
                                  "\"message\":{\"content\":\"\"}}]}"),
                             &o.a, &o.err),
            DA_OK);
  CHECK_INT(o.a.usage.prompt, 3);
  dispose(&o);
}

/* What comes beside the first message, as it came. */
static void logprobs_and_choices(void) {
  outcome o;
  begin(&o);
  CHECK_INT(chat_read_answer(
                &reply,
                text("{\"choices\":[{\"logprobs\":{\"content\":[ {\"token\":"
                     "\"a\"}]},\"message\":{\"content\":\"a\"}},{\"index\":1,"
                     "\"message\":{ \"content\":\"b\"}},{\"index\":2}]}"),
                &o.a, &o.err),
            DA_OK);
  CHECK_STR(o.a.text.data, "a");
  CHECK_STR(da_buf_text(&o.a.logprobs).data,
            "{\"content\":[ {\"token\":\"a\"}]}");
  CHECK_STR(da_buf_text(&o.a.choices).data,
            "[{\"index\":1,\"message\":{ \"content\":\"b\"}},{\"index\":2}]");
  dispose(&o);
  begin(&o);
  da_answer_limit(&o.a, 40);
  CHECK_INT(chat_read_answer(
                &reply,
                text("{\"choices\":[{\"message\":{\"content\":\"a\"}},"
                     "{\"index\":1,\"message\":{\"content\":\"bbbbbbbbbbb"
                     "bbbbbbb\"}}]}"),
                &o.a, &o.err),
            DA_ETOOLARGE);
  dispose(&o);
}

/* Counts that nobody can mean count nothing. */
static void odd_usages(void) {
  check_usage("{\"prompt_tokens\":9223372036854775807,"
              "\"completion_tokens\":1}",
              INT64_MAX, 1, INT64_MAX);
  check_usage("{\"prompt_tokens\":-1,\"completion_tokens\":-2.5}", 0, 0, 0);
  check_usage("{\"prompt_tokens\":1e300,\"completion_tokens\":2.0}", 0, 2, 2);
  check_usage("{\"prompt_tokens\":\"3\",\"total_tokens\":4}", 0, 0, 4);
  check_usage("{}", 0, 0, 0);
}

/* What is shown is printable ASCII, whatever the service escapes. */
static void names_are_plain(void) {
  outcome o;
  char body[1024], longest[400];
  begin(&o);
  CHECK_INT(
      chat_read_answer(
          &reply,
          text("{\"model\":\"a\\u0041\\n\\\"\\/b\\u00e9\\u0141\\tc\\u0007\","
               "\"choices\":[{\"finish_reason\":\"st\\u006fp\xC3\xA9\","
               "\"message\":" SAYS("\"content\":\"x\"") "}]}"),
          &o.a, &o.err),
      DA_OK);
  CHECK_STR(o.a.model, "aA\"/bc");
  CHECK_STR(o.a.finish_reason, "stop");
  dispose(&o);
  begin(&o);
  memset(longest, 'm', sizeof longest - 1);
  longest[sizeof longest - 1] = '\0';
  snprintf(body, sizeof body,
           "{\"model\":\"%s\",\"choices\":[{\"message\":%s}]}", longest,
           SAYS("\"content\":\"x\""));
  CHECK_INT(chat_read_answer(&reply, text(body), &o.a, &o.err), DA_OK);
  CHECK_INT(strlen(o.a.model), sizeof o.a.model - 1);
  dispose(&o);
}

static void check_refused(const char *body, int code, int retryable) {
  outcome o;
  begin(&o);
  CHECK_INT(chat_read_answer(&reply, text(body), &o.a, &o.err), code);
  if (o.err.code != code || o.err.retryable != retryable)
    fprintf(stderr, "%s: %s\n", body, o.err.message);
  CHECK_INT(o.err.code, code);
  CHECK_INT(o.err.retryable, retryable);
  CHECK_INT(o.err.status, 200);
  CHECK_STR(o.err.request_id, "req_1");
  dispose(&o);
}

static void whole_errors(void) {
  check_refused("", DA_EEMPTY, 1);
  check_refused(" \r\n", DA_EEMPTY, 1);
  check_refused("<!DOCTYPE html>", DA_ECONTENTTYPE, 0);
  check_refused("Bad gateway", DA_ECONTENTTYPE, 0);
  check_refused("{\"choices\":[{\"mess", DA_EPROTOCOL, 0);
  check_refused(MESSAGE("{\"content\":\"x\"}") "x", DA_EPROTOCOL, 0);
  check_refused("{}", DA_EPROTOCOL, 0);
  check_refused("[]", DA_EPROTOCOL, 0);
  check_refused("{\"choices\":{}}", DA_EPROTOCOL, 0);
  check_refused("{\"choices\":[]}", DA_EPROTOCOL, 0);
  check_refused("{\"choices\":[1]}", DA_EPROTOCOL, 0);
  check_refused("{\"choices\":[{}]}", DA_EPROTOCOL, 0);
  check_refused(MESSAGE("{\"content\":7}"), DA_EPROTOCOL, 0);
  check_refused("{\"error\":\"broken\"}", DA_EAPI, 0);
  check_refused("{\"error\":{\"type\":\"server_error\"}}", DA_EAPI, 1);
  check_refused("[{\"error\":{\"code\":429}}]", DA_ERATE, 1);
  check_refused("{\"choices\":[{\"error\":{\"code\":502}}]}", DA_ESERVER, 1);
  check_refused("{\"choices\":[{\"error\":\"\"}]}", DA_EPROTOCOL, 0);
  check_refused("{\"choices\":[{\"finish_reason\":\"tool_calls\","
                "\"message\":{\"content\":null}}]}",
                DA_EPROTOCOL, 0);
  check_refused("{\"choices\":[{\"finish_reason\":\"function_call\","
                "\"message\":{\"content\":null,\"tool_calls\":[{}]}}]}",
                DA_EPROTOCOL, 0);
}

/* A service's own words where the status says that all is well. */
static void errors_in_a_200(void) {
  check_refused("{\"error\":{\"code\":\"insufficient_quota\"}}", DA_EQUOTA, 0);
  check_refused("{\"error\":{\"code\":\"context_length_exceeded\"}}",
                DA_ECONTEXT, 0);
  check_refused("{\"error\":{\"type\":\"authentication_error\"}}", DA_EAUTH,
                0);
  check_refused("{\"error\":{\"status\":\"RESOURCE_EXHAUSTED\"}}", DA_ERATE,
                1);
  check_refused("{\"error\":{\"status\":\"UNAVAILABLE\"}}", DA_ESERVER, 1);
  check_refused("{\"error\":{\"code\":418}}", DA_EAPI, 0);
  check_refused("{\"error\":{\"code\":400}}", DA_EAPI, 0);
  check_refused("{\"error\":{\"code\":422}}", DA_EAPI, 0);
  check_refused("{\"error\":{\"code\":404}}", DA_ENOTFOUND, 0);
  check_refused("{\"error\":{\"code\":700}}", DA_EAPI, 0);
  check_refused("{\"object\":\"error\",\"message\":\"no such model\","
                "\"code\":404}",
                DA_ENOTFOUND, 0);
  check_refused("{\"object\":\"error\",\"message\":\"boom\"}", DA_EAPI, 0);
  check_refused("[{\"code\":429,\"message\":\"slow\",\"choices\":null}]",
                DA_ERATE, 1);
  check_refused("{\"code\":\"x\",\"message\":\"\"}", DA_EPROTOCOL, 0);
  check_refused("{\"message\":\"x\"}", DA_EPROTOCOL, 0);
}

/* ---- errors ---- */

static void check_error(int status, const char *body, int code, int retryable,
                        const char *message) {
  da_err err;
  memset(&head, 0, sizeof head);
  head.status = status;
  strcpy(head.request_id, "req_1");
  CHECK_INT(chat_http_error(&reply, text(body), &err), code);
  CHECK_INT(err.code, code);
  CHECK_INT(err.status, status);
  CHECK_INT(err.retryable, retryable);
  CHECK_STR(err.message, message);
  CHECK_STR(err.request_id, "req_1");
}

static void statuses(void) {
  check_error(301, "", DA_EREDIRECT, 0,
              "HTTP 301: redirects are not followed; is the base URL right?");
  check_error(400, "{\"error\":{\"message\":\"bad\"}}", DA_EBADREQUEST, 0,
              "bad");
  check_error(401, "<html>", DA_EAUTH, 0, "HTTP 401 (an HTML page)");
  check_error(402, "", DA_EQUOTA, 0, "HTTP 402 (no text)");
  check_error(403, "{\"message\":\"no\"}", DA_EAUTH, 0, "no");
  check_error(404, "{\"error\":\"no such model\"}", DA_ENOTFOUND, 0,
              "no such model");
  check_error(408, "", DA_ESERVER, 1, "HTTP 408 (no text)");
  check_error(409, "", DA_ESERVER, 1, "HTTP 409 (no text)");
  check_error(413, "too big", DA_ETOOLARGE, 0, "HTTP 413: too big");
  check_error(418, "{}", DA_EHTTP, 0, "HTTP 418: {}");
  check_error(422, "{\"detail\":[{\"msg\":\"field required\"}]}",
              DA_EBADREQUEST, 0, "field required");
  check_error(429,
              "{\"error\":{\"code\":\"rate_limit_exceeded\","
              "\"message\":\"slow\"}}",
              DA_ERATE, 1, "slow");
  check_error(500, "\n", DA_ESERVER, 1, "HTTP 500 (no text)");
  check_error(529, "{\"error\":{\"message\":\"Overloaded\"}}", DA_ESERVER, 1,
              "Overloaded");
  check_error(999, "?", DA_EHTTP, 0, "HTTP 999: ?");
}

static void words_of_services(void) {
  check_error(429,
              "{\"error\":{\"code\":\"insufficient_quota\","
              "\"message\":\"pay\"}}",
              DA_EQUOTA, 0, "pay");
  check_error(400,
              "{\"error\":{\"message\":\"Your credit balance is too low\"}}",
              DA_EQUOTA, 0, "Your credit balance is too low");
  check_error(400,
              "{\"error\":{\"code\":\"context_length_exceeded\","
              "\"message\":\"long\"}}",
              DA_ECONTEXT, 0, "long");
  check_error(400,
              "{\"error\":{\"code\":400,\"message\":\"9 tokens\","
              "\"type\":\"exceed_context_size_error\"}}",
              DA_ECONTEXT, 0, "9 tokens"); /* llama.cpp's */
  check_error(400, "{\"error\":\"prompt is too long: 9 > 8\"}", DA_ECONTEXT, 0,
              "prompt is too long: 9 > 8");
  check_error(400, "[{\"error\":{\"code\":400,\"message\":\"x\"}}]",
              DA_EBADREQUEST, 0, "x");
  check_error(500, "\xff\xfe!", DA_ESERVER, 1,
              "HTTP 500: \xEF\xBF\xBD\xEF\xBF\xBD!");
  check_error(400, "{\"error\":{\"message\":\"a\\u0000b\\r\\nc\"}}",
              DA_EBADREQUEST, 0, "a?b??c");
}

/* The message may lie deeper, or not be there. */
static void hidden_messages(void) {
  check_error(400, "{\"message\":{\"detail\":\"deep\"}}", DA_EBADREQUEST, 0,
              "deep");
  check_error(400, "{\"error\":{\"error\":{\"msg\":\"deeper\"}}}",
              DA_EBADREQUEST, 0, "deeper");
  check_error(422, "{\"detail\":[7]}", DA_EBADREQUEST, 0,
              "HTTP 422: {\"detail\":[7]}");
  check_error(422, "{\"detail\":[]}", DA_EBADREQUEST, 0,
              "HTTP 422: {\"detail\":[]}");
  check_error(422, "{\"detail\":[{\"loc\":1}]}", DA_EBADREQUEST, 0,
              "HTTP 422: {\"detail\":[{\"loc\":1}]}");
  check_error(400, "[7]", DA_EBADREQUEST, 0, "HTTP 400: [7]");
  check_error(400, "{\"error\":\"\"}", DA_EBADREQUEST, 0,
              "HTTP 400: {\"error\":\"\"}");
  check_error(403, "{\"error\":{\"type\":\"billing_error\"}}", DA_EQUOTA, 0,
              "HTTP 403: {\"error\":{\"type\":\"billing_error\"}}");
  check_error(413, "{\"error\":\"the context window is full\"}", DA_ECONTEXT,
              0, "the context window is full");
  check_error(400, "{\"error\":{\"message\":\" \\n\"}}", DA_EBADREQUEST, 0,
              "HTTP 400: {\"error\":{\"message\":\" \\n\"}}");
}

static void secrets_are_masked(void) {
  check_error(401,
              "{\"error\":{\"message\":\"bad key sk-0123456789, really "
              "sk-0123456789\"}}",
              DA_EAUTH, 0, "bad key ***, really ***");
  check_error(401, "{\"error\":{\"message\":\"bad key sk-01234\\u00356789\"}}",
              DA_EAUTH, 0, "bad key ***");
  check_error(401, "key=sk-0123456789", DA_EAUTH, 0, "HTTP 401: key=***");
  {
    da_err err;
    da_text body = text("{\"error\":{\"code\":\"sk-0123456789 bad\"}}");
    CHECK_INT(chat_http_error(&reply, body, &err), DA_EAUTH);
    CHECK_STR(err.service_code, "***_bad");
  }
}

static void retry_hints(void) {
  da_err err;
  memset(&head, 0, sizeof head);
  head.status = 429;
  strcpy(head.retry_after, "2");
  strcpy(head.should_retry, "false");
  CHECK_INT(chat_http_error(&reply, text(""), &err), DA_ERATE);
  CHECK_INT(err.retryable, 0);
  CHECK_INT(err.retry_after, 2);
  head.status = 400;
  *head.retry_after = '\0';
  strcpy(head.should_retry, "true");
  CHECK_INT(chat_http_error(&reply, text(""), &err), DA_EBADREQUEST);
  CHECK_INT(err.retryable, 1);
  CHECK_INT(err.retry_after, -1);
}

/* Two secrets, and four million bytes of one of them: looking for the other
** from each on took hours. */
static void many_secrets_in_a_text(void) {
  const da_text both[] = {{"sk-0123456789", 13}, {"never-to-be-seen", 16}};
  const chat_reply two = {&head, both, 2, 0};
  da_buf text;
  da_err err;
  da_buf_init(&text, SIZE_MAX / 2);
  da_buf_puts(&text, "\"");
  for (int i = 0; i < 300000; i++)
    da_buf_puts(&text, "sk-0123456789 ");
  da_buf_puts(&text, "\"");
  memset(&head, 0, sizeof head);
  head.status = 200;
  CHECK_INT(chat_service_error(&two, da_buf_text(&text), &err), DA_EAPI);
  CHECK(strstr(err.message, "*** *** ***"));
  CHECK(!strstr(err.message, "sk-"));
  da_buf_dispose(&text);
}

int main(void) {
  RUN(whole_messages);
  RUN(roles_are_forced);
  RUN(whole_details);
  RUN(odd_usages);
  RUN(usage_in_detail);
  RUN(usage_of_groq);
  RUN(logprobs_and_choices);
  RUN(names_are_plain);
  RUN(whole_errors);
  RUN(errors_in_a_200);
  RUN(statuses);
  RUN(words_of_services);
  RUN(hidden_messages);
  RUN(secrets_are_masked);
  RUN(many_secrets_in_a_text);
  RUN(retry_hints);
  return check_done();
}
