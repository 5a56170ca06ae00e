/* lua_schema.h - JSON schemas given in Lua, perhaps written short (floor 7). */
#ifndef LUA_SCHEMA_H
#define LUA_SCHEMA_H

#include "lua_json.h"

/* Appends the JSON of the schema at `index`: of a table, short or whole, with
** its keys in order; of a text, if it begins with a brace, as it is. Raises
** what is none, naming `what`, as an error of argument `arg` unless that is 0.
** Protect *out by a userdata. */
void l_schema_put(lua_State *L, int index, da_buf *out, const char *what,
                  int arg);

#endif
