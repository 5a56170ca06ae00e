/* lua_json.h - Lua values and JSON text (floor 7).
**
** null is deepagent.null (a light userdata NULL), arrays carry a metatable
** so that an empty one stays an array; integers that fit 64 bits are Lua
** integers, other numbers floats. The other way a table is an array if it
** carries that metatable or its keys are 1..n, n > 0; any other table must
** have string keys only and becomes an object, whose members are sorted.
*/
#ifndef LUA_JSON_H
#define LUA_JSON_H

#include "da_history.h"
#include "lua_error.h"

/* The metatable that marks arrays. */
#define L_ARRAY_TYPE "deepagent.array"

/* Appends the value at `index`. Raises what cannot be written (functions,
** cycles, mixed keys, NaN, infinities, strings that are not UTF-8), naming
** `what`, as an error of argument `arg` unless that is 0. Protect *out by a
** userdata. */
void l_json_put(lua_State *L, int index, da_buf *out, const char *what,
                int arg);

/* The same, but what does not fit in *out is left to the caller: see
** out->failed. */
void l_json_write(lua_State *L, int index, da_buf *out, const char *what,
                  int arg);

/* Pushes the value of checked JSON text. Raises only without memory. */
void l_json_push(lua_State *L, da_text text);

/* Pushes a fresh table of a stored message: wire members, id, created_at. */
void l_message_push(lua_State *L, da_text json);

/* Pushes a fresh list of fresh tables, one for each message: wire members,
** id, created_at. `h` must outlive the call, also if it raises. */
void l_history_push(lua_State *L, const da_history *h);

/* The message of the table at `index` (role, content, ... with or without
** id and created_at; `json`, a string, takes the place of all else) or of
** a string of JSON. NULL with *err filled if it is none; raises only without
** memory. */
da_message *l_message_take(lua_State *L, int index, da_err *err);

/* The length of the list at `index`, or -1 if the table there is none: one
** message without the braces of a list around it would else pass for an empty
** list, and empty what it replaces. */
lua_Integer l_list_length(lua_State *L, int index);

void l_json_open(lua_State *L); /* metatables */

/* Module functions: array(t) marks a table as an array and returns it;
** encode(value) gives its JSON text. */
int l_json_array(lua_State *L);
int l_json_encode(lua_State *L);

#endif
