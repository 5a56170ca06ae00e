/* test_http.c - what may be sent where, and what header lines say. */
#include "da_http.h"

#include "check.h"
#include "da_http_head.h"

/* ---- URLs ---- */

static int url(const char *s, int allow_http) {
  da_err err;
  return da_http_check_url(s, strlen(s), allow_http, &err);
}

static void good_urls(void) {
  static const char *const good[] = {
      "https://api.openai.com/v1",
      "https://api.openai.com/v1/",
      "HTTPS://API.example.com",
      "https://example.com:8443",
      "https://example.com:8443/a/b-c_d.e~f/@x/%20y",
      "https://192.0.2.1/v1",
      "https://[2001:db8::1]:443/v1",
      "https://under_score.example/",
      "http://127.0.0.1:11434/v1",
      "http://127.255.0.9",
      "http://localhost:8080/v1",
      "http://LOCALHOST",
      "http://[::1]:8080/v1",
      "http://[0:0:0:0:0:0:0:1]",
  };
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    if (url(good[i], 0) != DA_OK)
      CHECK_STR(good[i], "accepted");
  }
}

static void http_only_to_loopback(void) {
  static const char *const remote[] = {
      "http://example.com/v1",     "http://127.0.0.1.example.com/",
      "http://127.evil.com",       "http://localhost.example.com",
      "http://128.0.0.1",          "http://[2001:db8::1]",
      "http://0177.0.0.1",         "http://127.1",
      "http://2130706433/",        "http://localhost.",
      "http://[::ffff:127.0.0.1]",
  };
  for (size_t i = 0; i < sizeof remote / sizeof *remote; i++) {
    if (url(remote[i], 0) != DA_EURL || url(remote[i], 1) != DA_OK)
      fprintf(stderr, "%s\n", remote[i]);
    CHECK_INT(url(remote[i], 0), DA_EURL);
    CHECK_INT(url(remote[i], 1), DA_OK);
  }
}

static void bad_urls(void) {
  static const char *const bad[] = {
      "",
      "api.openai.com",
      "ftp://example.com",
      "file:///etc/passwd",
      "https:/example.com",
      "https://",
      "https:///v1",
      "https://:443/",
      "https://user@example.com",
      "https://user:secret@example.com",
      "http://127.0.0.1:80@example.com",
      "http://127.0.0.1\\@example.com",
      "https://example.com/#f",
      "https://user@example.com?x=1",
      "https://example.com:80x?x=1",
      "https://?x=1",
      "https://example.com?x=1#f",
      "https://example.com/?x=\n",
      "https://example.com /v1",
      "https://example.com/v1\r\nX: y",
      "https://example.com/v1\n",
      "https://ex\xC3\xA4mple.com",
      "https://example.com:",
      "https://example.com:0",
      "https://example.com:65536",
      "https://example.com:99999999999999999999",
      "https://example.com:80x",
      "https://exa%6dple.com",
      "https://[::1",
      "https://[::1]x",
      "https://[example.com]",
      "https://[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]",
      "https://[fe80::1%25eth0]",
      "https://-example.com",
      "https://.example.com",
      "https://{a,b}.example.com",
  };
  char longest[8192];
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    if (url(bad[i], 1) != DA_EURL)
      fprintf(stderr, "%s\n", bad[i]);
    CHECK_INT(url(bad[i], 1), DA_EURL);
  }
  CHECK_INT(da_http_check_url("https://a.b/\0c", 14, 1, NULL), DA_EURL);
  memset(longest, 'a', sizeof longest);
  memcpy(longest, "https://a.b/", 12);
  CHECK_INT(da_http_check_url(longest, sizeof longest, 1, NULL), DA_EURL);
}

/* With a query the host still is the host. */
static void queries(void) {
  CHECK_INT(url("https://example.com?x=1", 0), DA_OK);
  CHECK_INT(url("https://example.com/v1?api-version=2024-10-21&a", 0), DA_OK);
  CHECK_INT(url("https://example.com:80?x=a@b:c/d", 0), DA_OK);
  CHECK_INT(url("http://127.0.0.1?@example.com/", 0), DA_OK);
  CHECK_INT(url("http://example.com?@127.0.0.1/", 0), DA_EURL);
}

