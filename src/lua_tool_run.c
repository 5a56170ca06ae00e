/* lua_tool_run.c - calls of tools in Lua, and of who is asked before them
** (floor 7). */
#include "lua_tool.h"

#include <math.h>
#include <string.h>

#include "lua_json.h"

/* ---- running one ---- */

typedef struct job {
  const da_tool_call *call;
  const void *owner; /* the l_tool's table, or the l_agent */
  da_tool_result *result;
  da_err *err;
  int code;
} job;

static void set_text(lua_State *L, const char *field, da_text t) {
  lua_pushlstring(L, t.data, t.len);
  lua_setfield(L, -2, field);
}

/* What the function gets to know of the call. */
static void push_context(lua_State *L, const da_tool_call *c) {
  lua_createtable(L, 0, 6);
  set_text(L, "id", c->id);
  set_text(L, "name", c->name);
  lua_pushinteger(L, c->round);
  lua_setfield(L, -2, "round");
  if (c->seconds > 0) {
    lua_pushnumber(L, c->seconds);
    lua_setfield(L, -2, "seconds");
  }
  if (c->session) {
    lua_pushstring(L, c->session);
    lua_setfield(L, -2, "session_id");
  }
}

static int put_result(lua_State *L, int index, job *j) {
  size_t len;
  const char *s;
  da_buf *b;
  if (lua_type(L, index) == LUA_TSTRING) {
    s = lua_tolstring(L, index, &len);
    return da_tool_put(j->result, s, len);
  }
  b = l_buf_push(L, j->result->text.cap);
  l_json_put(L, index, b, "the result", 0);
  da_tool_put(j->result, da_buf_text(b).data, b->len);
  da_buf_dispose(b); /* now: a state that closes collects no more */
  return j->result->text.failed;
}

/* Lua has no number for it: better none than another one. */
static int is_lost(da_text number) {
  int64_t n;
  size_t i = 0;
  while (i < number.len && !strchr(".eE", number.data[i]))
    i++;
  return i == number.len ? !da_json_int64(number, &n)
                         : !isfinite(da_json_double(number));
}

/* Of the values in an object or array, and in those in it. */
static int check_numbers(da_json *j, da_err *err) {
  da_text key, raw;
  int code = DA_OK, object = da_json_object(j);
  if (!object && !da_json_array(j)) {
    if (da_json_value(j, &raw) == DA_JSON_NUMBER && is_lost(raw))
      return da_fail(err, DA_EINVAL, "the number %.*s is too large for Lua",
                     (int)(raw.len > 60 ? 60 : raw.len), raw.data);
    return DA_OK;
  }
  while ((object ? da_json_member(j, &key) : da_json_item(j)) == 1 && !code)
    code = check_numbers(j, err);
  return code;
}

static int l_run(lua_State *L) {
  job *j = lua_touserdata(L, 1);
  lua_settop(L, 1);
  if (l_owner_get(L, j->owner) != LUA_TTABLE)
    return luaL_error(L, "the tool is gone");
  lua_getfield(L, 2, "run");
  l_json_push(L, j->call->arguments);
  push_context(L, j->call);
  set_text(L, "arguments", j->call->arguments);
  lua_call(L, 2, 2);
  if (!lua_toboolean(L, 3) && !lua_isnil(L, 4))
    j->code = l_error_take(L, 4, DA_ECALLBACK, j->err);
  else if (lua_isnil(L, 3))
    j->code = da_tool_put(j->result, "null", 4);
  else
    j->code = put_result(L, 3, j);
  return 0;
}

int l_tool_run(void *ctx, const da_tool_call *call, da_tool_result *result,
               da_err *err) {
  l_tool *t = ctx;
  lua_State *L = t->runtime->L;
  job j = {call, t->table, result, err, DA_OK};
  int status, top;
  da_json numbers;
  if (!L)
    return da_fail(err, DA_ECLOSED, "the tool cannot be called now");
  da_json_init(&numbers, call->arguments);
  if (check_numbers(&numbers, err))
    return err->code;
  if (!lua_checkstack(L, 20))
    return da_nomem(err);
  top = lua_gettop(L);
  lua_pushcfunction(L, l_run);
  lua_pushlightuserdata(L, &j);
  status = call->seconds > 0 ? l_timed_call(t->runtime, L, 1, call->seconds)
                             : lua_pcall(L, 1, 0, 0);
  if (status != LUA_OK && l_timed_out(L))
    j.code =
        da_fail(err, DA_ETIMEOUT, "it took longer than %g s", call->seconds);
  else if (status != LUA_OK)
    j.code = l_error_caught(L, status, DA_ECALLBACK, err);
  lua_settop(L, top);
  return j.code;
}

/* ---- asking before a call ---- */

static int l_approve(lua_State *L) {
  job *j = lua_touserdata(L, 1);
  lua_settop(L, 1);
  if (l_owner_get(L, j->owner) != LUA_TUSERDATA)
    return luaL_error(L, "the agent is being collected");
  lua_getiuservalue(L, -1, L_ON_TOOL_CALL);
  lua_replace(L, 1);
  lua_settop(L, 1);
  push_context(L, j->call);
  l_json_push(L, j->call->arguments);
  lua_setfield(L, -2, "arguments");
  lua_call(L, 1, 2);
  if (!lua_isboolean(L, -2) || lua_toboolean(L, -2))
    return 0;
  if (lua_isnil(L, -1))
    da_fail(j->err, DA_EREFUSED, "the user has refused the call");
  else
    l_error_take(L, -1, DA_EREFUSED, j->err);
  j->code = j->err->code = DA_EREFUSED;
  return 0;
}

/* An error of the function ends the turn: what nobody could be asked about
** does not run. */
int l_tool_approve(void *ctx, const da_tool_call *call, da_err *err) {
  l_agent *a = ctx;
  lua_State *L = a->runtime->L;
  job j = {call, a, NULL, err, DA_OK};
  int status;
  if (!L || !lua_checkstack(L, 20))
    return da_nomem(err);
  lua_pushcfunction(L, l_approve);
  lua_pushlightuserdata(L, &j);
  status = lua_pcall(L, 1, 0, 0);
  if (status != LUA_OK) {
    j.code = l_error_caught(L, status, DA_ECALLBACK, err);
    if (status != LUA_ERRMEM)
      err->code = j.code = DA_ECALLBACK;
    lua_pop(L, 1);
  }
  return j.code;
}
