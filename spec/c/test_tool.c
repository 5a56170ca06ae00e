/* test_tool.c - tools from C: what may be one, running, approval, turns that
** are gone on with; who owns what. */
#include "da_agent.h"
#include "da_turn.h"
#include "deepagent.h"

#include "check.h"

static da_err err;
static da_runtime *rt;
static da_agent *a;

/* ---- a model that plays a script ---- */

struct da_call {
  da_answer *answer;
};

/* Each step is a message; a text, where it does not begin with '{'. NULL: the
** service is down. */
static const char *const *script;
static char asked[4096]; /* members of the last request */

static int model_start(da_provider *p, da_call **out, const da_request *r,
                       da_answer *answer, da_delta_fn delta, void *ctx,
                       da_err *e) {
  static da_call call;
  (void)p, (void)e, (void)delta, (void)ctx;
  snprintf(asked, sizeof asked, "%.*s", (int)r->members.len, r->members.data);
  call.answer = answer;
  *out = &call;
  return DA_OK;
}

static int model_step(da_provider *p, da_call *c, double seconds, da_err *e) {
  const char *step = *script++;
  da_answer *to = c->answer;
  (void)p, (void)seconds;
  if (!step)
    return da_fail(e, DA_ESERVER, "down");
  to->calls = step[0] == '{';
  if (!to->calls) {
    da_buf_printf(&to->text, "%s", step);
    da_buf_printf(&to->message, "{\"role\":\"assistant\",\"content\":\"%s\"}",
                  step);
  } else {
    da_buf_puts(&to->message, step);
  }
  return 1;
}

static void model_end(da_provider *p, da_call *c) {
  (void)p, (void)c;
}

static void model_close(da_provider *p) {
  (void)p;
}

static void begin(const char *const *steps) {
  static const da_provider_ops ops = {DA_PROVIDER_VERSION, "script",
                                      model_start,         model_step,
                                      model_end,           model_close};
  static da_provider model = {&ops};
  script = steps;
  CHECK_INT(da_runtime_new(&rt, NULL, &err), DA_OK);
  CHECK_INT(da_agent_new(&a, rt, "m", NULL, NULL, &err), DA_OK);
  CHECK_INT(da_agent_set_provider(a, &model, &err), DA_OK);
  da_agent_set_memory(a, 1);
}

static void end(void) {
  da_agent_free(a);
  da_runtime_free(rt);
}

#define CALL(name, arguments)                                                 \
  "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c1\","  \
  "\"function\":{\"name\":\"" name "\",\"arguments\":\"" arguments "\"}}]}"

/* 1 if that is the answer. */
static int ask(const char *want) {
  char *text = NULL;
  int same;
  if (da_agent_ask(a, "go", &text, &err))
    return 0;
  same = strcmp(text, want) == 0;
  free(text);
  return same;
}

/* The raw content of message i of the conversation. */
static const char *content(size_t i) {
  static char out[512];
  da_text raw = {"", 0};
  da_json_get(da_agent_message(a, i), "content", &raw);
  snprintf(out, sizeof out, "%.*s", (int)raw.len, raw.data);
  return out;
}

/* ---- tools ---- */

typedef struct counts {
  int runs, drops, code;
  const char *says;
  char arguments[64];
} counts;

static int run(void *ctx, const da_tool_call *call, da_tool_result *result,
               da_err *e) {
  counts *c = ctx;
  c->runs++;
  snprintf(c->arguments, sizeof c->arguments, "%.*s", (int)call->arguments.len,
           call->arguments.data);
  CHECK_INT(call->round, c->runs);
  CHECK(call->id.len == 2 && memcmp(call->id.data, "c1", 2) == 0);
  if (c->code && c->says)
    return da_fail(e, c->code, "%s", c->says);
  if (c->says)
    da_tool_put(result, c->says, strlen(c->says));
  return c->code;
}

static void drop(void *ctx) {
  ((counts *)ctx)->drops++;
}