static void proxies(void) {
  static const char *const good[] = {
      "env",
      "http://127.0.0.1:3128",
      "HTTPS://proxy.example/",
      "socks5h://user:pass@proxy.example:1080",
      "proxy.example:3128",
      "user@[::1]:3128",
  };
  static const char *const bad[] = {
      "",
      "://",
      "http://",
      "ftp://proxy.example",
      "http://secret\r\n@proxy.example",
      "http://proxy.example\r\nX: secret",
      "http://proxy.example/secret",
      "http://proxy.example?secret",
      "http://proxy.example:99999",
      "http://proxy.example:secret",
      "http://se cret.example",
      "http://[::secret",
      "http://\xc3\xa4.example",
  };
  da_err err;
  for (size_t i = 0; i < sizeof good / sizeof *good; i++)
    CHECK_INT(da_http_check_proxy(good[i], 0, &err), DA_OK);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    CHECK_INT(da_http_check_proxy(bad[i], 0, &err), DA_EURL);
    CHECK(strstr(err.message, "secret") == NULL);
  }
  for (size_t i = 0; i < sizeof good / sizeof *good; i++)
    CHECK_INT(da_http_check_proxy(good[i], 1, &err),
              strstr(good[i], "proxy.") ? DA_EURL : DA_OK);
}

static void url_errors_keep_secrets(void) {
  da_err err;
  static const char s[] = "https://user:hunter2@example.com";
  CHECK_INT(da_http_check_url(s, sizeof s - 1, 0, &err), DA_EURL);
  CHECK(strstr(err.message, "hunter2") == NULL);
}

/* ---- headers ---- */

static int header(const char *name, const char *value, da_err *err) {
  da_text n = {name, strlen(name)}, v = {value, strlen(value)};
  return da_http_check_header(n, v, err);
}

static void header_lines(void) {
  static const da_text nul = {"a\0b", 3}, name = {"X-A", 3};
  da_err err;
  CHECK_INT(header("X-Title", "my agent", &err), DA_OK);
  CHECK_INT(header("api-key", "", &err), DA_OK);
  CHECK_INT(header("X-A", "a\tb", &err), DA_OK);
  CHECK_INT(header("X-A", "caf\xC3\xA9", &err), DA_OK);
  CHECK_INT(header("Authorization", "Basic x", &err), DA_OK);
  CHECK_INT(header("", "x", &err), DA_EINVAL);
  CHECK_INT(header("X A", "x", &err), DA_EINVAL);
  CHECK_INT(header("X:A", "x", &err), DA_EINVAL);
  CHECK_INT(header("X\r\nA", "x", &err), DA_EINVAL);
  CHECK_INT(header("X-\xC3\xA9", "x", &err), DA_EINVAL);
  CHECK_INT(header("X-A", "\tb", &err), DA_EINVAL);
  CHECK_INT(header("X-A", "b\t", &err), DA_EINVAL);
  CHECK_INT(header("X-A", "a\x7f", &err), DA_EINVAL);
  CHECK_INT(da_http_check_header(name, nul, &err), DA_EINVAL);
  CHECK_INT(da_http_check_header(nul, name, &err), DA_EINVAL);
  CHECK_INT(header("host", "x", &err), DA_EINVAL);
  CHECK_INT(header("Content-Length", "1", &err), DA_EINVAL);
  CHECK_INT(header("TRANSFER-ENCODING", "chunked", &err), DA_EINVAL);
  CHECK_INT(header("X-Secret", "hunter2\r\nX: y", &err), DA_EINVAL);
  CHECK(strstr(err.message, "X-Secret") != NULL);
  CHECK(strstr(err.message, "hunter2") == NULL);
}

/* ---- waiting times ---- */

