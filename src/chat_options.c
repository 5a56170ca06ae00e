/* chat_options.c - what a chat provider was told, checked and copied. */
#include "chat_options.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "da_http.h"
#include "da_limits.h"

#define SECRET_MIN 8 /* shorter values of headers are words, not secrets */

void chat_options_dispose(chat_options *c) {
  for (size_t i = 0; i < c->header_count; i++)
    free(c->headers[i]);
  free(c->headers);
  free(c->secrets);
  free(c->name);
  free(c->key_help);
  free(c->ca_file);
  free(c->proxy);
  free(c->url);
}

static int copy_string(char **to, const char *s) {
  *to = s ? strdup(s) : NULL;
  return s && !*to ? DA_ENOMEM : DA_OK;
}

/* ---- the URL ---- */

static void add_secret(chat_options *c, const char *data, size_t len) {
  da_text *s = &c->secrets[c->secret_count++];
  s->data = data;
  s->len = len;
}

/* The path goes in front of a query. */
static int copy_url(chat_options *c, da_text base) {
  const char *query = memchr(base.data, '?', base.len);
  size_t len = query ? (size_t)(query - base.data) : base.len;
  size_t path = len;
  da_buf url;
  while (path && base.data[path - 1] == '/')
    path--;
  da_buf_init(&url, SIZE_MAX / 2);
  da_buf_put(&url, base.data, path);
  da_buf_puts(&url, "/chat/completions");
  if (query)
    da_buf_put(&url, query, base.len - len);
  c->url = da_buf_take(&url, NULL);
  da_buf_dispose(&url);
  return c->url ? DA_OK : DA_ENOMEM;
}

static size_t count_parameters(const char *url) {
  size_t n = 0;
  for (const char *p = strchr(url, '?'); p; p = strchr(p + 1, '&'))
    n++;
  return n;
}

/* It may have colons, too. */
static void add_password(chat_options *c) {
  const char *at = c->proxy ? strrchr(c->proxy, '@') : NULL, *user, *colon;
  if (!at)
    return;
  user = strstr(c->proxy, "://");
  user = user && user < at ? user + 3 : c->proxy;
  colon = memchr(user, ':', (size_t)(at - user));
  if (colon)
    add_secret(c, colon + 1, (size_t)(at - colon) - 1);
}

/* A key may stand in the query; a version is none. */
static void add_parameters(chat_options *c) {
  for (const char *p = strchr(c->url, '?'); p; p = strchr(p + 1, '&')) {
    const char *value = p + 1 + strcspn(p + 1, "=&");
    size_t len = *value == '=' ? strcspn(++value, "&") : 0;
    if (len >= SECRET_MIN && strncmp(p + 1, "api-version=", 12) != 0)
      add_secret(c, value, len);
  }
}

/* ---- headers ---- */

/* The value of a "Name: value"; *name_len gets the name's length. */
static da_text value_of(const char *line, size_t *name_len) {
  da_text v = {NULL, 0};
  const char *colon = strchr(line, ':');
  if (!colon)
    return v;
  *name_len = (size_t)(colon - line);
  v.data = colon + 1 + strspn(colon + 1, " \t");
  v.len = strlen(v.data);
  return v;
}

static int names(const char *line, const char *name) {
  size_t len = strlen(name);
  return strncasecmp(line, name, len) == 0 && line[len] == ':';
}

static int has(const da_chat_options *o, const char *name) {
  for (size_t i = 0; o->headers && o->headers[i]; i++)
    if (names(o->headers[i], name))
      return 1;
  return 0;
}

static int check_line(const char *line, da_err *err) {
  da_text name = {line, 0}, value = value_of(line, &name.len);
  if (!value.data)
    return da_fail(err, DA_EINVAL, "a header has no colon");
  return da_http_check_header(name, value, err);
}

/* Takes `line`; the `secret_len` bytes at its end are a secret. */
static int add(chat_options *c, char *line, size_t secret_len) {
  if (!line)
    return DA_ENOMEM;
  c->headers[c->header_count++] = line;
  c->headers[c->header_count] = NULL;
  if (secret_len)
    add_secret(c, line + strlen(line) - secret_len, secret_len);
  return DA_OK;
}

/* The header that carries the key. */
static const char *key_header(const da_chat_options *o) {
  return o->key_header ? o->key_header : "Authorization";
}

