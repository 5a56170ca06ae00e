/* test_transport.c - libcurl's transport against a server of our own on the
** loopback. */
#include "da_clock.h"
#include "da_transport.h"

#include <signal.h>
#include <sys/wait.h>

#include "check.h"
#include "loopback.h"
#include "text_kit.h"

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
  r.connect_timeout = CHECK_LONG;
  r.idle_timeout = CHECK_LONG;
  r.deadline = da_deadline(CHECK_LONG);
  r.max_header = (size_t)256 << 10;
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

/* Interim answers count; and a first line without an end is no lack of
** memory, though curl says so. */
static void large_headers(void) {
  static const char answer[] =
      "HTTP/1.1 103 Hints\r\n\r\n" OK_HEAD "Content-Length: 3\r\n\r\nabc";
  static char endless[300 << 10];
  static const script scripts[] = {
      {.bytes = answer}, {.bytes = answer}, {.bytes = endless}};
  char url[64];
  loopback s;
  memset(endless, 'x', sizeof endless - 1);
  memcpy(endless, "HTTP/1.1 200 ", 13);
  loopback_open(&s, scripts, 3);
  da_http_request r = request(&s, url);
  r.max_header = strlen(answer) - 3;
  check_exchange(&s, &r, DA_OK, 0, 200, "abc");
  r.max_header--;
  check_exchange(&s, &r, DA_ETOOLARGE, 0, 0, "");
  r.max_header = (size_t)1 << 30;
  check_exchange(&s, &r, DA_ETOOLARGE, 0, 0, "");
  loopback_close(&s);
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

/* The exchange runs out of time, for that reason: seconds since `from`. */
static double timed(da_http_request *r, const char *why, double from) {
  da_transport *t = open_transport();
  da_http *h = begin(t, r);
  finish(t, h);
  CHECK_INT(h->err.code, DA_ETIMEOUT);
  CHECK_INT(h->err.retryable, 1);
  CHECK(strncmp(h->err.message, why, strlen(why)) == 0);
  if (check_failed_here)
    fprintf(stderr, "%s\n", h->err.message);
  t->ops->end(t, h);
  t->ops->close(t, 0);
  return da_now() - from;
}

/* A deadline may be nearer already when the exchange starts; so its message
** may tell of a little less. */
static double late(da_http_request *r, double seconds) {
  double from = da_now();
  r->deadline = da_deadline(seconds);
  return timed(r, "no whole answer within 0.", from);
}

static void deadlines(void) {
  static const char idle[] = "not a byte of the answer within 0.15 s";
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
  took = late(&r, 0.15);
  CHECK(took >= 0.15 && took < CHECK_SOON);
  r.deadline = DA_NEVER;
  r.idle_timeout = 0.15;
  r.stream = 1;
  took = timed(&r, idle, da_now());
  CHECK(took >= 0.15 && took < CHECK_SOON);
  r.idle_timeout = CHECK_LONG;
  took = late(&r, 0.3);
  CHECK(took >= 0.3 && took < CHECK_SOON);
  r.stream = 0; /* the idle time counts from the first byte on */
  r.deadline = DA_NEVER;
  r.idle_timeout = 0.15;
  timed(&r, idle, da_now());
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
  took = timed(&r, "no connection within 0.2 s", da_now());
  CHECK(took >= 0.2 && took < CHECK_SOON);
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
  CHECK(da_now() - from >= 0.1 && da_now() - from < CHECK_SOON);
  from = da_now();
  for (int i = 0; i < 10; i++)
    CHECK_INT(t->ops->step(t, 0, &err), DA_OK);
  CHECK(da_now() - from < CHECK_SOON);
  t->ops->end(t, h); /* broken off */
  from = da_now();
  CHECK_INT(t->ops->step(t, CHECK_LONG, &err),
            DA_OK); /* nothing to wait for */
  CHECK(da_now() - from < CHECK_SOON);
  t->ops->close(t, 0);
  loopback_close(&s);
}

/* ---- what is refused ---- */

static void refused(void) {
  char name[400], url[64];
  const char *headers[2] = {name, NULL};
  da_http *h = NULL;
  da_err err;
  SERVE(s, {.bytes = OK_ANSWER, .end = KEEP});
  da_http_request r = request(&s, url);
  da_transport *t = open_transport();
  memset(name, 'x', sizeof name);
  strcpy(name + 300, ":"); /* an empty value: written in another way */
  r.headers = headers;
  CHECK_INT(t->ops->start(t, &h, &r, &err), DA_EINVAL);
  CHECK_STR(err.message, "a header's name is too long");
  strcpy(name + 300, ": y");
  h = begin(t, &r);
  finish(t, h);
  CHECK_INT(h->err.code, DA_OK);
  t->ops->end(t, h);
  r.headers = NULL;
  r.url = "http://[::1";
  h = begin(t, &r);
  finish(t, h);
  CHECK_INT(h->err.code, DA_EURL);
  CHECK_INT(h->err.retryable, 0);
  t->ops->end(t, h);
  t->ops->close(t, 0);
  loopback_close(&s);
}

/* A deadline that has passed is over at the first step, without a wait. */
static void too_late(void) {
  char url[64];
  SERVE(s, {.bytes = NULL, .end = HANG});
  da_http_request r = request(&s, url);
  r.deadline = da_now() - 1;
  check_exchange(&s, &r, DA_ETIMEOUT, 1, 0, "");
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
    da_http *other;
    int wrong = t->ops->step(t, 0, &err) != DA_ECLOSED ||
                t->ops->start(t, &other, &r, &err) != DA_ECLOSED;
    t->ops->end(t, h);
    t->ops->close(t, 1);
    /* Not an exit, after which valgrind would count what curl leaks. */
    CHECK_KEEP_COUNTS();
    kill(getpid(), wrong ? SIGABRT : SIGKILL);
  }
  CHECK_INT(waitpid(child, &status, 0), child);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  finish(t, h);
  CHECK_STR(da_buf_text(&h->body).data, ANSWER);
  CHECK_INT(s.connections, 1);
  t->ops->end(t, h);
  t->ops->close(t, 0);
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
  RUN(large_headers);
  RUN(redirects_are_not_followed);
  RUN(deadlines);
  RUN(no_connection);
  RUN(a_step_waits_no_longer);
  RUN(refused);
  RUN(too_late);
  if (!kit_no_fork())
    RUN(a_fork);
  else
    SKIP("a_fork", kit_no_fork());
  return check_done();
}
