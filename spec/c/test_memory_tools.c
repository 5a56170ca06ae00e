/* test_memory_tools.c - tools without memory: a turn that fails leaves the
** conversation as it was, what there was of it can be gone on with, and each
** tool's ctx is dropped once. */
#include "memory_agent.h"

#include "store_file.h"

static char dir[PATH_MAX];
static da_backend *backend;
static int broken; /* the service does not answer after a tool */
static int given, dropped;

/* ---- a model that asks for two rounds of tools ---- */

static int rounds; /* that the turn has had */

static int tool_start(da_provider *p, da_call **out, const da_request *r,
                      da_answer *answer, da_delta_fn delta, void *ctx,
                      da_err *e) {
  rounds = 0;
  for (size_t i = 0; i < r->turn->len; i++)
    rounds += da_message_role(da_history_at(r->turn, i)) == DA_ROLE_ASSISTANT;
  if (broken && rounds)
    return da_fail(e, DA_ESERVER, "down");
  return model_start(p, out, r, answer, delta, ctx, e);
}

#define CALLING(n)                                                            \
  "{\"role\":\"assistant\",\"content\":\"call\",\"tool_calls\":[{\"id\":"     \
  "\"c" n "\",\"type\":\"function\",\"function\":{\"name\":\"f\","            \
  "\"arguments\":\"{\\\"n\\\":" n "}\"}},{\"id\":\"d" n "\",\"type\":"        \
  "\"function\",\"function\":{\"name\":\"none\",\"arguments\":\"\"}}]}"

static int tool_step(da_provider *p, da_call *c, double seconds, da_err *e) {
  static const char *const calling[] = {CALLING("0"), CALLING("1")};
  if (rounds == 2)
    return model_step(p, c, seconds, e);
  da_buf_puts(&c->answer->message, calling[rounds]);
  c->answer->calls = 2;
  return 1;
}

static da_provider *tool_model(void) {
  static const da_provider_ops ops = {DA_PROVIDER_VERSION, "model",
                                      tool_start,          tool_step,
                                      model_end,           model_close};
  static da_provider it = {&ops};
  return &it;
}

/* ---- a tool ---- */

static int run(void *ctx, const da_tool_call *call, da_tool_result *result,
               da_err *e) {
  (void)ctx, (void)e;
  CHECK(call->arguments.len == 7);
  return da_tool_put(result, "ran", 3);
}

static void drop(void *ctx) {
  *(int *)ctx += 1;
}

static int approve(void *ctx, const da_tool_call *call, da_err *e) {
  (void)ctx, (void)call, (void)e;
  return DA_OK;
}

static int add(const char *name) {
  const da_tool tool = {.name = name,
                        .description = "Runs.",
                        .parameters = "{\"type\":\"object\",\"properties\":{"
                                      "\"n\":{\"type\":\"integer\"}}}",
                        .idempotent = 1,
                        .run = run,
                        .drop = drop,
                        .ctx = &dropped};
  given++;
  return da_agent_add_tool(a, &tool, &err);
}

/* ---- what is said ---- */

static const char unknown[] =
    "{\\\"error\\\":\\\"there is no tool 'none'; there are: f\\\"}";

static void expect_tools(const char *question) {
  char answer[64];
  snprintf(answer, sizeof answer, "re: %s", question);
  expect(question);
  for (int i = 0; i < 2; i++) {
    expect("call");
    expect("ran");
    expect(unknown);
  }
  expect(answer);
}

static int ask_tools(const char *question) {
  int answered = ask_alone(question);
  if (answered)
    expect_tools(question);
  return answered;
}

/* What was not finished can be, unless it had no call yet. 1: it is. */
static int resume(void) {
  char *text = NULL;
  int code = da_agent_resume(a, NULL, NULL, &text, &err);
  if (code == DA_ENOTFOUND || !OK(code))
    return code == DA_ENOTFOUND;
  CHECK(strncmp(text, "re: ", 4) == 0);
  expect_tools(text + 4); /* whichever it was that failed */
  free(text);
  return 1;
}

/* ---- with a session ---- */

static void set_up(void) {
  CHECK_INT(da_agent_set_provider(a, tool_model(), &err), DA_OK);
  CHECK_INT(add("f"), DA_OK);
  da_agent_on_tool_call(a, approve, NULL);
  da_agent_set_logger(a, memory_log, NULL);
}

