/* fuzz_url_header.c - what may be sent where. The first line of the input is
** a URL, the second a header's name, the rest its value. What passes must
** mean the same to curl, or there would be two opinions on where a key goes.
*/
#include "fuzz.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <strings.h>

#include "da_http.h"

/* ---- URLs ---- */

static int has_part(CURLU *u, CURLUPart part) {
  char *s = NULL;
  int there = curl_url_get(u, part, &s, 0) == CURLUE_OK && s && *s;
  curl_free(s);
  return there;
}

/* As curl would connect to it, whatever the text looked like. */
static int is_loopback(const char *host) {
  char inside[64];
  struct in_addr four;
  struct in6_addr six;
  size_t len = strlen(host);
  if (host[0] == '[' && len < sizeof inside) {
    memcpy(inside, host + 1, len - 2);
    inside[len - 2] = '\0';
    return inet_pton(AF_INET6, inside, &six) == 1 &&
           IN6_IS_ADDR_LOOPBACK(&six);
  }
  return strcasecmp(host, "localhost") == 0 ||
         (inet_pton(AF_INET, host, &four) == 1 &&
          ntohl(four.s_addr) >> 24 == 127);
}

/* Our words and curl's for the host: the same, but for the way in which an
** address is written. */
static void check_host(const char *url, const char *host) {
  const char *ours = strstr(url, "://") + 3;
  size_t len = *ours == '[' ? strcspn(ours, "]") + 1 : strcspn(ours, ":/");
  struct in_addr four;
  if (*ours == '[') {
    struct in6_addr a, b;
    char text[64] = "", theirs[64] = "";
    MUST(len > 2 && len < sizeof text && *host == '[');
    memcpy(text, ours + 1, len - 2);
    MUST(strlen(host) < sizeof theirs);
    memcpy(theirs, host + 1, strlen(host) - 2);
    MUST(inet_pton(AF_INET6, text, &a) == 1);
    MUST(inet_pton(AF_INET6, theirs, &b) == 1);
    MUST(memcmp(&a, &b, sizeof a) == 0);
    return;
  }
  /* curl writes 0x7f.1 as 127.0.0.1, which is no other's secret. */
  MUST((strlen(host) == len && strncasecmp(host, ours, len) == 0) ||
       inet_pton(AF_INET, host, &four) == 1);
}

static void check_with_curl(const char *url, int allow_http) {
  CURLU *u = curl_url();
  char *host = NULL, *scheme = NULL;
  MUST(u != NULL);
  if (curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK) {
    MUST(curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK);
    MUST(curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK);
    MUST(!strcmp(scheme, "https") || !strcmp(scheme, "http"));
    check_host(url, host);
    MUST(allow_http || !strcmp(scheme, "https") || is_loopback(host));
    MUST(!has_part(u, CURLUPART_USER) && !has_part(u, CURLUPART_PASSWORD));
    MUST(!has_part(u, CURLUPART_FRAGMENT));
    MUST(!has_part(u, CURLUPART_ZONEID) && !has_part(u, CURLUPART_OPTIONS));
  }
  curl_free(host);
  curl_free(scheme);
  curl_url_cleanup(u);
}

static void check_url(da_text t, int allow_http) {
  char *exact = fuzz_exact(t.data, t.len), *url;
  da_err err;
  int code = da_http_check_url(exact, t.len, allow_http, &err);
  MUST(code == DA_OK || (code == DA_EURL && err.code == DA_EURL));
  if (code == DA_OK) {
    MUST(da_http_check_url(exact, t.len, 1, NULL) == DA_OK);
    for (size_t i = 0; i < t.len; i++)
      MUST(exact[i] > ' ' && exact[i] <= '~');
    url = malloc(t.len + 1);
    MUST(url != NULL);
    memcpy(url, exact, t.len);
    url[t.len] = '\0';
    check_with_curl(url, allow_http);
    free(url);
  }
  free(exact);
}

/* ---- headers ---- */

static void check_header(da_text name, da_text value) {
  static const char *const owned[] = {"host",       "content-length",
                                      "connection", "transfer-encoding",
                                      "expect",     "te"};
  char *n = fuzz_exact(name.data, name.len);
  char *v = fuzz_exact(value.data, value.len);
  da_err err;
  int code = da_http_check_header((da_text){n, name.len},
                                  (da_text){v, value.len}, &err);
  MUST(code == DA_OK || (code == DA_EINVAL && err.code == DA_EINVAL));
  if (code == DA_OK) {
    MUST(name.len > 0);
    for (size_t i = 0; i < name.len; i++)
      MUST(n[i] > ' ' && n[i] <= '~' && n[i] != ':');
    for (size_t i = 0; i < value.len; i++)
      MUST((unsigned char)v[i] >= ' ' ? v[i] != 0x7f : v[i] == '\t');
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
      MUST(name.len != strlen(owned[i]) ||
           strncasecmp(n, owned[i], name.len) != 0);
  }
  free(n);
  free(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  da_text rest = fuzz_text(bytes, len), url = fuzz_cut(&rest, '\n');
  da_text name = fuzz_cut(&rest, '\n');
  check_url(url, 0);
  check_url(url, 1);
  check_header(name, rest);
  return 0;
}
