/* lua_settings.c - the with_... methods (floor 7): each checks its argument,
** raises on misuse, and returns the agent. */
#include <math.h>
#include <string.h>

#include "da_utf8.h"
#include "lua_agent.h"
#include "lua_backend.h"
#include "lua_history.h"
#include "lua_json.h"

int l_setter_done(lua_State *L, int code, const da_err *err, int arg) {
  if (code == DA_ENOMEM)
    return l_raise_nomem(L);
  if (code) {
    lua_pushfstring(L, "%s: %s", da_code_name(code), err->message);
    return luaL_argerror(L, arg, lua_tostring(L, -1));
  }
  lua_settop(L, 1);
  return 1;
}

/* A real string: a number is a mistake more often than a text. */
static const char *check_string(lua_State *L, int arg, size_t *len) {
  luaL_checktype(L, arg, LUA_TSTRING);
  return lua_tolstring(L, arg, len);
}

/* One that C may have: no NUL inside. */
static const char *check_plain(lua_State *L, int arg) {
  size_t len;
  const char *s = check_string(L, arg, &len);
  luaL_argcheck(L, strlen(s) == len, arg, "it has a NUL byte");
  return s;
}

static int check_boolean(lua_State *L, int arg, int missing) {
  if (missing >= 0 && lua_isnone(L, arg))
    return missing;
  luaL_checktype(L, arg, LUA_TBOOLEAN);
  return lua_toboolean(L, arg);
}

static lua_Number check_number(lua_State *L, int arg, lua_Number low,
                               lua_Number high) {
  lua_Number n;
  luaL_checktype(L, arg, LUA_TNUMBER);
  n = lua_tonumber(L, arg);
  if (!(n >= low && n <= high)) {
    lua_pushfstring(L, "must be from %f to %f", low, high);
    luaL_argerror(L, arg, lua_tostring(L, -1));
  }
  return n;
}

static lua_Integer check_count(lua_State *L, int arg) {
  luaL_checktype(L, arg, LUA_TNUMBER);
  luaL_argcheck(L, lua_isinteger(L, arg) && lua_tointeger(L, arg) > 0, arg,
                "must be a positive integer");
  return lua_tointeger(L, arg);
}

static lua_Number check_seconds(lua_State *L, int arg) {
  lua_Number n;
  luaL_checktype(L, arg, LUA_TNUMBER);
  n = lua_tonumber(L, arg);
  luaL_argcheck(L, n > 0 && n <= 1e9, arg,
                "must be a positive number of seconds");
  return n;
}

/* ---- the request ---- */

/* Sets member `name` to the value at `arg`. */
static int set_member(lua_State *L, l_agent *a, const char *name, int arg) {
  da_buf *json = l_buf_push(L, DA_MESSAGE_MAX);
  da_err err;
  l_json_put(L, arg, json, name, arg);
  return l_setter_done(
      L, da_agent_set_member(a->agent, name, json->data, &err), &err, 2);
}

static int l_with_temperature(lua_State *L) {
  l_agent *a = l_agent_check(L);
  check_number(L, 2, 0, 2);
  return set_member(L, a, "temperature", 2);
}

static int l_with_top_p(lua_State *L) {
  l_agent *a = l_agent_check(L);
  check_number(L, 2, 0, 1);
  return set_member(L, a, "top_p", 2);
}

static int l_with_presence_penalty(lua_State *L) {
  l_agent *a = l_agent_check(L);
  check_number(L, 2, -2, 2);
  return set_member(L, a, "presence_penalty", 2);
}

static int l_with_frequency_penalty(lua_State *L) {
  l_agent *a = l_agent_check(L);
  check_number(L, 2, -2, 2);
  return set_member(L, a, "frequency_penalty", 2);
}

static int l_with_max_tokens(lua_State *L) {
  l_agent *a = l_agent_check(L);
  check_count(L, 2);
  return set_member(L, a, "max_tokens", 2);
}

static int l_with_seed(lua_State *L) {
  l_agent *a = l_agent_check(L);
  luaL_argcheck(L, lua_isinteger(L, 2) && lua_type(L, 2) == LUA_TNUMBER, 2,
                "must be an integer");
  return set_member(L, a, "seed", 2);
}

/* A string or a list of strings. */
static int l_with_stop(lua_State *L) {
  l_agent *a = l_agent_check(L);
  lua_Integer n;
  if (lua_type(L, 2) != LUA_TTABLE) {
    check_string(L, 2, NULL);
    return set_member(L, a, "stop", 2);
  }
  n = luaL_len(L, 2);
  luaL_argcheck(L, n > 0, 2, "the list is empty");
  for (lua_Integer i = 1; i <= n; i++) {
    luaL_argcheck(L, lua_geti(L, 2, i) == LUA_TSTRING, 2,
                  "must be a string or a list of strings");
    lua_pop(L, 1);
  }
  return set_member(L, a, "stop", 2);
}

