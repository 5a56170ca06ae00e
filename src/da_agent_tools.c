/* da_agent_tools.c - what an agent was told of tools (floor 5). */
#include <string.h>

#include "da_agent.h"
#include "da_utf8.h"

int da_agent_add_tool(da_agent *a, const da_tool *tool, da_err *err) {
  return da_toolbox_add(&a->settings.tools, tool, err);
}

int da_agent_set_tool_choice(da_agent *a, const char *choice, da_err *err) {
  da_text t = {choice ? choice : "", choice ? strlen(choice) : 0};
  if (choice && (!t.len || da_utf8_check(t.data, t.len) != t.len))
    return da_fail(err, DA_EINVAL, "tool_choice: not the name of a tool");
  return da_set_string(&a->settings.tool_choice, choice, err);
}

void da_agent_set_parallel_tools(da_agent *a, int on) {
  a->settings.parallel_tools = on < 0 ? -1 : on != 0;
}

void da_agent_set_max_tool_rounds(da_agent *a, size_t rounds) {
  a->settings.tool_rounds = rounds;
}

void da_agent_set_tool_timeout(da_agent *a, double seconds) {
  a->settings.tool_timeout = seconds;
}

void da_agent_on_tool_call(da_agent *a, da_approve_fn fn, void *ctx) {
  a->settings.approve = fn;
  a->settings.approve_ctx = ctx;
}
