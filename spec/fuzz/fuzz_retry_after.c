/* fuzz_retry_after.c - how long a service asks to wait. The first line of
** the input is a Retry-After, the second a Retry-After-Ms; both go through
** the reader of header lines, as an answer's do. */
#include "fuzz.h"

#include <math.h>
#include <time.h>

#include "da_http.h"
#include "da_http_head.h"

/* 31 December 9999, the last day that a date can name. */
#define LATEST 253402300800.0

static void put_line(da_http_head *head, const char *name, da_text value) {
  da_buf line;
  da_buf_init(&line, FUZZ_CAP);
  da_buf_printf(&line, "%s: ", name);
  da_buf_put(&line, value.data, value.len);
  da_buf_puts(&line, "\r\n");
  MUST(da_http_head_line(head, line.data, line.len) == DA_OK);
  da_buf_dispose(&line);
}

static void read_head(da_http *h, da_text after, da_text after_ms) {
  static const char status[] = "HTTP/1.1 429 Too Many Requests\r\n";
  da_http_head head;
  memset(h, 0, sizeof *h);
  memset(&head, 0, sizeof head);
  head.http = h;
  head.max = 4 * FUZZ_CAP;
  MUST(da_http_head_line(&head, status, sizeof status - 1) == DA_OK);
  put_line(&head, "Retry-After", after);
  put_line(&head, "retry-after-ms", after_ms);
  MUST(da_http_head_line(&head, "\r\n", 2) == DA_OK);
  MUST(head.complete && h->status == 429);
  for (const char *p = h->retry_after; *p; p++)
    MUST(*p >= ' ' && *p <= '~');
}

static int is_number(const char *s) {
  size_t len = strlen(s);
  return len >= 1 && len <= 9 && strspn(s, "0123456789") == len;
}

/* Seconds since 1970 if `s` is a date in just one of the three forms that
** RFC 9110 has; -1. */
static double date(const char *s) {
  static const char *const forms[] = {"%a, %d %b %Y %H:%M:%S GMT",
                                      "%A, %d-%b-%y %H:%M:%S GMT",
                                      "%a %b %e %H:%M:%S %Y"};
  for (int i = 0; i < 3; i++) {
    char again[100];
    struct tm tm;
    const char *end;
    memset(&tm, 0, sizeof tm);
    end = strptime(s, forms[i], &tm);
    if (end && !*end && tm.tm_year >= 70 && tm.tm_year < 8100 &&
        strftime(again, sizeof again, forms[i], &tm) && strcmp(again, s) == 0)
      return (double)timegm(&tm);
  }
  return -1;
}

static void check(const da_http *h, double wall) {
  double got = da_http_retry_after(h, wall), want;
  MUST(got == -1 || (got >= 0 && got <= LATEST));
  if (*h->retry_after_ms) {
    if (is_number(h->retry_after_ms))
      MUST(fabs(got - (double)atol(h->retry_after_ms) / 1000) < 1e-6);
    return;
  }
  if (is_number(h->retry_after))
    MUST(got == (double)atol(h->retry_after));
  want = date(h->retry_after);
  if (want >= 0)
    MUST(got == (want > wall ? want - wall : 0));
  if (!*h->retry_after || strpbrk(h->retry_after, "+!%()/"))
    MUST(got == -1);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  da_text rest = fuzz_text(bytes, len), after = fuzz_cut(&rest, '\n');
  da_text after_ms = fuzz_cut(&rest, '\n');
  da_http h;
  read_head(&h, after, after_ms);
  check(&h, 0);
  check(&h, 1792000000.25);
  check(&h, LATEST);
  return 0;
}
