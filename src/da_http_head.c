/* da_http_head.c - reads the header lines of an answer. */
#include "da_http_head.h"

#include <string.h>
#include <strings.h>

/* Printable ASCII of `t`, lower case if so wanted, cut to fit. */
static void copy_clean(char *to, size_t size, da_text t, int lower) {
  size_t used = 0;
  for (size_t i = 0; i < t.len && used + 1 < size; i++) {
    char c = t.data[i];
    if (c < ' ' || c > '~')
      continue;
    if (lower && c >= 'A' && c <= 'Z')
      c = (char)(c | 32);
    to[used++] = c;
  }
  to[used] = '\0';
}

static da_text trim(const char *s, const char *end) {
  while (end > s && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r' ||
                     end[-1] == '\n'))
    end--;
  while (s < end && (*s == ' ' || *s == '\t'))
    s++;
  da_text t = {s, (size_t)(end - s)};
  return t;
}

static int named(da_text name, const char *s) {
  return name.len == strlen(s) && strncasecmp(name.data, s, name.len) == 0;
}

/* Services name their request ids differently; the first of these wins. */
static int id_rank(da_text name) {
  static const char *const names[] = {"cf-ray", "x-amzn-requestid",
                                      "request-id", "x-request-id"};
  for (int i = 0; i < 4; i++)
    if (named(name, names[i]))
      return i + 1;
  return 0;
}

static int set_length(da_http_head *head, da_text value) {
  char length[sizeof head->length];
  copy_clean(length, sizeof length, value, 0);
  if (*head->length && strcmp(head->length, length) != 0)
    return DA_EPROTOCOL;
  memcpy(head->length, length, sizeof length);
  return DA_OK;
}

static int field(da_http_head *head, da_text name, da_text value) {
  da_http *h = head->http;
  int rank = id_rank(name);
  if (rank > head->id_rank) {
    head->id_rank = rank;
    copy_clean(h->request_id, sizeof h->request_id, value, 0);
  } else if (named(name, "content-type")) {
    const char *semicolon = memchr(value.data, ';', value.len);
    if (semicolon)
      value = trim(value.data, semicolon);
    copy_clean(h->content_type, sizeof h->content_type, value, 1);
  } else if (named(name, "content-length")) {
    return set_length(head, value);
  } else if (named(name, "retry-after")) {
    copy_clean(h->retry_after, sizeof h->retry_after, value, 0);
  } else if (named(name, "retry-after-ms")) {
    copy_clean(h->retry_after_ms, sizeof h->retry_after_ms, value, 0);
  } else if (named(name, "x-should-retry")) {
    copy_clean(h->should_retry, sizeof h->should_retry, value, 1);
  }
  return DA_OK;
}

/* "HTTP/1.1 200 OK" or "HTTP/2 200": a block begins; what an earlier one
** said does not count. */
static void begin(da_http_head *head, const char *line, const char *end) {
  const char *p = memchr(line, ' ', (size_t)(end - line));
  da_http *h = head->http;
  head->status = 0;
  head->id_rank = 0;
  *head->length = '\0';
  *h->content_type = *h->request_id = *h->should_retry = '\0';
  *h->retry_after = *h->retry_after_ms = '\0';
  for (int i = 0; p && i < 3; i++) {
    if (++p >= end || *p < '0' || *p > '9')
      return;
    head->status = head->status * 10 + (*p - '0');
  }
}

int da_http_head_line(da_http_head *head, const char *line, size_t len) {
  const char *end = line + len, *colon;
  head->full |= len > head->max - head->used;
  if (head->full)
    return DA_ETOOLARGE;
  head->used += len;
  if (head->complete)
    return DA_OK;
  if (len >= 5 && memcmp(line, "HTTP/", 5) == 0) {
    begin(head, line, end);
    return DA_OK;
  }
  if (trim(line, end).len == 0) {
    if (head->status >= 200) {
      head->complete = 1;
      head->http->status = head->status;
    }
    return DA_OK;
  }
  colon = memchr(line, ':', len);
  if (!colon)
    return DA_OK;
  return field(head, trim(line, colon), trim(colon + 1, end));
}
