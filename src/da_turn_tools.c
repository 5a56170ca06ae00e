/* da_turn_tools.c - the tool calls of a turn (floor 5): each gets one result,
** in order. What goes wrong in a tool is told to the model, as a result. */
#include <stdio.h>
#include <string.h>

#include "da_clock.h"
#include "da_schema.h"
#include "da_tool_calls.h"
#include "da_turn_state.h"
#include "da_utf8.h"

static da_text calls_of(const da_turn *t) {
  return da_message_json(da_history_at(&t->messages, t->asked));
}

/* As many calls have a result. */
static size_t answered(const da_turn *t) {
  return t->messages.len - t->asked - 1;
}

/* Nothing is run of an answer that is not whole, or cannot be understood. */
static int check_whole(const da_answer *a, da_err *err) {
  int code = da_finish_check(a->finish_reason);
  if (code == DA_ETRUNCATED)
    da_fail(err, code,
            "the answer was cut in the middle of its tool calls "
            "(finish reason %s)",
            a->finish_reason);
  else if (code)
    da_fail(err, code, "the service's filter cut an answer with tool calls");
  return code;
}

int da_turn_check_calls(const da_turn *t, da_err *err) {
  int code = check_whole(&t->answer, err);
  if (!code && da_tool_calls_check(da_buf_text(&t->answer.message), err))
    code = err->code = DA_EPROVIDER;
  return code;
}

int da_turn_begin_calls(da_turn *t, da_err *err) {
  const da_settings *s = &t->agent->settings;
  da_message *m;
  int code = da_message_answer(&m, da_buf_text(&t->answer.message),
                               da_buf_text(&t->answer.raw_usage), err);
  if (code)
    return code;
  if (da_history_append(&t->messages, m))
    return da_nomem(err);
  if (t->round >= s->tool_rounds)
    return da_fail(err, DA_ETOOLLIMIT,
                   "the model still asks for tools after %u rounds", t->round);
  t->round++;
  t->asked = t->messages.len - 1;
  t->doubtful = t->begun = 0;
  t->unsaved = 1;
  return DA_OK;
}

/* The rounds of before count. */
static int look_back(da_turn *t, da_err *err) {
  for (size_t i = 0; i < t->messages.len; i++) {
    da_text m = da_message_json(da_history_at(&t->messages, i));
    if (da_tool_calls_check(m, err))
      return err->code = DA_ECORRUPT;
    if (da_tool_calls_count(m))
      t->round++;
  }
  return DA_OK;
}

int da_turn_resume_calls(da_turn *t, size_t begun, da_err *err) {
  size_t n = t->messages.len, count;
  if (look_back(t, err))
    return err->code;
  while (n > 0 &&
         da_message_role(da_history_at(&t->messages, n - 1)) == DA_ROLE_TOOL)
    n--;
  if (n == 0)
    return DA_OK;
  t->asked = n - 1;
  count = da_tool_calls_count(calls_of(t));
  t->doubtful = t->begun = begun < count ? begun : count;
  if (answered(t) < count)
    t->state = DA_TURN_CALLING;
  return DA_OK;
}

/* ---- one call ---- */

/* As many of them as there is room for are named. */
static int unknown_tool(const da_turn *t, da_text name, da_err *why) {
  const da_toolbox *tools = &t->agent->settings.tools;
  char list[400] = "";
  size_t used = 0;
  for (size_t i = 0; i < tools->count && used < sizeof list; i++)
    used += (size_t)snprintf(
        list + used, sizeof list - used, "%s%s",
        i ? ", " : "; there are: ", tools->items[i]->tool.name);
  return da_fail(why, DA_ENOTFOUND, "there is no tool '%.*s'%s",
                 (int)(name.len > 64 ? 64 : name.len), name.data, list);
}

/* Empty arguments are those of a tool that has none. */
static int check_arguments(const da_tool *tool, da_text *arguments,
                           da_err *why) {
  const da_text none = {"{}", 2};
  da_text schema = {tool->parameters, 0};
  da_json j;
  if (!arguments->len)
    *arguments = none;
  if (da_json_check(*arguments, why))
    return why->code;
  da_json_init(&j, *arguments);
  if (da_json_peek(&j) != DA_JSON_OBJECT)
    return da_fail(why, DA_EINVAL, "the arguments must be a JSON object");
  schema.len = strlen(tool->parameters);
  return da_schema_validate(schema, *arguments, why);
}

static double time_left(const da_turn *t) {
  double limit = t->agent->settings.tool_timeout;
  double left = da_left(t->deadline);
  return limit > 0 && limit < left ? limit
         : t->deadline == DA_NEVER ? 0
                                   : left;
}

static int run(const da_turn *t, const da_tool *tool, const da_tool_call *call,
               da_tool_result *result, da_err *why) {
  da_text text;
  int code;
  da_err_clear(why);
  code = tool->run(tool->ctx, call, result, why);
  if (code && why->code == code)
    return code;
  if (result->text.failed == DA_ETOOLARGE)
    return da_fail(why, DA_ETOOLARGE, "the result is larger than %zu bytes",
                   t->agent->settings.limits.result);
  if (code)
    return da_fail(why, code, "the tool failed (%s)", da_code_name(code));
  text = da_buf_text(&result->text);
  if (da_utf8_check(text.data, text.len) != text.len)
    return da_fail(why, DA_EUTF8, "the result is not valid UTF-8");
  return result->text.failed;
}

