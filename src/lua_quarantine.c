/* lua_quarantine.c - see lua_quarantine.h. */
#include "lua_quarantine.h"

#include <string.h>

#include "lua_backend.h"
#include "lua_history.h"
#include "lua_json.h"

#define RECOVERED_TYPE "deepagent.recovered"

static int l_recovered_gc(lua_State *L) {
  da_recovered_dispose(luaL_checkudata(L, 1, RECOVERED_TYPE));
  return 0;
}

/* A userdata that owns what was recovered, whatever is raised. */
static da_recovered *push_recovered(lua_State *L) {
  da_recovered *r = lua_newuserdatauv(L, sizeof *r, 0);
  da_recovered_init(r);
  luaL_setmetatable(L, RECOVERED_TYPE);
  return r;
}

static void set_integer(lua_State *L, const char *field, size_t n) {
  lua_pushinteger(L, (lua_Integer)n);
  lua_setfield(L, -2, field);
}

static void push_report(lua_State *L, const da_recovered *r) {
  const da_salvage *s = &r->salvage;
  lua_createtable(L, 0, 5);
  lua_pushboolean(L, r->why.code == DA_OK);
  lua_setfield(L, -2, "intact");
  set_integer(L, "bytes", r->bytes);
  set_integer(L, "doubles", s->doubles);
  if (r->why.code) {
    l_error_push(L, &r->why);
    lua_setfield(L, -2, "why");
  }
  l_json_push(L, s->meta.len ? da_buf_text(&s->meta) : (da_text){"{}", 2});
  lua_setfield(L, -2, "info");
  lua_createtable(L, (int)s->dropped_count, 0);
  for (size_t i = 0; i < s->dropped_count; i++) {
    lua_createtable(L, 0, 2);
    set_integer(L, "offset", s->dropped[i].offset);
    set_integer(L, "bytes", s->dropped[i].bytes);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_setfield(L, -2, "dropped");
}

/* What was put aside under the name at `arg`. There is nothing under "", and
** so it stands for every name that is no text of C. */
static const char *aside_name(lua_State *L, int arg) {
  size_t len;
  const char *name = luaL_checklstring(L, arg, &len);
  return strlen(name) == len ? name : "";
}

/* recover(id [, name]) -> messages, report | nil: nothing is there */
static int l_backend_recover(lua_State *L) {
  l_backend *b = l_backend_check(L);
  da_err err;
  const char *id = l_backend_id(L, &err);
  const char *name = lua_isnoneornil(L, 3) ? NULL : aside_name(L, 3);
  da_recovered *r;
  l_frame before;
  int code;
  if (!id)
    return l_fail(L, &err);
  r = push_recovered(L);
  before = l_enter(b->runtime, L, L_DEFAULT_TIMEOUT);
  code = da_store_recover(b->backend, id, name, r, &err);
  l_leave(b->runtime, before);
  if (code == DA_ENOTFOUND)
    lua_pushnil(L);
  if (code)
    return code == DA_ENOTFOUND ? 1 : l_fail(L, &err);
  l_history_push(L, &r->salvage.history);
  push_report(L, r);
  return 2;
}

/* ---- what was put aside ---- */

/* Gathers them in a buffer, as nothing may raise in the middle of a store's
** list. */
typedef struct list {
  da_quarantine_list base;
  da_buf *items;
} list;

typedef struct item {
  size_t name, id; /* lengths of the texts that follow it */
  double time;
  uint64_t bytes;
} item;

static int take_item(da_quarantine_list *base, const da_quarantined *q) {
  da_buf *b = ((list *)base)->items;
  item it = {q->name.len, q->id.len, q->time, q->bytes};
  da_buf_put(b, &it, sizeof it);
  da_buf_put(b, q->name.data, q->name.len);
  return da_buf_put(b, q->id.data, q->id.len);
}

static void push_items(lua_State *L, const da_buf *items) {
  const char *p = items->data, *end = p ? p + items->len : p;
  lua_Integer n = 0;
  lua_newtable(L);
  while (p < end) {
    item it;
    memcpy(&it, p, sizeof it);
    p += sizeof it;
    lua_createtable(L, 0, 4);
    lua_pushlstring(L, p, it.name);
    lua_setfield(L, -2, "name");
    lua_pushlstring(L, p + it.name, it.id);
    lua_setfield(L, -2, "id");
    lua_pushnumber(L, it.time);
    lua_setfield(L, -2, "time");
    set_integer(L, "bytes", (size_t)it.bytes);
    lua_rawseti(L, -2, ++n);
    p += it.name + it.id;
  }
}

/* quarantined([id]) -> list of { name=, id=, time=, bytes= } */
static int l_backend_quarantined(lua_State *L) {
  l_backend *b = l_backend_check(L);
  da_err err;
  list l = {{take_item}, NULL};
  const char *id = NULL;
  l_frame before;
  int code;
  if (!lua_isnoneornil(L, 2) && !(id = l_backend_id(L, &err)))
    return l_fail(L, &err);
  l.items = l_buf_push(L, (size_t)1 << 30);
  before = l_enter(b->runtime, L, L_DEFAULT_TIMEOUT);
  code = da_store_quarantined(b->backend, id, &l.base, &err);
  l_leave(b->runtime, before);
  if (code)
    return l_fail(L, &err);
  push_items(L, l.items);
  return 1;
}

/* restore(name) -> true */
static int l_backend_restore(lua_State *L) {
  l_backend *b = l_backend_check(L);
  const char *name = aside_name(L, 2);
  da_err err;
  l_frame before = l_enter(b->runtime, L, L_DEFAULT_TIMEOUT);
  int code = da_store_restore(b->backend, name, &err);
  l_leave(b->runtime, before);
  if (code)
    return l_fail(L, &err);
  lua_pushboolean(L, 1);
  return 1;
}

void l_quarantine_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"recover", l_backend_recover},
                                     {"quarantined", l_backend_quarantined},
                                     {"restore", l_backend_restore},
                                     {NULL, NULL}};
  luaL_setfuncs(L, methods, 0);
  luaL_newmetatable(L, RECOVERED_TYPE);
  lua_pushcfunction(L, l_recovered_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}
