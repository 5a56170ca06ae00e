/* da_cache.c - answers that are kept for identical requests (floor 5). */
#include "da_cache.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "da_clock.h"
#include "da_hash.h"

#define ROLE "cache"

/* ---- the request ---- */

static void put_string(da_buf *out, const char *name, da_text value) {
  da_buf_puts(out, name);
  da_json_put_string(out, value.data, value.len);
}

static void put_c_string(da_buf *out, const char *name, const char *value) {
  da_text t = {value ? value : "", value ? strlen(value) : 0};
  put_string(out, name, t);
}

/* A key may stand in the query, and is for no file: what tells it from others
** is kept. */
static void put_url(da_buf *out, const char *url) {
  const char *query = url ? strchr(url, '?') : NULL;
  da_text place = {url ? url : "", url ? strcspn(url, "?") : 0};
  put_string(out, ",\"url\":", place);
  if (query)
    da_buf_printf(out, ",\"query\":\"%016llx\"",
                  (unsigned long long)da_hash(query, strlen(query), 0));
}

/* All that the answer depends on. Not whether it is streamed, and not the
** headers: they may be secret. */
static void put_request(da_buf *out, const da_settings *s,
                        const da_provider *p, const da_request *r) {
  put_c_string(out, "{\"provider\":", p->ops->name);
  put_c_string(out, ",\"service\":", s->own ? NULL : s->service->name);
  put_url(out, s->own ? NULL : s->base_url);
  put_string(out, ",\"model\":", r->model);
  put_string(out, ",\"system\":", r->system);
  da_buf_puts(out, ",\"members\":{");
  da_buf_put(out, r->members.data, r->members.len);
  da_buf_puts(out, "},\"messages\":[");
  da_request_put_messages(r, out);
  da_buf_puts(out, "]}");
}

int da_cache_init(da_cache *c, da_agent *a, const da_provider *p,
                  const da_request *r, da_err *err) {
  uint64_t h;
  memset(c, 0, sizeof *c);
  if (!a->settings.cache)
    return DA_OK;
  c->agent = a;
  c->backend = da_backend_ref(a->settings.cache);
  c->ttl = a->settings.cache_ttl;
  da_buf_init(&c->request, SIZE_MAX / 2);
  put_request(&c->request, &a->settings, p, r);
  h = da_hash(c->request.data, c->request.len, 0);
  snprintf(c->id, sizeof c->id, "cache-%016llx%016llx", (unsigned long long)h,
           (unsigned long long)da_hash(c->request.data, c->request.len, h));
  return da_buf_check(&c->request, "the request", err);
}

void da_cache_dispose(da_cache *c) {
  da_backend_unref(c->backend);
  da_buf_dispose(&c->request);
}

/* ---- an entry ---- */

static void put_number(da_buf *out, const char *name, int64_t value) {
  da_buf_printf(out, ",\"%s\":%lld", name, (long long)value);
}

static void put_raw(da_buf *out, const char *name, const da_buf *json) {
  if (json->len)
    da_buf_printf(out, ",\"%s\":", name);
  da_buf_put(out, json->data, json->len);
}

static void put_answer(da_buf *out, const da_answer *a) {
  const da_usage *u = &a->usage;
  put_string(out, ",\"text\":", da_buf_text(&a->text));
  put_c_string(out, ",\"finish_reason\":", a->finish_reason);
  put_c_string(out, ",\"model\":", a->model);
  put_c_string(out, ",\"request_id\":", a->request_id);
  put_number(out, "calls", (int64_t)a->calls);
  put_raw(out, "choices", &a->choices);
  put_raw(out, "logprobs", &a->logprobs);
  put_raw(out, "raw_usage", &a->raw_usage);
  if (!a->has_usage)
    return;
  put_number(out, "prompt", u->prompt);
  put_number(out, "completion", u->completion);
  put_number(out, "total", u->total);
  put_number(out, "cached", u->cached);
  put_number(out, "reasoning", u->reasoning);
  put_number(out, "audio", u->audio);
}

static void take_raw(da_text entry, const char *name, da_buf *out) {
  da_text value;
  if (da_json_get(entry, name, &value) != DA_JSON_BAD)
    da_buf_put(out, value.data, value.len);
}

static void take_text(da_text entry, const char *name, da_buf *out) {
  da_text value;
  if (da_json_get(entry, name, &value) == DA_JSON_STRING)
    da_json_unescape(out, value, NULL);
}

static void take_name(da_text entry, const char *name, char *to, size_t size) {
  da_buf b;
  da_buf_init(&b, size - 1);
  take_text(entry, name, &b);
  snprintf(to, size, "%s", da_buf_text(&b).data);
  da_buf_dispose(&b);
}

static int take_number(da_text entry, const char *name, int64_t *n) {
  da_text value;
  return da_json_get(entry, name, &value) == DA_JSON_NUMBER &&
         da_json_int64(value, n);
}

