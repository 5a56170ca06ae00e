/* lua_upkeep.c - the with_... methods of what keeps an agent up (floor 7). */
#include <string.h>

#include "da_retry.h"
#include "lua_agent.h"
#include "lua_backend.h"

/* What the core refuses is the argument's fault. */
static int done(lua_State *L, int code, const da_err *err) {
  if (code == DA_ENOMEM)
    return l_raise_nomem(L);
  if (code) {
    lua_pushfstring(L, "%s: %s", da_code_name(code), err->message);
    return luaL_argerror(L, 2, lua_tostring(L, -1));
  }
  lua_settop(L, 1);
  return 1;
}

static int complain(lua_State *L, const char *format, const char *name) {
  lua_pushfstring(L, format, name);
  return luaL_argerror(L, 2, lua_tostring(L, -1));
}

/* ---- tries ---- */

/* The name is at the top but one, its value at the top. */
static void take_retry(lua_State *L, da_retry *r) {
  const struct {
    const char *name;
    double *field;
  } fields[] = {{"base", &r->base}, {"cap", &r->cap}, {"budget", &r->budget}};
  const char *name =
      lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
  if (name && strcmp(name, "max") == 0) {
    if (lua_type(L, -1) != LUA_TNUMBER || !lua_isinteger(L, -1) ||
        lua_tointeger(L, -1) < 0 || lua_tointeger(L, -1) > 100)
      complain(L, "%s must be an integer from 0 to 100", name);
    r->max = (int)lua_tointeger(L, -1);
    return;
  }
  for (size_t i = 0; name && i < sizeof fields / sizeof *fields; i++)
    if (strcmp(fields[i].name, name) == 0) {
      if (lua_type(L, -1) != LUA_TNUMBER)
        complain(L, "%s must be a number of seconds", name);
      *fields[i].field = lua_tonumber(L, -1);
      return;
    }
  complain(L, "unknown member '%s'", luaL_tolstring(L, -2, NULL));
}

/* {max =, base =, cap =, budget =}: what is not given stays as it is. false:
** no further tries; true: the default. */
static int l_with_retry(lua_State *L) {
  l_agent *a = l_agent_check(L);
  da_retry r = a->agent->settings.retry;
  da_err err;
  if (lua_isboolean(L, 2)) {
    da_retry_init(&r);
    r.max = lua_toboolean(L, 2) ? r.max : 0;
  } else {
    if (lua_type(L, 2) != LUA_TTABLE)
      luaL_typeerror(L, 2, "table or boolean");
    lua_pushnil(L);
    while (lua_next(L, 2)) {
      take_retry(L, &r);
      lua_pop(L, 1);
    }
  }
  return done(L, da_agent_set_retry(a->agent, &r, &err), &err);
}

/* (requests a second or false [, burst]) */
static int l_with_rate_limit(lua_State *L) {
  l_agent *a = l_agent_check(L);
  lua_Number per_second = 0;
  lua_Integer burst = 1;
  da_err err;
  if (!lua_isboolean(L, 2) || lua_toboolean(L, 2)) {
    luaL_checktype(L, 2, LUA_TNUMBER);
    per_second = lua_tonumber(L, 2);
    luaL_argcheck(L, per_second > 0 && per_second <= 1e6, 2,
                  "must be above 0, up to a million");
  }
  if (!lua_isnoneornil(L, 3)) {
    luaL_checktype(L, 3, LUA_TNUMBER);
    burst = lua_isinteger(L, 3) ? lua_tointeger(L, 3) : 0;
    luaL_argcheck(L, burst >= 1 && burst <= 1000000, 3,
                  "must be an integer from 1 to a million");
  }
  return done(L,
              da_agent_set_rate_limit(a->agent, per_second, (int)burst, &err),
              &err);
}

/* ---- other services ---- */

