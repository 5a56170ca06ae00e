/* test_agent.c - the public functions of deepagent.h, with a parrot for a
** model: talking, settings, history. Sessions: test_agent_session.c. */
#include "agent_kit.h"

#include "da_turn.h"

/* ---- talking ---- */

static void without_memory(void) {
  cage c = {0};
  da_runtime *rt = kit_runtime();
  da_agent *a = kit_agent(rt, &c);
  ASK(a, "one");
  CHECK_INT(c.sent, 1);
  ASK(a, "two");
  CHECK_INT(c.sent, 1); /* each ask stands alone */
  CHECK_INT(kit_count_messages(a), 0);
  CHECK_STR(c.model, "parrot");
  CHECK_INT(c.stream, 0);
  CHECK_INT(c.running, 0);
  da_agent_free(a);
  CHECK_INT(c.closed, 1);
  da_runtime_free(rt);
}

static void with_memory(void) {
  cage c = {0};
  da_runtime *rt = kit_runtime();
  da_agent *a = kit_agent(rt, &c);
  da_agent_set_memory(a, 1);
  ASK(a, "one");
  ASK(a, "two \"\xc3\xa4\xf0\x9f\x98\x80\"\n");
  CHECK_INT(c.sent, 3);
  CHECK_STR(kit_said(a), "one|You said: one|two \\\"\xc3\xa4\xf0\x9f\x98\x80"
                         "\\\"\\n|You said: two \\\"\xc3\xa4\xf0\x9f\x98\x80"
                         "\\\"\\n");
  CHECK(da_json_check(da_agent_message(a, 3), &err) == DA_OK);
  CHECK_INT(da_agent_clear(a, &err), DA_OK);
  CHECK_INT(kit_count_messages(a), 0);
  ASK(a, "three");
  CHECK_INT(c.sent, 1);
  CHECK_STR(da_agent_finish_reason(a), "stop");
  da_agent_free(a);
  da_runtime_free(rt);
}

/* What deltas do. */
typedef struct listener {
  char heard[256];
  int count, fail_at, code;
  da_agent *agent;
} listener;

static int on_delta(void *ctx, da_text delta, da_err *e) {
  listener *l = ctx;
  size_t n = strlen(l->heard);
  snprintf(l->heard + n, sizeof l->heard - n, "%.*s|", (int)delta.len,
           delta.data);
  if (++l->count == l->fail_at)
    return da_fail(e, l->code, "told to fail");
  return DA_OK;
}

static void streaming(void) {
  cage c = {0};
  listener l = {0};
  da_runtime *rt = kit_runtime();
  da_agent *a = kit_agent(rt, &c);
  char *text = NULL;
  da_agent_set_memory(a, 1);
  CHECK_INT(da_agent_stream(a, "hi", on_delta, &l, &text, &err), DA_OK);
  CHECK_STR(text, "You said: hi");
  CHECK_STR(l.heard, "You |said: |hi|");
  CHECK_INT(c.stream, 1);
  CHECK_STR(kit_said(a), "hi|You said: hi");
  free(text);
  CHECK_INT(da_agent_stream(a, "ho", NULL, NULL, &text, &err), DA_OK);
  CHECK_STR(text, "You said: ho");
  CHECK_INT(c.stream, 1);
  free(text);
  da_agent_free(a);
  da_runtime_free(rt);
}

/* A failed ask leaves the history as it was, wherever it fails. */
static void failures(void) {
  cage c = {0};
  da_runtime *rt = kit_runtime();
  da_agent *a = kit_agent(rt, &c);
  char *text = NULL;
  da_agent_set_memory(a, 1);
  ASK(a, "one");
  c.fail_start = DA_ENETWORK;
  CHECK_INT(kit_ask_fails(a, "x"), DA_ENETWORK);
  CHECK_STR(err.message, "told to fail");
  c.fail_step = DA_ERATE;
  CHECK_INT(kit_ask_fails(a, "x"), DA_ERATE);
  for (int at = 1; at <= 3; at++) {
    listener l = {.fail_at = at, .code = DA_ECALLBACK};
    CHECK_INT(da_agent_stream(a, "x", on_delta, &l, &text, &err),
              DA_ECALLBACK);
    CHECK_INT(l.count, at);
  }
  CHECK(kit_ask_fails(a, "\xff") == DA_EUTF8);
  c.message = "no message";
  CHECK(kit_ask_fails(a, "x") < 0);
  c.message = "{\"content\":\"without a role\"}";
  CHECK(kit_ask_fails(a, "x") < 0);
  c.message = NULL;
  CHECK_STR(kit_said(a), "one|You said: one");
  CHECK_INT(c.running, 0);
  ASK(a, "two");
  CHECK_INT(c.sent, 3);
  da_agent_free(a);
  da_runtime_free(rt);
}

