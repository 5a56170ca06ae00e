/* da_http.c - what may be sent where: URLs, header lines, waiting times.
**
** The URL is taken apart by hand and narrowly, so that no two parsers can
** disagree about which host it names: what curl would rewrite (user names,
** backslashes, percent signs in the host, short or octal addresses) is
** refused, or at least never taken for a loopback host.
*/
#include "da_http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define URL_MAX 4096
#define HOST_MAX 253

static int is_digit(char c) {
  return c >= '0' && c <= '9';
}

static int is_alpha(char c) {
  return (c | 32) >= 'a' && (c | 32) <= 'z';
}

static int equals(da_text t, const char *s) {
  return t.len == strlen(s) && strncasecmp(t.data, s, t.len) == 0;
}

static da_text trim(const char *s, size_t len) {
  while (len && (s[len - 1] == ' ' || s[len - 1] == '\t'))
    len--;
  while (len && (*s == ' ' || *s == '\t')) {
    s++;
    len--;
  }
  da_text t = {s, len};
  return t;
}

/* ---- URLs ---- */

/* Four decimal numbers without leading zeros, the first of them 127. */
static int is_loopback4(da_text host) {
  struct in_addr a;
  char s[INET_ADDRSTRLEN];
  if (host.len >= sizeof s)
    return 0;
  memcpy(s, host.data, host.len);
  s[host.len] = '\0';
  return inet_pton(AF_INET, s, &a) == 1 && ntohl(a.s_addr) >> 24 == 127;
}

/* 1: an address, 0: none; *loopback tells whether it is ours. */
static int check_address6(da_text host, int *loopback) {
  struct in6_addr a;
  char s[INET6_ADDRSTRLEN];
  if (host.len >= sizeof s)
    return 0;
  memcpy(s, host.data, host.len);
  s[host.len] = '\0';
  if (inet_pton(AF_INET6, s, &a) != 1)
    return 0;
  *loopback = IN6_IS_ADDR_LOOPBACK(&a);
  return 1;
}

/* Takes the host off *rest. 1 if it is a name or an address. */
static int take_host(da_text *rest, da_text *host, int *loopback) {
  const char *p = rest->data, *end = p + rest->len;
  if (p < end && *p == '[') {
    const char *close = memchr(p, ']', rest->len);
    if (!close)
      return 0;
    host->data = p + 1;
    host->len = (size_t)(close - p) - 1;
    rest->data = close + 1;
    rest->len = (size_t)(end - close) - 1;
    return check_address6(*host, loopback);
  }
  while (p < end &&
         (is_alpha(*p) || is_digit(*p) || *p == '.' || *p == '-' || *p == '_'))
    p++;
  host->data = rest->data;
  host->len = (size_t)(p - rest->data);
  rest->len -= host->len;
  rest->data = p;
  *loopback = is_loopback4(*host) || equals(*host, "localhost");
  return host->len > 0 && host->len <= HOST_MAX && *host->data != '.' &&
         *host->data != '-';
}

/* What follows the host: nothing, or ":port", and then nothing, a path or a
** query. */
static int check_port(da_text rest) {
  const char *p = rest.data, *end = p + rest.len;
  long port = 0;
  if (p < end && *p == ':') {
    const char *first = ++p;
    while (p < end && is_digit(*p) && port <= 65535)
      port = port * 10 + (*p++ - '0');
    if (p == first || port < 1 || port > 65535)
      return 0;
  }
  return p == end || *p == '/' || *p == '?';
}

static int check_characters(const char *url, size_t len) {
  for (size_t i = 0; i < len; i++)
    if (url[i] <= ' ' || url[i] > '~' || strchr("\\\"<>^`{|}", url[i]))
      return 0;
  return 1;
}

/* Where the user's name ends, in front of a host; NULL: there is none. */
static const char *find_user(da_text rest) {
  size_t n = 0;
  while (n < rest.len && rest.data[n] != '/' && rest.data[n] != '?')
    n++;
  return memchr(rest.data, '@', n);
}

static int bad_url(da_err *err, const char *why) {
  return da_fail(err, DA_EURL, "the base URL %s", why);
}

