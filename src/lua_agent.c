/* lua_agent.c - the agent object: its life and its verbs (floor 7). */
#include "lua_agent.h"

#include <string.h>

#include "da_turn.h"
#include "lua_backend.h"
#include "lua_json.h"
#include "lua_provider.h"

#define HISTORY_TYPE "deepagent.history"

/* ---- life ---- */

l_agent *l_agent_check(lua_State *L) {
  l_agent *a = luaL_checkudata(L, 1, AGENT_TYPE);
  luaL_argcheck(L, a->agent, 1, "the agent was not made");
  return a;
}

lua_State *l_agent_enter(lua_State *L, l_agent *a) {
  a->runtime->timeout = a->agent->settings.save_timeout;
  return l_enter(a->runtime, L);
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

static int raise(lua_State *L, const da_err *err) {
  l_error_push(L, err);
  return lua_error(L);
}

/* agent(service, model, api_key or nil, provider or nil) */
int l_agent_new(lua_State *L) {
  const char *service = luaL_checkstring(L, 1);
  const char *model = luaL_checkstring(L, 2);
  const char *key = luaL_optstring(L, 3, NULL);
  da_provider *p;
  l_agent *a;
  da_runtime *rt;
  da_err err;
  int code;
  lua_settop(L, 4);
  a = push_agent(L);
  rt = a->runtime->runtime;
  if (strcmp(service, "openai") == 0)
    code = da_openai(&a->agent, rt, model, key, &err);
  else if (strcmp(service, "ollama") == 0)
    code = da_ollama(&a->agent, rt, model, &err);
  else
    code = da_agent_new(&a->agent, rt, model, NULL, key, &err);
  if (code) {
    a->agent = NULL;
    return raise(L, &err);
  }
  if (lua_isnil(L, 4))
    return 1;
  p = l_provider_new(L, a->runtime, 4);
  if (!p || da_agent_set_provider(a->agent, p, &err))
    return luaL_error(L, "out of memory");
  lua_pushvalue(L, 4);
  lua_setiuservalue(L, -2, L_PROVIDER);
  return 1;
}

static int l_agent_clone(lua_State *L) {
  l_agent *from = l_agent_check(L), *to = push_agent(L);
  da_err err;
  if (da_agent_clone(&to->agent, from->agent, &err)) {
    to->agent = NULL;
    return raise(L, &err);
  }
  if (to->agent->settings.log)
    da_agent_set_logger(to->agent, l_agent_log, to);
  for (int i = 1; i <= L_VALUES; i++) {
    lua_getiuservalue(L, 1, i);
    lua_setiuservalue(L, 2, i);
  }
  return 1;
}

/* check() -> true, or raises what the settings do not allow */
static int l_agent_settings_check(lua_State *L) {
  l_agent *a = l_agent_check(L);
  da_err err;
  if (da_agent_check(a->agent, &err))
    return raise(L, &err);
  lua_settop(L, 1);
  return 1;
}

/* DA_OK as true, else nil, err. */
static int answer(lua_State *L, int code, const da_err *err) {
  if (code)
    return l_fail(L, err);
  lua_pushboolean(L, 1);
  return 1;
}

static int l_agent_close(lua_State *L) {
  l_agent *a = l_agent_check(L);
  da_err err;
  lua_State *before = l_agent_enter(L, a);
  int code = da_agent_close(a->agent, &err);
  l_leave(a->runtime, before);
  return answer(L, code, &err);
}

/* The last chance of a store in Lua. The collector has taken us and perhaps
** the store's table out of the owners' map: they are put back. It also lets
** no hook run on L, and a function that does not end must be stopped: so
** this runs on a thread of its own. */
static void flush_last(lua_State *L, l_agent *a, da_agent *agent) {
  lua_State *own = lua_newthread(L), *before;
  da_err err;
  l_owner_set(L, a, 1);
  if (lua_getiuservalue(L, 1, L_BACKEND) == LUA_TUSERDATA &&
      lua_getiuservalue(L, -1, 1) == LUA_TTABLE)
    l_owner_set(L, lua_topointer(L, -1), -1);
  a->runtime->timeout = agent->settings.save_timeout;
  before = l_enter(a->runtime, own);
  da_agent_flush(agent, -1, &err);
  l_leave(a->runtime, before);
}

/* Also after a failed construction, and twice. What is pending is saved in
** the background, but by a store in Lua now. */
static int l_agent_gc(lua_State *L) {
  l_agent *a = luaL_checkudata(L, 1, AGENT_TYPE);
  da_agent *agent = a->agent;
  if (!agent)
    return 0;
  a->agent = NULL;
  if (agent->session && agent->settings.backend &&
      (da_backend_flags(agent->settings.backend) & DA_STORE_OWNER_THREAD))
    flush_last(L, a, agent);
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
  if (!L || !lua_checkstack(L, 4))
    return;
  lua_pushcfunction(L, l_log);
  lua_pushlightuserdata(L, &r);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
    /* A logger that fails must not fail the turn that it tells about. Lua's
    ** own channel for such things is silent unless the host turns it on. */
    lua_warning(L, "deepagent: an error in the logger", 0);
    lua_pop(L, 1);
  }
}

