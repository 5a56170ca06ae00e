/* lua_provider.c - a model written in Lua (floor 7). The whole call is made
** in one step, inside one protected call. */
#include "lua_provider.h"

#include <stdlib.h>
#include <string.h>

#include "chat_answer.h"
#include "lua_json.h"

typedef struct l_provider {
  da_provider base;
  l_runtime *runtime;
  const void *table; /* its address, by which it is found */
} l_provider;

struct da_call {
  da_call *outer; /* the call in whose middle this one began */
  lua_Integer serial;
  l_provider *provider;
  da_buf request; /* JSON, as the function gets it */
  da_answer *answer;
  da_delta_fn delta; /* NULL: nobody listens */
  void *ctx;
  int told; /* there was a delta */
  int code;
  da_err *err;
};

/* What on_delta raises to get out of the function: the turn is to end. */
static const char stopped = 0;

/* ---- the request ---- */

static void put_all_messages(const da_request *r, da_buf *out) {
  if (r->system.len) {
    da_buf_puts(out, "{\"role\":\"system\",\"content\":");
    da_json_put_string(out, r->system.data, r->system.len);
    da_buf_puts(out, "},");
  }
  da_request_put_messages(r, out);
  if (!out->failed)
    out->len--; /* the last comma */
}

static int provider_start(da_provider *p, da_call **out, const da_request *r,
                          da_answer *answer, da_delta_fn delta, void *ctx,
                          da_err *err) {
  da_call *c = calloc(1, sizeof *c);
  int named, code;
  if (!c)
    return da_nomem(err);
  c->provider = (l_provider *)p;
  c->answer = answer;
  c->delta = delta;
  c->ctx = ctx;
  da_buf_init(&c->request, (size_t)1 << 31);
  da_buf_puts(&c->request, "{\"model\":");
  da_json_put_string(&c->request, r->model.data, r->model.len);
  da_buf_puts(&c->request, r->stream ? ",\"stream\":true" : "");
  code = da_request_put_members(r, &c->request, "", &named, err);
  da_buf_puts(&c->request, ",\"messages\":[");
  put_all_messages(r, &c->request);
  da_buf_puts(&c->request, "]}");
  if (!code)
    code = da_buf_check(&c->request, "the request", err);
  if (code) {
    da_buf_dispose(&c->request);
    free(c);
    return code;
  }
  *out = c;
  return DA_OK;
}

/* ---- deltas ---- */

/* What is heard is part of the answer, and has its limit. It is all that there
** is of it, should no message come. */
static int hear(da_call *c, da_text delta) {
  da_buf *text = &c->answer->text;
  c->told = 1;
  if (da_buf_put(text, delta.data, delta.len))
    return da_buf_check(text, "the answer", c->err);
  return c->delta(c->ctx, delta, c->err);
}

/* on_delta(text): the function's way to give text while it goes. It may keep
** the function, but not use it after the call: so calls are looked up. */
static int l_on_delta(lua_State *L) {
  da_call *c = l_runtime_get(L)->calls;
  da_text delta;
  delta.data = luaL_checklstring(L, 1, &delta.len);
  while (c && c->serial != lua_tointeger(L, lua_upvalueindex(1)))
    c = c->outer;
  if (!c)
    return luaL_error(L, "on_delta was called after complete had returned");
  if (!c->delta || !delta.len)
    return 0;
  if (!c->code) /* else the function has caught our error, and goes on */
    c->code = hear(c, delta);
  if (c->code) {
    lua_pushlightuserdata(L, (void *)&stopped);
    return lua_error(L);
  }
  return 0;
}

/* ---- the answer ---- */

static int wrong(da_call *c, const char *why) {
  c->code = da_fail(c->err, DA_EPROVIDER, "the provider's complete %s", why);
  return c->code;
}

static void take_text(lua_State *L, int index, char *to, size_t size) {
  size_t len;
  const char *s =
      lua_type(L, index) == LUA_TSTRING ? lua_tolstring(L, index, &len) : "";
  strncpy(to, s, size - 1);
  to[size - 1] = '\0';
}

/* The second result: usage, finish_reason, model, as a service tells them. */
static void take_info(lua_State *L, int index, da_answer *a) {
  if (lua_type(L, index) != LUA_TTABLE)
    return;
  lua_getfield(L, index, "finish_reason");
  take_text(L, -1, a->finish_reason, sizeof a->finish_reason);
  lua_getfield(L, index, "model");
  take_text(L, -1, a->model, sizeof a->model);
  if (lua_getfield(L, index, "usage") == LUA_TTABLE) {
    da_buf *usage = l_buf_push(L, a->raw_usage.cap);
    l_json_put(L, -2, usage, "the usage", 0);
    chat_read_usage(a, da_buf_text(usage));
    da_buf_dispose(usage); /* now: a state that closes collects no more */
    lua_pop(L, 1);
  }
  lua_pop(L, 3);
}

/* The function's table is its own: a copy gets the role. */
static void push_with_role(lua_State *L, int index) {
  lua_newtable(L);
  lua_pushnil(L);
  while (lua_next(L, index)) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
  lua_pushliteral(L, "assistant");
  lua_setfield(L, -2, "role");
  lua_replace(L, index);
}

