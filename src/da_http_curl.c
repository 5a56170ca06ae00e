/* da_http_curl.c - HTTP through libcurl, which only the da_http_curl files
** know.
**
** Within curl's callbacks bytes are copied and counted, nothing else: no
** parsing, no calls of others, so whoever reads what came may begin another
** exchange. The order in `step` is poll, perform, look: a handle that was
** just added makes the poll return at once.
*/
#include "da_transport.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "da_clock.h"
#include "da_http_curl_error.h"
#include "da_http_curl_headers.h"
#include "da_http_curl_socket.h"
#include "da_http_head.h"
#include "da_version.h"

#define ERROR_BODY ((size_t)64 << 10)
#define DAY 86400.0
#define STOP_ENOUGH 1 /* no failure: the rest is not wanted */

typedef struct transport transport;
typedef struct exchange exchange;

struct exchange {
  da_http http; /* first: what others see of it */
  exchange *next;
  transport *owner;
  CURL *easy;
  struct curl_slist *headers;
  da_http_head head;
  size_t received, max_body;
  double started, last; /* da_now(); last: of a byte of the body */
  double connect, idle; /* seconds */
  double deadline;
  int connected, awaited; /* awaited: the idle time counts */
  int stop;               /* why a callback stopped it: a code */
  char why[CURL_ERROR_SIZE];
};

struct transport {
  da_transport base;
  CURLM *multi;
  exchange *first;
  unsigned events; /* writes and ends since the step began */
  double now;
  pid_t pid; /* the process whose sockets these are */
  da_sockets sockets;
};

/* ---- called by curl ---- */

static size_t on_header(char *line, size_t size, size_t n, void *ctx) {
  exchange *x = ctx;
  int rc = da_http_head_line(&x->head, line, size * n);
  if (rc == DA_OK)
    return size * n;
  x->stop = rc;
  return 0;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *ctx) {
  exchange *x = ctx;
  size_t len = size * n, take = len, most = x->max_body;
  x->owner->events++;
  x->last = x->owner->now;
  x->awaited = 1;
  if (x->http.status >= 400)
    most = ERROR_BODY;
  if (take > most - x->received) {
    take = most - x->received;
    x->stop = x->http.status >= 400 ? STOP_ENOUGH : DA_ETOOLARGE;
  }
  if (da_buf_put(&x->http.body, bytes, take))
    x->stop = x->http.body.failed;
  x->received += take;
  return x->stop ? 0 : len;
}

static int on_connected(void *ctx, char *ip, char *local_ip, int port,
                        int local_port) {
  exchange *x = ctx;
  (void)ip, (void)local_ip, (void)port, (void)local_port;
  x->connected = 1;
  return CURL_PREREQFUNC_OK;
}

/* ---- ends ---- */

static exchange *finish(exchange *x) {
  x->http.done = 1;
  x->owner->events++;
  curl_multi_remove_handle(x->owner->multi, x->easy);
  return x;
}

static void set_timeout(da_err *err, const char *what, double seconds) {
  double rounded = (double)(int64_t)(seconds * 1000 + 0.5) / 1000;
  da_fail(err, DA_ETIMEOUT, "%s within %g s", what, rounded);
  err->retryable = 1;
}

static double earlier(double a, double b) {
  return a < b ? a : b;
}

static double give_up_at(const exchange *x) {
  double at = x->deadline;
  if (!x->connected)
    at = earlier(at, x->started + x->connect);
  if (x->awaited)
    at = earlier(at, x->last + x->idle);
  return at;
}

static void check_time(exchange *x, double now) {
  const char *what = "not a byte of the answer";
  double seconds = x->idle;
  if (now < give_up_at(x))
    return;
  if (now >= x->deadline) {
    what = "no whole answer";
    seconds = x->deadline - x->started;
  } else if (!x->connected && now >= x->started + x->connect) {
    what = "no connection";
    seconds = x->connect;
  }
  /* Over HTTP/2 curl would keep the connection, which may be dead. */
  curl_easy_setopt(x->easy, CURLOPT_FORBID_REUSE, 1L);
  set_timeout(&finish(x)->http.err, what, seconds);
}

/* Whether some of the answer has come, and not its whole header: the first
** line may be without an end. */
static int in_header(const exchange *x) {
  curl_off_t first_byte = 0;
  if (x->head.complete)
    return 0;
  curl_easy_getinfo(x->easy, CURLINFO_STARTTRANSFER_TIME_T, &first_byte);
  return x->head.status || first_byte > 0;
}

