/* lua_last.c - what the last answer said of itself (floor 7). */
#include "lua_agent.h"
#include "lua_json.h"

#include <stdio.h>

static void set_count(lua_State *L, const char *name, int64_t n) {
  lua_pushinteger(L, n);
  lua_setfield(L, -2, name);
}

static void push_usage(lua_State *L, const da_usage *u) {
  lua_createtable(L, 0, 6);
  set_count(L, "prompt_tokens", u->prompt);
  set_count(L, "completion_tokens", u->completion);
  set_count(L, "total_tokens", u->total);
  set_count(L, "cached_tokens", u->cached);
  set_count(L, "reasoning_tokens", u->reasoning);
  set_count(L, "audio_tokens", u->audio);
}

int l_agent_usage(lua_State *L) {
  l_agent *a = l_agent_check(L);
  int failed = l_agent_resolve(L, a);
  if (failed)
    return failed;
  lua_createtable(L, 0, 2);
  push_usage(L, &a->agent->last);
  lua_setfield(L, -2, "last");
  push_usage(L, &a->agent->total);
  lua_setfield(L, -2, "total");
  return 1;
}

/* What is pushed makes garbage, and a finalizer may talk, which makes another
** answer the last one: so all of it is copied first. */
typedef struct snapshot {
  da_text message, choices, logprobs;
  da_usage usage;
  int cached;
  double first, total;
  char finish_reason[32], model[128], request_id[128];
} snapshot;

/* There is room for it: the bytes do not move. */
static da_text copy(da_buf *bytes, da_text t) {
  da_text to = {bytes->data + bytes->len, t.len};
  da_buf_put(bytes, t.data, t.len);
  return to;
}

/* 0 without memory. */
static int take(snapshot *s, da_buf *bytes, const da_last *last) {
  size_t all = last->message.len + last->choices.len + last->logprobs.len;
  if (!da_buf_room(bytes, all))
    return 0;
  s->message = copy(bytes, last->message);
  s->choices = copy(bytes, last->choices);
  s->logprobs = copy(bytes, last->logprobs);
  s->usage = last->usage;
  s->cached = last->cached;
  s->first = last->first;
  s->total = last->total;
  snprintf(s->finish_reason, sizeof s->finish_reason, "%s",
           last->finish_reason);
  snprintf(s->model, sizeof s->model, "%s", last->model);
  snprintf(s->request_id, sizeof s->request_id, "%s", last->request_id);
  return 1;
}

static void set_string(lua_State *L, const char *name, const char *s) {
  lua_pushstring(L, s);
  lua_setfield(L, -2, name);
}

/* (last, message): sets the member `name` of `last` from the message's
** `field`, if that is a text. */
static int set_text(lua_State *L, const char *name, const char *field) {
  if (lua_getfield(L, -1, field) == LUA_TSTRING && lua_rawlen(L, -1) > 0) {
    lua_setfield(L, -3, name);
    return 1;
  }
  lua_pop(L, 1);
  return 0;
}

/* (last, message): all choices, the answer's first. */
static void set_choices(lua_State *L, const snapshot *s) {
  lua_Integer n;
  l_json_push(L, s->choices);
  n = (lua_Integer)lua_rawlen(L, -1);
  lua_createtable(L, (int)n + 1, 0);
  lua_createtable(L, 0, 3);
  set_count(L, "index", 0);
  set_string(L, "finish_reason", s->finish_reason);
  lua_pushvalue(L, -4);
  lua_setfield(L, -2, "message");
  lua_rawseti(L, -2, 1);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, -2, i);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -4, "choices");
  lua_pop(L, 1);
}

static void push_last(lua_State *L, const snapshot *s) {
  lua_createtable(L, 0, 11);
  set_string(L, "finish_reason", s->finish_reason);
  set_string(L, "model", s->model);
  set_string(L, "request_id", s->request_id);
  push_usage(L, &s->usage);
  lua_setfield(L, -2, "usage");
  lua_createtable(L, 0, 2);
  lua_pushnumber(L, s->first);
  lua_setfield(L, -2, "first");
  lua_pushnumber(L, s->total);
  lua_setfield(L, -2, "total");
  lua_setfield(L, -2, "timings");
  if (s->cached) {
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "cached");
  }
  if (s->logprobs.len) {
    l_json_push(L, s->logprobs);
    lua_setfield(L, -2, "logprobs");
  }
  l_json_push(L, s->message);
  set_text(L, "refusal", "refusal");
  if (!set_text(L, "reasoning", "reasoning_content"))
    set_text(L, "reasoning", "reasoning");
  if (s->choices.len)
    set_choices(L, s);
  lua_setfield(L, -2, "message");
}

/* last() -> what is known of the last answer, or nil */
int l_agent_last(lua_State *L) {
  l_agent *a = l_agent_check(L);
  da_buf *bytes;
  snapshot s;
  da_last last;
  lua_settop(L, 1);
  bytes = l_buf_push(L, SIZE_MAX / 2);
  if (!da_agent_last(a->agent, &last)) {
    lua_pushnil(L);
    return 1;
  }
  if (!take(&s, bytes, &last))
    return l_raise_nomem(L);
  push_last(L, &s);
  da_buf_dispose(bytes); /* now: the collector does not see how large it is */
  return 1;
}
