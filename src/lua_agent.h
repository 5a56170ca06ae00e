/* lua_agent.h - the agent object (floor 7). lua_agent.c has its life and its
** sessions, lua_talk.c ask and stream, lua_history.c the conversation,
** lua_last.c what the last answer said of itself, lua_settings.c,
** lua_limits.c, lua_tool.c and lua_output.c the with_... methods. */
#ifndef LUA_AGENT_H
#define LUA_AGENT_H

#include "da_agent.h"
#include "lua_runtime.h"

#define AGENT_TYPE "deepagent.agent"

/* The Lua values that an agent keeps alive, in its user values. */
enum {
  L_LOGGER = 1,
  L_ON_STREAM,
  L_BACKEND,
  L_PROVIDER,
  L_TOOLS, /* a table of its own: name -> {run = function} */
  L_ON_TOOL_CALL,
  L_FALLBACK, /* a list of others' L_PROVIDER */
  L_CACHE,
  L_VALUES = L_CACHE
};

typedef struct l_agent {
  da_agent *agent; /* NULL: not made or freed */
  l_runtime *runtime;
} l_agent;

/* The agent at index 1; raises if it is none. */
l_agent *l_agent_check(lua_State *L);

/* Calls into the core go between these, see lua_runtime.h. */
l_frame l_agent_enter(lua_State *L, l_agent *a);

/* A da_log_fn that calls the agent's logger; `ctx` is the l_agent. */
void l_agent_log(void *ctx, da_level level, const char *message, int code,
                 const char *session);

/* Loads the session if that has not been done; 0, or nil and err on the
** stack. */
int l_agent_resolve(lua_State *L, l_agent *a);

/* DA_OK as true, else nil, err. */
int l_answer(lua_State *L, int code, const da_err *err);

/* Adds the with_... methods to the table at the top of the stack. */
void l_settings_open(lua_State *L);
void l_upkeep_open(lua_State *L); /* likewise */

/* For setters: the agent, or raises what the core refuses as the fault of
** argument `arg`. */
int l_setter_done(lua_State *L, int code, const da_err *err, int arg);

/* ... and which set the function, or nil for none, at index 2 as the user
** value. */
int l_set_function(lua_State *L, int value);

/* lua_tool.c: adds its methods to the table at the top; a clone's own tools
** and who is asked about their calls. */
void l_tool_open(lua_State *L);
void l_tool_clone(lua_State *L, l_agent *to, int index);

/* Methods that live in files of their own. */
int l_agent_ask(lua_State *L);
int l_agent_stream(lua_State *L);
int l_agent_resume(lua_State *L);
int l_agent_cancel(lua_State *L);
void l_talk_open(lua_State *L);
int l_agent_get_history(lua_State *L);
int l_agent_set_history(lua_State *L);
int l_agent_clear(lua_State *L);
int l_agent_usage(lua_State *L);
int l_agent_last(lua_State *L);
int l_with_limits(lua_State *L);
int l_with_json_schema(lua_State *L);
int l_with_json_mode(lua_State *L);

/* agent(service or nil, model, api_key or nil, provider or nil) and azure of
** the module. */
int l_agent_new(lua_State *L);
int l_agent_azure(lua_State *L);

void l_agent_open(lua_State *L);

#endif