/* The name of a member at the top but one. */
static const char *check_member(lua_State *L, int arg) {
  const char *name;
  size_t len;
  luaL_argcheck(L, lua_type(L, -2) == LUA_TSTRING, arg,
                "its keys must be strings");
  name = lua_tolstring(L, -2, &len);
  luaL_argcheck(L, strlen(name) == len, arg, "a key of it has a NUL byte");
  luaL_argcheck(L, da_utf8_check(name, len) == len, arg,
                "a key of it is not valid UTF-8");
  return name;
}

/* extra{name = value, ...}: further members of the request body. All are
** looked at before the first is set. */
static int l_with_extra(lua_State *L) {
  l_agent *a = l_agent_check(L);
  da_buf *json;
  da_err err;
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  json = l_buf_push(L, DA_MESSAGE_MAX);
  for (int set = 0; set < 2; set++) {
    lua_pushnil(L);
    while (lua_next(L, 2)) {
      const char *name = check_member(L, 2);
      int code;
      da_buf_reset(json);
      l_json_put(L, -1, json, name, 2);
      code = set ? da_agent_set_extra(a->agent, name, json->data, &err)
                 : da_member_check(name, &err);
      if (code)
        return l_setter_done(L, code, &err, 2);
      lua_pop(L, 1);
    }
  }
  return l_setter_done(L, DA_OK, NULL, 2);
}

static int l_with_system(lua_State *L) {
  l_agent *a = l_agent_check(L);
  size_t len;
  const char *text = check_string(L, 2, &len);
  da_err err;
  return l_setter_done(L, da_agent_set_system(a->agent, text, len, &err), &err,
                       2);
}

static int l_with_header(lua_State *L) {
  l_agent *a = l_agent_check(L);
  const char *name = check_plain(L, 2), *value = check_plain(L, 3);
  da_err err;
  return l_setter_done(L, da_agent_add_header(a->agent, name, value, &err),
                       &err, 2);
}

static double *timeout_field(da_timeouts *t, const char *name) {
  if (name && strcmp(name, "connect") == 0)
    return &t->connect;
  if (name && strcmp(name, "idle") == 0)
    return &t->idle;
  return name && strcmp(name, "total") == 0 ? &t->total : NULL;
}

/* A number: of seconds in total; or {connect=, idle=, total=}. */
static int l_with_timeout(lua_State *L) {
  l_agent *a = l_agent_check(L);
  da_timeouts t = a->agent->settings.timeouts;
  if (lua_type(L, 2) != LUA_TTABLE) {
    t.total = check_seconds(L, 2);
  } else {
    lua_pushnil(L);
    while (lua_next(L, 2)) {
      int is_name = lua_type(L, -2) == LUA_TSTRING;
      double *field = timeout_field(&t, is_name ? lua_tostring(L, -2) : NULL);
      luaL_argcheck(L,
                    field && lua_type(L, -1) == LUA_TNUMBER &&
                        lua_tonumber(L, -1) > 0,
                    2, "must have positive seconds for connect, idle, total");
      *field = lua_tonumber(L, -1);
      lua_pop(L, 1);
    }
  }
  da_agent_set_timeouts(a->agent, &t);
  return l_setter_done(L, DA_OK, NULL, 2);
}

/* ---- the conversation ---- */

static int l_with_memory(lua_State *L) {
  l_agent *a = l_agent_check(L);
  da_agent_set_memory(a->agent, check_boolean(L, 2, 1));
  return l_setter_done(L, DA_OK, NULL, 2);
}

static int l_with_max_history(lua_State *L) {
  l_agent *a = l_agent_check(L);
  da_agent_set_max_history(a->agent, (size_t)check_count(L, 2));
  return l_setter_done(L, DA_OK, NULL, 2);
}

static int l_with_messages(lua_State *L) {
  l_agent *a = l_agent_check(L);
  da_history *h;
  da_err err;
  luaL_checktype(L, 2, LUA_TTABLE);
  h = l_history_take(L, 2, 2);
  return l_setter_done(L, da_agent_set_start(a->agent, h, &err), &err, 2);
}

/* ---- the session ---- */

static int l_with_session_id(lua_State *L) {
  l_agent *a = l_agent_check(L);
  size_t len;
  const char *id = check_string(L, 2, &len);
  da_err err;
  if (strlen(id) != len) {
    da_fail(&err, DA_EID, "a session id must not have a control character");
    return l_setter_done(L, DA_EID, &err, 2);
  }
  return l_setter_done(L, da_agent_set_session_id(a->agent, id, &err), &err,
                       2);
}

