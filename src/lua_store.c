/* lua_store.c - a Lua table as a store (floor 7). Everything that can raise
** happens inside one protected call for each of the four functions. */
#include "lua_store.h"

#include <stdlib.h>
#include <string.h>

#include "lua_json.h"

typedef struct l_store {
  da_store base;
  l_runtime *runtime;
  const void *table; /* its address, by which it is found */
} l_store;

/* One call of one of the table's functions. */
typedef struct job {
  l_store *store;
  const char *function;
  const char *id;
  const da_store_session *session; /* of save */
  da_store_sink *sink;             /* of load */
  da_store_ids *ids;               /* of list */
  int code;
  da_err *err;
} job;

/* ---- what the functions give back ---- */

static int wrong(job *j, const char *why) {
  j->code =
      da_fail(j->err, DA_EBACKEND, "the backend's %s %s", j->function, why);
  return j->code;
}

/* `nil, why` or `false, why`: 1, with the error taken. */
static int refused(lua_State *L, job *j) {
  if (lua_toboolean(L, -2) || lua_isnil(L, -1))
    return 0;
  j->code = l_error_take(L, -1, DA_EBACKEND, j->err);
  return 1;
}

static void push_info(lua_State *L, const da_store_session *s) {
  l_json_push(L, s->meta);
  lua_pushinteger(L, (lua_Integer)s->count);
  lua_setfield(L, -2, "count");
  lua_pushinteger(L, (lua_Integer)s->stored);
  lua_setfield(L, -2, "stored");
}

static void finish_save(lua_State *L, job *j) {
  if (refused(L, j))
    return;
  if (lua_isboolean(L, -2) && !lua_toboolean(L, -2))
    wrong(j, "returned false");
}

static int load_meta(lua_State *L, job *j, int index) {
  da_buf *b;
  if (lua_isnoneornil(L, index))
    return DA_OK;
  if (lua_type(L, index) != LUA_TTABLE)
    return wrong(j, "returned an info that is no table");
  b = l_buf_push(L, DA_MESSAGE_MAX);
  l_json_put(L, index, b, "the backend's info", 0);
  return j->sink->meta(j->sink, da_buf_text(b));
}

static void finish_load(lua_State *L, job *j) {
  int messages = lua_gettop(L) - 1, info = messages + 1;
  lua_Integer n;
  if (!lua_toboolean(L, messages) && refused(L, j))
    return;
  if (lua_isnil(L, messages)) {
    j->code = DA_ENOTFOUND;
    return;
  }
  if (lua_type(L, messages) != LUA_TTABLE) {
    wrong(j, "returned no list of messages");
    return;
  }
  n = l_list_length(L, messages);
  if (n < 0) {
    wrong(j, "returned a table that is no list of messages");
    return;
  }
  for (lua_Integer i = 1; i <= n && !j->code; i++) {
    da_message *m;
    lua_geti(L, messages, i);
    m = l_message_take(L, -1, j->err);
    lua_pop(L, 1);
    if (!m) {
      j->code =
          j->err->code == DA_ENOMEM
              ? DA_ENOMEM
              : da_fail(j->err, DA_ECORRUPT, "the backend's message %d: %s",
                        (int)i, j->err->message);
      return;
    }
    j->code = j->sink->message(j->sink, da_message_json(m));
    da_message_unref(m);
  }
  if (!j->code)
    j->code = load_meta(L, j, info);
}

static void finish_delete(lua_State *L, job *j) {
  if (refused(L, j))
    return;
  if (lua_isboolean(L, -2) && !lua_toboolean(L, -2))
    j->code = DA_ENOTFOUND;
}

static void finish_list(lua_State *L, job *j) {
  int list = lua_gettop(L) - 1;
  lua_Integer n;
  if (refused(L, j))
    return;
  if (lua_type(L, list) != LUA_TTABLE) {
    wrong(j, "returned no list of ids");
    return;
  }
  n = l_list_length(L, list);
  if (n < 0) {
    wrong(j, "returned a table that is no list of ids");
    return;
  }
  for (lua_Integer i = 1; i <= n && !j->code; i++) {
    da_text id;
    lua_geti(L, list, i);
    if (lua_type(L, -1) != LUA_TSTRING) {
      wrong(j, "returned an id that is no string");
      return;
    }
    id.data = lua_tolstring(L, -1, &id.len);
    j->code = j->ids->id(j->ids, id);
    lua_pop(L, 1);
  }
}

/* ---- the call ---- */

void l_messages_push(lua_State *L, const da_text *messages, size_t count) {
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    l_message_push(L, messages[i]);
    lua_pushlstring(L, messages[i].data, messages[i].len);
    lua_setfield(L, -2, "json");
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}

