/* lua_history.h - lists of messages out of Lua (floor 7). */
#ifndef LUA_HISTORY_H
#define LUA_HISTORY_H

#include "da_history.h"
#include "lua_error.h"

/* The messages of the list at `index`, in a history that a userdata pushed
** here owns; raises an error of argument `arg` for what is no message. */
da_history *l_history_take(lua_State *L, int index, int arg);

void l_history_open(lua_State *L);

#endif
