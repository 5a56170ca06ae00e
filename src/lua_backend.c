/* lua_backend.c - stores as Lua objects (floor 7). */
#include "lua_backend.h"

#include <string.h>

#include "lua_history.h"
#include "lua_json.h"
#include "lua_quarantine.h"
#include "lua_store.h"
#include "store_file.h"
#include "store_memory.h"

#define BACKEND_TYPE "deepagent.backend"

/* From a Lua table to the object around it, weak in both. */
static const char wrapped_key = 0;

/* ---- making ---- */

/* Closed first: the metatable is set before there is anything to lose. One
** user value: the Lua table, if it is one. */
static l_backend *push_new(lua_State *L) {
  l_runtime *r = l_runtime_get(L);
  l_backend *b = lua_newuserdatauv(L, sizeof *b, 1);
  b->backend = NULL;
  b->runtime = r;
  b->is_file = 0;
  luaL_setmetatable(L, BACKEND_TYPE);
  return b;
}

static int give(lua_State *L, l_backend *b, da_store *store) {
  da_err err;
  if (da_backend_new(&b->backend, store, &err)) {
    l_error_push(L, &err);
    return lua_error(L);
  }
  return 1;
}

/* The table of options at index 1, or nothing: it has no keys but these. */
static void check_options(lua_State *L, const char *const names[]) {
  lua_settop(L, 1);
  if (lua_isnil(L, 1))
    return;
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_pushnil(L);
  while (lua_next(L, 1)) {
    const char *name = luaL_tolstring(L, -2, NULL);
    int i = 0;
    while (names[i] && strcmp(names[i], name) != 0)
      i++;
    if (!names[i])
      luaL_argerror(L, 1, lua_pushfstring(L, "unknown option '%s'", name));
    lua_pop(L, 2);
  }
}

int l_memory_backend(lua_State *L) {
  static const char *const options[] = {NULL};
  l_backend *b;
  da_store *store;
  da_err err;
  check_options(L, options);
  b = push_new(L);
  return da_store_memory(&store, &err) ? l_raise(L, &err) : give(L, b, store);
}

/* The same directory gives the same object as long as it lives: agents of one
** process share its sessions instead of racing for them. */
static int find_file(lua_State *L, const char *path, int durable) {
  lua_pushfstring(L, "file:%d:%s", durable, path);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, BACKEND_TYPE ".files");
  lua_pushvalue(L, -2);
  return lua_rawget(L, -2) == LUA_TUSERDATA;
}

int l_file_backend(lua_State *L) {
  static const char *const options[] = {"path", "durable", "max_bytes", NULL};
  da_file_options o = {NULL, 1, 0};
  l_backend *b;
  da_store *store;
  da_err err;
  check_options(L, options);
  if (!lua_isnil(L, 1)) {
    lua_getfield(L, 1, "path");
    lua_getfield(L, 1, "durable");
    lua_getfield(L, 1, "max_bytes");
    if (lua_type(L, -3) == LUA_TSTRING && *lua_tostring(L, -3) == '~')
      return luaL_argerror(L, 1, "path: '~' is the shell's, not a directory");
    if (!lua_isnil(L, -3) &&
        (lua_type(L, -3) != LUA_TSTRING || lua_rawlen(L, -3) == 0 ||
         strlen(lua_tostring(L, -3)) != lua_rawlen(L, -3)))
      return luaL_argerror(L, 1, "path must be a string");
    if (!lua_isnil(L, -2) && !lua_isboolean(L, -2))
      return luaL_argerror(L, 1, "durable must be a boolean");
    if (!lua_isnil(L, -1) &&
        !(lua_isinteger(L, -1) && lua_tointeger(L, -1) > 0))
      return luaL_argerror(L, 1, "max_bytes must be a positive integer");
    o.path = lua_tostring(L, -3);
    o.durable = lua_isnil(L, -2) || lua_toboolean(L, -2);
    o.max_bytes = (size_t)lua_tointeger(L, -1);
  }
  b = push_new(L);
  b->is_file = 1;
  if (da_store_file(&store, &o, &err))
    return l_raise(L, &err);
  give(L, b, store);
  if (o.max_bytes) /* a limit of its own: an object of its own */
    return 1;
  if (!find_file(L, da_store_file_path(store), o.durable)) {
    lua_pop(L, 1);
    lua_pushvalue(L, -2); /* the path's key */
    lua_pushvalue(L, -4); /* the new object */
    lua_rawset(L, -3);
    lua_pop(L, 2);
  }
  return 1;
}

int l_native_backend(lua_State *L) {
  size_t len;
  da_text options;
  da_store_open_fn *open;
  l_backend *b;
  da_store *store;
  da_err err;
  void *address = lua_touserdata(L, 1);
  luaL_checktype(L, 1, LUA_TLIGHTUSERDATA);
  memcpy(&open, &address, sizeof open); /* POSIX: they are interchangeable */
  l_pin(address);
  options.data = luaL_checklstring(L, 2, &len);
  options.len = len;
  b = push_new(L);
  return open(&store, options, &err) ? l_raise(L, &err) : give(L, b, store);
}