int da_http_check_url(const char *url, size_t len, int allow_http,
                      da_err *err) {
  int secure = len >= 8 && strncasecmp(url, "https://", 8) == 0;
  int loopback = 0;
  da_text rest, host;
  if (!secure && !(len >= 7 && strncasecmp(url, "http://", 7) == 0))
    return bad_url(err, "begins with neither https:// nor http://");
  if (len > URL_MAX)
    return bad_url(err, "is too long");
  if (!check_characters(url, len))
    return bad_url(err, "has a space, a control character or another that "
                        "must not be there");
  if (memchr(url, '#', len))
    return bad_url(err, "must not have a fragment");
  rest.data = url + (secure ? 8 : 7);
  rest.len = len - (secure ? 8 : 7);
  if (find_user(rest))
    return bad_url(err, "must not have a user name or password");
  if (!take_host(&rest, &host, &loopback))
    return bad_url(err, "names no proper host");
  if (!check_port(rest))
    return bad_url(err, "has something odd after its host");
  if (secure || loopback || allow_http)
    return DA_OK;
  return da_fail(err, DA_EURL,
                 "http:// to %.*s would send everything unencrypted: use "
                 "https://, or set allow_http",
                 (int)host.len, host.data);
}

/* What comes after the scheme, or NULL if curl has no such proxies. Without
** one it is http. */
static const char *after_scheme(const char *proxy) {
  static const char *const schemes[] = {"http",    "https",  "socks4",
                                        "socks4a", "socks5", "socks5h"};
  const char *colon = strstr(proxy, "://");
  da_text scheme = {proxy, colon ? (size_t)(colon - proxy) : 0};
  for (size_t i = 0; colon && i < sizeof schemes / sizeof *schemes; i++)
    if (equals(scheme, schemes[i]))
      return colon + 3;
  return colon ? NULL : proxy;
}

int da_http_check_proxy(const char *proxy, int here, da_err *err) {
  const char *at, *begin = after_scheme(proxy);
  da_text rest = {begin, begin ? strlen(begin) : 0}, host;
  int loopback;
  if (strcmp(proxy, "env") == 0)
    return DA_OK;
  if (!begin)
    return da_fail(err, DA_EURL, "the proxy is of an unknown kind");
  at = find_user(rest);
  if (at) {
    rest.len -= (size_t)(at + 1 - rest.data);
    rest.data = at + 1;
  }
  if (rest.len && rest.data[rest.len - 1] == '/')
    rest.len--;
  if (!check_characters(proxy, strlen(proxy)) ||
      !take_host(&rest, &host, &loopback) || !check_port(rest) ||
      memchr(rest.data, '/', rest.len) || memchr(rest.data, '?', rest.len))
    return da_fail(err, DA_EURL,
                   "the proxy's URL has something odd, or no host");
  if (here && !loopback)
    return da_fail(err, DA_EURL,
                   "http:// through a proxy elsewhere would send everything "
                   "unencrypted: use https://, or set allow_http");
  return DA_OK;
}

/* ---- headers ---- */

static int is_token(da_text t) {
  for (size_t i = 0; i < t.len; i++)
    if (!is_alpha(t.data[i]) && !is_digit(t.data[i]) &&
        (!t.data[i] || !strchr("!#$%&'*+-.^_`|~", t.data[i])))
      return 0;
  return t.len > 0;
}

int da_http_check_header(da_text name, da_text value, da_err *err) {
  static const char *const owned[] = {
      "host",
      "content-length",
      "transfer-encoding",
      "connection",
      "upgrade",
      "te",
      "trailer",
      "keep-alive",
      "expect",
      "proxy-connection",
      "accept-encoding",
      "content-encoding",
  };
  if (!is_token(name))
    return da_fail(err, DA_EINVAL, "a header's name is not well-formed");
  for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
    if (equals(name, owned[i]))
      return da_fail(err, DA_EINVAL, "the header %s is not yours to set",
                     owned[i]);
  for (size_t i = 0; i < value.len; i++) {
    unsigned char c = (unsigned char)value.data[i];
    int inner_tab = c == '\t' && i > 0 && i + 1 < value.len;
    if ((c < 0x20 && !inner_tab) || c == 0x7f)
      return da_fail(err, DA_EINVAL,
                     "the value of the header %.*s has a control character",
                     (int)(name.len < 100 ? name.len : 100), name.data);
  }
  return DA_OK;
}

