/* da_meta.c - what is stored beside a session's messages (floor 2). */
#include "da_meta.h"

#include <string.h>

#include "da_clock.h"

/* ---- tokens ---- */

static int64_t add(int64_t a, int64_t b) {
  int64_t sum;
  if (__builtin_add_overflow(a, b, &sum))
    return a < 0 ? 0 : INT64_MAX;
  return sum > 0 ? sum : 0;
}

void da_usage_add(da_usage *to, const da_usage *more) {
  to->prompt = add(to->prompt, more->prompt);
  to->completion = add(to->completion, more->completion);
  to->total = add(to->total, more->total);
  to->cached = add(to->cached, more->cached);
  to->reasoning = add(to->reasoning, more->reasoning);
  to->audio = add(to->audio, more->audio);
}

static int64_t tokens(da_text usage, const char *key) {
  da_text raw;
  int64_t n;
  return da_json_get(usage, key, &raw) == DA_JSON_NUMBER &&
                 da_json_int64(raw, &n) && n > 0
             ? n
             : 0;
}

/* ---- reading ---- */

int da_meta_check(da_text json) {
  da_json j;
  da_json_init(&j, json);
  return da_json_value(&j, NULL) == DA_JSON_OBJECT && da_json_end(&j);
}

void da_meta_read(da_meta *m, da_text json) {
  da_text raw;
  memset(&m->usage, 0, sizeof m->usage);
  m->created_at = 0;
  if (da_json_get(json, "unfinished", &m->unfinished) != DA_JSON_ARRAY)
    m->unfinished = (da_text){NULL, 0};
  if (da_json_get(json, "usage", &raw) == DA_JSON_OBJECT) {
    m->usage.prompt = tokens(raw, "prompt_tokens");
    m->usage.completion = tokens(raw, "completion_tokens");
    m->usage.total = tokens(raw, "total_tokens");
    m->usage.cached = tokens(raw, "cached_tokens");
    m->usage.reasoning = tokens(raw, "reasoning_tokens");
    m->usage.audio = tokens(raw, "audio_tokens");
  }
  if (da_json_get(json, "created_at", &raw) == DA_JSON_NUMBER)
    m->created_at = da_json_double(raw);
  if (!(m->created_at > 0 && m->created_at < 1e11))
    m->created_at = 0;
}

/* ---- writing ---- */

static void put_time(da_buf *out, double seconds) {
  uint64_t ms = (uint64_t)(seconds * 1000 + 0.5);
  da_buf_printf(out, "%llu.%03u", (unsigned long long)(ms / 1000),
                (unsigned)(ms % 1000));
}

static int is_ours(da_text key) {
  return da_json_equals(key, "created_at") ||
         da_json_equals(key, "updated_at") || da_json_equals(key, "usage") ||
         da_json_equals(key, "unfinished");
}

/* Whether `object` has a member called `name`, which may be empty or have a
** NUL in it. What memory it takes is `other`'s; -1 without. */
static int has_member(da_text object, da_text name, da_buf *other) {
  da_json j;
  da_text key;
  da_json_init(&j, object);
  if (!object.len || !da_json_object(&j))
    return 0;
  while (da_json_member(&j, &key) == 1) {
    da_json_value(&j, NULL);
    da_buf_reset(other);
    if (da_json_unescape(other, key, NULL))
      return -1;
    if (other->len == name.len &&
        memcmp(da_buf_text(other).data, name.data, name.len) == 0)
      return 1;
  }
  return 0;
}

/* The members of `json` that are not ours, but for those that `except` has
** too. */
static void put_others(da_buf *out, da_text json, da_text except) {
  da_json j;
  da_text key, value;
  da_buf name, other;
  int there = 0;
  da_json_init(&j, json);
  if (!json.len || !da_json_object(&j))
    return;
  da_buf_init(&name, json.len);
  da_buf_init(&other, except.len);
  while (there >= 0 && da_json_member(&j, &key) == 1) {
    da_json_value(&j, &value);
    da_buf_reset(&name);
    there = da_json_unescape(&name, key, NULL)
                ? -1
                : has_member(except, da_buf_text(&name), &other);
    if (there || is_ours(key))
      continue;
    da_buf_puts(out, ",");
    da_buf_put(out, key.data - 1,
               (size_t)(value.data + value.len - key.data) + 1);
  }
  if (there < 0 && !out->failed)
    out->failed = DA_ENOMEM;
  da_buf_dispose(&name);
  da_buf_dispose(&other);
}

static void put_count(da_buf *out, int64_t n) {
  da_buf_printf(out, "%lld", (long long)n);
}

/* What most services never count is not there until one does. */
static void put_detail(da_buf *out, const char *name, int64_t n) {
  if (n)
    da_buf_printf(out, ",\"%s\":%lld", name, (long long)n);
}

static void put_ours(da_buf *out, const da_meta *m) {
  double now = da_wall();
  da_buf_puts(out, "{\"created_at\":");
  put_time(out, m->created_at > 0 ? m->created_at : now);
  da_buf_puts(out, ",\"updated_at\":");
  put_time(out, now);
  da_buf_puts(out, ",\"usage\":{\"prompt_tokens\":");
  put_count(out, m->usage.prompt);
  da_buf_puts(out, ",\"completion_tokens\":");
  put_count(out, m->usage.completion);
  da_buf_puts(out, ",\"total_tokens\":");
  put_count(out, m->usage.total);
  put_detail(out, "cached_tokens", m->usage.cached);
  put_detail(out, "reasoning_tokens", m->usage.reasoning);
  put_detail(out, "audio_tokens", m->usage.audio);
  da_buf_puts(out, "}");
  if (m->unfinished.len > 2) {
    da_buf_puts(out, ",\"unfinished\":");
    da_buf_put(out, m->unfinished.data, m->unfinished.len);
  }
}

int da_meta_put(da_buf *out, const da_meta *m, da_text former) {
  const da_text nothing = {"", 0};
  put_ours(out, m);
  put_others(out, former, nothing);
  return da_buf_puts(out, "}");
}

int da_meta_merge(da_buf *out, da_text base, da_text ours, da_text theirs) {
  const da_text nothing = {"", 0};
  da_meta b, o, t;
  da_usage change;
  da_buf journal;
  int failed;
  if (!theirs.len)
    return da_buf_put(out, ours.data, ours.len);
  da_meta_read(&b, base.len ? base : nothing);
  da_meta_read(&o, ours);
  da_meta_read(&t, theirs);
  change.prompt = o.usage.prompt - b.usage.prompt;
  change.completion = o.usage.completion - b.usage.completion;
  change.total = o.usage.total - b.usage.total;
  change.cached = o.usage.cached - b.usage.cached;
  change.reasoning = o.usage.reasoning - b.usage.reasoning;
  change.audio = o.usage.audio - b.usage.audio;
  da_usage_add(&t.usage, &change);
  if (t.created_at == 0)
    t.created_at = o.created_at;
  da_buf_init(&journal, out->cap);
  failed =
      da_journal_merge(&journal, b.unfinished, o.unfinished, t.unfinished);
  t.unfinished = da_buf_text(&journal);
  put_ours(out, &t);
  da_buf_dispose(&journal);
  put_others(out, theirs, nothing);
  put_others(out, ours, theirs);
  if (failed && !out->failed)
    out->failed = failed;
  return da_buf_puts(out, "}");
}
