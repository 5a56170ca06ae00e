/* lua_schema.c - JSON schemas given in Lua, perhaps written short (floor 7). */
#include "lua_schema.h"

#include <string.h>

static void refuse(lua_State *L, const char *what, int arg, const char *why) {
  if (arg)
    luaL_argerror(L, arg, why);
  luaL_error(L, "%s: %s", what, why);
}

/* Pushes the whole schema for the one at `index`: lua/deepagent/schema.lua
** knows how they are written. */
static void push_whole(lua_State *L, int index, const char *what, int arg) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, "deepagent.schema") != LUA_TTABLE)
    refuse(L, what, arg, "schemas need require \"deepagent\"");
  lua_getfield(L, -1, "expand");
  lua_pushvalue(L, index);
  lua_call(L, 1, 2);
  if (lua_isnil(L, -2))
    refuse(L, what, arg, lua_tostring(L, -1));
  lua_pop(L, 1);
}

void l_schema_put(lua_State *L, int index, da_buf *out, const char *what,
                  int arg) {
  int type = lua_type(L, index), top = lua_gettop(L);
  size_t len = 0;
  index = lua_absindex(L, index);
  if (type != LUA_TTABLE && type != LUA_TSTRING)
    refuse(L, what, arg, "a schema expected: a table or a text");
  if (type == LUA_TSTRING) {
    const char *text = lua_tolstring(L, index, &len);
    if (text[strspn(text, " \t\r\n")] == '{') {
      if (strlen(text) != len)
        refuse(L, what, arg, "it has a NUL byte");
      if (da_buf_put(out, text, len))
        l_raise_nomem(L);
      return;
    }
  }
  push_whole(L, index, what, arg);
  l_json_put(L, -1, out, what, arg);
  lua_settop(L, top);
}