/* DA_OK if nobody minds; *fatal: the turn ends. */
static int approve(const da_turn *t, const da_tool_call *call, int *fatal,
                   da_err *why) {
  const da_settings *s = &t->agent->settings;
  int code;
  if (!s->approve)
    return DA_OK;
  da_err_clear(why);
  code = s->approve(s->approve_ctx, call, why);
  *fatal = code && code != DA_EREFUSED;
  return code;
}

/* What may run, does. Before a call that must not be made twice it is saved
** that it is made, and before any call what such a one has given: that is asked
** for once, when nobody minds any more; then t->approved is the tool. */
static int ask_and_run(da_turn *t, const da_tool *tool, da_tool_call *call,
                       size_t i, da_tool_result *result, int *fatal,
                       da_err *why) {
  const int saved = t->approved != NULL;
  int code = saved ? DA_OK : approve(t, call, fatal, why);
  /* Whoever was asked may have taken his time. What is left is above 0, which
  ** would be no limit, if it is looked at before it is checked. */
  call->seconds = time_left(t);
  if (!code) {
    code = da_turn_check_time(t, why);
    *fatal = code != DA_OK;
  }
  if (!code && !saved && (t->unsaved || !tool->idempotent)) {
    if (!tool->idempotent)
      t->begun = i + 1;
    return DA_TURN_TO_SAVE;
  }
  t->unsaved = !tool->idempotent;
  if (!code)
    code = run(t, tool, call, result, why);
  *fatal |= code == DA_ENOMEM && result->text.failed == DA_ENOMEM;
  return code;
}

/* The tool to be run, with a reference: it may be replaced meanwhile. NULL:
** there is none. */
static da_tool_entry *find_tool(const da_turn *t, da_text name) {
  da_tool_entry *e = t->approved
                         ? t->approved
                         : da_toolbox_find(&t->agent->settings.tools, name);
  if (e)
    e->refs++;
  return e;
}

static void approve_tool(da_turn *t, da_tool_entry *take) {
  da_tool_unref(t->approved);
  t->approved = take;
}

/* DA_OK with a result, DA_TURN_TO_SAVE, or why there is none, which the model
** is told; *fatal: the turn cannot go on instead. */
static int attempt(da_turn *t, da_tool_call *call, size_t i,
                   da_tool_result *result, int *fatal, da_err *why) {
  da_tool_entry *e = find_tool(t, call->name);
  int code;
  if (i < t->doubtful && !(e && e->tool.idempotent))
    code = da_fail(why, DA_ECANCELLED,
                   "the call was interrupted: it may or may not have been "
                   "carried out");
  else if (!e)
    code = unknown_tool(t, call->name, why);
  else
    code = check_arguments(&e->tool, &call->arguments, why);
  if (!code)
    code = ask_and_run(t, &e->tool, call, i, result, fatal, why);
  approve_tool(t, code == DA_TURN_TO_SAVE ? e : NULL);
  if (code != DA_TURN_TO_SAVE)
    da_tool_unref(e);
  return code;
}

/* {"error":"..."} in the place of what there may be. */
static int put_error(da_buf *text, const da_err *why, da_err *err) {
  text->cap = sizeof why->message * 6 + 64;
  da_buf_reset(text);
  da_buf_puts(text, "{\"error\":");
  da_json_put_string(text, why->message, strlen(why->message));
  da_buf_puts(text, "}");
  return da_buf_check(text, "the result", err);
}

static int add_result(da_turn *t, da_text id, da_text text, da_err *err) {
  da_message *m;
  int code = da_tool_calls_answer(&m, id, text, err);
  if (!code && da_history_append(&t->messages, m))
    code = da_nomem(err);
  return code;
}

/* The result of call i as a message of the turn, or DA_TURN_TO_SAVE. */
static int make_call(da_turn *t, da_tool_call *call, size_t i,
                     da_tool_result *result, da_err *err) {
  int name = (int)(call->name.len > 64 ? 64 : call->name.len), fatal = 0;
  da_err why;
  int code = attempt(t, call, i, result, &fatal, &why);
  if (code == DA_TURN_TO_SAVE)
    return code;
  if (code) {
    da_agent_log(t->agent, DA_WARN, &why, "tool '%.*s': %s", name,
                 call->name.data, why.message);
    if (fatal)
      *err = why;
    code = fatal ? why.code : put_error(&result->text, &why, err);
  } else {
    da_agent_log(t->agent, DA_DEBUG, NULL, "tool '%.*s' gave %zu bytes", name,
                 call->name.data, result->text.len);
  }
  return code ? code
              : add_result(t, call->id, da_buf_text(&result->text), err);
}

int da_turn_call(da_turn *t, da_err *err) {
  da_agent *a = t->agent;
  da_text message = calls_of(t);
  size_t i = answered(t), count = da_tool_calls_count(message);
  da_tool_calls_item item;
  da_tool_call call;
  da_tool_result result;
  int code = da_tool_calls_get(&item, message, i, err);
  memset(&call, 0, sizeof call);
  call.id = item.id;
  call.name = item.name;
  call.arguments = item.arguments;
  call.round = t->round;
  call.seconds = time_left(t);
  call.session = a->settings.session_id;
  da_buf_init(&result.text, a->settings.limits.result);
  if (!code)
    code = make_call(t, &call, i, &result, err);
  da_buf_dispose(&result.text);
  da_tool_calls_dispose(&item);
  if (code)
    return code;
  return i + 1 >= count ? DA_TURN_ALL_CALLED : DA_TURN_CALLED;
}
