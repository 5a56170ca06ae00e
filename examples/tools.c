/* tools.c - a function in C that the model may call, without Lua.
**
**   tools base-url [model]          key, if one is needed: OPENAI_API_KEY
**
** Talks to any chat-completions service whose model knows tools; without a
** base URL it only shows that the tool is taken. Build: make examples, or
** cc tools.c $(pkg-config --cflags --libs deepagent)
*/
#include <deepagent.h>
#include <stdio.h>
#include <stdlib.h>

/* call->arguments is a JSON object that fits the parameters. */
static int weather(void *ctx, const da_tool_call *call, da_tool_result *result,
                   da_err *err) {
  static const char clear[] = "{\"sky\":\"clear\"}";
  (void)ctx, (void)err; /* or: fill *err and return its code; the model reads
                        ** err->message */
  printf("called: %.*s\n", (int)call->arguments.len, call->arguments.data);
  return da_tool_put(result, clear, sizeof clear - 1);
}

/* DA_EREFUSED with a message: the model is told, and nothing runs. */
static int approve(void *ctx, const da_tool_call *call, da_err *err) {
  (void)ctx, (void)err;
  printf("approved: %.*s\n", (int)call->name.len, call->name.data);
  return DA_OK;
}

int main(int argc, char **argv) {
  const da_tool tool = {
      .name = "weather",
      .description = "The weather in a city.",
      .parameters = "{\"type\":\"object\",\"properties\":{\"city\":{\"type\":"
                    "\"string\"}},\"required\":[\"city\"]}",
      .run = weather};
  const char *url = argc > 1 ? argv[1] : NULL;
  da_runtime *rt = NULL;
  da_agent *a = NULL;
  char *text = NULL;
  da_err err;
  int failed = da_runtime_new(&rt, &da_transport_curl, &err) ||
               da_agent_new(&a, rt, argc > 2 ? argv[2] : "gpt-4o-mini",
                            url ? url : "http://127.0.0.1:1/v1",
                            getenv("OPENAI_API_KEY"), &err) ||
               da_agent_add_tool(a, &tool, &err);
  if (!failed) {
    da_agent_on_tool_call(a, approve, NULL);
    da_agent_set_max_tool_rounds(a, 4);
    if (url)
      failed = da_agent_ask(a, "What is the weather in Rome?", &text, &err);
  }
  if (failed)
    fprintf(stderr, "%s: %s\n", da_code_name(err.code), err.message);
  else
    printf("%s\n", text ? text : "the agent has its tool");
  free(text);
  da_agent_free(a);
  da_runtime_free(rt);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