static int add(const char *name, const char *parameters, counts *c) {
  const da_tool t = {.name = name,
                     .description = "Says it.",
                     .parameters = parameters,
                     .run = run,
                     .drop = drop,
                     .ctx = c};
  return da_agent_add_tool(a, &t, &err);
}

static void a_tool_runs(void) {
  static const char *const steps[] = {CALL("f", "{\\\"n\\\": 1}"), "done"};
  counts c = {.says = "hello"};
  begin(steps);
  CHECK_INT(add("f", NULL, &c), DA_OK);
  CHECK(ask("done"));
  CHECK_INT(c.runs, 1);
  CHECK_STR(c.arguments, "{\"n\": 1}");
  CHECK_STR(content(2), "\"hello\"");
  CHECK(strstr(asked, "\"tools\":[{\"type\":\"function\",\"function\":{"
                      "\"name\":\"f\",\"description\":\"Says it.\","
                      "\"parameters\":{\"type\":\"object\",\"properties\":{}"
                      "}}}]"));
  CHECK_INT(c.drops, 0);
  end();
  CHECK_INT(c.drops, 1);
}

/* It cannot be gone on with, then, after a crash; but it goes on now. */
static void a_turn_may_be_too_large_for_the_journal(void) {
  static const char *const steps[] = {CALL("f", ""), CALL("f", ""), "done"};
  counts c = {.says = "hello"};
  begin(steps);
  a->journal.cap = 300;
  CHECK_INT(add("f", NULL, &c), DA_OK);
  CHECK(ask("done"));
  CHECK_INT(c.runs, 2);
  end();
}

/* What a tool fails with, the model reads. */
static void a_failure_is_told(void) {
  static const char *const steps[] = {CALL("f", ""), CALL("f", ""), "done"};
  counts c = {.says = "no such file", .code = DA_ENOTFOUND};
  begin(steps);
  CHECK_INT(add("f", NULL, &c), DA_OK);
  CHECK(ask("done"));
  CHECK_STR(content(2), "\"{\\\"error\\\":\\\"no such file\\\"}\"");
  CHECK_STR(c.arguments, "{}");
  end();
  begin(steps);
  c = (counts){.code = DA_EIO};
  CHECK_INT(add("f", NULL, &c), DA_OK);
  CHECK(ask("done"));
  CHECK_STR(content(2),
            "\"{\\\"error\\\":\\\"the tool failed (io_error)\\\"}\"");
  end();
}

static void the_ctx_is_dropped_once(void) {
  static const char *const bad[] = {"",         "a b",  "none",
                                    "required", "auto", NULL};
  counts c = {0};
  da_agent *b = NULL;
  int given = 0;
  begin(NULL);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++, given++)
    CHECK_INT(add(bad[i], NULL, &c), DA_EINVAL);
  CHECK_INT(add("f", "{", &c), DA_EINVAL);
  CHECK_INT(add("f", "[]", &c), DA_EINVAL);
  CHECK_INT(add("f", "{\"type\":\"array\"}", &c), DA_EINVAL);
  CHECK_INT(c.drops, given += 3); /* also of what was refused */
  CHECK_INT(add("f", NULL, &c), DA_OK);
  CHECK_INT(add("f", NULL, &c), DA_OK);
  CHECK_INT(c.drops, given + 1); /* of what was replaced */
  CHECK_INT(da_agent_clone(&b, a, &err), DA_OK);
  end();
  CHECK_INT(c.drops, given + 1);
  da_agent_free(b);
  CHECK_INT(c.drops, given + 2);
}

/* ---- approval ---- */

static int approval; /* what is said */

static int approve(void *ctx, const da_tool_call *call, da_err *e) {
  *(int *)ctx += 1;
  CHECK(call->arguments.len == 2);
  return approval ? da_fail(e, approval, "better not") : DA_OK;
}

