/* lua_agent.h - the agent object (floor 7). lua_agent.c has its life and its
** verbs, lua_settings.c the with_... methods. */
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
  L_VALUES = L_PROVIDER
};

typedef struct l_agent {
  da_agent *agent; /* NULL: not made or freed */
  l_runtime *runtime;
} l_agent;

/* The agent at index 1; raises if it is none. */
l_agent *l_agent_check(lua_State *L);

/* Calls into the core go between these, see lua_runtime.h. */
lua_State *l_agent_enter(lua_State *L, l_agent *a);

/* Pushes the agent's logger as a da_log_fn's context needs it. */
void l_agent_log(void *ctx, da_level level, const char *message, int code,
                 const char *session);

/* The messages of the list at `index`, in a history that a userdata pushed
** here owns; raises an error of argument `arg` for what is no message. */
da_history *l_history_take(lua_State *L, int index, int arg);

/* Adds the with_... methods to the table at the top of the stack. */
void l_settings_open(lua_State *L);

/* agent(service, model, base_url, api_key, provider) of the module. */
int l_agent_new(lua_State *L);

void l_agent_open(lua_State *L);

#endif
