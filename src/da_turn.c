/* da_turn.c - one turn as a machine that is stepped (floor 5). */
#include "da_turn.h"

#include <stdlib.h>
#include <string.h>

#include "da_clock.h"
#include "da_limits.h"
#include "da_meta.h"
#include "da_turn_state.h"

static void tell_failure(da_agent *a, const da_err *err) {
  da_agent_log(a, DA_WARN, err, "the turn failed: %s", err->message);
}

/* ---- starting ---- */

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

static da_turn *turn_new(da_agent *a, da_delta_fn delta, void *ctx) {
  da_turn *t = calloc(1, sizeof *t);
  double total = a->settings.timeouts.total;
  if (!t)
    return NULL;
  t->agent = a;
  t->delta = delta;
  t->ctx = ctx;
  t->began = da_now();
  t->deadline = total > 0 ? da_deadline(total) : DA_NEVER;
  da_answer_init(&t->answer);
  atomic_store(&a->cancelled, 0);
  a->talking = 1;
  return t;
}

static int started(da_turn **out, da_turn *t, int code, const da_err *err) {
  if (code) {
    tell_failure(t->agent, err);
    da_turn_free(t);
  } else {
    *out = t;
  }
  return code;
}

/* Takes `user`, which a closed agent may be without. */
static int begin(da_turn **out, da_agent *a, da_message *user,
                 da_delta_fn delta, void *ctx, da_err *err) {
  da_turn *t = NULL;
  int code = da_agent_resolve(a, err);
  if (!code)
    t = turn_new(a, delta, ctx);
  if (!t) {
    da_message_unref(user);
    return code ? code : da_nomem(err);
  }
  code = da_history_append(&t->messages, user) ? da_nomem(err) : DA_OK;
  if (!code)
    code = da_turn_ask(t, err);
  return started(out, t, code, err);
}

/* The question first: what cannot be sent is refused before any I/O. */
int da_turn_start(da_turn **out, da_agent *a, da_text text, da_delta_fn delta,
                  void *ctx, da_err *err) {
  da_message *user = NULL;
  int code = da_agent_check_idle(a, err);
  if (!code)
    da_agent_forget_failed(a);
  if (!code && !a->closed)
    code = question(&user, a, text, err);
  if (!code)
    return begin(out, a, user, delta, ctx, err);
  da_message_unref(user);
  return code;
}

int da_turn_start_message(da_turn **out, da_agent *a, da_message *user,
                          da_delta_fn delta, void *ctx, da_err *err) {
  int code = da_agent_check_idle(a, err);
  if (!code)
    da_agent_forget_failed(a);
  if (!code && !a->closed) {
    code = da_limits_message(&a->settings.limits, user, err);
    if (code)
      tell_failure(a, err);
  }
  if (!code)
    return begin(out, a, user, delta, ctx, err);
  da_message_unref(user);
  return code;
}

int da_turn_resume(da_turn **out, da_agent *a, da_delta_fn delta, void *ctx,
                   da_err *err) {
  da_history messages;
  size_t begun;
  da_turn *t;
  int code = da_agent_adopt(a, &messages, &begun, err);
  if (code)
    return code;
  da_agent_forget_failed(a);
  t = turn_new(a, delta, ctx);
  if (!t) {
    da_history_dispose(&messages);
    return da_nomem(err);
  }
  t->messages = messages;
  code = da_turn_resume_calls(t, begun, err);
  if (!code && t->state != DA_TURN_CALLING)
    code = da_turn_ask(t, err);
  return started(out, t, code, err);
}

/* ---- working ---- */

/* The journal is written anew each time: that can wait until the turn ends
** where nobody saves it, or where `soon` it is written anyway. */
static int note(da_turn *t, int soon, da_err *err) {
  const da_agent *a = t->agent;
  da_history_dispose(&t->unnoted);
  if (!soon && a->session && a->settings.auto_save)
    return da_agent_journal(t->agent, &t->messages, t->begun, err);
  da_history_copy(&t->unnoted, &t->messages);
  return DA_OK;
}

static void note_rest(da_turn *t) {
  da_err ignored;
  if (t->unnoted.len)
    da_agent_journal(t->agent, &t->unnoted, t->begun, &ignored);
  da_history_dispose(&t->unnoted);
}

/* The turn as it is now is saved before anything else happens in it. */
static int save_first(da_turn *t, da_turn_state next, da_err *err) {
  double by = da_deadline(t->agent->settings.save_timeout);
  t->state = DA_TURN_SAVING;
  t->next = next;
  t->saved_by = by < t->deadline ? by : t->deadline;
  return note(t, 0, err);
}

static int step_saving(da_turn *t, double seconds, da_err *err) {
  double left = da_left(t->saved_by);
  int saved =
      da_agent_journal_saved(t->agent, left < seconds ? left : seconds);
  if (!saved && da_left(t->saved_by) > 0)
    return 0;
  if (t->next == DA_TURN_ASKING)
    return da_turn_ask(t, err);
  t->state = t->next;
  return 0;
}

static void end_attempt(da_turn *t) {
  da_attempt_free(t->attempt);
  t->attempt = NULL;
}

