/* lua_quarantine.h - a backend's methods for what cannot be read (floor 7):
** recover, quarantined, restore. */
#ifndef LUA_QUARANTINE_H
#define LUA_QUARANTINE_H

#include "lua_runtime.h"

/* Adds them to the table of methods on top of the stack. */
void l_quarantine_open(lua_State *L);

#endif
