/* test_transport.c - libcurl's transport, and the chat provider over it,
** against a server of our own on the loopback. */
#include "da_clock.h"
#include "da_provider.h"

#include <sys/wait.h>

#include "check.h"
#include "loopback.h"

#define OK_HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
#define ANSWER "{\"choices\":[{\"message\":{\"content\":\"Hi\"}}]}"
#define OK_ANSWER OK_HEAD "Content-Length: 42\r\n\r\n" ANSWER
#define SSE_HEAD                                                              \
  "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"                    \
  "X-Request-Id: req_7\r\nConnection: close\r\n\r\n"
#define SAY(s) "data: {\"choices\":[{\"delta\":{\"content\":\"" s "\"}}]}\n\n"
#define DONE "data: [DONE]\n\n"

#define SERVE(s, ...)                                                         \
  static const script scripts[] = {__VA_ARGS__};                              \
  loopback s;                                                                 \
  loopback_open(&s, scripts, sizeof scripts / sizeof *scripts)

/* ---- one exchange ---- */

static da_http_request request(const loopback *s, char url[64]) {
  static const char *const headers[] = {"Content-Type: application/json",
                                        "X-Empty:", NULL};
  da_http_request r = {0};
  snprintf(url, 64, "http://127.0.0.1:%d/v1/x", s->port);
  r.url = url;
  r.headers = headers;
  r.body.data = "{\"a\":1}";
  r.body.len = 7;
  r.connect_timeout = 5;
  r.idle_timeout = 5;
  r.deadline = da_deadline(10);
  r.max_body = 1 << 20;
  return r;
}

static da_transport *open_transport(void) {
  da_transport *t = NULL;
  da_err err;
  CHECK_INT(da_transport_curl.open(&t, &err), DA_OK);
  return t;
}

static da_http *begin(da_transport *t, const da_http_request *r) {
  da_http *h = NULL;
  da_err err;
  CHECK_INT(t->ops->start(t, &h, r, &err), DA_OK);
  return h;
}

static void finish(da_transport *t, da_http *h) {
  da_err err;
  while (!h->done)
    CHECK_INT(t->ops->step(t, 1, &err), DA_OK);
}

/* Runs an exchange and checks its end; `text` NULL: whatever. */
static void check_exchange(const loopback *s, da_http_request *r, int code,
                           int retryable, int status, const char *text) {
  da_transport *t = open_transport();
  da_http *h = begin(t, r);
  (void)s;
  finish(t, h);
  CHECK_INT(h->err.code, code);
  CHECK_INT(h->err.retryable, retryable);
  CHECK_INT(h->status, status);
  if (text)
    CHECK_STR(da_buf_text(&h->body).data, text);
  if (check_failed_here)
    fprintf(stderr, "%s\n", h->err.message);
  t->ops->end(t, h);
  t->ops->close(t, 0);
}

static void an_answer(void) {
  char url[64];
  SERVE(s, {.bytes = "HTTP/1.1 100 Continue\r\n\r\n" OK_ANSWER, .step = 1});
  da_http_request r = request(&s, url);
  check_exchange(&s, &r, DA_OK, 0, 200, ANSWER);
  CHECK(strncmp(s.seen, "POST /v1/x HTTP/1.1\r\n", 21) == 0);
  CHECK(strstr(s.seen, "\r\n\r\n{\"a\":1}") != NULL);
  CHECK(strstr(s.seen, "Content-Length: 7\r\n") != NULL);
  CHECK(strstr(s.seen, "Content-Type: application/json\r\n") != NULL);
  CHECK(strstr(s.seen, "\r\nX-Empty:\r\n") != NULL);
  CHECK(strstr(s.seen, "User-Agent: deepagent/") != NULL);
  CHECK(strcasestr(s.seen, "Expect:") == NULL);
  CHECK(strcasestr(s.seen, "Accept-Encoding: gzip, deflate\r\n") != NULL);
  loopback_close(&s);
}

