/* lua_error.h - da_err as a Lua object, and buffers that Lua owns (floor 7).
*/
#ifndef LUA_ERROR_H
#define LUA_ERROR_H

#include <lauxlib.h>
#include <lua.h>

#include "da_buf.h"

/* Pushes the error object. */
void l_error_push(lua_State *L, const da_err *err);

/* Pushes nil and the error object; returns 2. */
int l_fail(lua_State *L, const da_err *err);

/* Raises the error object. */
int l_raise(lua_State *L, const da_err *err);

/* Whether the value at `index` is an error object of ours. */
int l_is_error(lua_State *L, int index);

/* Fills *err from what a Lua function raised or returned as its reason, at
** `index`: the code of an error object of ours, `code` for anything else. */
int l_error_take(lua_State *L, int index, int code, da_err *err);

/* Whether the value is what l_timed_call stops functions with. */
int l_is_timeout(lua_State *L, int index);

/* The same as l_error_take for what a protected call that ended with `status` left at the top
** of the stack: DA_ENOMEM where Lua ran out of memory. */
int l_error_caught(lua_State *L, int status, int code, da_err *err);

/* Raises an error object of DA_ENOMEM, or Lua's own error if there is no memory
** even for that. */
int l_raise_nomem(lua_State *L);

/* luaL_checkstack, but what fails is memory: nothing of ours is so deep that
** Lua's limit would be met. */
void l_check_stack(lua_State *L, int slots);

/* Makes the metatables; leaves the stack as it was. */
void l_error_open(lua_State *L);

/* Pushes a userdata that holds a buffer, freed with it, whatever is raised
** meanwhile. Scratch memory lives in these. */
da_buf *l_buf_push(lua_State *L, size_t cap);

#endif
