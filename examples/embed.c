/* embed.c - an agent that remembers, from C, without Lua.
**
**   embed [base-url [model]]          key, if one is needed: OPENAI_API_KEY
**
** Talks to any chat-completions service, such as http://127.0.0.1:11434/v1;
** without a base URL it shows what is stored. Build: make examples, or
** cc embed.c $(pkg-config --cflags --libs deepagent)
*/
#include <deepagent.h>
#include <stdio.h>
#include <stdlib.h>

static int on_delta(void *ctx, da_text delta, da_err *err) {
  (void)ctx, (void)err;
  printf("[%.*s]", (int)delta.len, delta.data);
  return DA_OK; /* a negative code ends the stream */
}

static int on_id(da_store_ids *ids, da_text id) {
  (void)ids;
  printf("stored session: %.*s\n", (int)id.len, id.data);
  return DA_OK;
}

static int talk(da_agent *a, da_err *err) {
  char *text;
  if (da_agent_ask(a, "Hello from C.", &text, err))
    return err->code;
  printf("%s\n", text);
  free(text);
  if (da_agent_stream(a, "In pieces, please.", on_delta, NULL, &text, err))
    return err->code;
  printf("\n");
  free(text);
  return da_agent_flush(a, -1, err); /* saved in the background: wait for it */
}

static int run(da_agent *a, int talking, da_err *err) {
  da_store_ids ids = {on_id};
  size_t count;
  if (da_agent_count(a, &count, err) || (talking && talk(a, err)))
    return err->code;
  printf("%zu messages of earlier runs\n", count);
  for (size_t i = 0; i < count; i++) {
    da_text line = da_agent_message(a, i);
    printf("  %.*s\n", (int)line.len, line.data);
  }
  return da_agent_list(a, &ids, err);
}

int main(int argc, char **argv) {
  const char *url = argc > 1 ? argv[1] : NULL;
  const char *model = argc > 2 ? argv[2] : "gpt-4o-mini";
  const da_file_options files = {NULL, 1, 0}; /* ~/.deepagent/sessions */
  da_runtime *rt = NULL;
  da_agent *a = NULL;
  da_store *store;
  da_err err;
  int failed =
      da_runtime_new(&rt, &da_transport_curl, &err) ||
      da_agent_new(&a, rt, model, url, getenv("OPENAI_API_KEY"), &err) ||
      da_store_file(&store, &files, &err) ||
      da_agent_set_store(a, store, &err) || /* takes the store */
      da_agent_set_session_id(a, "embed", &err) || run(a, url != NULL, &err);
  if (failed)
    fprintf(stderr, "%s: %s\n", da_code_name(err.code), err.message);
  else if (!url)
    printf("usage: embed [base-url [model]]\n");
  da_agent_free(a);
  da_runtime_free(rt); /* waits for what is pending */
  return failed;
}