static da_backend *wrap_table(lua_State *L, int index, int arg) {
  const char *lacks = l_store_lacks(L, index);
  l_backend *b;
  da_store *store;
  if (lacks)
    luaL_argerror(L, arg, lacks);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &wrapped_key);
  lua_pushvalue(L, index);
  if (lua_rawget(L, -2) == LUA_TUSERDATA) {
    b = lua_touserdata(L, -1);
    if (b->backend) { /* else it has been collected, and we are in a __gc */
      lua_remove(L, -2);
      return b->backend;
    }
  }
  lua_pop(L, 1);
  b = push_new(L);
  lua_pushvalue(L, index);
  lua_setiuservalue(L, -2, 1);
  store = l_store_new(L, b->runtime, index);
  if (!store)
    l_raise_nomem(L);
  give(L, b, store);
  lua_pushvalue(L, index);
  lua_pushvalue(L, -2);
  lua_rawset(L, -4);
  lua_remove(L, -2);
  return b->backend;
}

da_backend *l_backend_push(lua_State *L, int index, int arg) {
  l_backend *b = luaL_testudata(L, index, BACKEND_TYPE);
  if (!b && lua_type(L, index) == LUA_TTABLE)
    return wrap_table(L, index, arg);
  if (!b)
    luaL_typeerror(L, arg, "backend, table or name");
  luaL_argcheck(L, b->backend, arg, "the backend is closed");
  lua_pushvalue(L, index);
  return b->backend;
}

da_backend *l_backend_arg(lua_State *L, int arg) {
  if (lua_type(L, arg) == LUA_TSTRING) {
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_getfield(L, -1, "deepagent");
    luaL_argcheck(L, lua_type(L, -1) == LUA_TTABLE, arg,
                  "names need require \"deepagent\"");
    lua_getfield(L, -1, "backend");
    lua_pushvalue(L, arg);
    lua_call(L, 1, 1);
    lua_replace(L, arg);
    lua_pop(L, 2);
  }
  return l_backend_push(L, arg, arg);
}

/* ---- its own methods ---- */

l_backend *l_backend_check(lua_State *L) {
  l_backend *b = luaL_checkudata(L, 1, BACKEND_TYPE);
  luaL_argcheck(L, b->backend, 1, "the backend is closed");
  return b;
}

const char *l_backend_id(lua_State *L, da_err *err) {
  size_t len;
  const char *id = luaL_checklstring(L, 2, &len);
  if (strlen(id) == len)
    return id;
  da_fail(err, DA_EID, "invalid session id: it has a control character");
  return NULL;
}

static int l_stored_gc(lua_State *L) {
  da_stored_dispose(lua_touserdata(L, 1));
  return 0;
}

#define STORED_TYPE "deepagent.stored"

/* A userdata that owns a history, whatever is raised. */
static da_stored *push_stored(lua_State *L) {
  da_stored *s = lua_newuserdatauv(L, sizeof *s, 0);
  da_stored_init(s);
  luaL_setmetatable(L, STORED_TYPE);
  return s;
}

/* save(id, messages [, info]) -> true [, the name of what was put aside] */
static int l_backend_save(lua_State *L) {
  l_backend *b = l_backend_check(L);
  da_err err;
  const char *id = l_backend_id(L, &err);
  da_history *messages;
  da_buf *meta;
  char kept[1024];
  const char *name;
  l_frame before;
  int code;
  luaL_checktype(L, 3, LUA_TTABLE);
  if (!id)
    return l_fail(L, &err);
  lua_settop(L, 4);
  messages = l_history_take(L, 3, 3);
  meta = l_buf_push(L, DA_MESSAGE_MAX);
  if (!lua_isnil(L, 4)) {
    luaL_checktype(L, 4, LUA_TTABLE);
    l_json_put(L, 4, meta, "the info", 4);
    luaL_argcheck(L, meta->data[0] == '{', 4, "must have named fields");
  }
  before = l_enter(b->runtime, L, L_DEFAULT_TIMEOUT);
  code = da_store_replace(b->backend, id, messages, da_buf_text(meta), kept,
                          sizeof kept, &err);
  l_leave(b->runtime, before);
  if (code)
    return l_fail(L, &err);
  lua_pushboolean(L, 1);
  if (!kept[0])
    return 1;
  name = strrchr(kept, '/');
  lua_pushstring(L, name ? name + 1 : kept);
  return 2;
}

