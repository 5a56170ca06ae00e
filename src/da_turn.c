/* da_turn.c - one turn as a machine that is stepped (floor 5). */
#include "da_turn.h"

#include <stdlib.h>
#include <string.h>

#include "da_limits.h"

struct da_turn {
  da_agent *agent;
  da_provider *provider;
  da_call *call;       /* NULL: not begun or ended */
  da_history messages; /* so far: the user's */
  da_answer answer;
};

/* ---- the provider ---- */

static const char key_help[] =
    "set OPENAI_API_KEY, or give a key when the agent is made";

static int chat_provider(da_agent *a, da_err *err) {
  const da_settings *s = &a->settings;
  da_chat_options o;
  if (a->chat && !a->stale)
    return DA_OK;
  da_agent_forget_chat(a);
  memset(&o, 0, sizeof o);
  o.name = s->service;
  o.base_url.data = s->base_url ? s->base_url : "";
  o.base_url.len = strlen(o.base_url.data);
  o.api_key.data = s->api_key ? s->api_key : "";
  o.api_key.len = strlen(o.api_key.data);
  o.needs_key = s->needs_key;
  o.key_help = key_help;
  o.headers = (const char *const *)s->headers.items;
  o.allow_http = s->allow_http;
  o.insecure = s->insecure;
  o.ca_file = s->ca_file;
  o.proxy = s->proxy;
  o.limits = s->limits;
  o.transport = da_runtime_transport;
  o.transport_ctx = a->runtime;
  a->stale = 0;
  return da_provider_chat(&a->chat, &o, err);
}

int da_agent_check(da_agent *a, da_err *err) {
  if (a->talking)
    return da_fail(err, DA_EBUSY, "the agent is in the middle of a turn");
  return a->settings.own ? DA_OK : chat_provider(a, err);
}

/* Once, at a turn: by then the logger is there. */
static void tell_insecure(da_agent *a) {
  const da_settings *s = &a->settings;
  if (!s->insecure || s->own || !s->log || a->told_insecure)
    return;
  a->told_insecure = 1;
  da_agent_log(a, DA_WARN, NULL,
               "certificates are not verified: whoever is in between can "
               "read the key and change the answers");
}

static int find_provider(da_agent *a, da_provider **out, da_err *err) {
  int code = DA_OK;
  if (a->settings.own) {
    *out = a->settings.own->provider;
  } else {
    code = chat_provider(a, err);
    *out = a->chat;
  }
  return code;
}

/* ---- starting ---- */

static int request(da_turn *t, da_delta_fn delta, void *ctx, da_err *err) {
  da_agent *a = t->agent;
  const da_settings *s = &a->settings;
  const da_history nothing = DA_HISTORY_EMPTY;
  da_request r;
  da_buf members;
  int code;
  memset(&r, 0, sizeof r);
  da_buf_init(&members, DA_MESSAGE_MAX);
  da_settings_put_members(s, &members);
  r.model.data = s->model;
  r.model.len = strlen(s->model);
  r.system.data = s->system;
  r.system.len = s->system ? s->system_len : 0;
  r.members = da_buf_text(&members);
  r.turn = &t->messages;
  r.stream = delta != NULL;
  r.timeouts = s->timeouts;
  /* Without memory, what the agent starts from goes with each ask. */
  r.history = da_agent_remembers(a) ? &a->history
              : s->start.len        ? &s->start
                                    : &nothing;
  r.first =
      s->max_history ? da_history_window(r.history, s->max_history - 1) : 0;
  code = da_buf_check(&members, "the request", err);
  da_agent_log(a, DA_DEBUG, NULL, "asking %s with %zu earlier messages",
               s->model, r.history->len - r.first);
  if (!code)
    code = t->provider->ops->start(t->provider, &t->call, &r, &t->answer,
                                   delta, ctx, err);
  da_buf_dispose(&members);
  return code;
}

static void tell_failure(da_agent *a, const da_err *err) {
  da_agent_log(a, DA_WARN, err, "the turn failed: %s", err->message);
}

/* The user's message, which is the caller's also upon failure, if there is
** one. A text that is too large is not even copied. */
static int question(da_message **out, da_agent *a, da_text text, da_err *err) {
  const da_limits *limits = &a->settings.limits;
  int code;
  if (text.len > limits->message)
    code = da_fail(err, DA_ETOOLARGE,
                   "a question of %zu bytes is larger than %zu bytes",
                   text.len, limits->message);
  else
    code = da_message_text(out, "user", text, err);
  if (!code)
    code = da_limits_message(limits, *out, err);
  if (code)
    tell_failure(a, err);
  return code;
}