static void fail(exchange *x, CURLcode code) {
  da_err *err = &x->http.err;
  if (x->stop == DA_ENOMEM ||
      (x->owner->sockets.starved && code == CURLE_COULDNT_CONNECT))
    da_nomem(err);
  else if (x->stop == DA_ETOOLARGE && x->head.full)
    da_fail(err, x->stop, "the header of the answer is larger than %zu bytes",
            x->head.max);
  else if (x->stop == DA_ETOOLARGE)
    da_fail(err, x->stop, "the answer is larger than %zu bytes", x->max_body);
  else if (x->stop == DA_EPROTOCOL)
    da_fail(err, x->stop, "the answer contradicts itself about its length");
  else if (code == CURLE_OPERATION_TIMEDOUT) /* only curl's connect timer */
    set_timeout(err, "no connection", x->connect);
  else if (x->stop != STOP_ENOUGH)
    da_curl_error(err, (int)code, x->why, in_header(x));
}

/* ---- one round ---- */

static void read_ends(transport *t) {
  CURLMsg *m;
  int left;
  while ((m = curl_multi_info_read(t->multi, &left)) != NULL) {
    char *ctx = NULL;
    CURLcode code = m->data.result; /* gone after the removal */
    if (m->msg != CURLMSG_DONE)
      continue;
    curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &ctx);
    exchange *x = finish((exchange *)(void *)ctx);
    if (code != CURLE_OK || x->stop)
      fail(x, code);
  }
}

/* NULL if all are over. */
static exchange *next_open(exchange *x) {
  while (x && x->http.done)
    x = x->next;
  return x;
}

/* Waits at most until `by` or the first deadline of an exchange. */
static CURLMcode wait_for(transport *t, double by) {
  double seconds, at = by;
  for (exchange *x = next_open(t->first); x; x = next_open(x->next))
    at = earlier(at, give_up_at(x));
  seconds = da_left(at);
  if (seconds <= 0)
    return CURLM_OK;
  return curl_multi_poll(t->multi, NULL, 0,
                         (int)(earlier(seconds, 3600) * 1000) + 1, NULL);
}

static int round_trip(transport *t, double by, da_err *err) {
  int running;
  CURLMcode rc = by > 0 ? wait_for(t, by) : CURLM_OK;
  t->now = da_now();
  if (rc == CURLM_OK)
    rc = curl_multi_perform(t->multi, &running);
  if (rc == CURLM_OUT_OF_MEMORY)
    return da_nomem(err);
  if (rc != CURLM_OK)
    return da_fail(err, DA_ENETWORK, "libcurl: %s", curl_multi_strerror(rc));
  read_ends(t);
  for (exchange *x = next_open(t->first); x; x = next_open(x->next))
    check_time(x, t->now);
  return DA_OK;
}

static int curl_step(da_transport *base, double seconds, da_err *err) {
  transport *t = (transport *)base;
  double by = seconds > 0 ? da_deadline(seconds) : 0;
  int rc = DA_OK;
  if (t->pid != getpid())
    return da_fail(err, DA_ECLOSED, "the connections are the parent's");
  t->events = 0;
  t->sockets.starved = 0;
  do {
    if (!next_open(t->first))
      break;
    rc = round_trip(t, by, err);
  } while (rc == DA_OK && !t->events && by > 0 && da_left(by) > 0);
  return rc;
}

/* ---- beginning and ending an exchange ---- */

#define SET(option, value)                                                    \
  do {                                                                        \
    if (rc == CURLE_OK)                                                       \
      rc = curl_easy_setopt(x->easy, option, value);                          \
  } while (0)

static CURLcode set_callbacks(exchange *x) {
  CURLcode rc = CURLE_OK;
  SET(CURLOPT_PRIVATE, (void *)x);
  SET(CURLOPT_ERRORBUFFER, x->why);
  SET(CURLOPT_WRITEFUNCTION, on_body);
  SET(CURLOPT_WRITEDATA, (void *)x);
  SET(CURLOPT_HEADERFUNCTION, on_header);
  SET(CURLOPT_HEADERDATA, (void *)x);
  SET(CURLOPT_PREREQFUNCTION, on_connected);
  SET(CURLOPT_PREREQDATA, (void *)x);
  /* A socket outlives the exchange that opened it. */
  SET(CURLOPT_OPENSOCKETFUNCTION, da_sockets_open);
  SET(CURLOPT_OPENSOCKETDATA, &x->owner->sockets);
  SET(CURLOPT_CLOSESOCKETFUNCTION, da_sockets_close);
  SET(CURLOPT_CLOSESOCKETDATA, &x->owner->sockets);
  return rc;
}

static CURLcode set_security(exchange *x, const da_http_request *r) {
  CURLcode rc = CURLE_OK;
  SET(CURLOPT_PROTOCOLS_STR, "http,https");
  SET(CURLOPT_FOLLOWLOCATION, 0L);
  SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
  SET(CURLOPT_SSL_VERIFYPEER, r->insecure ? 0L : 1L);
  SET(CURLOPT_SSL_VERIFYHOST, r->insecure ? 0L : 2L);
  if (r->ca_file) { /* it, and not the system's authorities besides */
    SET(CURLOPT_CAINFO, r->ca_file);
    SET(CURLOPT_CAPATH, (char *)NULL);
  }
  SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  if (!r->proxy) {
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NOPROXY, "*");
  } else if (strcmp(r->proxy, "env") != 0) {
    SET(CURLOPT_PROXY, r->proxy);
    SET(CURLOPT_NOPROXY, "");
  }
  return rc;
}

