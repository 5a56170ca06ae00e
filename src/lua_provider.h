/* lua_provider.h - a model written in Lua (floor 7). */
#ifndef LUA_PROVIDER_H
#define LUA_PROVIDER_H

#include "da_provider.h"
#include "lua_runtime.h"

/* A provider that calls complete(self, request, on_delta) of the table at
** `index`, which somebody else keeps alive. NULL without memory. */
da_provider *l_provider_new(lua_State *L, l_runtime *r, int index);

#endif