static void somebody_is_asked(void) {
  static const char *const steps[] = {CALL("f", ""), "done"};
  counts c = {.says = "ran"};
  char *text = NULL;
  int calls = 0;
  begin(steps);
  CHECK_INT(add("f", NULL, &c), DA_OK);
  da_agent_on_tool_call(a, approve, &calls);
  approval = DA_OK;
  CHECK(ask("done"));
  CHECK_INT(c.runs, 1);
  script = steps;
  approval = DA_EREFUSED;
  CHECK(ask("done"));
  CHECK_INT(c.runs, 1);
  CHECK_STR(content(6), "\"{\\\"error\\\":\\\"better not\\\"}\"");
  script = steps;
  approval = DA_EPERM;
  CHECK_INT(da_agent_ask(a, "go", &text, &err), DA_EPERM);
  CHECK_INT(c.runs, 1);
  CHECK_INT(calls, 3);
  end();
}

/* In the place of the tool that it is asked about: that one still runs. */
static int replace(void *ctx, const da_tool_call *call, da_err *e) {
  (void)call, (void)e;
  return add("f", NULL, ctx);
}

static void a_tool_may_be_replaced_meanwhile(void) {
  static const char *const steps[] = {CALL("f", ""), "done"};
  counts old = {.says = "old"}, new = {.says = "new"};
  begin(steps);
  CHECK_INT(add("f", "{\"type\":\"object\"}", &old), DA_OK);
  da_agent_on_tool_call(a, replace, &new);
  CHECK(ask("done"));
  CHECK_INT(old.runs, 1);
  CHECK_INT(old.drops, 1);
  CHECK_INT(new.runs, 0);
  end();
  CHECK_INT(new.drops, 1);
}

/* ---- settings ---- */

static void settings_are_sent(void) {
  static const char *const steps[] = {"1", "2", "3", NULL};
  counts c = {0};
  char *text = NULL;
  begin(steps);
  CHECK_INT(add("f", NULL, &c), DA_OK);
  CHECK(ask("1"));
  CHECK(!strstr(asked, "tool_choice") && !strstr(asked, "parallel"));
  CHECK_INT(da_agent_set_tool_choice(a, "f", &err), DA_OK);
  da_agent_set_parallel_tools(a, 0);
  CHECK(ask("2"));
  CHECK(strstr(asked, "\"parallel_tool_calls\":false"));
  CHECK(strstr(asked, "\"tool_choice\":{\"type\":\"function\",\"function\":{"
                      "\"name\":\"f\"}}"));
  CHECK_INT(da_agent_set_tool_choice(a, "required", &err), DA_OK);
  da_agent_set_parallel_tools(a, -1);
  CHECK(ask("3"));
  CHECK(strstr(asked, "\"tool_choice\":\"required\""));
  CHECK(!strstr(asked, "parallel"));
  CHECK_INT(da_agent_add_tool(a, &(da_tool){.name = "g"}, &err), DA_EINVAL);
  CHECK_STR(err.message, "the tool 'g' has no function");
  CHECK_INT(da_agent_set_tool_choice(a, "", &err), DA_EINVAL);
  CHECK_INT(da_agent_set_tool_choice(a, "\xff", &err), DA_EINVAL);
  CHECK_INT(da_agent_set_tool_choice(a, "g", &err), DA_OK);
  CHECK_INT(da_agent_ask(a, "go", &text, &err), DA_EINVAL);
  end();
}

static void rounds_have_an_end(void) {
  static const char *const steps[] = {CALL("f", ""), CALL("f", ""), "done"};
  counts c = {.says = "x"};
  char *text = NULL;
  begin(steps);
  CHECK_INT(add("f", NULL, &c), DA_OK);
  da_agent_set_max_tool_rounds(a, 1);
  CHECK_INT(da_agent_ask(a, "go", &text, &err), DA_ETOOLLIMIT);
  CHECK_INT(c.runs, 1);
  end();
}

static void calls_must_be_some(void) {
  static const char *const steps[] = {
      "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[7]}"};
  counts c = {0};
  char *text = NULL;
  begin(steps);
  CHECK_INT(add("f", NULL, &c), DA_OK);
  CHECK_INT(da_agent_ask(a, "go", &text, &err), DA_EPROVIDER);
  CHECK_INT(c.runs, 0);
  end();
}