static int l_run(lua_State *L) {
  job *j = lua_touserdata(L, 1);
  int arguments = 1;
  if (l_owner_get(L, j->store->table) != LUA_TTABLE) {
    j->code = da_fail(j->err, DA_ECLOSED, "the backend is gone");
    return 0;
  }
  lua_getfield(L, -1, j->function);
  lua_insert(L, -2); /* function, self */
  if (j->id) {
    lua_pushstring(L, j->id);
    arguments++;
  }
  if (j->session) {
    l_messages_push(L, j->session->messages, j->session->count);
    push_info(L, j->session);
    arguments += 2;
  }
  lua_call(L, arguments, 2);
  if (j->session)
    finish_save(L, j);
  else if (j->sink)
    finish_load(L, j);
  else if (j->ids)
    finish_list(L, j);
  else
    finish_delete(L, j);
  return 0;
}

/* An error of the function itself, at the top of the stack. */
static int raised(lua_State *L, int status, job *j) {
  if (l_timed_out(L))
    return da_fail(j->err, DA_ETIMEOUT,
                   "the backend's %s took too long and was stopped",
                   j->function);
  if (l_error_caught(L, status, DA_EBACKEND, j->err) == DA_ENOMEM)
    return DA_ENOMEM;
  char why[sizeof j->err->message];
  memcpy(why, j->err->message, sizeof why);
  return da_fail(j->err, DA_EBACKEND, "the backend's %s failed: %.400s",
                 j->function, why);
}

static int call(job *j) {
  l_runtime *r = j->store->runtime;
  lua_State *L = r->L;
  int status, top;
  if (L && !lua_checkstack(L, 20))
    return da_nomem(j->err);
  if (!L)
    return da_fail(j->err, DA_ECLOSED, "the backend cannot be called now");
  top = lua_gettop(L);
  lua_pushcfunction(L, l_run);
  lua_pushlightuserdata(L, j);
  status = l_timed_call(r, L, 1, r->timeout);
  if (status != LUA_OK)
    j->code = raised(L, status, j);
  lua_settop(L, top);
  return j->code;
}

/* ---- the store ---- */

static int store_load(da_store *s, const char *id, da_store_sink *sink,
                      da_revision *now, da_err *err) {
  job j = {(l_store *)s, "load", id, NULL, sink, NULL, DA_OK, err};
  int code = call(&j);
  memcpy(now->text, "lua", 4); /* such a store does not tell revisions */
  return code;
}

static int store_save(da_store *s, const char *id,
                      const da_store_session *session, da_revision *now,
                      da_err *err) {
  job j = {(l_store *)s, "save", id, session, NULL, NULL, DA_OK, err};
  int code = call(&j);
  if (!code)
    memcpy(now->text, "lua", 4);
  return code;
}

static int store_remove(da_store *s, const char *id, da_err *err) {
  job j = {(l_store *)s, "delete", id, NULL, NULL, NULL, DA_OK, err};
  return call(&j);
}

static int store_list(da_store *s, da_store_ids *ids, da_err *err) {
  job j = {(l_store *)s, "list", NULL, NULL, NULL, ids, DA_OK, err};
  return call(&j);
}

static void store_close(da_store *s) {
  free(s);
}

static const da_store_ops ops = {
    .version = DA_STORE_VERSION,
    .flags = DA_STORE_OWNER_THREAD,
    .name = "lua",
    .load = store_load,
    .save = store_save,
    .remove = store_remove,
    .list = store_list,
    .close = store_close,
};

da_store *l_store_new(lua_State *L, l_runtime *r, int index) {
  l_store *s;
  l_owner_set(L, lua_topointer(L, index), index); /* may raise */
  s = malloc(sizeof *s);
  if (!s)
    return NULL;
  s->base.ops = &ops;
  s->runtime = r;
  s->table = lua_topointer(L, index);
  return &s->base;
}

const char *l_store_lacks(lua_State *L, int index) {
  static const char *const names[] = {"save", "load", "delete", "list"};
  luaL_Buffer b;
  int missing = 0;
  index = lua_absindex(L, index);
  luaL_buffinit(L, &b);
  for (int i = 0; i < 4; i++) {
    int type = lua_getfield(L, index, names[i]);
    lua_pop(L, 1);
    if (type == LUA_TFUNCTION)
      continue;
    luaL_addstring(&b, missing++ ? ", " : "the backend lacks ");
    luaL_addstring(&b, names[i]);
  }
  luaL_pushresult(&b);
  if (missing)
    return lua_tostring(L, -1);
  lua_pop(L, 1);
  return NULL;
}