static CURLcode set_request(exchange *x, const da_http_request *r) {
  CURLcode rc = CURLE_OK;
  double ms = x->connect * 1000 + 1;
  SET(CURLOPT_URL, r->url);
  SET(CURLOPT_HTTPHEADER, x->headers);
  SET(CURLOPT_USERAGENT, "deepagent/" DA_VERSION);
  SET(CURLOPT_POST, 1L);
  SET(CURLOPT_POSTFIELDS, (void *)(uintptr_t)r->body.data);
  SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.len);
  SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
  SET(CURLOPT_HTTP09_ALLOWED, 0L);
  SET(CURLOPT_ACCEPT_ENCODING, "gzip, deflate");
  SET(CURLOPT_NOSIGNAL, 1L);
  SET(CURLOPT_TCP_NODELAY, 1L);
  SET(CURLOPT_TCP_KEEPALIVE, 1L);
  SET(CURLOPT_CONNECTTIMEOUT_MS, (long)ms);
  return rc;
}

static int prepare(exchange *x, const da_http_request *r) {
  int rc;
  x->easy = curl_easy_init();
  if (!x->easy)
    return DA_ENOMEM;
  rc = da_curl_headers(&x->headers, r->headers);
  if (rc == DA_OK &&
      (set_callbacks(x) || set_security(x, r) || set_request(x, r)))
    rc = DA_ENOMEM; /* nothing else can be wrong with these */
  if (rc == DA_OK && curl_multi_add_handle(x->owner->multi, x->easy))
    rc = DA_ENOMEM;
  return rc;
}

static void dispose(exchange *x) {
  if (x->owner->pid == getpid()) {
    curl_easy_cleanup(x->easy);
    curl_slist_free_all(x->headers);
  }
  da_buf_dispose(&x->http.body);
  free(x);
}

static int curl_start(da_transport *base, da_http **out,
                      const da_http_request *r, da_err *err) {
  transport *t = (transport *)base;
  exchange *x;
  int rc;
  if (t->pid != getpid())
    return da_fail(err, DA_ECLOSED, "the connections are the parent's");
  x = calloc(1, sizeof *x);
  if (!x)
    return da_nomem(err);
  x->owner = t;
  x->head.http = &x->http;
  x->head.max = r->max_header;
  x->max_body = r->max_body;
  x->started = x->last = da_now();
  x->connect = r->connect_timeout > 0 ? earlier(r->connect_timeout, DAY) : DAY;
  x->idle = r->idle_timeout > 0 ? r->idle_timeout : DA_NEVER;
  x->deadline = r->deadline;
  x->awaited = r->stream;
  da_err_clear(&x->http.err);
  da_buf_init(&x->http.body,
              r->max_body > ERROR_BODY ? r->max_body : ERROR_BODY);
  rc = prepare(x, r);
  if (rc != DA_OK) {
    dispose(x);
    return rc == DA_ENOMEM ? da_nomem(err)
                           : da_fail(err, rc, "a header's name is too long");
  }
  x->next = t->first;
  t->first = x;
  *out = &x->http;
  return DA_OK;
}

static void curl_end(da_transport *base, da_http *h) {
  transport *t = (transport *)base;
  exchange *x = (exchange *)h, **at = &t->first;
  while (*at != x)
    at = &(*at)->next;
  *at = x->next;
  if (!h->done && t->pid == getpid())
    curl_multi_remove_handle(t->multi, x->easy);
  dispose(x);
}

/* ---- the transport ---- */

static void init_curl(void) {
  curl_global_init(CURL_GLOBAL_DEFAULT);
}

static int curl_open(da_transport **out, da_err *err) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  transport *t = calloc(1, sizeof *t);
  if (!t)
    return da_nomem(err);
  pthread_once(&once, init_curl);
  t->base.ops = &da_transport_curl;
  t->pid = getpid();
  t->multi = curl_multi_init();
  if (!t->multi) {
    free(t);
    return da_nomem(err);
  }
  *out = &t->base;
  return DA_OK;
}

/* In a forked child curl must not clean up: it would say goodbye on
** connections that are the parent's. Closing the child's copies of the
** sockets says nothing; the memory is left to leak. */
static void curl_close(da_transport *base, int forked) {
  transport *t = (transport *)base;
  if (forked || t->pid != getpid()) {
    da_sockets_abandon(&t->sockets);
    return; /* exchanges that were under way still point here */
  }
  curl_multi_cleanup(t->multi);
  da_sockets_dispose(&t->sockets);
  free(t);
}

const da_transport_ops da_transport_curl = {
    DA_TRANSPORT_VERSION, "curl", curl_open, curl_start, curl_step, curl_end,
    curl_close,
};