/* Whether the provider could write down all of its answer, and it is one that
** will do: only such a one is kept for another time. The text has a block of
** its own from here on, be it empty: taking it cannot fail. */
static int check_answer(da_turn *t, da_err *err) {
  int code = da_buf_check(&t->answer.message, "the answer", err);
  da_buf_put(&t->answer.text, "", 0);
  if (!code)
    code = da_buf_check(&t->answer.text, "the answer", err);
  if (!code)
    code = da_output_check(&t->agent->settings.output, &t->answer, err);
  if (!code && t->answer.calls)
    code = da_turn_check_calls(t, err);
  if (!code)
    da_attempt_keep(t->attempt);
  return code;
}

static int step_asking(da_turn *t, double seconds, da_err *err) {
  int code = da_attempt_step(t->attempt, seconds, err);
  if (code != 1)
    return code;
  code = check_answer(t, err);
  end_attempt(t);
  if (code)
    return code;
  da_usage_add(&t->usage, &t->answer.usage);
  if (!t->answer.cached)
    da_usage_add(&t->spent, &t->answer.usage);
  if (!t->answer.calls) {
    t->state = DA_TURN_ANSWERED;
    return 1;
  }
  t->state = DA_TURN_CALLING;
  code = da_turn_begin_calls(t, err);
  /* Somebody may think long about them: then they are to be asked again. */
  if (code || !t->agent->settings.approve)
    return code;
  t->unsaved = 0;
  return save_first(t, DA_TURN_CALLING, err);
}

static int step_calling(da_turn *t, da_err *err) {
  int code = da_turn_call(t, err);
  if (code < 0)
    return code;
  if (code == DA_TURN_ALL_CALLED)
    return save_first(t, DA_TURN_ASKING, err);
  if (code == DA_TURN_TO_SAVE)
    return save_first(t, DA_TURN_CALLING, err);
  return note(t, t->unsaved && !t->agent->settings.approve, err);
}

/* What there was of a turn that is broken off. */
static int fail(da_turn *t, int code, da_err *err) {
  if (err->code != code) /* a listener that gave no reason */
    da_fail(err, code, "the turn was ended (%s)", da_code_name(code));
  note_rest(t);
  if (t->messages.len > 1)
    da_history_copy(&t->agent->fragments, &t->messages);
  da_agent_failed(t->agent, &t->answer);
  tell_failure(t->agent, err);
  return code;
}

int da_turn_step(da_turn *t, double seconds, da_err *err) {
  int code = 1;
  da_err_clear(err);
  if (t->state != DA_TURN_ANSWERED && atomic_load(&t->agent->cancelled))
    return fail(t, da_fail(err, DA_ECANCELLED, "the turn was cancelled"), err);
  switch (t->state) {
  case DA_TURN_ASKING:
    code = step_asking(t, seconds, err);
    break;
  case DA_TURN_SAVING:
    code = step_saving(t, seconds, err);
    break;
  case DA_TURN_CALLING:
    code = step_calling(t, err);
    break;
  case DA_TURN_ANSWERED:
    break;
  }
  return code < 0 ? fail(t, code, err) : code;
}

/* ---- the end ---- */

/* All of the turn's messages or none. */
static int extend(da_history *to, const da_turn *t, da_err *err) {
  da_history_iter it;
  da_message *m, *answer;
  int code = da_message_answer(&answer, da_buf_text(&t->answer.message),
                               da_buf_text(&t->answer.raw_usage), err);
  if (code)
    return code;
  da_history_begin(&it, &t->messages, 0);
  while (!code && (m = da_history_next(&it)))
    code = da_history_append(to, da_message_ref(m));
  code |= it.failed;
  da_history_end(&it);
  if (code)
    da_message_unref(answer);
  else
    code = da_history_append(to, answer);
  return code ? da_nomem(err) : DA_OK;
}

static int remember(da_turn *t, da_err *err) {
  da_agent *a = t->agent;
  da_history next;
  int code;
  if (!da_agent_remembers(a))
    return DA_OK;
  da_history_copy(&next, &a->history);
  code = extend(&next, t, err);
  if (code) {
    da_history_dispose(&next);
    return code;
  }
  da_history_dispose(&a->history);
  a->history = next;
  return DA_OK;
}

int da_turn_keep(da_turn *t, da_err *err) {
  da_agent *a = t->agent;
  int code = remember(t, err), dropped;
  if (code) {
    tell_failure(a, err);
    return code;
  }
  da_history_dispose(&t->unnoted);
  t->answer.usage = t->usage;
  da_agent_answered(a, &t->answer, &t->spent);
  a->took = da_now() - t->began;
  a->first = t->first > 0 ? t->first - t->began : a->took;
  da_agent_log(
      a, DA_DEBUG, NULL, "answered: %zu bytes, finish reason %s, %lld tokens",
      t->answer.text.len, a->answer.finish_reason, (long long)a->last.total);
  dropped =
      da_agent_journal_drop(a, da_message_id(da_history_at(&t->messages, 0)));
  if (dropped || da_agent_remembers(a))
    da_agent_changed(a);
  return DA_OK;
}

da_text da_turn_text(const da_turn *t) {
  return da_buf_text(&t->answer.text);
}

void da_turn_free(da_turn *t) {
  if (!t)
    return;
  end_attempt(t);
  note_rest(t);
  da_tool_unref(t->approved);
  t->agent->talking = 0;
  da_history_dispose(&t->messages);
  da_answer_dispose(&t->answer);
  free(t);
}
