/* lua_output.c - answers that must be JSON (floor 7). */
#include <string.h>

#include "lua_agent.h"
#include "lua_schema.h"

/* What the core refuses is the argument's fault. */
static int done(lua_State *L, int code, const da_err *err, int arg) {
  if (code == DA_ENOMEM)
    return l_raise_nomem(L);
  if (code)
    return luaL_argerror(L, arg, err->message);
  lua_settop(L, 1);
  return 1;
}

/* with_json_mode([on]) */
int l_with_json_mode(lua_State *L) {
  l_agent *a = l_agent_check(L);
  int on = 1;
  da_err err;
  if (!lua_isnone(L, 2)) {
    luaL_checktype(L, 2, LUA_TBOOLEAN);
    on = lua_toboolean(L, 2);
  }
  return done(L, da_agent_set_json_mode(a->agent, on, &err), &err, 2);
}

/* {name =, schema =, strict =} at 2, as an option of a constructor has it:
** becomes the arguments 2 to 4. */
static void spread(lua_State *L) {
  lua_settop(L, 2);
  lua_pushnil(L);
  while (lua_next(L, 2)) {
    const char *key =
        lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
    luaL_argcheck(L,
                  strcmp(key, "name") == 0 || strcmp(key, "schema") == 0 ||
                      strcmp(key, "strict") == 0,
                  2, "must have name, schema and perhaps strict");
    lua_pop(L, 1);
  }
  lua_getfield(L, 2, "name");
  lua_getfield(L, 2, "schema");
  lua_getfield(L, 2, "strict");
  lua_remove(L, 2);
}

/* with_json_schema(name, schema [, strict]), or {name =, schema =, strict =};
** nil or false: any text will do. */
int l_with_json_schema(lua_State *L) {
  l_agent *a = l_agent_check(L);
  const char *name;
  da_buf *json;
  int strict = -1, table = lua_type(L, 2) == LUA_TTABLE, code;
  size_t len;
  da_err err;
  luaL_checkany(L, 2);
  if (!lua_toboolean(L, 2)) {
    code = da_agent_set_json_schema(a->agent, NULL, NULL, 0, &err);
    return done(L, code, &err, 2);
  }
  if (table)
    spread(L);
  lua_settop(L, 4);
  luaL_argcheck(L, lua_type(L, 2) == LUA_TSTRING, 2,
                "the schema's name must be a string");
  name = lua_tolstring(L, 2, &len);
  luaL_argcheck(L, strlen(name) == len, 2, "it has a NUL byte");
  if (!lua_isnil(L, 4)) {
    luaL_argcheck(L, lua_isboolean(L, 4), table ? 2 : 4,
                  "strict must be a boolean");
    strict = lua_toboolean(L, 4);
  }
  code = da_output_check_name(name, &err);
  if (code)
    return done(L, code, &err, 2);
  json = l_buf_push(L, DA_MESSAGE_MAX);
  l_schema_put(L, 3, json, "the schema", 3);
  code = da_agent_set_json_schema(a->agent, name, json->data, strict, &err);
  return done(L, code, &err, table ? 2 : 3);
}
