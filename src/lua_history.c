/* lua_history.c - the conversation, to read and to replace (floor 7). */
#include "lua_history.h"
#include "lua_agent.h"
#include "lua_json.h"

#include <string.h>

#define HISTORY_TYPE "deepagent.history"

static int l_history_gc(lua_State *L) {
  da_history_dispose(lua_touserdata(L, 1));
  return 0;
}

static da_history *push_history(lua_State *L) {
  da_history *h = lua_newuserdatauv(L, sizeof *h, 0);
  memset(h, 0, sizeof *h);
  luaL_setmetatable(L, HISTORY_TYPE);
  return h;
}

da_history *l_history_take(lua_State *L, int index, int arg) {
  da_history *h = push_history(L);
  lua_Integer n = l_list_length(L, index);
  da_err err;
  luaL_argcheck(L, n >= 0, arg, "a list of messages expected");
  for (lua_Integer i = 1; i <= n; i++) {
    da_message *m;
    lua_geti(L, index, i);
    m = l_message_take(L, -1, &err);
    if (m ? da_history_append(h, m) != DA_OK : err.code == DA_ENOMEM)
      l_raise_nomem(L);
    if (!m) {
      lua_pushfstring(L, "message %d: %s", (int)i, err.message);
      luaL_argerror(L, arg, lua_tostring(L, -1));
    }
    lua_pop(L, 1);
  }
  return h;
}

int l_agent_resolve(lua_State *L, l_agent *a) {
  da_err err;
  l_frame before = l_agent_enter(L, a);
  int code = da_agent_resolve(a->agent, &err);
  l_leave(a->runtime, before);
  return code ? l_fail(L, &err) : 0;
}

int l_agent_get_history(lua_State *L) {
  l_agent *a = l_agent_check(L);
  int failed = l_agent_resolve(L, a);
  da_history *h;
  if (failed)
    return failed;
  h = push_history(L); /* a snapshot: finalizers may talk meanwhile */
  da_history_copy(h, &a->agent->history);
  l_history_push(L, h);
  da_history_dispose(h); /* now: the collector does not see how large it is */
  return 1;
}

int l_agent_set_history(lua_State *L) {
  l_agent *a = l_agent_check(L);
  l_frame before;
  da_history *h;
  da_err err;
  int code;
  luaL_checktype(L, 2, LUA_TTABLE);
  h = l_history_take(L, 2, 2);
  before = l_agent_enter(L, a);
  code = da_agent_set_history(a->agent, h, &err);
  l_leave(a->runtime, before);
  return l_answer(L, code, &err);
}

int l_agent_clear(lua_State *L) {
  l_agent *a = l_agent_check(L);
  da_err err;
  l_frame before = l_agent_enter(L, a);
  int code = da_agent_clear(a->agent, &err);
  l_leave(a->runtime, before);
  return l_answer(L, code, &err);
}

void l_history_open(lua_State *L) {
  luaL_newmetatable(L, HISTORY_TYPE);
  lua_pushcfunction(L, l_history_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}