/* The agents at index 2 and above, or in the list that is there alone,
** become a list at index 2, and one of theirs at index 3: of the Lua values
** that their providers need. */
static size_t gather(lua_State *L) {
  int listed = lua_gettop(L) == 2 && lua_type(L, 2) == LUA_TTABLE;
  lua_Integer n = listed ? luaL_len(L, 2) : lua_gettop(L) - 1;
  if (!listed) {
    lua_createtable(L, (int)n, 0);
    lua_insert(L, 2);
    for (lua_Integer i = n; i > 0; i--)
      lua_rawseti(L, 2, i);
  }
  luaL_argcheck(L, n > 0 && n <= 100, 2, "1 to 100 agents expected");
  lua_createtable(L, (int)n, 0);
  for (lua_Integer i = 1; i <= n; i++) {
    l_agent *other;
    lua_geti(L, 2, i);
    other = luaL_testudata(L, -1, AGENT_TYPE);
    luaL_argcheck(L, other && other->agent, 2, "agents expected");
    lua_getiuservalue(L, -1, L_PROVIDER);
    lua_rawseti(L, 3, i);
    lua_pop(L, 1);
  }
  return (size_t)n;
}

/* (agent, ...), or (list of agents): whose services are gone to, one after
** the other. false: none. */
static int l_with_fallback(lua_State *L) {
  l_agent *a = l_agent_check(L);
  da_agent **others;
  size_t n;
  da_err err;
  int code;
  if (lua_isboolean(L, 2) && !lua_toboolean(L, 2)) {
    code = da_agent_set_fallback(a->agent, NULL, 0, &err);
    lua_pushnil(L);
    lua_setiuservalue(L, 1, L_FALLBACK);
    return done(L, code, &err);
  }
  n = gather(L);
  others = lua_newuserdatauv(L, n * sizeof *others, 0);
  for (size_t i = 0; i < n; i++) {
    l_agent *other;
    lua_geti(L, 2, (lua_Integer)i + 1);
    other = luaL_checkudata(L, -1, AGENT_TYPE);
    others[i] = other->agent;
    lua_pop(L, 1);
  }
  code = da_agent_set_fallback(a->agent, others, n, &err);
  if (!code) {
    lua_pushvalue(L, 3);
    lua_setiuservalue(L, 1, L_FALLBACK);
  }
  return done(L, code, &err);
}

/* ---- answers that are kept ---- */

/* (backend, table, name, or false: none [, seconds]) */
static int l_with_cache(lua_State *L) {
  l_agent *a = l_agent_check(L);
  da_backend *b = NULL;
  lua_Number ttl = 0;
  if (!lua_isnoneornil(L, 3)) {
    luaL_checktype(L, 3, LUA_TNUMBER);
    ttl = lua_tonumber(L, 3);
    luaL_argcheck(L, ttl > 0, 3, "must be a positive number of seconds");
  }
  lua_settop(L, 2);
  if (lua_isboolean(L, 2) && !lua_toboolean(L, 2))
    lua_pushnil(L);
  else
    b = l_backend_arg(L, 2);
  da_agent_set_cache_backend(a->agent, b, ttl);
  lua_setiuservalue(L, 1, L_CACHE);
  return done(L, DA_OK, NULL);
}

/* ---- all of it ---- */

static int l_with_defaults(lua_State *L) {
  l_agent *a = l_agent_check(L);
  if (!lua_isnoneornil(L,
                       2)) { /* as a constructor's option: defaults = true */
    luaL_argcheck(L, lua_isboolean(L, 2) && lua_toboolean(L, 2), 2,
                  "must be true");
  }
  da_agent_set_defaults(a->agent);
  lua_settop(L, 1);
  return 1;
}

void l_upkeep_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"with_retry", l_with_retry},
                                     {"with_rate_limit", l_with_rate_limit},
                                     {"with_fallback", l_with_fallback},
                                     {"with_cache", l_with_cache},
                                     {"with_defaults", l_with_defaults},
                                     {NULL, NULL}};
  luaL_setfuncs(L, methods, 0);
}
