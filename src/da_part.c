/* da_part.c - a part of a message's content, as wire text. */
#include "da_part.h"

#include <string.h>

#include "da_json.h"
#include "da_part_source.h"
#include "da_part_type.h"
#include "da_utf8.h"

/* What was written of a part that failed goes, and the failure with it: the
** next part may do. */
static int done(da_buf *out, size_t before, int code, da_err *err) {
  if (!code)
    code = da_buf_check(out, "the part", err);
  if (!code)
    return DA_OK;
  out->len = before;
  out->failed = DA_OK;
  if (out->data)
    out->data[before] = '\0';
  return code;
}

static int check_plain(da_text t, int code, const char *what, da_err *err) {
  if (da_utf8_check(t.data, t.len) != t.len)
    return da_fail(err, code, "%s is not valid UTF-8", what);
  for (size_t i = 0; i < t.len; i++)
    if ((unsigned char)t.data[i] < 0x20 || t.data[i] == 0x7f)
      return da_fail(err, code, "%s has a control character", what);
  return DA_OK;
}

static da_text text_of(const char *s) {
  da_text t = {s, strlen(s)};
  return t;
}

int da_part_text(da_buf *out, da_text text, da_err *err) {
  size_t before = out->len;
  if (da_utf8_check(text.data, text.len) != text.len)
    return da_fail(err, DA_EUTF8, "the text is not valid UTF-8");
  da_buf_puts(out, "{\"type\":\"text\",\"text\":");
  da_json_put_string(out, text.data, text.len);
  da_buf_puts(out, "}");
  return done(out, before, DA_OK, err);
}

/* ---- images ---- */

/* "low", "high", "auto", and what services may think of. */
static int check_detail(const char *detail, da_err *err) {
  static const char fine[] = "abcdefghijklmnopqrstuvwxyz_";
  size_t n = detail ? strspn(detail, fine) : 1;
  if (n && n < 32 && (!detail || !detail[n]))
    return DA_OK;
  return da_fail(err, DA_EINVAL, "detail must be a word such as \"low\"");
}

static void put_detail(da_buf *out, const char *detail) {
  if (detail)
    da_buf_printf(out, ",\"detail\":\"%s\"", detail);
  da_buf_puts(out, "}}");
}

static const char image_begins[] =
    "{\"type\":\"image_url\",\"image_url\":{\"url\":";

static int begins_with(da_text t, const char *lower) {
  size_t n = strlen(lower);
  if (t.len <= n)
    return 0;
  for (size_t i = 0; i < n; i++) {
    char c = t.data[i];
    if ((c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c) != lower[i])
      return 0;
  }
  return 1;
}

int da_part_image_url(da_buf *out, da_text url, const char *detail,
                      da_err *err) {
  size_t before = out->len;
  int code = check_plain(url, DA_EURL, "the image's URL", err);
  if (!code && memchr(url.data, ' ', url.len))
    code = da_fail(err, DA_EURL, "the image's URL has a blank");
  if (!code && !begins_with(url, "https://") && !begins_with(url, "http://") &&
      !begins_with(url, "data:image/"))
    code = da_fail(err, DA_EURL,
                   "the image's URL must begin with https://, http:// or "
                   "data:image/");
  if (!code)
    code = check_detail(detail, err);
  if (code)
    return code;
  da_buf_puts(out, image_begins);
  da_json_put_string(out, url.data, url.len);
  put_detail(out, detail);
  return done(out, before, DA_OK, err);
}

/* ---- what has bytes ---- */

/* The type that was given, or NULL. */
static int given_type(const da_media *m, const char *kind, da_err *err) {
  if (!m->type ||
      (da_part_type_ok(m->type) && strncmp(m->type, kind, strlen(kind)) == 0))
    return DA_OK;
  return da_fail(err, DA_EINVAL, "type must be like \"%s\"",
                 *kind == 'i'   ? "image/png"
                 : *kind == 'a' ? "audio/wav"
                                : "application/pdf");
}

