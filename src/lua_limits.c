/* lua_limits.c - with_limits (floor 7). */
#include <string.h>

#include "lua_agent.h"

static size_t *field_of(da_limits *l, const char *name) {
  const struct {
    const char *name;
    size_t *field;
  } fields[] = {{"line", &l->line},       {"header", &l->header},
                {"body", &l->body},       {"depth", &l->depth},
                {"message", &l->message}, {"result", &l->result}};
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
    if (strcmp(fields[i].name, name) == 0)
      return fields[i].field;
  return NULL;
}

/* The limit whose name is at the top but one, and its value at the top. */
static void take(lua_State *L, da_limits *l) {
  const char *name =
      lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
  size_t *field = name ? field_of(l, name) : NULL;
  if (!field) {
    lua_pushfstring(L, "unknown limit '%s'", luaL_tolstring(L, -2, NULL));
    luaL_argerror(L, 2, lua_tostring(L, -1));
  } else if (lua_type(L, -1) != LUA_TNUMBER || !lua_isinteger(L, -1) ||
             lua_tointeger(L, -1) <= 0) {
    lua_pushfstring(L, "%s must be a positive integer", name);
    luaL_argerror(L, 2, lua_tostring(L, -1));
  } else {
    *field = (size_t)lua_tointeger(L, -1);
  }
}

/* with_limits{line =, header =, body =, depth =, message =, result =}: what
** is not given stays as it is. */
int l_with_limits(lua_State *L) {
  l_agent *a = l_agent_check(L);
  da_limits limits = a->agent->settings.limits;
  da_err err;
  int code;
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_pushnil(L);
  while (lua_next(L, 2)) {
    take(L, &limits);
    lua_pop(L, 1);
  }
  code = da_agent_set_limits(a->agent, &limits, &err);
  if (code == DA_ENOMEM)
    return l_raise_nomem(L);
  if (code) {
    lua_pushfstring(L, "%s: %s", da_code_name(code), err.message);
    return luaL_argerror(L, 2, lua_tostring(L, -1));
  }
  lua_settop(L, 1);
  return 1;
}
