/* da_agent.c - making, setting and ending agents (floor 5). */
#include "da_agent.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "da_http.h"
#include "da_limits.h"
#include "da_session_id.h"
#include "da_utf8.h"

/* ---- making ---- */

static int agent_new(da_agent **out, da_runtime *rt, da_err *err) {
  da_agent *a = calloc(1, sizeof *a);
  if (!a)
    return da_nomem(err);
  a->runtime = rt;
  da_settings_init(&a->settings);
  da_buf_init(&a->meta, DA_MESSAGE_MAX);
  da_buf_init(&a->journal, DA_MESSAGE_MAX);
  da_err_clear(&a->load_err);
  da_err_clear(&a->queue_err);
  *out = a;
  return DA_OK;
}

/* A key goes into a header. */
static int check_key(const char *key, da_err *err) {
  const da_text name = {"Authorization", 13};
  da_text value = {key ? key : "", key ? strlen(key) : 0};
  return key ? da_http_check_header(name, value, err) : DA_OK;
}

int da_agent_new(da_agent **out, da_runtime *rt, const char *model,
                 const char *base_url, const char *api_key, da_err *err) {
  da_settings *s;
  da_text name = {model, strlen(model)};
  int code = da_model_check(name, err);
  if (!code)
    code = check_key(api_key, err);
  if (!code)
    code = agent_new(out, rt, err);
  if (code)
    return code;
  s = &(*out)->settings;
  code = da_set_string(&s->model, model, err);
  if (!code)
    code = da_set_string(&s->base_url, base_url, err);
  if (!code)
    code = da_set_string(&s->api_key, api_key, err);
  if (code)
    da_agent_free(*out);
  return code;
}

int da_agent_clone(da_agent **out, const da_agent *a, da_err *err) {
  da_settings settings;
  int code = da_settings_copy(&settings, &a->settings, err);
  if (code)
    return code;
  code = agent_new(out, a->runtime, err);
  if (code)
    da_settings_dispose(&settings);
  else
    (*out)->settings = settings;
  return code;
}

/* ---- settings ---- */

int da_agent_set_system(da_agent *a, const char *text, size_t len,
                        da_err *err) {
  char *copy;
  if (da_utf8_check(text, len) != len)
    return da_fail(err, DA_EUTF8, "the system text is not valid UTF-8");
  copy = da_memdup(text, len);
  if (!copy)
    return da_nomem(err);
  free(a->settings.system);
  a->settings.system = copy;
  a->settings.system_len = len;
  return DA_OK;
}

int da_agent_add_header(da_agent *a, const char *name, const char *value,
                        da_err *err) {
  a->stale = 1;
  return da_settings_header(&a->settings, name, value, err);
}

int da_agent_set_allow_http(da_agent *a, int on, da_err *err) {
  (void)err;
  a->stale = 1;
  a->settings.allow_http = on;
  return DA_OK;
}

int da_agent_set_insecure(da_agent *a, int on, da_err *err) {
  (void)err;
  a->stale = 1;
  a->settings.insecure = on;
  return DA_OK;
}

int da_agent_set_ca_file(da_agent *a, const char *path, da_err *err) {
  for (const char *p = path ? path : ""; *p; p++)
    if ((unsigned char)*p < 0x20 || *p == 0x7f)
      return da_fail(err, DA_EINVAL,
                     "the path of the ca_file has a control character");
  a->stale = 1;
  return da_set_string(&a->settings.ca_file, path, err);
}

int da_agent_set_proxy(da_agent *a, const char *proxy, da_err *err) {
  int code = proxy ? da_http_check_proxy(proxy, 0, err) : DA_OK;
  a->stale = 1;
  return code ? code : da_set_string(&a->settings.proxy, proxy, err);
}

int da_agent_set_api_key(da_agent *a, const char *key, da_err *err) {
  int code = check_key(key, err);
  a->stale = 1;
  return code ? code : da_set_string(&a->settings.api_key, key, err);
}

int da_agent_set_base_url(da_agent *a, const char *url, da_err *err) {
  a->stale = 1;
  return da_set_string(&a->settings.base_url, url, err);
}

int da_agent_set_member(da_agent *a, const char *name, const char *json,
                        da_err *err) {
  return da_members_set(&a->settings.members, name, json, err);
}

int da_agent_set_extra(da_agent *a, const char *name, const char *json,
                       da_err *err) {
  return da_members_set(&a->settings.extra, name, json, err);
}

void da_agent_set_memory(da_agent *a, int on) {
  a->settings.memory = on != 0;
}

void da_agent_set_max_history(da_agent *a, size_t n) {
  a->settings.max_history = n;
}

void da_agent_set_timeouts(da_agent *a, const da_timeouts *t) {
  a->settings.timeouts = *t;
}

int da_agent_set_limits(da_agent *a, const da_limits *limits, da_err *err) {
  da_limits all = *limits;
  int code = da_limits_fill(&all, err);
  if (!code)
    code = da_limits_history(&all, &a->settings.start, err);
  if (code)
    return code;
  a->stale = 1;
  a->settings.limits = all;
  return DA_OK;
}

int da_agent_add_message(da_agent *a, const char *json, da_err *err) {
  da_text text = {json, strlen(json)};
  da_message *m;
  int code = da_message_parse(&m, text, err);
  if (code)
    return code;
  code = da_limits_message(&a->settings.limits, m, err);
  if (code)
    da_message_unref(m);
  else if (da_history_append(&a->settings.start, m))
    code = da_nomem(err);
  return code;
}

