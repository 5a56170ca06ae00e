/* lua_runtime.h - the one da_runtime of a lua_State, and how C code that the
** core calls finds the Lua values that belong to it (floor 7). */
#ifndef LUA_RUNTIME_H
#define LUA_RUNTIME_H

#include "da_runtime.h"
#include "lua_error.h"

typedef struct l_runtime {
  da_runtime *runtime; /* NULL: closed */
  lua_State *main;     /* the state's main thread */
  lua_State *L;        /* who called into the core; NULL outside */
  double timeout;      /* seconds for a function of a backend in Lua */
  double deadline;     /* da_now() when what l_timed_call runs is stopped */
  da_call *calls;      /* of providers in Lua that run, innermost first */
  lua_Integer serial;  /* the last of them had this number */
} l_runtime;

/* The state's runtime, made at the first call; raises without memory.
** Leaves the stack as it was. */
l_runtime *l_runtime_get(lua_State *L);

/* Every call into the core that may call back goes between these two. What
** `enter` returns goes to `leave`: calls nest. `timeout`: for the functions
** of a backend in Lua. */
typedef struct l_frame {
  lua_State *L;
  double timeout;
} l_frame;

static inline l_frame l_enter(l_runtime *r, lua_State *L, double timeout) {
  const l_frame before = {r->L, r->timeout};
  r->L = L;
  r->timeout = timeout;
  return before;
}

static inline void l_leave(l_runtime *r, l_frame before) {
  r->L = before.L;
  r->timeout = before.timeout;
}

/* lua_pcall without results, of a function that is stopped after so many
** seconds, > 0. A C function that hangs cannot be stopped. */
int l_timed_call(l_runtime *r, lua_State *L, int nargs, double seconds);

/* Whether what such a call left at the top of the stack says so. */
int l_timed_out(lua_State *L);

#define L_DEFAULT_TIMEOUT 5.0 /* of a backend's own methods, seconds */

/* Workers may still be in the library's code when the last state closes and
** unloads it: the one that has `address` in it stays. */
void l_pin(const void *address);

/* A weak map from an address (of a Lua value, so that it is there no longer
** and no more often than that value) to the Lua value: C code that runs
** later finds it again, and yet keeps nothing alive (the agent's user
** values do that). `set` maps the value at `index`; `get` pushes it or nil
** and returns its type. */
void l_owner_set(lua_State *L, const void *object, int index);
int l_owner_get(lua_State *L, const void *object);

void l_runtime_open(lua_State *L);

#endif
