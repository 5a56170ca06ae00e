/* test_tool_calls.c - the tool calls of a message, and answers to them. */
#include "da_tool_calls.h"

#include "check.h"
#include "text_kit.h"

static da_err err;

#define WITH(calls) "{\"role\":\"assistant\",\"tool_calls\":" calls "}"
#define CALL(id, name, arguments)                                             \
  "{\"id\":" id ",\"function\":{\"name\":" name ",\"arguments\":" arguments   \
  "}}"

static void calls_are_counted(void) {
  static const struct {
    const char *message;
    size_t n;
  } table[] = {{"{}", 0},
               {WITH("null"), 0},
               {WITH("{}"), 0},
               {WITH("[]"), 0},
               {WITH("[ 1 , [2,3], {} ]"), 3},
               {WITH("[" CALL("\"a\"", "\"f\"", "\"{}\"") "]"), 1}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    da_text t = kit_exact(kit_text_of(table[i].message));
    CHECK_INT(da_tool_calls_count(t), table[i].n);
    kit_free(t);
  }
}

static void calls_are_checked(void) {
  static const char *const bad[] = {
      WITH("[1]"),
      WITH("[{}]"),
      WITH("[{\"function\":1}]"),
      WITH("[{\"function\":{}}]"),
      WITH("[{\"function\":{\"name\":1}}]"),
      WITH("[" CALL("\"a\"", "\"f\"", "\"\"") ",null]")};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    CHECK_INT(da_tool_calls_check(kit_text_of(bad[i]), &err), DA_EINVAL);
  CHECK(strstr(err.message, "tool call 2"));
  CHECK_INT(da_tool_calls_check(kit_text_of("{}"), &err), DA_OK);
  CHECK_INT(da_tool_calls_check(kit_text_of(WITH("[]")), &err), DA_OK);
}

/* Call i of the message is so. */
static void is(const char *message, size_t i, const char *id, const char *name,
               const char *arguments) {
  da_text t = kit_exact(kit_text_of(message));
  da_tool_calls_item item;
  CHECK_INT(da_tool_calls_get(&item, t, i, &err), DA_OK);
  CHECK(kit_is_text(item.id, id));
  CHECK(kit_is_text(item.name, name));
  CHECK(kit_is_text(item.arguments, arguments));
  da_tool_calls_dispose(&item);
  kit_free(t);
}

static void calls_are_decoded(void) {
  const char *two =
      WITH("[" CALL("\"a\"", "\"f\"", "\"{\\\"n\\\":1}\"") "," CALL(
          "\"\\u00e9\"", "\"g\"", "\"\"") "]");
  is(two, 0, "a", "f", "{\"n\":1}");
  is(two, 1, "\xc3\xa9", "g", "");
  is(WITH("[{\"function\":{}}]"), 0, "", "", "");
  is(WITH("[" CALL("5", "null", "null") "]"), 0, "", "", "");
  /* of a provider that is not strict */
  is(WITH("[" CALL("\"a\"", "\"f\"", "{\"n\":[1, 2]}") "]"), 0, "a", "f",
     "{\"n\":[1, 2]}");
  is(WITH("[" CALL("\"a\"", "\"f\"", "7") "]"), 0, "a", "f", "7");
}

static void what_is_none_is_told(void) {
  da_tool_calls_item item;
  static const char *const bad[] = {"{}", WITH("[]"), WITH("[1]"),
                                    WITH("[{\"function\":[]}]")};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    CHECK_INT(da_tool_calls_get(&item, kit_text_of(bad[i]), 0, &err),
              DA_EINVAL);
    da_tool_calls_dispose(&item);
  }
  CHECK_INT(da_tool_calls_get(
                &item,
                kit_text_of(WITH("[" CALL("\"a\"", "\"f\"", "\"\"") "]")), 1,
                &err),
            DA_EINVAL);
  da_tool_calls_dispose(&item);
}

static void answers_have_their_call(void) {
  const da_text id = {"a\"b", 3}, text = {"x\0\n", 3};
  da_message *m = NULL;
  CHECK_INT(da_tool_calls_answer(&m, id, text, &err), DA_OK);
  CHECK_INT(da_message_role(m), DA_ROLE_TOOL);
  CHECK(kit_is_text(da_message_tail(m),
                    "\"role\":\"tool\",\"tool_call_id\":\"a\\\"b\","
                    "\"content\":\"x\\u0000\\n\"}"));
  da_message_unref(m);
}

int main(void) {
  RUN(calls_are_counted);
  RUN(calls_are_checked);
  RUN(calls_are_decoded);
  RUN(what_is_none_is_told);
  RUN(answers_have_their_call);
  return check_done();
}