int da_agent_set_start(da_agent *a, da_history *h, da_err *err) {
  int code = da_limits_history(&a->settings.limits, h, err);
  if (code)
    return code;
  da_history_dispose(&a->settings.start);
  a->settings.start = *h;
  memset(h, 0, sizeof *h);
  return DA_OK;
}

static int check_unresolved(const da_agent *a, da_err *err) {
  if (a->resolved && a->session)
    return da_fail(err, DA_EBUSY,
                   "the agent's session is in use; clone() gives an agent "
                   "that can have another");
  return DA_OK;
}

int da_agent_set_session_id(da_agent *a, const char *id, da_err *err) {
  int code = da_session_id_check(id, strlen(id), err);
  if (!code)
    code = check_unresolved(a, err);
  if (!code)
    code = da_set_string(&a->settings.session_id, id, err);
  return code;
}

int da_agent_set_backend(da_agent *a, da_backend *b, da_err *err) {
  int code = check_unresolved(a, err);
  if (code)
    return code;
  da_backend_ref(b);
  da_backend_unref(a->settings.backend);
  a->settings.backend = b;
  return DA_OK;
}

int da_agent_set_store(da_agent *a, da_store *store, da_err *err) {
  da_backend *b;
  int code = da_backend_new(&b, store, err);
  if (!code) {
    code = da_agent_set_backend(a, b, err);
    da_backend_unref(b);
  }
  return code;
}

int da_agent_set_provider(da_agent *a, da_provider *p, da_err *err) {
  da_model *m = malloc(sizeof *m);
  if (!m || a->talking) {
    p->ops->close(p);
    free(m);
    return a->talking
               ? da_fail(err, DA_EBUSY, "the agent is in the middle of a turn")
               : da_nomem(err);
  }
  m->refs = 1;
  m->provider = p;
  da_model_unref(a->settings.own);
  a->settings.own = m;
  return DA_OK;
}

void da_agent_set_auto_save(da_agent *a, int on) {
  a->settings.auto_save = on != 0;
}

/* A session of before a fork is not ours to touch. */
static int has_own_session(const da_agent *a) {
  return a->session && da_runtime_generation(a->runtime) == a->generation;
}

void da_agent_set_save_timeout(da_agent *a, double seconds) {
  a->settings.save_timeout = seconds;
  if (has_own_session(a))
    da_session_set_timeout(a->session, seconds);
}

void da_agent_set_on_conflict(da_agent *a, da_conflict policy) {
  a->settings.on_conflict = policy;
  if (has_own_session(a))
    da_session_set_policy(a->session, policy);
}

void da_agent_set_logger(da_agent *a, da_log_fn fn, void *ctx) {
  a->settings.log = fn;
  a->settings.log_ctx = ctx;
}

/* ---- telling ---- */

void da_agent_log(da_agent *a, da_level level, const da_err *about,
                  const char *format, ...) {
  da_err text; /* for its cleaning of messages */
  va_list args;
  char line[sizeof text.message];
  if (!a->settings.log)
    return;
  va_start(args, format);
  vsnprintf(line, sizeof line, format, args);
  va_end(args);
  da_err_set_message(&text, line, strlen(line));
  a->telling++;
  a->settings.log(a->settings.log_ctx, level, text.message,
                  about ? about->code : DA_OK, a->settings.session_id);
  a->telling--;
}

void da_agent_poll(da_agent *a) {
  da_event *e;
  da_err about;
  if (!a->session || a->telling)
    return;
  while ((e = da_session_event(a->session))) {
    da_err_clear(&about);
    about.code = e->code;
    da_agent_log(a, e->level, &about, "%s", e->message);
    free(e);
  }
}

/* ---- ending ---- */

void da_agent_forget_chat(da_agent *a) {
  if (a->chat)
    a->chat->ops->close(a->chat);
  a->chat = NULL;
}

/* Saved by its owner alone, who had the chance to flush. */
static int is_owners(const da_agent *a) {
  const da_backend *b = a->settings.backend;
  return b && (da_backend_flags(b) & DA_STORE_OWNER_THREAD);
}

/* In a forked child the session is the parent's: forgotten, not closed. */
static void leave_session(da_agent *a) {
  da_err ignored;
  if (has_own_session(a)) {
    if (!is_owners(a))
      da_agent_requeue(a, &ignored);
    da_session_close(a->session);
  }
  a->session = NULL;
}

int da_agent_close(da_agent *a, da_err *err) {
  int code = da_agent_check_idle(a, err);
  if (code || a->closed)
    return code;
  if (a->session)
    code = da_agent_flush(a, -1, err);
  a->last_state = da_agent_save_state(a, &a->last_err);
  leave_session(a);
  da_agent_forget_chat(a);
  a->closed = 1;
  return code;
}

void da_agent_free(da_agent *a) {
  if (!a)
    return;
  leave_session(a);
  da_agent_forget_chat(a);
  da_settings_dispose(&a->settings);
  da_history_dispose(&a->history);
  da_history_dispose(&a->queued);
  da_buf_dispose(&a->meta);
  da_buf_dispose(&a->partial);
  da_buf_dispose(&a->journal);
  da_history_dispose(&a->fragments);
  da_agent_forget_answer(a);
  free(a);
}
