/* lua_json.c - JSON text as Lua values (floor 7). The other way round:
** lua_json_put.c. */
#include "lua_json.h"

#include <math.h>
#include <string.h>

#include "da_utf8.h"

/* Short strings come again and again: keys, roles, types. Lua's strings of the
** last ones are kept on the stack, from index `known` on. */
enum { KNOWN = 16, SHORT = 12 };

typedef struct reader {
  lua_State *L;
  da_json j;
  int known;
  da_text seen[KNOWN]; /* their raw text */
} reader;

/* A buffer of 1 KiB: not for the frame of a function that calls itself. */
__attribute__((noinline)) static void push_decoded(lua_State *L, da_text s) {
  luaL_Buffer b;
  char *to = luaL_buffinitsize(L, &b, s.len);
  luaL_pushresultsize(&b, da_json_decode(to, s));
}

static void push_fresh(lua_State *L, da_text s, int escapes) {
  if (escapes)
    push_decoded(L, s);
  else
    lua_pushlstring(L, s.data, s.len);
}

/* A string without its quotes. */
static void push_string(reader *r, da_text s, int escapes) {
  unsigned at = ((unsigned)s.len * 7 + (unsigned char)*s.data) % KNOWN;
  da_text *seen = &r->seen[at];
  if (s.len > SHORT) {
    push_fresh(r->L, s, escapes);
  } else if (seen->data && seen->len == s.len &&
             memcmp(seen->data, s.data, s.len) == 0) {
    lua_pushvalue(r->L, r->known + (int)at);
  } else {
    push_fresh(r->L, s, escapes);
    lua_copy(r->L, -1, r->known + (int)at);
    *seen = s;
  }
}

static void push_key(reader *r, da_text key) {
  push_string(r, key, memchr(key.data, '\\', key.len) != NULL);
}

static void push_number(lua_State *L, da_text raw) {
  int64_t whole;
  if (!memchr(raw.data, '.', raw.len) && da_json_int64(raw, &whole) &&
      !(whole == 0 && raw.data[0] == '-'))
    lua_pushinteger(L, whole);
  else
    lua_pushnumber(L, da_json_double(raw));
}

static void push_next(reader *r);

static void push_object(reader *r) {
  da_text key;
  lua_createtable(r->L, 0, 4);
  da_json_object(&r->j);
  while (da_json_member(&r->j, &key) == 1) {
    push_key(r, key);
    push_next(r);
    lua_rawset(r->L, -3);
  }
}

static void push_array(reader *r) {
  lua_Integer n = 0;
  lua_newtable(r->L);
  luaL_setmetatable(r->L, L_ARRAY_TYPE);
  da_json_array(&r->j);
  while (da_json_item(&r->j) == 1) {
    push_next(r);
    lua_rawseti(r->L, -2, ++n);
  }
}

static void push_scalar(reader *r) {
  da_text raw;
  switch (da_json_value(&r->j, &raw)) {
  case DA_JSON_NUMBER:
    push_number(r->L, raw);
    break;
  case DA_JSON_TRUE:
    lua_pushboolean(r->L, 1);
    break;
  case DA_JSON_FALSE:
    lua_pushboolean(r->L, 0);
    break;
  default:
    lua_pushlightuserdata(r->L, NULL);
  }
}

static void push_next(reader *r) {
  da_json_type type = da_json_peek(&r->j);
  if (type == DA_JSON_STRING) {
    int escapes;
    da_text raw = da_json_string(&r->j, &escapes);
    push_string(r, raw, escapes);
    return;
  }
  if (type < DA_JSON_ARRAY) {
    push_scalar(r);
    return;
  }
  l_check_stack(r->L, 8);
  if (type == DA_JSON_OBJECT)
    push_object(r);
  else
    push_array(r);
}

/* Pushes the slots of what is known. */
static void open_reader(reader *r, lua_State *L) {
  l_check_stack(L, KNOWN + 8);
  memset(r, 0, sizeof *r);
  r->L = L;
  r->known = lua_gettop(L) + 1;
  lua_settop(L, r->known + KNOWN - 1);
}

/* Removes them from under the value on top. */
static void close_reader(reader *r) {
  lua_replace(r->L, r->known);
  lua_settop(r->L, r->known);
}

void l_json_push(lua_State *L, da_text text) {
  reader r;
  open_reader(&r, L);
  da_json_init(&r.j, text);
  push_next(&r);
  close_reader(&r);
}

/* ---- messages ---- */

static int is_ours(da_text key) {
  return da_json_equals(key, "id") || da_json_equals(key, "created_at");
}

/* Our id and time are in front, and behind them the tokens, if they are there;
** the service's own, which may come later, must not take their place. */
static void push_message(reader *r, da_text json) {
  da_text key;
  int n = 0, usage = 0;
  lua_createtable(r->L, 0, 4);
  da_json_init(&r->j, json);
  da_json_object(&r->j);
  while (da_json_member(&r->j, &key) == 1) {
    int is_usage = da_json_equals(key, "usage");
    if ((n >= 2 && is_ours(key)) || (usage && is_usage)) {
      da_json_value(&r->j, NULL);
      continue;
    }
    usage |= n == 2 && is_usage;
    n++;
    push_key(r, key);
    push_next(r);
    lua_rawset(r->L, -3);
  }
}

void l_message_push(lua_State *L, da_text json) {
  reader r;
  open_reader(&r, L);
  push_message(&r, json);
  close_reader(&r);
}

void l_history_push(lua_State *L, const da_history *h) {
  reader r;
  open_reader(&r, L);
  lua_createtable(L, (int)h->len, 0);
  for (size_t i = 0; i < h->len; i++) {
    push_message(&r, da_message_json(da_history_at(h, i)));
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  close_reader(&r);
}

/* ---- the module's part ---- */

int l_json_array(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  luaL_setmetatable(L, L_ARRAY_TYPE);
  return 1;
}

void l_json_open(lua_State *L) {
  luaL_newmetatable(L, L_ARRAY_TYPE);
  lua_pop(L, 1);
}