static double wait_for(const char *seconds, const char *ms) {
  da_http h;
  memset(&h, 0, sizeof h);
  snprintf(h.retry_after, sizeof h.retry_after, "%s", seconds);
  snprintf(h.retry_after_ms, sizeof h.retry_after_ms, "%s", ms);
  /* Sun, 06 Nov 1994 08:49:37 GMT */
  return da_http_retry_after(&h, 784111777.0);
}

#define CHECK_WAIT(seconds, ms, want)                                         \
  CHECK_INT(wait_for(seconds, ms) * 1000, (want)*1000)

static void waiting_times(void) {
  CHECK_WAIT("2", "", 2);
  CHECK_WAIT(" 0.5 ", "", 0.5);
  CHECK_WAIT("0", "", 0);
  CHECK_WAIT("3", "250", 0.25);
  CHECK_WAIT("3", "soon", 3);
  CHECK_WAIT("", "", -1);
  CHECK_WAIT("-1", "", -1);
  CHECK_WAIT("soon", "", -1);
  CHECK_WAIT("1e3", "", -1);
  CHECK_WAIT("nan", "", -1);
  CHECK_WAIT("inf", "", -1);
  CHECK_WAIT(".", "", -1);
  CHECK_WAIT("1.2.3", "", -1);
  CHECK_WAIT("99999999999999999999", "", -1);
}

static void waiting_until_a_date(void) {
  CHECK_WAIT("Sun, 06 Nov 1994 08:49:47 GMT", "", 10);
  CHECK_WAIT("Sunday, 06-Nov-94 08:49:47 GMT", "", 10);
  CHECK_WAIT("Sun Nov  6 08:49:47 1994", "", 10);
  CHECK_WAIT("Mon, 07 Nov 1994 08:49:37 GMT", "", 86400);
  CHECK_WAIT("Mon, 06 Nov 1995 08:49:37 GMT", "", 365 * 86400.0);
  CHECK_WAIT("Wed, 21 Oct 1992 07:28:00 GMT", "", 0);
  CHECK_WAIT("Sun, 99 Nov 1994 08:49:47 GMT", "", -1);
  CHECK_WAIT("Sun, 06 Nov 1994 99:49:47 GMT", "", -1);
  CHECK_WAIT("Sun, 06 Foo 1994 08:49:47 GMT", "", -1);
  CHECK_WAIT("1994-11-06T08:49:47Z", "", -1);
  CHECK_WAIT("Sun, 06 Nov 19940 08:49:47 GMT", "", -1);
  CHECK_WAIT("Sun, 06 Nov 1994 8:49:47 GMT", "", -1);
  CHECK_WAIT("Sun, 06 Nov 1994 08:49-47 GMT", "", -1);
  CHECK_WAIT("Sun, 06 Nov 1994 0x:49:47 GMT", "", -1);
  CHECK_WAIT("Sun, 06 Nov 1994 08:60:47 GMT", "", -1);
  CHECK_WAIT("Sun, 06 Nov 1994 08:49:61 GMT", "", -1);
  CHECK_WAIT("Sun, 06 Nov 1994", "", -1);
  CHECK_WAIT("Sun, 06 1994 08:49:47", "", -1);
  CHECK_WAIT("Sun, Nov 1994 08:49:47", "", -1);
  CHECK_WAIT("Sun, 06 Nov 08:49:47", "", -1);
  CHECK_WAIT("Sun, 06 Nov 1994 08:49:47 GMT;", "", -1);
  CHECK_WAIT("Sun, 00 Nov 1994 08:49:47 GMT", "", -1);
  /* Two digits are of this century up to 69. */
  CHECK_WAIT("Sunday, 06-Nov-69 08:49:37 GMT", "", 2366841600.0);
  CHECK_WAIT("Friday, 06-Nov-70 08:49:37 GMT", "", 0);
}

/* ---- the header of an answer ---- */

static size_t most = 1 << 20; /* bytes of a header */

