/* da_content.c - questions of several parts, from C (floor 5). */
#include "deepagent.h"

#include <stdlib.h>
#include <string.h>

#include "da_part.h"
#include "da_turn.h"

/* The message's wire text but for its end. */
struct da_content {
  da_buf wire;
  size_t parts;
};

static const char begins[] = "{\"role\":\"user\",\"content\":[";
static const char ends[] = "]}";

int da_content_new(da_content **out, da_err *err) {
  da_content *c = malloc(sizeof *c);
  if (!c)
    return da_nomem(err);
  c->parts = 0;
  da_buf_init(&c->wire, DA_MESSAGE_MAX);
  if (da_buf_puts(&c->wire, begins)) {
    da_content_free(c);
    return da_nomem(err);
  }
  *out = c;
  return DA_OK;
}

void da_content_free(da_content *c) {
  if (!c)
    return;
  da_buf_dispose(&c->wire);
  free(c);
}

/* A part goes between these: the comma, and what became of it. */
static da_buf *next(da_content *c) {
  if (c->parts)
    da_buf_puts(&c->wire, ",");
  return &c->wire;
}

static int took(da_content *c, size_t before, int code, da_err *err) {
  if (!code)
    code = da_buf_check(&c->wire, "the question", err);
  if (!code) {
    c->parts++;
    return DA_OK;
  }
  c->wire.failed = DA_OK;
  c->wire.len = before;
  c->wire.data[before] = '\0';
  return code;
}

#define PUT(c, err, put, ...)                                                 \
  size_t before = (c)->wire.len;                                              \
  return took(c, before, put(next(c), __VA_ARGS__, err), err)

int da_content_text(da_content *c, const char *text, size_t len, da_err *err) {
  da_text t = {text, len};
  PUT(c, err, da_part_text, t);
}

int da_content_image(da_content *c, const da_media *m, da_err *err) {
  PUT(c, err, da_part_image, m);
}

int da_content_audio(da_content *c, const da_media *m, da_err *err) {
  PUT(c, err, da_part_audio, m);
}

int da_content_file(da_content *c, const da_media *m, da_err *err) {
  PUT(c, err, da_part_file, m);
}

int da_content_image_url(da_content *c, const char *url, const char *detail,
                         da_err *err) {
  da_text t = {url, strlen(url)};
  PUT(c, err, da_part_image_url, t, detail);
}

int da_content_file_id(da_content *c, const char *id, da_err *err) {
  da_text t = {id, strlen(id)};
  PUT(c, err, da_part_file_id, t);
}

int da_content_json(da_content *c, const char *json, size_t len, da_err *err) {
  da_text text = {json, len}, type;
  size_t before = c->wire.len;
  int code = da_json_check(text, err);
  if (!code && da_json_get(text, "type", &type) != DA_JSON_STRING)
    code = da_fail(err, DA_EINVAL, "a part is an object with a \"type\"");
  if (!code)
    da_buf_put(next(c), json, len);
  return took(c, before, code, err);
}

/* ---- asking ---- */

static int message(da_message **out, const da_content *c, da_err *err) {
  da_buf wire;
  int code;
  if (!c->parts)
    return da_fail(err, DA_EINVAL, "the question has no part");
  da_buf_init(&wire, DA_MESSAGE_MAX);
  da_buf_put(&wire, c->wire.data, c->wire.len);
  da_buf_puts(&wire, ends);
  code = da_buf_check(&wire, "the question", err);
  if (!code)
    code = da_message_new(out, da_buf_text(&wire), NULL, -1, err);
  da_buf_dispose(&wire);
  return code;
}

static int talk(da_agent *a, const da_content *c, da_delta_fn delta, void *ctx,
                char **text, da_err *err) {
  da_message *user;
  da_turn *t;
  int code = message(&user, c, err);
  if (!code)
    code = da_turn_start_message(&t, a, user, delta, ctx, err);
  return code ? code : da_turn_finish(t, text, err);
}

int da_agent_ask_content(da_agent *a, const da_content *c, char **text,
                         da_err *err) {
  return talk(a, c, NULL, NULL, text, err);
}

int da_agent_stream_content(da_agent *a, const da_content *c,
                            da_delta_fn delta, void *ctx, char **text,
                            da_err *err) {
  return talk(a, c, delta ? delta : da_turn_no_delta, ctx, text, err);
}