/* ---- talking ---- */

#define TURN_TYPE "deepagent.turn"

/* Owns the turn while Lua code may raise. */
static int l_turn_gc(lua_State *L) {
  da_turn **t = luaL_checkudata(L, 1, TURN_TYPE);
  da_turn *turn = *t;
  *t = NULL;
  da_turn_free(turn);
  return 0;
}

/* Where the deltas go: the function that is the turn's user value. It is
** found by the turn's address, for a provider in Lua gives its deltas from
** a stack frame of its own. */
typedef struct listener {
  l_agent *agent;
  const void *turn; /* NULL: nobody listens */
} listener;

/* (turn's address, delta) -> what the function returns; protected, so that
** even the lack of memory for the string is carried out, not thrown through
** the core. */
static int l_hear(lua_State *L) {
  const da_text *delta = lua_touserdata(L, 2);
  l_owner_get(L, lua_touserdata(L, 1));
  lua_getiuservalue(L, -1, 1);
  lua_pushlstring(L, delta->data, delta->len);
  lua_call(L, 1, 1);
  return 1;
}

static int hear(void *ctx, da_text delta, da_err *err) {
  listener *l = ctx;
  lua_State *L = l->agent->runtime->L;
  int code = DA_OK;
  if (!l->turn)
    return DA_OK;
  if (!lua_checkstack(L, 4))
    return da_nomem(err);
  lua_pushcfunction(L, l_hear);
  lua_pushlightuserdata(L, (void *)l->turn);
  lua_pushlightuserdata(L, &delta);
  if (lua_pcall(L, 2, 1, 0) != LUA_OK) {
    l_error_take(L, -1, DA_ECALLBACK, err);
    err->code = code = DA_ECALLBACK;
  } else if (lua_isboolean(L, -1) && !lua_toboolean(L, -1)) {
    code = da_fail(err, DA_ECANCELLED, "on_delta returned false");
  }
  lua_pop(L, 1);
  return code;
}

/* Pushes the turn's box, whose user value is the function at index 3. */
static da_turn **push_turn(lua_State *L, listener *l) {
  da_turn **t = lua_newuserdatauv(L, sizeof *t, 1);
  *t = NULL;
  luaL_setmetatable(L, TURN_TYPE);
  if (lua_isnil(L, 3))
    return t;
  lua_pushvalue(L, 3);
  lua_setiuservalue(L, -2, 1);
  l_owner_set(L, t, -1);
  l->turn = t;
  return t;
}

/* The listener, or else the agent's own, or nil, at index 3. */
static void find_listener(lua_State *L, int streaming) {
  lua_settop(L, streaming ? 3 : 2);
  if (streaming && lua_isnil(L, 3))
    lua_settop(L, 2);
  if (lua_gettop(L) == 2 && streaming)
    lua_getiuservalue(L, 1, L_ON_STREAM);
  lua_settop(L, 3);
  if (lua_isnil(L, 3) || lua_isfunction(L, 3))
    return;
  luaL_argcheck(L, luaL_getmetafield(L, 3, "__call"), 3, "function expected");
  lua_settop(L, 3);
}

