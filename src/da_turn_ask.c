/* da_turn_ask.c - the requests of a turn (floor 5). */
#include <string.h>

#include "da_clock.h"
#include "da_turn_state.h"

/* ---- what is sent beside the messages ---- */

/* A forced choice is for the first request only: else the model could never
** answer. */
static int put_tool_choice(const da_turn *t, da_buf *out) {
  const da_settings *s = &t->agent->settings;
  const char *choice = s->tool_choice;
  da_buf json;
  int plain;
  if (!choice || (t->round > 0 && strcmp(choice, "none") != 0))
    return DA_OK;
  plain = strcmp(choice, "auto") == 0 || strcmp(choice, "none") == 0 ||
          strcmp(choice, "required") == 0;
  da_buf_init(&json, 1024);
  da_buf_puts(&json,
              plain ? "" : "{\"type\":\"function\",\"function\":{\"name\":");
  da_json_put_string(&json, choice, strlen(choice));
  da_buf_puts(&json, plain ? "" : "}}");
  da_settings_put_member(s, out, "tool_choice", da_buf_text(&json));
  if (json.failed && !out->failed)
    out->failed = json.failed;
  da_buf_dispose(&json);
  return out->failed;
}

static int put_tools(const da_turn *t, da_buf *out) {
  const da_settings *s = &t->agent->settings;
  const da_text yes = {"true", 4}, no = {"false", 5};
  da_buf json;
  if (!s->tools.count)
    return DA_OK;
  da_buf_init(&json, DA_MESSAGE_MAX);
  da_toolbox_put(&s->tools, &json);
  da_settings_put_member(s, out, "tools", da_buf_text(&json));
  if (json.failed && !out->failed)
    out->failed = json.failed;
  da_buf_dispose(&json);
  if (s->parallel_tools >= 0)
    da_settings_put_member(s, out, "parallel_tool_calls",
                           s->parallel_tools ? yes : no);
  return put_tool_choice(t, out);
}

static void put_output(const da_turn *t, da_buf *out) {
  const da_settings *s = &t->agent->settings;
  da_text format = {s->output.format, 0};
  if (!format.data)
    return;
  format.len = strlen(format.data);
  da_settings_put_member(s, out, "response_format", format);
}

/* A choice of a tool is checked here, as the order of settings never
** matters. */
static int check_choice(const da_settings *s, da_err *err) {
  const char *choice = s->tool_choice;
  da_text name = {choice, choice ? strlen(choice) : 0};
  if (!choice || strcmp(choice, "auto") == 0 || strcmp(choice, "none") == 0 ||
      (strcmp(choice, "required") == 0 && s->tools.count) ||
      da_toolbox_find(&s->tools, name))
    return DA_OK;
  if (!s->tools.count)
    return da_fail(err, DA_EINVAL, "tool_choice: there are no tools");
  return da_fail(err, DA_EINVAL, "tool_choice: there is no tool '%s'", choice);
}

/* ---- asking ---- */

static int hear(void *ctx, da_text delta, da_err *err) {
  da_turn *t = ctx;
  if (t->first == 0)
    t->first = da_now();
  return t->delta(t->ctx, delta, err);
}

static int begin(da_turn *t, da_request *r, da_err *err) {
  da_agent *a = t->agent;
  const da_history nothing = DA_HISTORY_EMPTY;
  const da_settings *s = &a->settings;
  r->model.data = s->model;
  r->model.len = strlen(s->model);
  r->system.data = s->system;
  r->system.len = s->system ? s->system_len : 0;
  r->turn = &t->messages;
  r->stream = t->delta != NULL;
  r->timeouts = s->timeouts;
  if (t->deadline != DA_NEVER)
    r->timeouts.total = da_left(t->deadline);
  /* Without memory, what the agent starts from goes with each ask. */
  r->history = da_agent_remembers(a) ? &a->history
               : s->start.len        ? &s->start
                                     : &nothing;
  r->first =
      s->max_history ? da_history_window(r->history, s->max_history - 1) : 0;
  da_agent_log(a, DA_DEBUG, NULL, "asking %s with %zu earlier messages",
               s->model, r->history->len - r->first);
  return da_attempt_start(&t->attempt, a, r, &t->answer,
                          t->delta ? hear : NULL, t, err);
}

int da_turn_check_time(const da_turn *t, da_err *err) {
  return da_left(t->deadline) > 0
             ? DA_OK
             : da_fail(err, DA_ETIMEOUT, "the turn is not over after %g s",
                       t->agent->settings.timeouts.total);
}

int da_turn_ask(da_turn *t, da_err *err) {
  const da_settings *s = &t->agent->settings;
  da_request r;
  da_buf members;
  int code = check_choice(s, err);
  if (!code)
    code = da_turn_check_time(t, err);
  if (code)
    return code;
  memset(&r, 0, sizeof r);
  da_buf_init(&members, DA_MESSAGE_MAX);
  da_settings_put_members(s, &members);
  put_tools(t, &members);
  put_output(t, &members);
  r.members = da_buf_text(&members);
  da_answer_dispose(&t->answer);
  da_answer_init(&t->answer);
  da_answer_limit(&t->answer, s->limits.message);
  code = da_buf_check(&members, "the request", err);
  if (!code)
    code = begin(t, &r, err);
  da_buf_dispose(&members);
  if (!code)
    t->state = DA_TURN_ASKING;
  return code;
}