/* *c->err says why. */
static void no_message(da_call *c) {
  const da_err why = *c->err;
  c->code = why.code;
  if (why.code != DA_ENOMEM)
    c->code = da_fail(c->err, DA_EPROVIDER,
                      "the provider's complete returned no message: %.400s",
                      why.message);
}

/* A text, parts, or nothing beside tool calls. */
static int has_text(const da_message *m) {
  da_text value;
  da_json_type type = da_json_get(da_message_json(m), "content", &value);
  return type == DA_JSON_STRING || type == DA_JSON_ARRAY ||
         type == DA_JSON_NULL || type == DA_JSON_BAD;
}

/* Its calls of tools as a service's, which may lack an id or more. */
static int keep_message(da_call *c, const da_message *m) {
  static const da_http nothing;
  const chat_reply reply = {.http = &nothing};
  da_text tail = da_message_tail(m);
  da_buf wire;
  int code;
  da_buf_init(&wire, DA_MESSAGE_MAX);
  da_buf_puts(&wire, "{");
  da_buf_put(&wire, tail.data, tail.len);
  code = da_buf_check(&wire, "the answer", c->err);
  if (!code)
    code = chat_keep_message(&reply, da_buf_text(&wire), c->answer, c->err);
  da_buf_dispose(&wire);
  return code;
}

/* The first result: a message table, or just its text. */
static void take_message(lua_State *L, int index, da_call *c) {
  da_answer *a = c->answer;
  da_message *m;
  if (lua_type(L, index) == LUA_TSTRING) {
    lua_createtable(L, 0, 2);
    lua_pushvalue(L, index);
    lua_setfield(L, -2, "content");
    lua_replace(L, index);
  }
  if (lua_type(L, index) != LUA_TTABLE) {
    wrong(c, "returned no message table");
    return;
  }
  if (lua_getfield(L, index, "role") == LUA_TNIL)
    push_with_role(L, index);
  m = l_message_take(L, index, c->err);
  if (!m) {
    no_message(c);
    return;
  }
  da_buf_reset(&a->text); /* the deltas */
  da_message_content(m, &a->text);
  if (da_message_role(m) != DA_ROLE_ASSISTANT)
    wrong(c, "returned a message that is not the assistant's");
  else if (!has_text(m))
    wrong(c, "returned a message whose content is no text");
  if (!c->code)
    c->code = keep_message(c, m);
  da_message_unref(m);
  if (!c->code)
    c->code = da_buf_check(&a->text, "the answer", c->err);
}

static int l_run(lua_State *L) {
  da_call *c = lua_touserdata(L, 1);
  lua_settop(L, 1);
  if (l_owner_get(L, c->provider->table) != LUA_TTABLE) {
    c->code = da_fail(c->err, DA_EPROVIDER, "the provider is gone");
    return 0;
  }
  lua_getfield(L, 2, "complete");
  lua_pushvalue(L, 2);
  l_json_push(L, da_buf_text(&c->request));
  lua_pushinteger(L, c->serial);
  lua_pushcclosure(L, l_on_delta, 1);
  lua_call(L, 3, 2);
  if (c->code)
    return 0;
  if (lua_isnil(L, 3)) {
    if (lua_isnil(L, 4))
      wrong(c, "returned nothing");
    else
      c->code = l_error_take(L, 4, DA_EPROVIDER, c->err);
    return 0;
  }
  take_info(L, 4, c->answer);
  take_message(L, 3, c);
  return 0;
}

static int provider_step(da_provider *p, da_call *c, double seconds,
                         da_err *err) {
  l_runtime *r = ((l_provider *)p)->runtime;
  lua_State *L = r->L;
  int status, top;
  (void)seconds;
  if (!L)
    return da_fail(err, DA_EPROVIDER, "the provider cannot be called now");
  if (!lua_checkstack(L, 10))
    return da_nomem(err);
  c->err = err;
  top = lua_gettop(L);
  c->serial = ++r->serial;
  c->outer = r->calls;
  r->calls = c;
  lua_pushcfunction(L, l_run);
  lua_pushlightuserdata(L, c);
  status = lua_pcall(L, 1, 0, 0);
  if (status != LUA_OK && !c->code)
    c->code = l_error_caught(L, status, DA_EPROVIDER, err);
  lua_settop(L, top);
  r->calls = c->outer;
  if (c->code)
    return c->code;
  if (!c->answer->finish_reason[0])
    strcpy(c->answer->finish_reason, "stop");
  /* Who streams hears the text, whether the function streams or not. */
  if (c->delta && !c->told && c->answer->text.len)
    c->code = c->delta(c->ctx, da_buf_text(&c->answer->text), err);
  return c->code ? c->code : 1;
}

static void provider_end(da_provider *p, da_call *c) {
  (void)p;
  da_buf_dispose(&c->request);
  free(c);
}

static void provider_close(da_provider *p) {
  free(p);
}

static const da_provider_ops ops = {DA_PROVIDER_VERSION, "lua",
                                    provider_start,      provider_step,
                                    provider_end,        provider_close};

da_provider *l_provider_new(lua_State *L, l_runtime *r, int index) {
  l_provider *p;
  l_owner_set(L, lua_topointer(L, index), index); /* may raise */
  p = malloc(sizeof *p);
  if (!p)
    return NULL;
  p->base.ops = &ops;
  p->runtime = r;
  p->table = lua_topointer(L, index);
  return &p->base;
}