static int talk(lua_State *L, int streaming) {
  l_agent *a = l_agent_check(L);
  listener l = {a, NULL};
  da_text text;
  da_turn **t;
  lua_State *before;
  da_err err;
  int code;
  luaL_checktype(L, 2, LUA_TSTRING);
  text.data = lua_tolstring(L, 2, &text.len);
  find_listener(L, streaming);
  t = push_turn(L, &l);
  before = l_agent_enter(L, a);
  code = da_turn_start(t, a->agent, text, streaming ? hear : NULL, &l, &err);
  if (code)
    *t = NULL;
  while (code == 0)
    code = da_turn_step(*t, 3600, &err);
  l_leave(a->runtime, before);
  if (code == 1) {
    text = da_turn_text(*t);
    lua_pushlstring(L, text.data, text.len);
  }
  da_turn_free(*t);
  *t = NULL;
  return code == 1 ? 1 : l_fail(L, &err);
}

static int l_agent_ask(lua_State *L) {
  return talk(L, 0);
}

static int l_agent_stream(lua_State *L) {
  return talk(L, 1);
}

/* ---- history ---- */

static int l_history_gc(lua_State *L) {
  da_history_dispose(lua_touserdata(L, 1));
  return 0;
}

static da_history *push_history(lua_State *L) {
  da_history *h = lua_newuserdatauv(L, sizeof *h, 0);
  memset(h, 0, sizeof *h);
  luaL_setmetatable(L, HISTORY_TYPE);
  return h;
}

da_history *l_history_take(lua_State *L, int index, int arg) {
  da_history *h = push_history(L);
  da_err err;
  for (lua_Integer i = 1, n = luaL_len(L, index); i <= n; i++) {
    da_message *m;
    lua_geti(L, index, i);
    m = l_message_take(L, -1, &err);
    if (m && da_history_append(h, m))
      luaL_error(L, "out of memory");
    if (!m) {
      lua_pushfstring(L, "message %d: %s", (int)i, err.message);
      luaL_argerror(L, arg, lua_tostring(L, -1));
    }
    lua_pop(L, 1);
  }
  return h;
}

/* Loads the session first if that has not been done; 0, or nil and err on
** the stack. */
static int resolve(lua_State *L, l_agent *a) {
  da_err err;
  lua_State *before = l_agent_enter(L, a);
  int code = da_agent_resolve(a->agent, &err);
  l_leave(a->runtime, before);
  return code ? l_fail(L, &err) : 0;
}

static int l_agent_get_history(lua_State *L) {
  l_agent *a = l_agent_check(L);
  int failed = resolve(L, a);
  da_history *h;
  if (failed)
    return failed;
  h = push_history(L); /* a snapshot: finalizers may talk meanwhile */
  da_history_copy(h, &a->agent->history);
  l_history_push(L, h);
  da_history_dispose(h); /* now: the collector does not see how large it is */
  return 1;
}

static int l_agent_set_history(lua_State *L) {
  l_agent *a = l_agent_check(L);
  lua_State *before;
  da_history *h;
  da_err err;
  int code;
  luaL_checktype(L, 2, LUA_TTABLE);
  h = l_history_take(L, 2, 2);
  before = l_agent_enter(L, a);
  code = da_agent_set_history(a->agent, h, &err);
  l_leave(a->runtime, before);
  return answer(L, code, &err);
}

static int l_agent_clear(lua_State *L) {
  l_agent *a = l_agent_check(L);
  da_err err;
  lua_State *before = l_agent_enter(L, a);
  int code = da_agent_clear(a->agent, &err);
  l_leave(a->runtime, before);
  return answer(L, code, &err);
}