static void connections_are_kept(void) {
  char url[64];
  SERVE(s, {.bytes = OK_ANSWER, .end = KEEP});
  da_http_request r = request(&s, url);
  da_transport *t = open_transport();
  for (int i = 0; i < 5; i++) {
    da_http *h = begin(t, &r);
    finish(t, h);
    CHECK_STR(da_buf_text(&h->body).data, ANSWER);
    t->ops->end(t, h);
  }
  CHECK_INT(s.next, 5);
  CHECK_INT(s.connections, 1);
  t->ops->close(t, 0);
  loopback_close(&s);
}

static void many_at_once(void) {
  enum { N = 20 };
  char url[64];
  da_http *h[N];
  da_err err;
  SERVE(s, {.bytes = OK_ANSWER, .step = 30, .pause_ms = 5, .end = KEEP});
  da_http_request r = request(&s, url);
  da_transport *t = open_transport();
  for (int i = 0; i < N; i++)
    h[i] = begin(t, &r);
  for (int left = N; left;) {
    CHECK_INT(t->ops->step(t, 1, &err), DA_OK);
    left = 0;
    for (int i = 0; i < N; i++)
      left += !h[i]->done;
  }
  for (int i = 0; i < N; i++) {
    CHECK_STR(da_buf_text(&h[i]->body).data, ANSWER);
    t->ops->end(t, h[i]);
  }
  t->ops->close(t, 0);
  loopback_close(&s);
}

/* ---- ends of other kinds ---- */

static void nobody_listens(void) {
  char url[64];
  SERVE(s, {.bytes = ""});
  da_http_request r = request(&s, url);
  loopback_close(&s);
  check_exchange(&s, &r, DA_ENETWORK, 1, 0, "");
}

static void cut_off(void) {
  char url[64];
  SERVE(s, {.bytes = OK_HEAD "Content-Length: 100\r\n\r\nabc"},
        {.bytes = OK_HEAD "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"},
        {.bytes = NULL},
        {.bytes = OK_HEAD "Content-Length: 100\r\n\r\nabc", .end = RESET});
  da_http_request r = request(&s, url);
  check_exchange(&s, &r, DA_ETRUNCATED, 1, 200, "abc");
  check_exchange(&s, &r, DA_ETRUNCATED, 1, 200, "abc");
  check_exchange(&s, &r, DA_ENETWORK, 1, 0, "");
  check_exchange(&s, &r, DA_ENETWORK, 1, 200, "abc");
  loopback_close(&s);
}

static void nonsense(void) {
  char url[64];
  SERVE(s, {.bytes = "hello\r\n\r\n"},
        {.bytes = OK_HEAD "Content-Encoding: gzip\r\n\r\nplain"},
        {.bytes = OK_HEAD "Transfer-Encoding: chunked\r\n\r\nzz\r\nabc"},
        {.bytes = OK_HEAD "Content-Length: 5\r\nContent-Length: 6\r\n\r\n"});
  da_http_request r = request(&s, url);
  check_exchange(&s, &r, DA_EPROTOCOL, 0, 0, "");
  check_exchange(&s, &r, DA_EPROTOCOL, 0, 200, "");
  check_exchange(&s, &r, DA_EPROTOCOL, 0, 200, "");
  check_exchange(&s, &r, DA_EPROTOCOL, 0, 0, "");
  loopback_close(&s);
}

static char *big; /* 300 KB of x behind a header, or within one */

static void too_large(void) {
  char url[64];
  static script scripts[3];
  loopback s;
  size_t n = (size_t)300 << 10, head = strlen(OK_HEAD "X-A: ");
  big = malloc(n + 1);
  if (!big)
    abort();
  memset(big, 'x', n);
  big[n] = '\0';
  memcpy(big, OK_HEAD "X-A: ", head);
  scripts[0].bytes = strdup(big);
  memcpy(big, OK_HEAD "\r\nxxx", head);
  scripts[1].bytes = strdup(big);
  memcpy(big + 9, "400", 3);
  scripts[2].bytes = big;
  loopback_open(&s, scripts, 3);
  da_http_request r = request(&s, url);
  r.max_body = 100000;
  check_exchange(&s, &r, DA_ETOOLARGE, 0, 0, "");
  check_exchange(&s, &r, DA_ETOOLARGE, 0, 200, NULL);
  { /* of an error only the beginning, and that is no error */
    da_transport *t = open_transport();
    da_http *h = begin(t, &r);
    finish(t, h);
    CHECK_INT(h->err.code, DA_OK);
    CHECK_INT(h->status, 400);
    CHECK_INT(h->body.len, 64 << 10);
    t->ops->end(t, h);
    t->ops->close(t, 0);
  }
  loopback_close(&s);
  for (int i = 0; i < 3; i++)
    free((void *)(uintptr_t)scripts[i].bytes);
}