static int read_head(da_http_head *head, da_http *h,
                     const char *const *lines) {
  int rc = DA_OK;
  memset(head, 0, sizeof *head);
  memset(h, 0, sizeof *h);
  head->http = h;
  head->max = most;
  for (; rc == DA_OK && *lines; lines++)
    rc = da_http_head_line(head, *lines, strlen(*lines));
  return rc;
}

static void heads(void) {
  static const char *const lines[] = {
      "HTTP/1.1 100 Continue\r\n",
      "X-Request-Id: early\r\n",
      "\r\n",
      "HTTP/1.1 429 Too Many\r\n",
      "CF-Ray: ray\r\n",
      "Content-Type:  Text/Event-Stream ; charset=UTF-8\r\n",
      "x-request-id: req\x01\xff_1\r\n",
      "request-id: other\r\n",
      "Retry-After: 3\r\n",
      "retry-after-ms: 30\r\n",
      "X-Should-Retry: TRUE\r\n",
      "Content-Length: 12\r\n",
      "content-length:12\r\n",
      "nonsense\r\n",
      "\r\n",
      "X-Request-Id: trailer\r\n",
      NULL};
  da_http_head head;
  da_http h;
  CHECK_INT(read_head(&head, &h, lines), DA_OK);
  CHECK_INT(h.status, 429);
  CHECK_STR(h.content_type, "text/event-stream");
  CHECK_STR(h.request_id, "req_1");
  CHECK_STR(h.retry_after, "3");
  CHECK_STR(h.retry_after_ms, "30");
  CHECK_STR(h.should_retry, "true");
}

static void odd_heads(void) {
  static const char *const two[] = {"HTTP/1.1 200 OK\r\n",
                                    "Content-Length: 5\r\n",
                                    "Content-Length: 6\r\n", NULL};
  static const char *const h2[] = {"HTTP/2 200 \r\n", "\r\n", NULL};
  static const char *const bad[] = {"HTTP/1.1 2x0 \r\n", "\r\n", NULL};
  static const char *const none[] = {"HTTP/1.1\r\n", "\r\n", NULL};
  da_http_head head;
  da_http h;
  CHECK_INT(read_head(&head, &h, two), DA_EPROTOCOL);
  CHECK_INT(read_head(&head, &h, h2), DA_OK);
  CHECK_INT(h.status, 200);
  CHECK_INT(read_head(&head, &h, bad), DA_OK);
  CHECK_INT(h.status, 0);
  CHECK_INT(read_head(&head, &h, none), DA_OK);
  CHECK_INT(h.status, 0);
}

/* Interim answers and trailers count, too: each byte of each line. */
static void large_heads(void) {
  static const char *const lines[] = {"HTTP/1.1 103 Hints\r\n",
                                      "\r\n",
                                      "HTTP/1.1 200 OK\r\n",
                                      "A: b\r\n",
                                      "\r\n",
                                      "Trailer: x\r\n",
                                      NULL};
  size_t bytes = 0;
  da_http_head head;
  da_http h;
  for (int i = 0; lines[i]; i++)
    bytes += strlen(lines[i]);
  most = bytes;
  CHECK_INT(read_head(&head, &h, lines), DA_OK);
  CHECK_INT(head.full, 0);
  CHECK_INT(h.status, 200);
  for (most = 0; most < bytes; most++) {
    CHECK_INT(read_head(&head, &h, lines), DA_ETOOLARGE);
    CHECK_INT(head.full, 1);
    CHECK(head.used <= most);
    /* It stays so, also for a line that would fit. */
    CHECK_INT(da_http_head_line(&head, "", 0), DA_ETOOLARGE);
  }
  most = 1 << 20;
}

int main(void) {
  RUN(good_urls);
  RUN(http_only_to_loopback);
  RUN(bad_urls);
  RUN(queries);
  RUN(proxies);
  RUN(url_errors_keep_secrets);
  RUN(header_lines);
  RUN(waiting_times);
  RUN(waiting_until_a_date);
  RUN(heads);
  RUN(odd_heads);
  RUN(large_heads);
  return check_done();
}
