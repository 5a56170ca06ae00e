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
  check_refused(MESSAGE("{\"content\":null,\"tool_calls\":[{}]}"),
                DA_EUNSUPPORTED, 0);
  check_refused("{\"error\":\"broken\"}", DA_EAPI, 0);
  check_refused("{\"error\":{\"type\":\"server_error\"}}", DA_EAPI, 1);
  check_refused("[{\"error\":{\"code\":429}}]", DA_ERATE, 1);
  check_refused("{\"choices\":[{\"error\":{\"code\":502}}]}", DA_ESERVER, 1);
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
  check_error(400, "{\"error\":\"prompt is too long: 9 > 8\"}", DA_ECONTEXT, 0,
              "prompt is too long: 9 > 8");
  check_error(400, "[{\"error\":{\"code\":400,\"message\":\"x\"}}]",
              DA_EBADREQUEST, 0, "x");
  check_error(500, "\xff\xfe!", DA_ESERVER, 1,
              "HTTP 500: \xEF\xBF\xBD\xEF\xBF\xBD!");
  check_error(400, "{\"error\":{\"message\":\"a\\u0000b\\r\\nc\"}}",
              DA_EBADREQUEST, 0, "a?b??c");
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

int main(void) {
  RUN(whole_messages);
  RUN(roles_are_forced);
  RUN(whole_details);
  RUN(whole_errors);
  RUN(statuses);
  RUN(words_of_services);
  RUN(secrets_are_masked);
  RUN(retry_hints);
  return check_done();
}