static void redirects_are_not_followed(void) {
  char url[64];
  SERVE(s, {.bytes = "HTTP/1.1 307 Moved\r\nLocation: /other\r\n"
                     "Content-Length: 0\r\n\r\n",
            .end = KEEP});
  da_http_request r = request(&s, url);
  check_exchange(&s, &r, DA_OK, 0, 307, "");
  CHECK_INT(s.next, 1);
  loopback_close(&s);
}

/* ---- time ---- */

static double timed(const loopback *s, da_http_request *r, const char *why) {
  da_transport *t = open_transport();
  double from = da_now();
  da_http *h = begin(t, r);
  (void)s;
  finish(t, h);
  CHECK_INT(h->err.code, DA_ETIMEOUT);
  CHECK_INT(h->err.retryable, 1);
  CHECK_STR(h->err.message, why);
  t->ops->end(t, h);
  t->ops->close(t, 0);
  return da_now() - from;
}

static void deadlines(void) {
  char url[64];
  double took;
  SERVE(s, {.bytes = OK_HEAD "\r\n", .end = HANG},
        {.bytes = OK_HEAD "\r\n", .end = HANG},
        {.bytes = OK_HEAD "\r\nabcdefghijklmnopqrstuvwxyz",
         .step = 1,
         .pause_ms = 5,
         .end = HANG},
        {.bytes = OK_HEAD "\r\nabc", .end = HANG});
  da_http_request r = request(&s, url);
  r.deadline = da_deadline(0.15);
  took = timed(&s, &r, "no whole answer within 0.15 s");
  CHECK(took >= 0.14 && took < 0.5);
  r.deadline = DA_NEVER;
  r.idle_timeout = 0.15;
  r.stream = 1;
  took = timed(&s, &r, "not a byte of the answer within 0.15 s");
  CHECK(took >= 0.14 && took < 0.5);
  r.idle_timeout = 5;
  r.deadline = da_deadline(0.3);
  timed(&s, &r, "no whole answer within 0.3 s");
  r.stream = 0; /* the idle time counts from the first byte on */
  r.deadline = DA_NEVER;
  r.idle_timeout = 0.15;
  timed(&s, &r, "not a byte of the answer within 0.15 s");
  loopback_close(&s);
}

/* A listener with a full queue: nobody takes up the connection. */
static void no_connection(void) {
  char url[64];
  int fds[16];
  struct sockaddr_in a;
  socklen_t len = sizeof a;
  loopback s;
  double took;
  memset(&s, 0, sizeof s);
  memset(&a, 0, sizeof a);
  a.sin_family = AF_INET;
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  s.fd = socket(AF_INET, SOCK_STREAM, 0);
  CHECK_INT(bind(s.fd, (struct sockaddr *)&a, len), 0);
  CHECK_INT(listen(s.fd, 0), 0);
  CHECK_INT(getsockname(s.fd, (struct sockaddr *)&a, &len), 0);
  for (int i = 0; i < 16; i++) {
    fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    connect(fds[i], (struct sockaddr *)&a, len);
  }
  usleep(20000);
  s.port = ntohs(a.sin_port);
  da_http_request r = request(&s, url);
  r.connect_timeout = 0.2;
  took = timed(&s, &r, "no connection within 0.2 s");
  CHECK(took >= 0.15 && took < 1);
  for (int i = 0; i < 16; i++)
    close(fds[i]);
  close(s.fd);
}