/* ---- waiting times ---- */

/* A decimal number without a sign or exponent, or -1. At most a billion:
** more is nonsense. By hand, as strtod follows the locale. */
static double number(da_text t) {
  double d = 0, unit = 1;
  int point = 0, digits = 0;
  for (size_t i = 0; i < t.len; i++) {
    char c = t.data[i];
    if (c == '.' && !point) {
      point = 1;
    } else if (is_digit(c)) {
      digits++;
      unit /= point ? 10 : 1;
      d = point ? d + (c - '0') * unit : d * 10 + (c - '0');
    } else {
      return -1;
    }
  }
  return digits && d <= 1e9 ? d : -1;
}

/* The parts of a date, in whatever order: "Sun, 06 Nov 1994 08:49:37 GMT",
** "Sunday, 06-Nov-94 08:49:37 GMT" and "Sun Nov  6 08:49:37 1994". */
typedef struct date {
  int day, month, year, seconds;
} date;

static int month_of(da_text word) {
  static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdec";
  for (int i = 0; word.len == 3 && i < 12; i++)
    if (strncasecmp(word.data, names + 3 * i, 3) == 0)
      return i + 1;
  return 0;
}

static int two(const char *s) {
  return is_digit(s[0]) && is_digit(s[1]) ? (s[0] - '0') * 10 + (s[1] - '0')
                                          : 1000;
}

static int add_clock(date *d, da_text word) {
  int h, m, s;
  if (word.len != 8 || word.data[2] != ':' || word.data[5] != ':')
    return 0;
  h = two(word.data);
  m = two(word.data + 3);
  s = two(word.data + 6);
  d->seconds = h * 3600 + m * 60 + s;
  return h < 24 && m < 60 && s <= 60;
}

static int add_word(date *d, da_text word) {
  double n = number(word);
  if (memchr(word.data, ':', word.len))
    return add_clock(d, word);
  if (n < 0) {
    int month = month_of(word);
    if (month)
      d->month = month;
    return month || is_alpha(*word.data);
  }
  if (word.len <= 2 && !d->day)
    d->day = (int)n;
  else if (word.len == 2)
    d->year = (int)n + (n < 70 ? 2000 : 1900);
  else if (word.len == 4)
    d->year = (int)n;
  else
    return 0;
  return 1;
}

/* Seconds since 1970, or -1. Days are counted by the usual civil formula,
** with years that begin in March. */
static double seconds_of(const date *d) {
  if (d->day < 1 || d->day > 31 || !d->month || d->year < 1970 ||
      d->seconds < 0)
    return -1;
  int y = d->year - (d->month <= 2), m = (d->month + 9) % 12;
  long days = 365L * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 +
              d->day - 1 - 719468;
  return (double)days * 86400 + d->seconds;
}

static double http_date(da_text t) {
  date d = {0, 0, 0, -1};
  const char *p = t.data, *end = p + t.len;
  while (p < end) {
    const char *from = p;
    while (p < end && (is_alpha(*p) || is_digit(*p) || *p == ':'))
      p++;
    da_text word = {from, (size_t)(p - from)};
    if (word.len && !add_word(&d, word))
      return -1;
    if (p < end && !strchr(" ,-", *p))
      return -1;
    p += p < end;
  }
  return seconds_of(&d);
}

double da_http_retry_after(const da_http *h, double wall) {
  da_text ms = trim(h->retry_after_ms, strlen(h->retry_after_ms));
  da_text t = trim(h->retry_after, strlen(h->retry_after));
  double d = number(ms);
  if (d >= 0)
    return d / 1000;
  d = number(t);
  if (d >= 0)
    return d;
  d = http_date(t);
  if (d < 0)
    return -1;
  return d > wall ? d - wall : 0;
}
