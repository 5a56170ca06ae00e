/* lua_store.h - a Lua table as a store (floor 7). */
#ifndef LUA_STORE_H
#define LUA_STORE_H

#include "da_store.h"
#include "lua_runtime.h"

/* A store that calls save, load, delete and list of the table at `index`,
** which somebody else keeps alive. Functions run on the thread that is in
** the core (l_enter), protected, and are interrupted after r->timeout.
** NULL without memory. */
da_store *l_store_new(lua_State *L, l_runtime *r, int index);

/* Pushes the list of messages that backends written in Lua get: tables with
** `json` beside the members. */
void l_messages_push(lua_State *L, const da_text *messages, size_t count);

/* NULL if the table at `index` has save, load, delete and list; else pushes a
** message that names the missing ones, and returns it. */
const char *l_store_lacks(lua_State *L, int index);

#endif
