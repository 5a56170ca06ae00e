/* lua_tool.h - what the files of lua_tool share (floor 7). */
#ifndef LUA_TOOL_H
#define LUA_TOOL_H

#include "lua_agent.h"

/* The ctx of a tool in Lua. The table {run = function} is found by its
** address: agents keep it. */
typedef struct l_tool {
  l_runtime *runtime;
  const void *table;
} l_tool;

/* Of da_tool: runs that function. */
int l_tool_run(void *ctx, const da_tool_call *call, da_tool_result *result,
               da_err *err);

/* A da_approve_fn that asks the agent's function; `ctx` is the l_agent. */
int l_tool_approve(void *ctx, const da_tool_call *call, da_err *err);

#endif
