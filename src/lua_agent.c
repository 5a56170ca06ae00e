/* lua_agent.c - the agent object: its life and its verbs (floor 7). */
#include "lua_agent.h"

#include <string.h>

#include "da_turn.h"
#include "lua_backend.h"
#include "lua_history.h"
#include "lua_json.h"
#include "lua_provider.h"

/* ---- life ---- */

l_agent *l_agent_check(lua_State *L) {
  l_agent *a = luaL_checkudata(L, 1, AGENT_TYPE);
  luaL_argcheck(L, a->agent, 1, "the agent was not made");
  return a;
}

l_frame l_agent_enter(lua_State *L, l_agent *a) {
  return l_enter(a->runtime, L, a->agent->settings.save_timeout);
}

/* Closed first: what raises later finds nothing to free. */
static l_agent *push_agent(lua_State *L) {
  l_runtime *r = l_runtime_get(L);
  l_agent *a = lua_newuserdatauv(L, sizeof *a, L_VALUES);
  a->agent = NULL;
  a->runtime = r;
  luaL_setmetatable(L, AGENT_TYPE);
  l_owner_set(L, a, -1);
  return a;
}

/* DA_OK if the string at `arg`, if any, is one that C may have. */
static int check_plain(lua_State *L, int arg, const char *what, da_err *err) {
  size_t len = 0;
  const char *s = luaL_optlstring(L, arg, "", &len);
  if (strlen(s) == len)
    return DA_OK;
  return da_fail(err, DA_EINVAL, "%s has a control character", what);
}

int l_agent_new(lua_State *L) {
  const char *service = luaL_optstring(L, 1, NULL);
  const char *model = luaL_checkstring(L, 2);
  const char *key = luaL_optstring(L, 3, NULL);
  da_provider *p;
  l_agent *a;
  da_runtime *rt;
  da_err err;
  int code;
  lua_settop(L, 4);
  if (check_plain(L, 2, "the model's name", &err) ||
      check_plain(L, 3, "the API key", &err))
    return l_raise(L, &err);
  a = push_agent(L);
  rt = a->runtime->runtime;
  if (service)
    code = da_agent_of(&a->agent, rt, service, model, key, &err);
  else
    code = da_agent_new(&a->agent, rt, model, NULL, key, &err);
  if (code) {
    a->agent = NULL;
    return l_raise(L, &err);
  }
  if (lua_isnil(L, 4))
    return 1;
  p = l_provider_new(L, a->runtime, 4);
  if (!p || da_agent_set_provider(a->agent, p, &err))
    return l_raise_nomem(L);
  lua_pushvalue(L, 4);
  lua_setiuservalue(L, -2, L_PROVIDER);
  return 1;
}

/* azure(deployment, endpoint, api_version, api_key, token): all but the first
** may be nil */
int l_agent_azure(lua_State *L) {
  static const char *const what[] = {"the deployment's name", "the endpoint",
                                     "the API's version", "the API key",
                                     "the token"};
  da_azure_options o;
  l_agent *a;
  da_err err;
  lua_settop(L, 5);
  for (int i = 1; i <= 5; i++)
    if (check_plain(L, i, what[i - 1], &err))
      return l_raise(L, &err);
  o.endpoint = luaL_optstring(L, 2, NULL);
  o.api_version = luaL_optstring(L, 3, NULL);
  o.api_key = luaL_optstring(L, 4, NULL);
  o.token = luaL_optstring(L, 5, NULL);
  a = push_agent(L);
  if (da_azure(&a->agent, a->runtime->runtime, luaL_checkstring(L, 1), &o,
               &err)) {
    a->agent = NULL;
    return l_raise(L, &err);
  }
  return 1;
}

static int l_agent_clone(lua_State *L) {
  l_agent *from = l_agent_check(L), *to;
  da_err err;
  lua_settop(L, 1);
  to = push_agent(L);
  if (da_agent_clone(&to->agent, from->agent, &err)) {
    to->agent = NULL;
    return l_raise(L, &err);
  }
  if (to->agent->settings.log)
    da_agent_set_logger(to->agent, l_agent_log, to);
  for (int i = 1; i <= L_VALUES; i++) {
    lua_getiuservalue(L, 1, i);
    lua_setiuservalue(L, 2, i);
  }
  l_tool_clone(L, to, 2);
  return 1;
}

/* check() -> true, or raises what the settings do not allow */
static int l_agent_settings_check(lua_State *L) {
  l_agent *a = l_agent_check(L);
  da_err err;
  if (da_agent_check(a->agent, &err))
    return l_raise(L, &err);
  lua_settop(L, 1);
  return 1;
}

int l_answer(lua_State *L, int code, const da_err *err) {
  if (code)
    return l_fail(L, err);
  lua_pushboolean(L, 1);
  return 1;
}