static int add_key(chat_options *c, const da_chat_options *o) {
  const char *scheme = o->key_header ? "" : "Bearer ";
  da_buf line;
  int rc;
  da_buf_init(&line, SIZE_MAX / 2);
  da_buf_printf(&line, "%s: %s", key_header(o), scheme);
  da_buf_put(&line, o->api_key.data, o->api_key.len);
  rc = add(c, da_buf_take(&line, NULL), o->api_key.len);
  da_buf_dispose(&line);
  return rc;
}

/* How much of the end of a header's value nobody may see: of credentials
** also where they are shown without their scheme, "Bearer". */
static size_t secret_of(const char *line, da_text value) {
  if (names(line, "Authorization") || names(line, "Proxy-Authorization")) {
    const char *blank = memchr(value.data, ' ', value.len);
    return blank ? strlen(blank + strspn(blank, " ")) : value.len;
  }
  return value.len >= SECRET_MIN ? value.len : 0;
}

/* The user's headers win over ours of the same name. */
static int copy_headers(chat_options *c, const da_chat_options *o) {
  static const char json[] = "Content-Type: application/json";
  size_t n = 0;
  int rc = DA_OK;
  while (o->headers && o->headers[n])
    n++;
  c->headers = calloc(n + 3, sizeof *c->headers);
  c->secrets = calloc(n + 2 + count_parameters(c->url), sizeof *c->secrets);
  if (!c->headers || !c->secrets)
    return DA_ENOMEM;
  if (!has(o, "Content-Type"))
    rc = add(c, strdup(json), 0);
  add_parameters(c);
  add_password(c);
  if (rc == DA_OK && o->api_key.len && !has(o, key_header(o)))
    rc = add_key(c, o);
  for (size_t i = 0; rc == DA_OK && i < n; i++) {
    size_t name_len;
    da_text value = value_of(o->headers[i], &name_len);
    rc = add(c, strdup(o->headers[i]), secret_of(o->headers[i], value));
  }
  return rc;
}

/* ---- the rest ---- */

static int check_key(da_text key, da_err *err) {
  for (size_t i = 0; i < key.len; i++)
    if (key.data[i] <= ' ' || key.data[i] > '~')
      return da_fail(err, DA_EINVAL,
                     "the API key has a blank, a control character or one "
                     "that is not ASCII");
  return DA_OK;
}

static int check(const da_chat_options *o, da_err *err) {
  int rc =
      da_http_check_url(o->base_url.data, o->base_url.len, o->allow_http, err);
  if (rc == DA_OK)
    rc = check_key(o->api_key, err);
  for (size_t i = 0; rc == DA_OK && o->headers && o->headers[i]; i++)
    rc = check_line(o->headers[i], err);
  if (rc == DA_OK && o->proxy) /* the URL is one of http to ourselves? */
    rc = da_http_check_proxy(
        o->proxy, !o->allow_http && o->base_url.data[4] == ':', err);
  if (rc == DA_OK && !o->transport)
    rc = da_fail(err, DA_EINVAL, "there is no transport");
  return rc;
}

int chat_options_copy(chat_options *c, const da_chat_options *o, da_err *err) {
  int rc;
  memset(c, 0, sizeof *c);
  c->limits = o->limits;
  rc = da_limits_fill(&c->limits, err);
  if (rc == DA_OK)
    rc = check(o, err);
  if (rc != DA_OK)
    return rc;
  c->lacks_key = o->needs_key && !o->api_key.len && !has(o, key_header(o)) &&
                 !has(o, "Authorization");
  c->has_accept = has(o, "Accept");
  c->has_idempotency_key = has(o, "Idempotency-Key");
  c->insecure = o->insecure;
  c->names = o->names;
  c->no_stream_options = o->no_stream_options;
  c->drop_thoughts = o->drop_thoughts;
  c->transport = o->transport;
  c->transport_ctx = o->transport_ctx;
  if (copy_string(&c->name, o->name ? o->name : "chat") ||
      copy_string(&c->key_help, o->key_help) ||
      copy_string(&c->ca_file, o->ca_file) ||
      copy_string(&c->proxy, o->proxy) || copy_url(c, o->base_url) ||
      copy_headers(c, o))
    return da_nomem(err);
  return DA_OK;
}