static void take_answer(da_text entry, const da_message *said, da_answer *a) {
  da_text tail = da_message_tail(said);
  da_usage *u = &a->usage;
  int64_t calls = 0;
  da_buf_puts(&a->message, "{");
  da_buf_put(&a->message, tail.data, tail.len);
  take_text(entry, "text", &a->text);
  take_name(entry, "finish_reason", a->finish_reason, sizeof a->finish_reason);
  take_name(entry, "model", a->model, sizeof a->model);
  take_name(entry, "request_id", a->request_id, sizeof a->request_id);
  take_number(entry, "calls", &calls);
  a->calls = calls > 0 ? (size_t)calls : 0;
  take_raw(entry, "choices", &a->choices);
  take_raw(entry, "logprobs", &a->logprobs);
  take_raw(entry, "raw_usage", &a->raw_usage);
  a->has_usage = take_number(entry, "prompt", &u->prompt) &
                 take_number(entry, "completion", &u->completion) &
                 take_number(entry, "total", &u->total) &
                 take_number(entry, "cached", &u->cached) &
                 take_number(entry, "reasoning", &u->reasoning) &
                 take_number(entry, "audio", &u->audio);
  a->begun = a->cached = 1;
}

/* Whether the entry is of this very request, and not too old. */
static int fits(const da_cache *c, const da_history *h) {
  const da_message *first = h->len == 2 ? da_history_at(h, 0) : NULL;
  da_buf request;
  int same;
  if (!first || da_message_role(first) != DA_ROLE_OTHER ||
      da_message_role(da_history_at(h, 1)) != DA_ROLE_ASSISTANT)
    return 0;
  if (c->ttl > 0 && fabs(da_wall() - da_message_created_at(first)) > c->ttl)
    return 0;
  da_buf_init(&request, c->request.len);
  take_text(da_message_json(first), "request", &request);
  same = !request.failed && request.len == c->request.len &&
         memcmp(request.data, c->request.data, request.len) == 0;
  da_buf_dispose(&request);
  return same;
}

/* ---- finding and keeping ---- */

static void tell(const da_cache *c, const char *what, const da_err *err) {
  da_agent_log(c->agent, DA_WARN, err, "the cache could not be %s: %s", what,
               err->message);
}

static double patience(const da_cache *c, double seconds) {
  double timeout = c->agent->settings.save_timeout;
  return seconds < timeout ? seconds : timeout;
}

static int load(da_cache *c, double seconds, da_history *h, da_err *err) {
  unsigned generation;
  da_saver *s = da_runtime_saver(c->agent->runtime, &generation, err);
  return s ? da_saver_fetch(s, c->backend, c->id, patience(c, seconds), h, err)
           : err->code;
}

int da_cache_find(da_cache *c, da_answer *answer, double seconds) {
  da_history h = DA_HISTORY_EMPTY;
  da_err err;
  int found = 0, code;
  if (!c->backend)
    return 0;
  da_err_clear(&err);
  code = load(c, seconds, &h, &err);
  if (code && code != DA_ENOTFOUND)
    tell(c, "read", &err);
  else if (!code && fits(c, &h)) {
    take_answer(da_message_json(da_history_at(&h, 0)), da_history_at(&h, 1),
                answer);
    found = 1;
    da_agent_log(c->agent, DA_DEBUG, NULL, "the answer is from the cache");
  }
  da_history_dispose(&h);
  return found;
}

/* One that was cut, filtered or refused may be another the next time; and one
** that there was no room for is not all there. */
static int is_whole(const da_answer *a) {
  static const char *const ends[] = {"stop", "tool_calls", "function_call"};
  da_text refusal;
  if (a->message.failed || a->text.failed || a->choices.failed ||
      a->logprobs.failed || a->raw_usage.failed)
    return 0;
  if (a->refused || da_json_get(da_buf_text(&a->message), "refusal",
                                &refusal) == DA_JSON_STRING)
    return 0;
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
    if (strcmp(a->finish_reason, ends[i]) == 0)
      return 1;
  return 0;
}

static int append(da_history *h, da_text wire, da_err *err) {
  da_message *m;
  int code = da_message_new(&m, wire, NULL, -1, err);
  if (!code && da_history_append(h, m))
    code = da_nomem(err);
  return code;
}

static int save(da_cache *c, const da_answer *answer, double seconds,
                da_err *err) {
  da_history h = DA_HISTORY_EMPTY;
  unsigned generation;
  da_saver *s;
  da_buf entry;
  int code;
  da_buf_init(&entry, DA_MESSAGE_MAX);
  put_c_string(&entry, "{\"role\":", ROLE);
  put_string(&entry, ",\"request\":", da_buf_text(&c->request));
  put_answer(&entry, answer);
  da_buf_puts(&entry, "}");
  code = da_buf_check(&entry, "the entry", err);
  if (!code)
    code = append(&h, da_buf_text(&entry), err);
  if (!code)
    code = append(&h, da_buf_text(&answer->message), err);
  da_buf_dispose(&entry);
  if (!code) {
    s = da_runtime_saver(c->agent->runtime, &generation, err);
    code =
        s ? da_saver_put(s, c->backend, c->id, patience(c, seconds), &h, err)
          : err->code;
  }
  da_history_dispose(&h);
  return code;
}

void da_cache_keep(da_cache *c, const da_answer *answer, double seconds) {
  da_err err;
  if (!c->backend || answer->cached || !is_whole(answer))
    return;
  da_err_clear(&err);
  if (save(c, answer, seconds, &err))
    tell(c, "written", &err);
}