static void a_step_waits_no_longer(void) {
  char url[64];
  da_err err;
  double from;
  SERVE(s, {.bytes = NULL, .end = HANG});
  da_http_request r = request(&s, url);
  da_transport *t = open_transport();
  da_http *h = begin(t, &r);
  from = da_now();
  CHECK_INT(t->ops->step(t, 0.1, &err), DA_OK);
  CHECK(da_now() - from >= 0.09 && da_now() - from < 0.5);
  from = da_now();
  for (int i = 0; i < 10; i++)
    CHECK_INT(t->ops->step(t, 0, &err), DA_OK);
  CHECK(da_now() - from < 0.05);
  t->ops->end(t, h); /* broken off */
  from = da_now();
  CHECK_INT(t->ops->step(t, 5, &err), DA_OK); /* nothing to wait for */
  CHECK(da_now() - from < 0.05);
  t->ops->close(t, 0);
  loopback_close(&s);
}

/* ---- processes ---- */

/* The child closes its copies in silence; the parent's connection works. */
static void a_fork(void) {
  char url[64];
  pid_t child;
  int status = -1;
  SERVE(s, {.bytes = OK_ANSWER, .end = KEEP});
  da_http_request r = request(&s, url);
  da_transport *t = open_transport();
  da_http *h = begin(t, &r);
  finish(t, h);
  t->ops->end(t, h);
  h = begin(t, &r);
  child = fork();
  if (child == 0) {
    da_err err;
    int wrong = t->ops->step(t, 0, &err) != DA_ECLOSED;
    t->ops->end(t, h);
    t->ops->close(t, 1);
    _exit(wrong);
  }
  CHECK_INT(waitpid(child, &status, 0), child);
  CHECK_INT(status, 0);
  finish(t, h);
  CHECK_STR(da_buf_text(&h->body).data, ANSWER);
  CHECK_INT(s.connections, 1);
  t->ops->end(t, h);
  t->ops->close(t, 0);
  loopback_close(&s);
}

/* ---- the provider on top ---- */

static da_transport *give(void *ctx, da_err *err) {
  (void)err;
  return ctx;
}

typedef struct talk {
  da_transport *transport;
  da_provider *provider;
  da_message *turn;
  da_request request;
  char url[64];
} talk;

static void talk_open(talk *k, const loopback *s) {
  da_chat_options o;
  da_text hi = {"Hi", 2};
  da_err err;
  memset(k, 0, sizeof *k);
  memset(&o, 0, sizeof o);
  snprintf(k->url, sizeof k->url, "http://127.0.0.1:%d/v1/", s->port);
  k->transport = open_transport();
  o.base_url.data = k->url;
  o.base_url.len = strlen(k->url);
  o.api_key.data = "sk-0123456789";
  o.api_key.len = 13;
  o.transport = give;
  o.transport_ctx = k->transport;
  CHECK_INT(da_provider_chat(&k->provider, &o, &err), DA_OK);
  CHECK_INT(da_message_text(&k->turn, "user", hi, &err), DA_OK);
  k->request.model.data = "m";
  k->request.model.len = 1;
  k->request.turn = k->turn;
  k->request.timeouts.total = 10;
}

static void talk_close(talk *k) {
  k->provider->ops->close(k->provider);
  da_message_unref(k->turn);
  k->transport->ops->close(k->transport, 0);
}

static int complete(talk *k, da_answer *a, da_delta_fn delta, void *ctx,
                    da_err *err) {
  const da_provider_ops *ops = k->provider->ops;
  da_call *c;
  int rc;
  da_answer_init(a);
  k->request.stream = delta != NULL;
  rc = ops->start(k->provider, &c, &k->request, a, delta, ctx, err);
  CHECK_INT(rc, DA_OK);
  while ((rc = ops->step(k->provider, c, 1, err)) == 0)
    ;
  ops->end(k->provider, c);
  return rc;
}

static int count(void *ctx, da_text delta, da_err *err) {
  (void)delta;
  (void)err;
  ++*(int *)ctx;
  return 0;
}

