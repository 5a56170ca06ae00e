/* test_limits.c - the limits of what is taken from outside: their defaults,
** what they can be, messages that are larger. Their work is tested with what
** does it, and in limits_spec.lua. */
#include "da_limits.h"

#include "check.h"
#include "deepagent.h"

static da_err err;

static void defaults(void) {
  da_limits l = {0, 0, 0, 0, 0, 0}, other = {1, 2, 3, 4, 5, 6};
  CHECK_INT(da_limits_fill(&l, &err), DA_OK);
  CHECK_INT(l.line, 16 << 20);
  CHECK_INT(l.header, 256 << 10);
  CHECK_INT(l.body, 64 << 20);
  CHECK_INT(l.depth, 512);
  CHECK_INT(l.message, 256 << 20);
  CHECK_INT(l.result, 1 << 20);
  CHECK_INT(da_limits_fill(&l, &err), DA_OK);
  CHECK_INT(da_limits_fill(&other, &err), DA_OK);
  CHECK_INT(other.line, 1);
  CHECK_INT(other.header, 2);
  CHECK_INT(other.body, 3);
  CHECK_INT(other.depth, 4);
  CHECK_INT(other.message, 5);
  CHECK_INT(other.result, 5); /* it goes into a message */
}

static void what_they_can_be(void) {
  da_limits l = {SIZE_MAX, SIZE_MAX, SIZE_MAX, 512, (size_t)256 << 20, 7};
  CHECK_INT(da_limits_fill(&l, &err), DA_OK);
  l.depth++;
  CHECK_INT(da_limits_fill(&l, &err), DA_EINVAL);
  CHECK_STR(err.message, "depth must be at most 512");
  l.depth--;
  l.message++;
  CHECK_INT(da_limits_fill(&l, &err), DA_EINVAL);
  CHECK_STR(err.message, "message must be at most 268435456 bytes");
}

/* What is ours of a message, its id and its time, does not count. */
static void messages(void) {
  static const char wire[] = "{\"role\":\"user\",\"content\":\"Hi\"}";
  da_limits l = {0, 0, 0, 0, sizeof wire - 1, 0};
  da_history h = DA_HISTORY_EMPTY;
  da_text text = {"Hi", 2};
  da_message *m;
  CHECK_INT(da_message_text(&m, "user", text, &err), DA_OK);
  CHECK_INT(da_limits_message(&l, m, &err), DA_OK);
  CHECK_INT(da_limits_history(&l, &h, &err), DA_OK);
  CHECK_INT(da_history_append(&h, da_message_ref(m)), DA_OK);
  CHECK_INT(da_limits_history(&l, &h, &err), DA_OK);
  l.message--;
  CHECK_INT(da_limits_message(&l, m, &err), DA_ETOOLARGE);
  CHECK_INT(da_limits_history(&l, &h, &err), DA_ETOOLARGE);
  CHECK_STR(err.message, "a message of 30 bytes is larger than 29 bytes");
  da_history_dispose(&h);
  da_message_unref(m);
}

/* ---- of an agent ---- */

static void agents(void) {
  static const char hi[] = "{\"role\":\"user\",\"content\":\"Hi\"}";
  da_limits l = {0, 0, 0, 0, 0, 0};
  da_runtime *rt;
  da_agent *a, *b;
  char *answer;
  CHECK_INT(da_runtime_new(&rt, NULL, &err), DA_OK);
  CHECK_INT(da_agent_new(&a, rt, "m", "http://127.0.0.1:9", NULL, &err),
            DA_OK);
  CHECK_INT(da_agent_add_message(a, hi, &err), DA_OK);
  l.message = 29;
  CHECK_INT(da_agent_set_limits(a, &l, &err), DA_ETOOLARGE); /* has one */
  l.message = 30;
  CHECK_INT(da_agent_set_limits(a, &l, &err), DA_OK);
  l.depth = 513;
  CHECK_INT(da_agent_set_limits(a, &l, &err), DA_EINVAL);
  CHECK_INT(da_agent_clone(&b, a, &err), DA_OK);
  for (da_agent *each = a; each; each = each == a ? b : NULL) {
    CHECK_INT(da_agent_add_message(each, hi, &err), DA_OK);
    CHECK_INT(da_agent_add_message(
                  each, "{\"role\":\"user\",\"content\":\"Hi!\"}", &err),
              DA_ETOOLARGE);
    CHECK_INT(da_agent_ask(each, "Hi!", &answer, &err), DA_ETOOLARGE);
    CHECK_INT(da_agent_ask(each, "Hi", &answer, &err), DA_EUNSUPPORTED);
  }
  l.depth = l.message = 0; /* the defaults are back */
  CHECK_INT(da_agent_set_limits(a, &l, &err), DA_OK);
  CHECK_INT(da_agent_ask(a, "Hi!", &answer, &err), DA_EUNSUPPORTED);
  CHECK_INT(da_agent_ask(b, "Hi!", &answer, &err), DA_ETOOLARGE);
  da_agent_free(b);
  da_agent_free(a);
  da_runtime_free(rt);
}

int main(void) {
  RUN(defaults);
  RUN(what_they_can_be);
  RUN(messages);
  RUN(agents);
  return check_done();
}