/* load(id) -> messages, info | nil */
static int l_backend_load(lua_State *L) {
  l_backend *b = l_backend_check(L);
  da_err err;
  const char *id = l_backend_id(L, &err);
  da_stored *s;
  l_frame before;
  int code;
  if (!id)
    return l_fail(L, &err);
  s = push_stored(L);
  before = l_enter(b->runtime, L, L_DEFAULT_TIMEOUT);
  code = da_store_load(b->backend, id, s, &err);
  l_leave(b->runtime, before);
  if (code == DA_ENOTFOUND)
    lua_pushnil(L);
  if (code)
    return code == DA_ENOTFOUND ? 1 : l_fail(L, &err);
  l_history_push(L, &s->history);
  l_json_push(L, s->meta.len ? da_buf_text(&s->meta) : (da_text){"{}", 2});
  return 2;
}

/* delete(id) -> true, also if there was none */
static int l_backend_delete(lua_State *L) {
  l_backend *b = l_backend_check(L);
  da_err err;
  const char *id = l_backend_id(L, &err);
  l_frame before;
  int code;
  if (!id)
    return l_fail(L, &err);
  before = l_enter(b->runtime, L, L_DEFAULT_TIMEOUT);
  code = da_store_remove(b->backend, id, &err);
  l_leave(b->runtime, before);
  if (code && code != DA_ENOTFOUND)
    return l_fail(L, &err);
  lua_pushboolean(L, 1);
  return 1;
}

static int take_id(da_store_ids *base, da_text id) {
  l_ids *ids = (l_ids *)base;
  da_buf_put(ids->ids, id.data, id.len);
  return da_buf_put(ids->ids, "", 1);
}

void l_ids_init(l_ids *ids, lua_State *L) {
  ids->base.id = take_id;
  ids->ids = l_buf_push(L, (size_t)1 << 30);
}

void l_ids_push(lua_State *L, const l_ids *ids) {
  lua_Integer n = 0;
  lua_newtable(L);
  for (size_t at = 0; at < ids->ids->len;) {
    size_t len = strlen(ids->ids->data + at);
    lua_pushlstring(L, ids->ids->data + at, len);
    lua_rawseti(L, -2, ++n);
    at += len + 1;
  }
}

/* list() -> ids */
static int l_backend_list(lua_State *L) {
  l_backend *b = l_backend_check(L);
  l_ids ids;
  da_err err;
  l_frame before;
  int code;
  l_ids_init(&ids, L);
  before = l_enter(b->runtime, L, L_DEFAULT_TIMEOUT);
  code = da_store_list(b->backend, &ids.base, &err);
  l_leave(b->runtime, before);
  if (code)
    return l_fail(L, &err);
  l_ids_push(L, &ids);
  return 1;
}

/* path() -> the directory of a file backend */
static int l_backend_path(lua_State *L) {
  l_backend *b = l_backend_check(L);
  if (!b->is_file)
    return luaL_argerror(L, 1, "not a file backend");
  lua_pushstring(L, da_store_file_path(da_backend_store(b->backend)));
  return 1;
}

static int l_backend_tostring(lua_State *L) {
  l_backend *b = luaL_checkudata(L, 1, BACKEND_TYPE);
  if (!b->backend)
    lua_pushliteral(L, "deepagent.backend (closed)");
  else if (b->is_file)
    lua_pushfstring(L, "deepagent.backend (file, %s)",
                    da_store_file_path(da_backend_store(b->backend)));
  else
    lua_pushfstring(L, "deepagent.backend (%s)", da_backend_name(b->backend));
  return 1;
}

static int l_backend_gc(lua_State *L) {
  l_backend *b = luaL_checkudata(L, 1, BACKEND_TYPE);
  da_backend *backend = b->backend;
  b->backend = NULL;
  da_backend_unref(backend);
  return 0;
}

static void push_weak(lua_State *L, const char *mode) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushstring(L, mode);
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
}

void l_backend_open(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"save", l_backend_save},     {"load", l_backend_load},
      {"delete", l_backend_delete}, {"list", l_backend_list},
      {"path", l_backend_path},     {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__tostring", l_backend_tostring},
                                  {"__gc", l_backend_gc},
                                  {NULL, NULL}};
  luaL_newmetatable(L, STORED_TYPE);
  lua_pushcfunction(L, l_stored_gc);
  lua_setfield(L, -2, "__gc");
  luaL_newmetatable(L, BACKEND_TYPE);
  luaL_setfuncs(L, meta, 0);
  luaL_newlib(L, methods);
  l_quarantine_open(L);
  lua_setfield(L, -2, "__index");
  lua_pushliteral(L, BACKEND_TYPE);
  lua_setfield(L, -2, "__metatable");
  push_weak(L, "k");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &wrapped_key);
  push_weak(L, "v");
  lua_setfield(L, LUA_REGISTRYINDEX, BACKEND_TYPE ".files");
  lua_pop(L, 2);
}