static void a_plain_completion(void) {
  talk k;
  da_answer a;
  da_err err;
  SERVE(s, {.bytes = OK_ANSWER});
  talk_open(&k, &s);
  CHECK_INT(complete(&k, &a, NULL, NULL, &err), 1);
  CHECK_STR(da_buf_text(&a.text).data, "Hi");
  CHECK(strncmp(s.seen, "POST /v1/chat/completions HTTP", 30) == 0);
  CHECK(strstr(s.seen, "Authorization: Bearer sk-0123456789\r\n") != NULL);
  CHECK(strstr(s.seen, "Accept: application/json\r\n") != NULL);
  CHECK(strstr(s.seen, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\","
                       "\"content\":\"Hi\"}]}") != NULL);
  da_answer_dispose(&a);
  talk_close(&k);
  loopback_close(&s);
}

static void a_streamed_completion(void) {
  talk k;
  da_answer a;
  da_err err;
  int deltas = 0;
  SERVE(s, {.bytes = SSE_HEAD SAY("a") SAY("b") DONE, .step = 3});
  talk_open(&k, &s);
  CHECK_INT(complete(&k, &a, count, &deltas, &err), 1);
  CHECK_INT(deltas, 2);
  CHECK_STR(da_buf_text(&a.text).data, "ab");
  CHECK_STR(a.request_id, "req_7");
  CHECK(strstr(s.seen, "Accept: text/event-stream\r\n") != NULL);
  da_answer_dispose(&a);
  talk_close(&k);
  loopback_close(&s);
}

/* Neither a server that does not close after [DONE], nor an answer of
** another kind than asked for, stands in the way. */
static void streams_out_of_line(void) {
  talk k;
  da_answer a;
  da_err err;
  double from;
  int deltas = 0;
  SERVE(s, {.bytes = SSE_HEAD SAY("a") DONE, .end = HANG},
        {.bytes = OK_ANSWER}, {.bytes = SSE_HEAD SAY("a"), .end = CLOSE},
        {.bytes = OK_HEAD "\r\n<html>"});
  talk_open(&k, &s);
  from = da_now();
  CHECK_INT(complete(&k, &a, count, &deltas, &err), 1);
  CHECK(da_now() - from < 1);
  da_answer_dispose(&a);
  CHECK_INT(complete(&k, &a, count, &deltas, &err), 1);
  CHECK_INT(deltas, 2);
  CHECK_STR(da_buf_text(&a.text).data, "Hi");
  da_answer_dispose(&a);
  CHECK_INT(complete(&k, &a, count, &deltas, &err), DA_ETRUNCATED);
  CHECK_STR(err.request_id, "req_7");
  da_answer_dispose(&a);
  CHECK_INT(complete(&k, &a, count, &deltas, &err), DA_ECONTENTTYPE);
  da_answer_dispose(&a);
  talk_close(&k);
  loopback_close(&s);
}

/* A delta function that asks another question over the same transport. */
static int ask_another(void *ctx, da_text delta, da_err *err) {
  talk *k = ctx;
  da_answer a;
  da_err inner;
  (void)delta;
  (void)err;
  CHECK_INT(complete(k, &a, NULL, NULL, &inner), 1);
  CHECK_STR(da_buf_text(&a.text).data, "Hi");
  da_answer_dispose(&a);
  return 0;
}

static void a_question_within_a_delta(void) {
  talk k;
  da_answer a;
  da_err err;
  SERVE(s,
        {.bytes = SSE_HEAD SAY("a") SAY("b") DONE, .step = 70, .pause_ms = 5},
        {.bytes = OK_ANSWER, .end = KEEP});
  talk_open(&k, &s);
  CHECK_INT(complete(&k, &a, ask_another, &k, &err), 1);
  CHECK_STR(da_buf_text(&a.text).data, "ab");
  da_answer_dispose(&a);
  talk_close(&k);
  loopback_close(&s);
}

int main(void) {
  RUN(an_answer);
  RUN(connections_are_kept);
  RUN(many_at_once);
  RUN(nobody_listens);
  RUN(cut_off);
  RUN(nonsense);
  RUN(too_large);
  RUN(redirects_are_not_followed);
  RUN(deadlines);
  RUN(no_connection);
  RUN(a_step_waits_no_longer);
  RUN(a_fork);
  RUN(a_plain_completion);
  RUN(a_streamed_completion);
  RUN(streams_out_of_line);
  RUN(a_question_within_a_delta);
  return check_done();
}