/* A code alone, without *e filled, is told all the same. */
static int on_delta_silent(void *ctx, da_text delta, da_err *e) {
  listener *l = ctx;
  (void)delta;
  (void)e;
  return l->code;
}

static void failures_without_a_reason(void) {
  cage c = {0};
  da_runtime *rt = kit_runtime();
  da_agent *a = kit_agent(rt, &c);
  static const int codes[] = {DA_ECANCELLED, DA_ETIMEOUT, DA_EINVAL};
  char *text = NULL;
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
    listener l = {.code = codes[i]};
    da_fail(&err, DA_EIO, "of before");
    CHECK_INT(da_agent_stream(a, "x", on_delta_silent, &l, &text, &err),
              codes[i]);
    CHECK_INT(err.code, codes[i]);
    CHECK(strstr(err.message, da_code_name(codes[i])) != NULL);
    CHECK(err.retryable == 0 && err.status == 0 && err.retry_after < 0);
  }
  CHECK_INT(c.running, 0);
  da_agent_free(a);
  da_runtime_free(rt);
}

/* From inside a turn nothing else can be done to the agent. */
static int on_delta_meddles(void *ctx, da_text delta, da_err *e) {
  listener *l = ctx;
  cage other = {0};
  char *text;
  (void)delta;
  (void)e;
  CHECK_INT(da_agent_ask(l->agent, "again", &text, &err), DA_EBUSY);
  CHECK_INT(da_agent_check(l->agent, &err), DA_EBUSY);
  CHECK_INT(da_agent_close(l->agent, &err), DA_EBUSY);
  CHECK_INT(da_agent_clear(l->agent, &err), DA_EBUSY);
  CHECK_INT(da_agent_set_provider(l->agent, parrot_new(&other), &err),
            DA_EBUSY);
  CHECK_INT(other.closed, 1); /* taken also upon failure */
  l->count++;
  return DA_OK;
}

static void busy(void) {
  cage c = {0};
  listener l = {0};
  da_runtime *rt = kit_runtime();
  da_agent *a = kit_agent(rt, &c);
  char *text = NULL;
  l.agent = a;
  da_agent_set_memory(a, 1);
  CHECK_INT(da_agent_stream(a, "hi", on_delta_meddles, &l, &text, &err),
            DA_OK);
  CHECK_STR(text, "You said: hi");
  CHECK_INT(l.count, 3);
  free(text);
  CHECK_STR(kit_said(a), "hi|You said: hi");
  da_agent_free(a);
  da_runtime_free(rt);
}

static void closed(void) {
  cage c = {0};
  da_runtime *rt = kit_runtime();
  da_agent *a = kit_agent(rt, &c);
  size_t n;
  ASK(a, "one");
  CHECK_INT(da_agent_close(a, &err), DA_OK);
  CHECK_INT(da_agent_close(a, &err), DA_OK);
  CHECK_INT(kit_ask_fails(a, "x"), DA_ECLOSED);
  CHECK_INT(da_agent_count(a, &n, &err), DA_ECLOSED);
  CHECK_INT(da_agent_list(a, NULL, &err), DA_ECLOSED);
  CHECK_INT(da_agent_usage(a, NULL, NULL, &err), DA_ECLOSED);
  CHECK_INT(da_agent_delete(a, "x", &err), DA_ECLOSED);
  CHECK_INT(da_agent_flush(a, -1, &err), DA_ECLOSED);
  CHECK_INT(da_agent_save_state(a, &err), DA_SAVE_NONE);
  da_agent_free(a);
  da_agent_free(NULL);
  da_runtime_free(rt);
  da_runtime_free(NULL);
}

/* ---- settings ---- */