static int l_with_memory_backend(lua_State *L) {
  l_agent *a = l_agent_check(L);
  da_backend *b;
  da_err err;
  int code;
  b = l_backend_arg(L, 2);
  code = da_agent_set_backend(a->agent, b, &err);
  if (code)
    return l_setter_done(L, code, &err, 2);
  lua_setiuservalue(L, 1, L_BACKEND);
  return l_setter_done(L, DA_OK, NULL, 2);
}

static int l_with_auto_save(lua_State *L) {
  l_agent *a = l_agent_check(L);
  da_agent_set_auto_save(a->agent, check_boolean(L, 2, -1));
  return l_setter_done(L, DA_OK, NULL, 2);
}

static int l_with_save_timeout(lua_State *L) {
  l_agent *a = l_agent_check(L);
  da_agent_set_save_timeout(a->agent, check_seconds(L, 2));
  return l_setter_done(L, DA_OK, NULL, 2);
}

static int l_with_on_conflict(lua_State *L) {
  static const char *const names[] = {"merge", "error", "overwrite", NULL};
  static const da_conflict policies[] = {DA_CONFLICT_MERGE, DA_CONFLICT_ERROR,
                                         DA_CONFLICT_OVERWRITE};
  l_agent *a = l_agent_check(L);
  int i = luaL_checkoption(L, 2, NULL, names);
  da_agent_set_on_conflict(a->agent, policies[i]);
  return l_setter_done(L, DA_OK, NULL, 2);
}

/* ---- telling ---- */

int l_set_function(lua_State *L, int value) {
  if (!lua_isnil(L, 2) && !luaL_getmetafield(L, 2, "__call"))
    luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_settop(L, 2);
  lua_setiuservalue(L, 1, value);
  return 1;
}

static int l_with_logger(lua_State *L) {
  l_agent *a = l_agent_check(L);
  luaL_checkany(L, 2);
  da_agent_set_logger(a->agent, lua_isnil(L, 2) ? NULL : l_agent_log, a);
  return l_set_function(L, L_LOGGER);
}

static int l_with_on_stream(lua_State *L) {
  l_agent_check(L);
  luaL_checkany(L, 2);
  return l_set_function(L, L_ON_STREAM);
}

/* ---- how the service is reached: options of the constructors ---- */

static int l_set_base_url(lua_State *L) {
  l_agent *a = l_agent_check(L);
  da_err err;
  return l_setter_done(
      L, da_agent_set_base_url(a->agent, check_plain(L, 2), &err), &err, 2);
}

static int l_set_allow_http(lua_State *L) {
  l_agent *a = l_agent_check(L);
  da_err err;
  return l_setter_done(
      L, da_agent_set_allow_http(a->agent, check_boolean(L, 2, -1), &err),
      &err, 2);
}

static int l_set_insecure(lua_State *L) {
  l_agent *a = l_agent_check(L);
  da_err err;
  return l_setter_done(
      L, da_agent_set_insecure(a->agent, check_boolean(L, 2, -1), &err), &err,
      2);
}

static int l_set_ca_file(lua_State *L) {
  l_agent *a = l_agent_check(L);
  da_err err;
  return l_setter_done(
      L, da_agent_set_ca_file(a->agent, check_plain(L, 2), &err), &err, 2);
}

static int l_set_proxy(lua_State *L) {
  l_agent *a = l_agent_check(L);
  da_err err;
  return l_setter_done(
      L, da_agent_set_proxy(a->agent, check_plain(L, 2), &err), &err, 2);
}

void l_settings_open(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"with_system", l_with_system},
      {"with_memory", l_with_memory},
      {"with_max_history", l_with_max_history},
      {"with_temperature", l_with_temperature},
      {"with_top_p", l_with_top_p},
      {"with_max_tokens", l_with_max_tokens},
      {"with_stop", l_with_stop},
      {"with_seed", l_with_seed},
      {"with_presence_penalty", l_with_presence_penalty},
      {"with_frequency_penalty", l_with_frequency_penalty},
      {"with_timeout", l_with_timeout},
      {"with_limits", l_with_limits},
      {"with_json_schema", l_with_json_schema},
      {"with_json_mode", l_with_json_mode},
      {"with_header", l_with_header},
      {"with_extra", l_with_extra},
      {"with_messages", l_with_messages},
      {"with_session_id", l_with_session_id},
      {"with_memory_backend", l_with_memory_backend},
      {"with_auto_save", l_with_auto_save},
      {"with_save_timeout", l_with_save_timeout},
      {"with_on_conflict", l_with_on_conflict},
      {"with_logger", l_with_logger},
      {"with_on_stream", l_with_on_stream},
      {"on_stream", l_with_on_stream}, /* the peer's name for it */
      {"_base_url", l_set_base_url},
      {"_allow_http", l_set_allow_http},
      {"_insecure", l_set_insecure},
      {"_ca_file", l_set_ca_file},
      {"_proxy", l_set_proxy},
      {NULL, NULL}};
  luaL_setfuncs(L, methods, 0);
  l_tool_open(L);
}