static void push_usage(lua_State *L, const da_usage *u) {
  lua_createtable(L, 0, 3);
  lua_pushinteger(L, u->prompt);
  lua_setfield(L, -2, "prompt_tokens");
  lua_pushinteger(L, u->completion);
  lua_setfield(L, -2, "completion_tokens");
  lua_pushinteger(L, u->total);
  lua_setfield(L, -2, "total_tokens");
}

static int l_agent_usage(lua_State *L) {
  l_agent *a = l_agent_check(L);
  int failed = resolve(L, a);
  if (failed)
    return failed;
  lua_createtable(L, 0, 2);
  push_usage(L, &a->agent->last);
  lua_setfield(L, -2, "last");
  push_usage(L, &a->agent->total);
  lua_setfield(L, -2, "total");
  return 1;
}

/* last() -> what is known of the last answer, or nil */
static int l_agent_last(lua_State *L) {
  l_agent *a = l_agent_check(L);
  if (!a->agent->has_last) {
    lua_pushnil(L);
    return 1;
  }
  lua_createtable(L, 0, 4);
  lua_pushstring(L, a->agent->finish_reason);
  lua_setfield(L, -2, "finish_reason");
  lua_pushstring(L, a->agent->model);
  lua_setfield(L, -2, "model");
  lua_pushstring(L, a->agent->request_id);
  lua_setfield(L, -2, "request_id");
  push_usage(L, &a->agent->last);
  lua_setfield(L, -2, "usage");
  return 1;
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
  lua_State *before = l_agent_enter(L, a);
  int code = da_agent_save(a->agent, &err);
  l_leave(a->runtime, before);
  return answer(L, code, &err);
}

/* load_session() -> true, or false if nothing is stored */
static int l_agent_load_session(lua_State *L) {
  l_agent *a = l_agent_check(L);
  da_err err;
  lua_State *before = l_agent_enter(L, a);
  int code = da_agent_load(a->agent, &err);
  l_leave(a->runtime, before);
  if (code && code != DA_ENOTFOUND)
    return l_fail(L, &err);
  lua_pushboolean(L, code == DA_OK);
  return 1;
}

/* delete_session([id]) -> whether there was one */
static int l_agent_delete_session(lua_State *L) {
  l_agent *a = l_agent_check(L);
  size_t len = 0;
  const char *id = NULL;
  lua_State *before;
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
  if (code && code != DA_ENOTFOUND)
    return l_fail(L, &err);
  lua_pushboolean(L, code == DA_OK);
  return 1;
}

static int l_agent_list_sessions(lua_State *L) {
  l_agent *a = l_agent_check(L);
  lua_State *before;
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
  lua_State *before;
  da_err err;
  int code;
  luaL_argcheck(L, lua_isnoneornil(L, 2) || seconds >= 0, 2,
                "must be a number of seconds");
  before = l_agent_enter(L, a);
  code = da_agent_flush(a->agent, seconds, &err);
  l_leave(a->runtime, before);
  return answer(L, code, &err);
}

/* save_status() -> "none" | "saved" | "pending" | "failed", err */
static int l_agent_save_status(lua_State *L) {
  static const char *const states[] = {"none", "saved", "pending", "failed"};
  l_agent *a = l_agent_check(L);
  da_err err;
  lua_State *before = l_agent_enter(L, a);
  da_save_state state = da_agent_save_state(a->agent, &err);
  l_leave(a->runtime, before);
  lua_pushstring(L, states[state]);
  if (state != DA_SAVE_FAILED)
    return 1;
  l_error_push(L, &err);
  return 2;
}

/* ---- the type ---- */

static void set_gc(lua_State *L, const char *type, lua_CFunction gc) {
  luaL_newmetatable(L, type);
  lua_pushcfunction(L, gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}

void l_agent_open(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"ask", l_agent_ask},
      {"stream", l_agent_stream},
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
  set_gc(L, TURN_TYPE, l_turn_gc);
  set_gc(L, HISTORY_TYPE, l_history_gc);
  luaL_newmetatable(L, AGENT_TYPE);
  luaL_setfuncs(L, meta, 0);
  luaL_newlib(L, methods);
  l_settings_open(L);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}