/* Whoever has other things to do, too, looks again and again. */
static void a_turn_goes_in_steps(void) {
  static const char *const steps[] = {CALL("f", ""), "done"};
  counts c = {.says = "x"};
  const da_text go = {"go", 2};
  da_store *store = NULL;
  da_turn *t = NULL;
  int code;
  begin(steps);
  CHECK_INT(da_store_memory(&store, &err), DA_OK);
  CHECK_INT(da_agent_set_store(a, store, &err), DA_OK);
  CHECK_INT(da_agent_set_session_id(a, "s", &err), DA_OK);
  CHECK_INT(add("f", NULL, &c), DA_OK);
  CHECK_INT(da_turn_start(&t, a, go, NULL, NULL, &err), DA_OK);
  do
    code = da_turn_step(t, 0, &err);
  while (code == 0);
  CHECK_INT(code, 1);
  CHECK_INT(da_turn_step(t, 0, &err), 1); /* it is over */
  CHECK_INT(da_turn_keep(t, &err), DA_OK);
  da_turn_free(t);
  CHECK_STR(content(3), "\"done\"");
  CHECK_INT(da_agent_flush(a, 60, &err), DA_OK);
  end();
}

/* ---- going on ---- */

static void a_turn_is_gone_on_with(void) {
  static const char *const steps[] = {CALL("f", ""), NULL, NULL, "done", "x"};
  counts c = {.says = "x"};
  char *text = NULL, *json = NULL;
  size_t n = 9;
  begin(steps);
  CHECK_INT(add("f", NULL, &c), DA_OK);
  CHECK_INT(da_agent_resume(a, NULL, NULL, &text, &err), DA_ENOTFOUND);
  CHECK_INT(da_agent_unfinished_turn(a, &json, &err), DA_ENOTFOUND);
  CHECK_INT(da_agent_discard_turn(a, &err), DA_ENOTFOUND);
  CHECK_INT(da_agent_ask(a, "go", &text, &err), DA_ESERVER);
  CHECK_INT(da_agent_count(a, &n, &err), DA_OK);
  CHECK_INT(n, 0);
  CHECK_INT(da_agent_unfinished_turn(a, &json, &err), DA_OK);
  CHECK(json[0] == '[' && strstr(json, "\"content\":\"go\"") &&
        strstr(json, "\"content\":\"x\""));
  free(json);
  CHECK_INT(da_agent_resume(a, NULL, NULL, &text, &err), DA_ESERVER);
  CHECK_INT(da_agent_resume(a, NULL, NULL, &text, &err), DA_OK);
  CHECK_STR(text, "done");
  free(text);
  CHECK_INT(c.runs, 1);
  CHECK_INT(da_agent_count(a, &n, &err), DA_OK);
  CHECK_INT(n, 4);
  end();
}

static void a_turn_is_dropped(void) {
  static const char *const steps[] = {CALL("f", ""), NULL};
  counts c = {.says = "x"};
  char *text = NULL;
  begin(steps);
  CHECK_INT(add("f", NULL, &c), DA_OK);
  CHECK_INT(da_agent_ask(a, "go", &text, &err), DA_ESERVER);
  CHECK_INT(da_agent_discard_turn(a, &err), DA_OK);
  CHECK_INT(da_agent_discard_turn(a, &err), DA_ENOTFOUND);
  CHECK_INT(da_agent_resume(a, NULL, NULL, &text, &err), DA_ENOTFOUND);
  end();
}

int main(void) {
  RUN(a_tool_runs);
  RUN(a_turn_may_be_too_large_for_the_journal);
  RUN(a_failure_is_told);
  RUN(the_ctx_is_dropped_once);
  RUN(somebody_is_asked);
  RUN(a_tool_may_be_replaced_meanwhile);
  RUN(settings_are_sent);
  RUN(rounds_have_an_end);
  RUN(calls_must_be_some);
  RUN(a_turn_goes_in_steps);
  RUN(a_turn_is_gone_on_with);
  RUN(a_turn_is_dropped);
  return check_done();
}