static void settings_are_sent(void) {
  cage c = {0};
  da_runtime *rt = kit_runtime();
  da_agent *a = kit_agent(rt, &c);
  CHECK_INT(da_agent_set_system(a, "Be brief.", 9, &err), DA_OK);
  CHECK_INT(da_agent_set_system(a, "\xff", 1, &err), DA_EUTF8);
  CHECK_INT(da_agent_set_member(a, "temperature", "0.5", &err), DA_OK);
  CHECK_INT(da_agent_set_member(a, "temperature", "0.7", &err), DA_OK);
  CHECK_INT(da_agent_set_member(a, "seed", "1", &err), DA_OK);
  CHECK_INT(da_agent_set_extra(a, "seed", "2", &err), DA_OK);
  CHECK_INT(da_agent_set_extra(a, "x\"y", "{\"z\":[1]}", &err), DA_OK);
  CHECK_INT(da_agent_set_member(a, "model", "\"x\"", &err), DA_EINVAL);
  CHECK_INT(da_agent_set_extra(a, "messages", "[]", &err), DA_EINVAL);
  CHECK_INT(da_agent_set_extra(a, "stream", "true", &err), DA_EINVAL);
  CHECK_INT(da_agent_set_extra(a, "x", "nonsense", &err), DA_EJSON);
  CHECK_INT(da_agent_set_extra(a, "x", "", &err), DA_EJSON);
  ASK(a, "hi");
  CHECK_STR(c.system, "Be brief.");
  CHECK_STR(c.members,
            "\"temperature\":0.7,\"seed\":2,\"x\\\"y\":{\"z\":[1]}");
  da_agent_free(a);
  da_runtime_free(rt);
}

static void max_history(void) {
  cage c = {0};
  da_runtime *rt = kit_runtime();
  da_agent *a = kit_agent(rt, &c);
  da_agent_set_memory(a, 1);
  da_agent_set_max_history(a, 4); /* the new one included */
  ASK(a, "one");
  ASK(a, "two");
  CHECK_INT(c.sent, 3);
  ASK(a, "three");
  CHECK_INT(c.sent, 3); /* whole turns only */
  CHECK_STR(c.first, "two");
  da_agent_set_max_history(a, 1);
  ASK(a, "four");
  CHECK_INT(c.sent, 1);
  da_agent_set_max_history(a, 0);
  ASK(a, "five");
  CHECK_INT(c.sent, 9);
  CHECK_INT(kit_count_messages(a), 10); /* what is kept is never shortened */
  da_agent_free(a);
  da_runtime_free(rt);
}

static void start_messages(void) {
  cage c = {0};
  da_runtime *rt = kit_runtime();
  da_agent *a = kit_agent(rt, &c), *b = NULL;
  CHECK_INT(da_agent_add_message(
                a, "{\"role\":\"user\",\"content\":\"before\"}", &err),
            DA_OK);
  CHECK_INT(da_agent_add_message(a, "{\"role\":5}", &err), DA_EINVAL);
  CHECK_INT(da_agent_add_message(a, "{", &err), DA_EJSON);
  ASK(a, "hi");
  CHECK_INT(c.sent, 2); /* without memory it goes with each ask */
  CHECK_STR(c.first, "before");
  da_agent_set_memory(a, 1);
  CHECK_INT(da_agent_clone(&b, a, &err), DA_OK);
  ASK(b, "hi");
  CHECK_STR(kit_said(b), "before|hi|You said: hi");
  da_agent_free(a);
  da_agent_free(b);
  da_runtime_free(rt);
}

static void usage(void) {
  cage c = {0};
  da_usage last, total;
  da_runtime *rt = kit_runtime();
  da_agent *a = kit_agent(rt, &c);
  da_agent_set_memory(a, 1);
  CHECK_INT(da_agent_usage(a, &last, &total, &err), DA_OK);
  CHECK(last.total == 0 && total.total == 0);
  ASK(a, "one");
  ASK(a, "two");
  c.fail_step = DA_ESERVER;
  CHECK_INT(kit_ask_fails(a, "x"), DA_ESERVER);
  CHECK_INT(da_agent_usage(a, &last, &total, &err), DA_OK);
  CHECK(last.prompt == 3 && last.completion == 5 && last.total == 8);
  CHECK(total.prompt == 6 && total.completion == 10 && total.total == 16);
  CHECK_INT(da_agent_usage(a, NULL, NULL, &err), DA_OK);
  CHECK_INT(da_agent_clear(a, &err), DA_OK); /* counts no less */
  CHECK_INT(da_agent_usage(a, &last, &total, &err), DA_OK);
  CHECK(last.total == 8 && total.total == 16);
  da_agent_free(a);
  da_runtime_free(rt);
}