/* The question first: what cannot be sent is refused before any I/O. */
int da_turn_start(da_turn **out, da_agent *a, da_text text, da_delta_fn delta,
                  void *ctx, da_err *err) {
  da_message *user = NULL;
  da_turn *t = NULL;
  int code = da_agent_check_idle(a, err);
  if (!code)
    da_buf_dispose(&a->partial);
  if (!code && !a->closed)
    code = question(&user, a, text, err);
  if (!code)
    code = da_agent_resolve(a, err);
  if (!code)
    t = calloc(1, sizeof *t);
  if (!t) {
    da_message_unref(user);
    return code ? code : da_nomem(err);
  }
  t->agent = a;
  da_answer_init(&t->answer);
  da_answer_limit(&t->answer, a->settings.limits.message);
  code = da_history_append(&t->messages, user) ? da_nomem(err) : DA_OK;
  if (!code)
    code = find_provider(a, &t->provider, err);
  a->talking = 1;
  tell_insecure(a);
  if (!code)
    code = request(t, delta, ctx, err);
  if (!code) {
    *out = t;
    return DA_OK;
  }
  tell_failure(a, err);
  da_turn_free(t);
  return code;
}

/* ---- the end ---- */

/* Both messages or none. */
static int remember(da_turn *t, da_err *err) {
  da_agent *a = t->agent;
  da_history next;
  da_message *answer;
  int code = da_message_answer(&answer, da_buf_text(&t->answer.message),
                               da_buf_text(&t->answer.raw_usage), err);
  if (code)
    return code;
  if (!da_agent_remembers(a)) {
    da_message_unref(answer);
    return DA_OK;
  }
  da_history_copy(&next, &a->history);
  code =
      da_history_append(&next, da_message_ref(da_history_at(&t->messages, 0)));
  if (code)
    da_message_unref(answer);
  else
    code = da_history_append(&next, answer);
  if (code) {
    da_history_dispose(&next);
    return da_nomem(err);
  }
  da_history_dispose(&a->history);
  a->history = next;
  return DA_OK;
}

int da_turn_keep(da_turn *t, da_err *err) {
  da_agent *a = t->agent;
  int code = remember(t, err);
  if (code) {
    tell_failure(a, err);
    return code;
  }
  da_agent_answered(a, &t->answer);
  da_agent_log(
      a, DA_DEBUG, NULL, "answered: %zu bytes, finish reason %s, %lld tokens",
      t->answer.text.len, a->answer.finish_reason, (long long)a->last.total);
  if (da_agent_remembers(a))
    da_agent_changed(a);
  return DA_OK;
}

/* 1 if the provider could write down all of its answer. The text has a block
** of its own from here on, be it empty: taking it cannot fail. */
static int answered(da_turn *t, da_err *err) {
  int code = da_buf_check(&t->answer.message, "the answer", err);
  if (!code && t->answer.calls)
    return da_fail(err, DA_EUNSUPPORTED,
                   "the model asked for a tool; tools are not supported yet");
  da_buf_put(&t->answer.text, "", 0);
  if (!code)
    code = da_buf_check(&t->answer.text, "the answer", err);
  if (!code)
    code = da_output_check(&t->agent->settings.output, &t->answer, err);
  return code ? code : 1;
}

int da_turn_step(da_turn *t, double seconds, da_err *err) {
  int code;
  da_err_clear(err);
  code = t->provider->ops->step(t->provider, t->call, seconds, err);
  if (code == 1)
    code = answered(t, err);
  if (code < 0 && err->code != code) /* a listener that gave no reason */
    da_fail(err, code, "the turn was ended (%s)", da_code_name(code));
  if (code < 0) {
    da_agent_failed(t->agent, &t->answer);
    tell_failure(t->agent, err);
  }
  return code;
}

da_text da_turn_text(const da_turn *t) {
  return da_buf_text(&t->answer.text);
}

void da_turn_free(da_turn *t) {
  if (!t)
    return;
  if (t->call)
    t->provider->ops->end(t->provider, t->call);
  t->agent->talking = 0;
  da_history_dispose(&t->messages);
  da_answer_dispose(&t->answer);
  free(t);
}

/* ---- from C ---- */

static int talk(da_agent *a, const char *question, da_delta_fn delta,
                void *ctx, char **text, da_err *err) {
  da_text q = {question, strlen(question)};
  da_turn *t;
  int code = da_turn_start(&t, a, q, delta, ctx, err);
  if (code)
    return code;
  do
    code = da_turn_step(t, 3600, err);
  while (code == 0);
  if (code == 1)
    code = da_turn_keep(t, err);
  if (code == DA_OK)
    *text = da_buf_take(&t->answer.text, NULL);
  da_turn_free(t);
  return code;
}

int da_agent_ask(da_agent *a, const char *question, char **text, da_err *err) {
  return talk(a, question, NULL, NULL, text, err);
}

static int no_delta(void *ctx, da_text delta, da_err *err) {
  (void)ctx;
  (void)delta;
  (void)err;
  return DA_OK;
}

int da_agent_stream(da_agent *a, const char *question, da_delta_fn delta,
                    void *ctx, char **text, da_err *err) {
  return talk(a, question, delta ? delta : no_delta, ctx, text, err);
}
