/* lua_talk.c - ask and stream (floor 7). */
#include "da_clock.h"
#include "da_turn.h"
#include "lua_agent.h"
#include "lua_content.h"
#include "lua_json.h"

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
  int status, code = DA_OK;
  if (!l->turn)
    return DA_OK;
  if (!lua_checkstack(L, 8))
    return da_nomem(err);
  lua_pushcfunction(L, l_hear);
  lua_pushlightuserdata(L, (void *)l->turn);
  lua_pushlightuserdata(L, &delta);
  status = lua_pcall(L, 2, 1, 0);
  if (status != LUA_OK) {
    code = l_error_caught(L, status, DA_ECALLBACK, err);
    if (code != DA_ENOMEM)
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

/* What is at index 3 must be nil or can be called. */
static void check_listener(lua_State *L) {
  lua_settop(L, 3);
  if (lua_isnil(L, 3) || lua_isfunction(L, 3))
    return;
  luaL_argcheck(L, luaL_getmetafield(L, 3, "__call"), 3, "function expected");
  lua_settop(L, 3);
}

/* The listener, or else the agent's own, or nil, at index 3. */
static void find_listener(lua_State *L, int streaming) {
  lua_settop(L, streaming ? 3 : 2);
  if (streaming && lua_isnil(L, 3))
    lua_settop(L, 2);
  if (lua_gettop(L) == 2 && streaming)
    lua_getiuservalue(L, 1, L_ON_STREAM);
  check_listener(L);
}

static int l_text(lua_State *L) {
  const da_text *text = lua_touserdata(L, 1);
  lua_pushlstring(L, text->data, text->len);
  return 1;
}

/* What was checked to be JSON. */
static int l_value(lua_State *L) {
  const da_text *text = lua_touserdata(L, 1);
  l_json_push(L, *text);
  return 1;
}

#define RAISED 2 /* no code: what a hook has raised is on the stack */

/* Pushes the answer, and only then the conversation gets it: without memory
** for the string nothing has been said. */
static int take_answer(lua_State *L, const l_agent *a, da_turn *t,
                       da_err *err) {
  da_text text = da_turn_text(t);
  int status;
  lua_pushcfunction(L, a->agent->settings.output.format ? l_value : l_text);
  lua_pushlightuserdata(L, &text);
  status = lua_pcall(L, 1, 1, 0);
  if (status != LUA_OK)
    return status == LUA_ERRMEM ? da_nomem(err) : RAISED;
  return da_turn_keep(t, err);
}

/* nil and the error, which has what there was of an answer, and of a turn with
** tools, if this one was `begun`. */
static int fail_turn(lua_State *L, l_agent *a, int begun, const da_err *err) {
  da_text partial = da_agent_partial(a->agent);
  l_fail(L, err);
  if (begun && partial.len) {
    lua_pushlstring(L, partial.data, partial.len);
    lua_setfield(L, -2, "text");
  }
  if (begun && a->agent->fragments.len) {
    l_history_push(L, &a->agent->fragments);
    lua_setfield(L, -2, "messages");
  }
  return 2;
}

static int l_nothing(lua_State *L) {
  (void)L;
  return 0;
}

/* Whoever interrupts a Lua program, as lua5.4 does at Ctrl-C, sets a hook that
** raises at the next call: that call is here. 1: it raised, and what is at
** the top of the stack. */
static int interrupted(lua_State *L) {
  if (!(lua_gethookmask(L) & (LUA_MASKCALL | LUA_MASKRET)))
    return 0;
  lua_pushcfunction(L, l_nothing);
  return lua_pcall(L, 0, 0, 0) != LUA_OK;
}

#define PATIENCE 0.2 /* seconds between two looks whether one wants to */

/* Steps until it is over, or the tool is that asks this agent. */
static int drive(lua_State *L, const l_runtime *r, da_turn *t, da_err *err) {
  int code;
  do {
    double left = r->deadline > 0 ? da_left(r->deadline) : DA_NEVER;
    if (left <= 0)
      return da_fail(err, DA_ETIMEOUT, "the time of the tool that asks is up");
    code = da_turn_step(t, left < PATIENCE ? left : PATIENCE, err);
    if (interrupted(L))
      return RAISED;
  } while (code == 0);
  return code;
}

/* Drives the turn that was begun, with `code`, to its end. */
static int finish(lua_State *L, l_agent *a, da_turn **t, l_frame before,
                  int code, da_err *err) {
  const int begun = code == DA_OK;
  if (begun)
    code = drive(L, a->runtime, *t, err);
  else
    *t = NULL;
  if (code == 1)
    code = take_answer(L, a, *t, err);
  l_leave(a->runtime, before);
  da_turn_free(*t);
  *t = NULL;
  if (code == RAISED)
    return lua_error(L);
  return code ? fail_turn(L, a, begun, err) : 1;
}

/* What is asked: a text, or the wire text of a message in a buffer. */
typedef struct question {
  da_text text;
  da_buf *message;
  int code;
  da_err err;
} question;

/* The string or list at index 2. Pushes a value. */
static void take_question(lua_State *L, l_agent *a, question *q) {
  q->message = NULL;
  q->code = DA_OK;
  if (lua_type(L, 2) == LUA_TSTRING) {
    q->text.data = lua_tolstring(L, 2, &q->text.len);
    lua_pushnil(L);
    return;
  }
  q->message = l_buf_push(L, a->agent->settings.limits.message);
  q->code = l_content_put(L, 2, q->message, &q->err);
}

static int start(da_turn **t, da_agent *a, question *q, da_delta_fn delta,
                 void *ctx, da_err *err) {
  da_message *user;
  int code = q->code;
  if (!q->message)
    return da_turn_start(t, a, q->text, delta, ctx, err);
  if (code)
    *err = q->err;
  else
    code = da_message_new(&user, da_buf_text(q->message), NULL, -1, err);
  da_buf_dispose(q->message); /* now: it may be large */
  if (!code)
    return da_turn_start_message(t, a, user, delta, ctx, err);
  da_agent_log(a, DA_WARN, err, "the turn failed: %s", err->message);
  return code;
}

static int talk(lua_State *L, int streaming) {
  l_agent *a = l_agent_check(L);
  listener l = {a, NULL};
  question q;
  da_turn **t;
  l_frame before;
  da_err err;
  int code;
  if (lua_type(L, 2) != LUA_TSTRING && !lua_istable(L, 2))
    luaL_typeerror(L, 2, "string or table");
  find_listener(L, streaming);
  t = push_turn(L, &l);
  take_question(L, a, &q);
  before = l_agent_enter(L, a);
  code = start(t, a->agent, &q, streaming ? hear : NULL, &l, &err);
  return finish(L, a, t, before, code, &err);
}

int l_agent_ask(lua_State *L) {
  return talk(L, 0);
}

int l_agent_stream(lua_State *L) {
  return talk(L, 1);
}

/* cancel() -> the agent */
int l_agent_cancel(lua_State *L) {
  da_agent_cancel(l_agent_check(L)->agent);
  lua_settop(L, 1);
  return 1;
}

/* resume([on_delta]) -> text */
int l_agent_resume(lua_State *L) {
  l_agent *a = l_agent_check(L);
  listener l = {a, NULL};
  da_turn **t;
  l_frame before;
  da_err err;
  int code;
  lua_settop(L, 2);
  lua_pushnil(L);
  lua_insert(L, 2); /* the listener is at 3 */
  check_listener(L);
  t = push_turn(L, &l);
  before = l_agent_enter(L, a);
  code = da_turn_resume(t, a->agent, l.turn ? hear : NULL, &l, &err);
  return finish(L, a, t, before, code, &err);
}

void l_talk_open(lua_State *L) {
  luaL_newmetatable(L, TURN_TYPE);
  lua_pushcfunction(L, l_turn_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}
