/* lua_runtime.c - the one da_runtime of a lua_State (floor 7). */
#include "lua_runtime.h"

#include <dlfcn.h>

#define RUNTIME_TYPE "deepagent.runtime"

static const char runtime_key = 0, owners_key = 0;

/* ---- the transport ---- */

/* require "deepagent.curl" gives a light userdata: the table of functions. */
static int l_find(lua_State *L) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "deepagent.curl");
  lua_call(L, 1, 1);
  if (!lua_islightuserdata(L, -1))
    luaL_error(L, "module 'deepagent.curl' gives no transport");
  return 1;
}

/* libcurl costs 5 ms to load: only who talks pays for it. */
static const da_transport_ops *find_transport(void *ctx, da_err *err) {
  l_runtime *r = ctx;
  lua_State *L = r->L;
  const da_transport_ops *ops = NULL;
  int status;
  if (!lua_checkstack(L, 8)) {
    da_nomem(err);
    return NULL;
  }
  lua_pushcfunction(L, l_find);
  status = lua_pcall(L, 0, 1, 0);
  if (status == LUA_OK)
    ops = lua_touserdata(L, -1);
  else
    l_error_caught(L, status, DA_EUNSUPPORTED, err);
  lua_pop(L, 1);
  return ops;
}

/* ---- the runtime ---- */

/* At the end there are no agents whose loggers could be told: Lua's own
** warnings are what is left. Calls no Lua function. */
static void warn(void *ctx, da_level level, const char *message, int code,
                 const char *session) {
  const l_runtime *r = ctx;
  (void)level, (void)code, (void)session;
  lua_warning(r->main, "deepagent: ", 1);
  lua_warning(r->main, message, 0);
}

static int l_runtime_gc(lua_State *L) {
  l_runtime *r = luaL_checkudata(L, 1, RUNTIME_TYPE);
  da_runtime *runtime = r->runtime;
  r->runtime = NULL;
  r->L = NULL; /* nothing may call back: the state may be closing */
  da_runtime_free(runtime);
  return 0;
}

l_runtime *l_runtime_get(lua_State *L) {
  l_runtime *r;
  da_err err;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &runtime_key) == LUA_TUSERDATA) {
    r = lua_touserdata(L, -1);
    lua_pop(L, 1);
    if (!r->runtime) /* a finalizer that runs after ours */
      luaL_error(L, "deepagent cannot be used while its state closes");
    return r;
  }
  lua_pop(L, 1);
  r = lua_newuserdatauv(L, sizeof *r, 0);
  r->runtime = NULL;
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  r->main = lua_tothread(L, -1);
  lua_pop(L, 1);
  r->L = NULL;
  r->timeout = 5;
  r->deadline = 0;
  r->calls = NULL;
  r->serial = 0;
  luaL_setmetatable(L, RUNTIME_TYPE);
  if (da_runtime_new(&r->runtime, NULL, &err)) {
    l_error_push(L, &err);
    lua_error(L);
  }
  da_runtime_set_finder(r->runtime, find_transport, r);
  da_runtime_on_loss(r->runtime, warn, r);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &runtime_key);
  return r;
}

void l_pin(const void *address) {
  Dl_info info;
  if (dladdr(address, &info) && info.dli_fname)
    dlopen(info.dli_fname, RTLD_NOW | RTLD_NODELETE);
}

/* ---- owners ---- */

void l_owner_set(lua_State *L, const void *object, int index) {
  index = lua_absindex(L, index);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &owners_key);
  lua_pushvalue(L, index);
  lua_rawsetp(L, -2, object);
  lua_pop(L, 1);
}

int l_owner_get(lua_State *L, const void *object) {
  int type;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &owners_key);
  type = lua_rawgetp(L, -1, object);
  lua_remove(L, -2);
  return type;
}

void l_runtime_open(lua_State *L) {
  luaL_newmetatable(L, RUNTIME_TYPE);
  lua_pushcfunction(L, l_runtime_gc);
  lua_setfield(L, -2, "__gc");
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &owners_key);
  lua_pop(L, 1);
}