static void clones(void) {
  cage c = {0};
  da_runtime *rt = kit_runtime();
  da_agent *a = kit_agent(rt, &c), *b = NULL;
  da_agent_set_memory(a, 1);
  da_agent_set_system(a, "S", 1, &err);
  da_agent_set_member(a, "seed", "1", &err);
  ASK(a, "one");
  CHECK_INT(da_agent_clone(&b, a, &err), DA_OK);
  CHECK_INT(kit_count_messages(b), 0);
  da_agent_set_system(a, "T", 1, &err);
  da_agent_set_member(a, "seed", "2", &err);
  da_agent_free(a);
  CHECK_INT(c.closed, 0); /* the clone has it, too */
  ASK(b, "two");
  CHECK_STR(kit_said(b), "two|You said: two");
  CHECK_STR(c.system, "S");
  CHECK_STR(c.members, "\"seed\":1");
  da_agent_free(b);
  CHECK_INT(c.closed, 1);
  da_runtime_free(rt);
}

static void another_provider(void) {
  cage c = {0}, d = {0};
  da_runtime *rt = kit_runtime();
  da_agent *a = kit_agent(rt, &c), *b = NULL;
  CHECK_INT(da_agent_clone(&b, a, &err), DA_OK);
  CHECK_INT(da_agent_set_provider(a, parrot_new(&d), &err), DA_OK);
  CHECK_INT(c.closed, 0);
  ASK(a, "one");
  CHECK(d.asked == 1 && c.asked == 0);
  ASK(b, "two");
  CHECK_INT(c.asked, 1);
  CHECK_INT(da_agent_set_provider(b, parrot_new(&d), &err), DA_OK);
  CHECK_INT(c.closed, 1); /* nobody has it any more */
  da_agent_free(a);
  da_agent_free(b);
  CHECK_INT(d.closed, 2);
  da_runtime_free(rt);
}

static void refused(void) {
  da_runtime *rt = kit_runtime();
  da_agent *a = NULL;
  char *text;
  CHECK_INT(da_agent_new(&a, rt, "", NULL, NULL, &err), DA_EINVAL);
  CHECK_INT(da_agent_new(&a, rt, "m\n", NULL, NULL, &err), DA_EINVAL);
  CHECK_INT(da_agent_new(&a, rt, "\xff", NULL, NULL, &err), DA_EUTF8);
  CHECK(da_agent_new(&a, rt, "m", NULL, "sk-secret\r\nX: y", &err) < 0);
  CHECK(strstr(err.message, "sk-secret") == NULL);
  CHECK_INT(da_agent_new(&a, rt, "m", "https://x.test/v1", "k", &err), DA_OK);
  CHECK(da_agent_add_header(a, "A\nB", "x", &err) < 0);
  CHECK(da_agent_add_header(a, "A", "x\r\ny", &err) < 0);
  /* this runtime has no transport */
  CHECK_INT(da_agent_ask(a, "hi", &text, &err), DA_EUNSUPPORTED);
  da_agent_free(a);
  da_runtime_free(rt);
}

/* A transport that a host gives, of another version or one that does not
** open. */
static int never_opens(da_transport **out, da_err *e) {
  (void)out;
  return da_fail(e, DA_ENETWORK, "no way out");
}

static void odd_transports(void) {
  da_transport_ops ops = {.version = 0, .name = "odd", .open = never_opens};
  for (uint32_t version = 0; version < 2; version++) {
    da_runtime *rt = NULL;
    da_agent *a = NULL;
    ops.version = version;
    CHECK_INT(da_runtime_new(&rt, &ops, &err), DA_OK);
    CHECK_INT(da_agent_new(&a, rt, "m", "https://x.test/v1", "k", &err),
              DA_OK);
    CHECK_INT(kit_ask_fails(a, "hi"), version ? DA_ENETWORK : DA_EUNSUPPORTED);
    CHECK_STR(err.message, version ? "no way out"
                                   : "the HTTP transport is of another "
                                     "version");
    da_agent_free(a);
    da_runtime_free(rt);
  }
}

int main(void) {
  RUN(without_memory);
  RUN(with_memory);
  RUN(streaming);
  RUN(failures);
  RUN(failures_without_a_reason);
  RUN(busy);
  RUN(closed);
  RUN(settings_are_sent);
  RUN(max_history);
  RUN(start_messages);
  RUN(usage);
  RUN(clones);
  RUN(another_provider);
  RUN(refused);
  RUN(odd_transports);
  return check_done();
}
