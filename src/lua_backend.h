/* lua_backend.h - stores as Lua objects (floor 7): what file_backend() and
** memory_backend() return, with save, load, delete and list of their own. */
#ifndef LUA_BACKEND_H
#define LUA_BACKEND_H

#include "da_store.h"
#include "lua_runtime.h"

typedef struct l_backend {
  da_backend *backend; /* NULL: closed */
  l_runtime *runtime;
  int is_file;
} l_backend;

/* The backend object that is argument 1; raises if it is none, or closed. */
l_backend *l_backend_check(lua_State *L);

/* The id that is argument 2; NULL and *err if it has a NUL inside, where it
** would be cut. */
const char *l_backend_id(lua_State *L, da_err *err);

/* Pushes the backend object of the value at `index`: such an object itself,
** or the one around a Lua table with the four methods (always the same one
** for the same table, so that its agents share their sessions). Raises an
** error of argument `arg` for anything else. */
da_backend *l_backend_push(lua_State *L, int index, int arg);

/* The same for argument `arg`, which may also be a name that
** deepagent.backend knows. */
da_backend *l_backend_arg(lua_State *L, int arg);

/* Module functions. */
int l_file_backend(lua_State *L);
int l_memory_backend(lua_State *L);

/* native_backend(open, options JSON): `open` is a light userdata, the
** da_store_open_fn of a module. */
int l_native_backend(lua_State *L);

void l_backend_open(lua_State *L);

/* A da_store_ids that gathers the ids in a buffer, as nothing may raise in
** the middle of a store's list. */
typedef struct l_ids {
  da_store_ids base;
  da_buf *ids; /* each with its NUL */
} l_ids;
void l_ids_init(l_ids *ids, lua_State *L); /* pushes the buffer's userdata */
void l_ids_push(lua_State *L, const l_ids *ids); /* pushes the list */

#endif
