/* lua_error.c - da_err as a Lua object (floor 7). */
#include "lua_error.h"

#include <string.h>

#define ERROR_TYPE "deepagent.error"
#define BUF_TYPE "deepagent.buf"

static void set_text(lua_State *L, const char *field, const char *text) {
  if (*text) {
    lua_pushstring(L, text);
    lua_setfield(L, -2, field);
  }
}

void l_error_push(lua_State *L, const da_err *err) {
  lua_createtable(L, 0, 6);
  set_text(L, "code", da_code_name(err->code));
  lua_pushstring(L, err->message);
  lua_setfield(L, -2, "message");
  lua_pushboolean(L, err->retryable);
  lua_setfield(L, -2, "retryable");
  if (err->status) {
    lua_pushinteger(L, err->status);
    lua_setfield(L, -2, "status");
  }
  if (err->retry_after >= 0) {
    lua_pushnumber(L, err->retry_after);
    lua_setfield(L, -2, "retry_after");
  }
  set_text(L, "request_id", err->request_id);
  set_text(L, "service_code", err->service_code);
  luaL_setmetatable(L, ERROR_TYPE);
}

int l_is_error(lua_State *L, int index) {
  int same = 0;
  if (lua_istable(L, index) && lua_getmetatable(L, index)) {
    luaL_getmetatable(L, ERROR_TYPE);
    same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
  }
  return same;
}

int l_fail(lua_State *L, const da_err *err) {
  lua_pushnil(L);
  l_error_push(L, err);
  return 2;
}

int l_raise(lua_State *L, const da_err *err) {
  l_error_push(L, err);
  return lua_error(L);
}

/* "rate_limited: slow down (HTTP 429, request req_1)" */
static int l_error_tostring(lua_State *L) {
  luaL_Buffer b;
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lua_getfield(L, 1, "status");
  lua_getfield(L, 1, "request_id");
  lua_getfield(L, 1, "code");
  lua_getfield(L, 1, "message");
  lua_pushfstring(L, "%s: %s", luaL_tolstring(L, 4, NULL),
                  luaL_tolstring(L, 5, NULL));
  luaL_buffinit(L, &b);
  lua_pushvalue(L, 8);
  luaL_addvalue(&b);
  if (!lua_isnil(L, 2) && !strstr(lua_tostring(L, 8), "HTTP ")) {
    lua_pushfstring(L, " (HTTP %d", (int)lua_tointeger(L, 2));
    luaL_addvalue(&b);
    if (lua_type(L, 3) == LUA_TSTRING) {
      luaL_addstring(&b, ", request ");
      lua_pushvalue(L, 3);
      luaL_addvalue(&b);
    }
    luaL_addchar(&b, ')');
  }
  luaL_pushresult(&b);
  return 1;
}

/* "failed: " .. err */
static int l_error_concat(lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  luaL_tolstring(L, 2, NULL);
  lua_concat(L, 2);
  return 1;
}

/* The number of a code's name, or `other`. */
static int code_of(const char *name, int other) {
#define DA_CODE_IF(symbol, number, text)                                      \
  if (strcmp(name, text) == 0)                                                \
    return symbol;
  DA_CODES(DA_CODE_IF)
#undef DA_CODE_IF
  return other;
}

/* The string at the top of the stack, NUL bytes and all. */
static void take_message(lua_State *L, int code, da_err *err) {
  size_t len;
  const char *s = lua_tolstring(L, -1, &len);
  da_fail(err, code, "%s", "");
  da_err_set_message(err, s, len);
}

/* A short printable text; anything else is left out. */
static void take_text(lua_State *L, int index, const char *field, char *to,
                      size_t size) {
  if (lua_getfield(L, index, field) == LUA_TSTRING) {
    const char *s = lua_tostring(L, -1);
    size_t n = 0;
    while (n < size - 1 && s[n] >= ' ' && s[n] <= '~')
      n++;
    memcpy(to, s, n);
    to[n] = '\0';
  }
  lua_pop(L, 1);
}

static int take_object(lua_State *L, int index, int code, da_err *err) {
  lua_getfield(L, index, "code");
  if (lua_type(L, -1) == LUA_TSTRING)
    code = code_of(lua_tostring(L, -1), code);
  if (lua_getfield(L, index, "message") != LUA_TSTRING) {
    if (luaL_getmetafield(L, index, "__tostring") == LUA_TNIL)
      lua_pushliteral(L, "an error that is a table without a message");
    else /* it can tell itself */
      luaL_tolstring(L, index, NULL);
    lua_replace(L, -2);
  }
  take_message(L, code, err);
  lua_getfield(L, index, "retryable");
  err->retryable = lua_toboolean(L, -1);
  lua_getfield(L, index, "status");
  err->status = (int)lua_tointeger(L, -1);
  if (lua_getfield(L, index, "retry_after") == LUA_TNUMBER)
    err->retry_after = (double)lua_tonumber(L, -1);
  take_text(L, index, "request_id", err->request_id, sizeof err->request_id);
  take_text(L, index, "service_code", err->service_code,
            sizeof err->service_code);
  lua_pop(L, 5);
  return code;
}

/* `index` is 1: runs protected, since a __tostring or __index may raise. */
static int l_take(lua_State *L) {
  da_err *err = lua_touserdata(L, 2);
  int code = (int)lua_tointeger(L, 3);
  if (lua_type(L, 1) == LUA_TTABLE) {
    take_object(L, 1, code, err);
  } else {
    luaL_tolstring(L, 1, NULL);
    take_message(L, code, err);
  }
  return 0;
}

int l_error_take(lua_State *L, int index, int code, da_err *err) {
  int status;
  index = lua_absindex(L, index);
  if (l_is_timeout(L, index))
    return da_fail(err, DA_ETIMEOUT, "it took too long and was stopped");
  lua_pushcfunction(L, l_take);
  lua_pushvalue(L, index);
  lua_pushlightuserdata(L, err);
  lua_pushinteger(L, code);
  status = lua_pcall(L, 3, 0, 0);
  if (status == LUA_OK)
    return err->code;
  lua_pop(L, 1);
  return status == LUA_ERRMEM
             ? da_nomem(err)
             : da_fail(err, code, "an error that cannot be printed");
}

int l_error_caught(lua_State *L, int status, int code, da_err *err) {
  return status == LUA_ERRMEM ? da_nomem(err) : l_error_take(L, -1, code, err);
}

int l_raise_nomem(lua_State *L) {
  da_err err;
  da_nomem(&err);
  return l_raise(L, &err);
}

void l_check_stack(lua_State *L, int slots) {
  if (!lua_checkstack(L, slots))
    l_raise_nomem(L);
}

/* ---- buffers ---- */

static int l_buf_gc(lua_State *L) {
  da_buf_dispose(luaL_checkudata(L, 1, BUF_TYPE));
  return 0;
}

da_buf *l_buf_push(lua_State *L, size_t cap) {
  da_buf *b = lua_newuserdatauv(L, sizeof *b, 0);
  da_buf_init(b, cap);
  luaL_setmetatable(L, BUF_TYPE);
  return b;
}

void l_error_open(lua_State *L) {
  luaL_newmetatable(L, ERROR_TYPE);
  lua_pushcfunction(L, l_error_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pushcfunction(L, l_error_concat);
  lua_setfield(L, -2, "__concat");
  luaL_newmetatable(L, BUF_TYPE);
  lua_pushcfunction(L, l_buf_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 2);
}