static int l_agent_close(lua_State *L) {
  l_agent *a = l_agent_check(L);
  da_err err;
  l_frame before = l_agent_enter(L, a);
  int code = da_agent_close(a->agent, &err);
  l_leave(a->runtime, before);
  return l_answer(L, code, &err);
}

/* (agent): the last chance of a store in Lua. The collector has taken us and
** perhaps the store's table out of the owners' map: they are put back. It
** also lets no hook run on L, and a function that does not end must be
** stopped: so this runs on a thread of its own. */
static int l_flush_last(lua_State *L) {
  l_agent *a = lua_touserdata(L, 1);
  lua_State *own = lua_newthread(L);
  l_frame before;
  da_err err;
  l_owner_set(L, a, 1);
  if (lua_getiuservalue(L, 1, L_BACKEND) == LUA_TUSERDATA &&
      lua_getiuservalue(L, -1, 1) == LUA_TTABLE)
    l_owner_set(L, lua_topointer(L, -1), -1);
  before = l_agent_enter(own, a);
  da_agent_flush(a->agent, -1, &err);
  l_leave(a->runtime, before);
  return 0;
}

/* Also after a failed construction, and twice. What is pending is saved in
** the background, but by a store in Lua now. */
static int l_agent_gc(lua_State *L) {
  l_agent *a = luaL_checkudata(L, 1, AGENT_TYPE);
  da_agent *agent = a->agent;
  if (!agent)
    return 0;
  if (agent->session && agent->settings.backend &&
      (da_backend_flags(agent->settings.backend) & DA_STORE_OWNER_THREAD)) {
    lua_pushcfunction(L, l_flush_last);
    lua_pushvalue(L, 1);
    lua_pcall(L, 1, 0, 0); /* without memory there is no last chance */
  }
  a->agent = NULL;
  da_agent_free(agent);
  return 0;
}

static int l_agent_tostring(lua_State *L) {
  l_agent *a = luaL_checkudata(L, 1, AGENT_TYPE);
  const da_settings *s;
  if (!a->agent) {
    lua_pushliteral(L, "deepagent.agent (not made)");
    return 1;
  }
  s = &a->agent->settings;
  lua_pushfstring(L, "deepagent.agent (%s, %s%s, %d messages%s)", s->model,
                  s->session_id ? "session " : "no session",
                  s->session_id ? s->session_id : "",
                  (int)a->agent->history.len,
                  a->agent->closed ? ", closed" : "");
  return 1;
}

/* ---- telling ---- */

typedef struct record {
  l_agent *agent;
  da_level level;
  const char *message, *session;
  int code;
} record;

static int l_log(lua_State *L) {
  static const char *const levels[] = {"debug", "info", "warn", "error"};
  record *r = lua_touserdata(L, 1);
  if (l_owner_get(L, r->agent) != LUA_TUSERDATA ||
      lua_getiuservalue(L, -1, L_LOGGER) == LUA_TNIL)
    return 0;
  lua_pushstring(L, levels[r->level]);
  lua_pushstring(L, r->message);
  lua_createtable(L, 0, 2);
  if (r->session) {
    lua_pushstring(L, r->session);
    lua_setfield(L, -2, "session_id");
  }
  if (r->code) {
    lua_pushstring(L, da_code_name(r->code));
    lua_setfield(L, -2, "code");
  }
  lua_call(L, 3, 0);
  return 0;
}

void l_agent_log(void *ctx, da_level level, const char *message, int code,
                 const char *session) {
  l_agent *a = ctx;
  record r = {a, level, message, session, code};
  lua_State *L = a->runtime->L;
  if (!L || !lua_checkstack(L, 8))
    return;
  lua_pushcfunction(L, l_log);
  lua_pushlightuserdata(L, &r);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
    /* A logger that fails must not fail the turn that it tells about. Lua's
    ** own channel for such things is silent unless the host turns it on. */
    lua_warning(L, "deepagent: an error in the logger: ", 1);
    lua_warning(L, lua_isstring(L, -1) ? lua_tostring(L, -1) : "no string", 0);
    lua_pop(L, 1);
  }
}

/* ---- sessions ---- */

static int l_agent_get_session_id(lua_State *L) {
  l_agent *a = l_agent_check(L);
  lua_pushstring(L, a->agent->settings.session_id); /* NULL: nil */
  return 1;
}

static int l_agent_save_session(lua_State *L) {
  l_agent *a = l_agent_check(L);
  da_err err;
  l_frame before = l_agent_enter(L, a);
  int code = da_agent_save(a->agent, &err);
  l_leave(a->runtime, before);
  return l_answer(L, code, &err);
}