static int not_that(const da_part_source *s, const char *what, da_err *err) {
  const char *type = da_part_any_type(s->bytes, s->whole);
  return da_fail(err, DA_EUNSUPPORTED, "%.250s is %s: its first bytes say %s",
                 s->name, what, type);
}

/* After `"url":`, or the like: a string with all of the source in it. */
static int put_data_url(da_buf *out, da_part_source *s, const char *type,
                        da_err *err) {
  int code;
  da_buf_printf(out, "\"data:%s;base64,", type);
  code = da_part_put(s, out, err);
  da_buf_puts(out, "\"");
  return code;
}

static int put_image(da_buf *out, da_part_source *s, const da_media *m,
                     da_err *err) {
  const char *type = m->type ? m->type : da_part_type(s->bytes);
  int code;
  if (!type || strncmp(type, "image/", 6) != 0)
    return not_that(s, "no image", err);
  da_buf_puts(out, image_begins);
  code = put_data_url(out, s, type, err);
  put_detail(out, m->detail);
  return code;
}

static int put_audio(da_buf *out, da_part_source *s, const da_media *m,
                     da_err *err) {
  const char *type = m->type ? m->type : da_part_type(s->bytes);
  const char *format = type ? da_part_audio_format(type) : NULL;
  int code;
  if (!format)
    return not_that(s, "no audio", err);
  da_buf_puts(out, "{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"");
  code = da_part_put(s, out, err);
  da_buf_printf(out, "\",\"format\":\"%s\"}}", format);
  return code;
}

/* What the service is told: never where the file lies. */
static const char *name_of(const da_media *m) {
  const char *slash = m->path ? strrchr(m->path, '/') : NULL;
  if (m->name)
    return m->name;
  return slash ? slash + 1 : m->path ? m->path : "file";
}

static int put_file(da_buf *out, da_part_source *s, const da_media *m,
                    da_err *err) {
  da_text name = text_of(name_of(m));
  const char *type = m->type ? m->type : da_part_any_type(s->bytes, s->whole);
  int code = check_plain(name, DA_EINVAL, "the file's name", err);
  if (!code && (!name.len || name.len > 255))
    code = da_fail(err, DA_EINVAL, "the file's name must have 1 to 255 bytes");
  if (code)
    return code;
  da_buf_puts(out, "{\"type\":\"file\",\"file\":{\"filename\":");
  da_json_put_string(out, name.data, name.len);
  da_buf_puts(out, ",\"file_data\":");
  code = put_data_url(out, s, type, err);
  da_buf_puts(out, "}}");
  return code;
}

typedef int put_fn(da_buf *, da_part_source *, const da_media *, da_err *);

static int put_source(da_buf *out, const da_media *m, put_fn *put,
                      da_err *err) {
  da_part_source s;
  size_t before = out->len;
  int code = da_part_open(&s, m, err);
  if (!code)
    code = put(out, &s, m, err);
  da_part_close(&s);
  return done(out, before, code, err);
}

int da_part_image(da_buf *out, const da_media *m, da_err *err) {
  int code = given_type(m, "image/", err);
  if (!code)
    code = check_detail(m->detail, err);
  return code ? code : put_source(out, m, put_image, err);
}

int da_part_audio(da_buf *out, const da_media *m, da_err *err) {
  int code = given_type(m, "audio/", err);
  return code ? code : put_source(out, m, put_audio, err);
}

int da_part_file(da_buf *out, const da_media *m, da_err *err) {
  int code = given_type(m, "", err);
  return code ? code : put_source(out, m, put_file, err);
}

int da_part_file_id(da_buf *out, da_text id, da_err *err) {
  size_t before = out->len;
  int code = check_plain(id, DA_EINVAL, "the file's id", err);
  if (!code && !id.len)
    code = da_fail(err, DA_EINVAL, "the file's id is empty");
  if (code)
    return code;
  da_buf_puts(out, "{\"type\":\"file\",\"file\":{\"file_id\":");
  da_json_put_string(out, id.data, id.len);
  da_buf_puts(out, "}}");
  return done(out, before, DA_OK, err);
}