static void plain(void) {
  given = dropped = broken = 0;
  plain_begin();
  set_up();
  da_agent_set_memory(a, 1);
}

static void session(void) {
  const da_file_options options = {dir, 0, 0};
  da_store *s = NULL;
  CHECK_INT(da_store_file(&s, &options, &err), DA_OK);
  CHECK_INT(da_backend_new(&backend, s, &err), DA_OK);
  plain();
  CHECK_INT(da_agent_set_session_id(a, "s", &err), DA_OK);
  CHECK_INT(da_agent_set_backend(a, backend, &err), DA_OK);
  da_agent_set_save_timeout(a, 20);
}

/* A session whose last turn another agent has not finished. */
static void unfinished(void) {
  char *text = NULL;
  session();
  broken = 1;
  CHECK_INT(da_agent_ask(a, "0", &text, &err), DA_ESERVER);
  CHECK_INT(da_agent_close(a, &err), DA_OK);
  da_agent_free(a);
  da_runtime_free(rt);
  da_backend_unref(backend);
  session();
}

static void end(void) {
  plain_end();
  CHECK_INT(dropped, given);
}

static void session_end(void) {
  end();
  da_backend_unref(backend);
  kit_rm(dir);
  kit_dir(dir);
}

/* ---- checks ---- */

/* Of a session that could not be read nobody knows whether it has a turn;
** to resume looks once more. */
static void plain_check(void) {
  int unread = a->load_err.code;
  said_is_right();
  CHECK(resume() || unread);
  unread = a->load_err.code;
  CHECK(ask_tools("more"));
  said_is_right();
  CHECK_INT(da_agent_discard_turn(a, &err), unread ? unread : DA_ENOTFOUND);
}

static void stored_check(void) {
  char text[8192] = "";
  FILE *f;
  size_t n;
  plain_check();
  CHECK_INT(da_agent_flush(a, -1, &err), DA_OK);
  CHECK_INT(da_agent_load(a, &err), DA_OK);
  said_is_right();
  CHECK_INT(da_agent_discard_turn(a, &err), DA_ENOTFOUND);
  f = fopen(kit_path(dir, "s.json"), "r");
  n = f ? fread(text, 1, sizeof text - 1, f) : 0;
  CHECK(n > 0 && !strstr(text, "unfinished"));
  if (f)
    fclose(f);
}

/* ---- acts ---- */

static void talk_act(void) {
  ask_tools("1");
  said_is_right();
  ask_tools("2");
}

static void session_act(void) {
  ask_tools("1");
  OK(da_agent_flush(a, -1, &err));
  ask_tools("2");
  OK(da_agent_flush(a, -1, &err));
}

static void resume_act(void) {
  char *json = NULL;
  if (OK(da_agent_unfinished_turn(a, &json, &err)))
    CHECK(strstr(json, "\"ran\""));
  free(json);
  resume();
  said_is_right();
}

/* Without memory a session cannot be loaded, and has no turn then. */
static void resume_check(void) {
  CHECK_INT(da_agent_load(a, &err), DA_OK);
  stored_check();
}

static void discard_act(void) {
  int code = da_agent_discard_turn(a, &err);
  if (code != DA_ENOTFOUND)
    OK(code);
}

static void settings_act(void) {
  da_agent *b = NULL;
  OK(add("f"));
  OK(add("g"));
  OK(da_agent_set_tool_choice(a, "f", &err));
  if (OK(da_agent_clone(&b, a, &err))) {
    da_agent_free(b);
  }
  OK(add("g"));
}

/* The former ones, or the new. */
static void settings_check(void) {
  char *text = NULL;
  CHECK_INT(add("f"), DA_OK);
  CHECK_INT(da_agent_set_tool_choice(a, NULL, &err), DA_OK);
  CHECK_INT(da_agent_ask(a, "1", &text, &err), DA_OK);
  CHECK_STR(text, "re: 1");
  free(text);
}

int main(void) {
  static const scene scenes[] = {
      {"tools", plain, talk_act, plain_check, end, 0},
      {"tools with a session", session, session_act, stored_check, session_end,
       1},
      {"a turn resumed", unfinished, resume_act, resume_check, session_end, 0},
      {"a turn dropped", unfinished, discard_act, resume_check, session_end,
       0},
      {"tools set", plain, settings_act, settings_check, end, 0},
  };
  memory_leaves = kit_dir(dir);
  PLAY(scenes);
  kit_rm(dir);
  return check_done();
}