/* load_session() -> true, also if nothing is stored */
static int l_agent_load_session(lua_State *L) {
  l_agent *a = l_agent_check(L);
  da_err err;
  l_frame before = l_agent_enter(L, a);
  int code = da_agent_load(a->agent, &err);
  l_leave(a->runtime, before);
  return l_answer(L, code == DA_ENOTFOUND ? DA_OK : code, &err);
}

/* delete_session([id]) -> true, also if there was none */
static int l_agent_delete_session(lua_State *L) {
  l_agent *a = l_agent_check(L);
  size_t len = 0;
  const char *id = NULL;
  l_frame before;
  da_err err;
  int code;
  if (!lua_isnoneornil(L, 2)) {
    luaL_checktype(L, 2, LUA_TSTRING);
    id = lua_tolstring(L, 2, &len);
  }
  if (id && strlen(id) != len) {
    da_fail(&err, DA_EID, "a session id must not have a control character");
    return l_fail(L, &err);
  }
  before = l_agent_enter(L, a);
  code = da_agent_delete(a->agent, id, &err);
  l_leave(a->runtime, before);
  return l_answer(L, code == DA_ENOTFOUND ? DA_OK : code, &err);
}

static int l_agent_list_sessions(lua_State *L) {
  l_agent *a = l_agent_check(L);
  l_frame before;
  l_ids ids;
  da_err err;
  int code;
  l_ids_init(&ids, L);
  before = l_agent_enter(L, a);
  code = da_agent_list(a->agent, &ids.base, &err);
  l_leave(a->runtime, before);
  if (code)
    return l_fail(L, &err);
  l_ids_push(L, &ids);
  return 1;
}

static int l_agent_flush(lua_State *L) {
  l_agent *a = l_agent_check(L);
  double seconds = luaL_optnumber(L, 2, -1);
  l_frame before;
  da_err err;
  int code;
  luaL_argcheck(L, lua_isnoneornil(L, 2) || seconds >= 0, 2,
                "must be a number of seconds");
  before = l_agent_enter(L, a);
  code = da_agent_flush(a->agent, seconds, &err);
  l_leave(a->runtime, before);
  return l_answer(L, code, &err);
}

static void push_counts(lua_State *L, const da_save_counts *counts) {
  const struct {
    const char *name;
    uint64_t n;
  } fields[] = {{"saves", counts->saves},
                {"failures", counts->failures},
                {"retries", counts->retries},
                {"merges", counts->merges},
                {"quarantines", counts->quarantines}};
  lua_createtable(L, 0, 5);
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
    lua_pushinteger(L, (lua_Integer)fields[i].n);
    lua_setfield(L, -2, fields[i].name);
  }
}

/* save_status() -> "none", "saved", "pending", "unsaved" or "failed"; the
** error of "failed", else nil; counts */
static int l_agent_save_status(lua_State *L) {
  static const char *const states[] = {"none", "saved", "pending", "unsaved",
                                       "failed"};
  l_agent *a = l_agent_check(L);
  da_save_counts counts;
  da_err err;
  l_frame before = l_agent_enter(L, a);
  da_save_state state = da_agent_save_state(a->agent, &err);
  da_agent_save_counts(a->agent, &counts);
  l_leave(a->runtime, before);
  lua_pushstring(L, states[state]);
  if (state == DA_SAVE_FAILED)
    l_error_push(L, &err);
  else
    lua_pushnil(L);
  push_counts(L, &counts);
  return 3;
}

/* ---- the type ---- */

void l_agent_open(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"ask", l_agent_ask},
      {"stream", l_agent_stream},
      {"resume", l_agent_resume},
      {"cancel", l_agent_cancel},
      {"get_history", l_agent_get_history},
      {"set_history", l_agent_set_history},
      {"clear", l_agent_clear},
      {"usage", l_agent_usage},
      {"last", l_agent_last},
      {"get_session_id", l_agent_get_session_id},
      {"save_session", l_agent_save_session},
      {"load_session", l_agent_load_session},
      {"delete_session", l_agent_delete_session},
      {"list_sessions", l_agent_list_sessions},
      {"flush", l_agent_flush},
      {"save_status", l_agent_save_status},
      {"clone", l_agent_clone},
      {"close", l_agent_close},
      {"_check", l_agent_settings_check},
      {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", l_agent_gc},
                                  {"__close", l_agent_close},
                                  {"__tostring", l_agent_tostring},
                                  {NULL, NULL}};
  l_talk_open(L);
  l_history_open(L);
  luaL_newmetatable(L, AGENT_TYPE);
  luaL_setfuncs(L, meta, 0);
  luaL_newlib(L, methods);
  l_settings_open(L);
  l_upkeep_open(L);
  lua_setfield(L, -2, "__index");
  lua_pushliteral(L, AGENT_TYPE); /* __gc is not for others to call */
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}
