/* lua_json_put.c - Lua values as JSON text (floor 7). */
#include "lua_json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "da_utf8.h"

enum { MOST_LEVELS = 200 };

typedef struct writer {
  lua_State *L;
  da_buf *out;
  const char *what;
  int arg;
  int depth;
} writer;

static int refuse(const writer *w, const char *why) {
  lua_pushfstring(w->L, "%s cannot be JSON: %s", w->what, why);
  return w->arg ? luaL_argerror(w->L, w->arg, lua_tostring(w->L, -1))
                : lua_error(w->L);
}

static void put(writer *w, int index);

static void put_string(writer *w, int index) {
  size_t len;
  const char *s = lua_tolstring(w->L, index, &len);
  if (da_utf8_check(s, len) != len)
    refuse(w, "a string is not valid UTF-8");
  da_json_put_string(w->out, s, len);
}

static void put_number(writer *w, int index) {
  if (lua_isinteger(w->L, index)) {
    da_buf_printf(w->out, "%lld", (long long)lua_tointeger(w->L, index));
    return;
  }
  lua_Number n = lua_tonumber(w->L, index);
  if (!isfinite(n))
    refuse(w, "a number is not finite");
  da_json_put_double(w->out, n);
}

static int is_marked(lua_State *L, int index) {
  int marked = 0;
  if (lua_getmetatable(L, index)) {
    luaL_getmetatable(L, L_ARRAY_TYPE);
    marked = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
  }
  return marked;
}

/* The length if all keys are 1..n and n > 0, or -1. */
static lua_Integer array_length(lua_State *L, int index) {
  lua_Integer n = (lua_Integer)lua_rawlen(L, index), count = 0;
  if (n == 0)
    return -1;
  lua_pushnil(L);
  while (lua_next(L, index)) {
    lua_pop(L, 1);
    if (!lua_isinteger(L, -1) || lua_tointeger(L, -1) < 1 ||
        lua_tointeger(L, -1) > n) {
      lua_pop(L, 1);
      return -1;
    }
    count++;
  }
  return count == n ? n : -1;
}

static void put_array(writer *w, int index, lua_Integer n) {
  da_buf_puts(w->out, "[");
  for (lua_Integer i = 1; i <= n; i++) {
    if (i > 1)
      da_buf_puts(w->out, ",");
    if (lua_rawgeti(w->L, index, i) == LUA_TNIL)
      refuse(w, "an array has a hole");
    put(w, lua_gettop(w->L));
    lua_pop(w->L, 1);
  }
  da_buf_puts(w->out, "]");
}

/* Members are sorted, so that the same value is the same text each time:
** services find by its text what they have seen before. What a message or a
** part of it is comes first, as where we write it ourselves. */
typedef struct member {
  const char *name; /* the table's own string */
  size_t len;
} member;

static int rank(const member *m) {
  static const char *const first[] = {"role", "content", "type"};
  int i = 0;
  while (i < 3 && (strlen(first[i]) != m->len ||
                   memcmp(first[i], m->name, m->len) != 0))
    i++;
  return i;
}

static int compare(const void *a, const void *b) {
  const member *x = a, *y = b;
  int order = rank(x) - rank(y);
  if (!order)
    order = memcmp(x->name, y->name, x->len < y->len ? x->len : y->len);
  if (order)
    return order;
  return x->len < y->len ? -1 : x->len > y->len;
}

static size_t count_members(const writer *w, int index) {
  size_t n = 0;
  lua_pushnil(w->L);
  while (lua_next(w->L, index)) {
    lua_pop(w->L, 1);
    if (lua_type(w->L, -1) != LUA_TSTRING)
      refuse(w, "a table has both kinds of keys, or holes");
    n++;
  }
  return n;
}

static void put_object(writer *w, int index) {
  lua_State *L = w->L;
  size_t n = count_members(w, index), i = 0;
  member *members = lua_newuserdatauv(L, n * sizeof *members + 1, 0);
  lua_pushnil(L);
  while (lua_next(L, index)) {
    lua_pop(L, 1);
    members[i].name = lua_tolstring(L, -1, &members[i].len);
    i++;
  }
  qsort(members, n, sizeof *members, compare);
  da_buf_puts(w->out, "{");
  for (i = 0; i < n; i++) {
    lua_pushlstring(L, members[i].name, members[i].len);
    da_buf_puts(w->out, i ? "," : "");
    put_string(w, lua_gettop(L));
    da_buf_puts(w->out, ":");
    lua_rawget(L, index);
    put(w, lua_gettop(L));
    lua_pop(L, 1);
  }
  da_buf_puts(w->out, "}");
  lua_pop(L, 1);
}

static void put_table(writer *w, int index) {
  lua_Integer n;
  if (++w->depth > MOST_LEVELS)
    refuse(w, "it is nested too deep (or in a circle)");
  l_check_stack(w->L, 8);
  n = is_marked(w->L, index) ? (lua_Integer)lua_rawlen(w->L, index)
                             : array_length(w->L, index);
  if (n >= 0)
    put_array(w, index, n);
  else
    put_object(w, index);
  w->depth--;
}

static void put(writer *w, int index) {
  switch (lua_type(w->L, index)) {
  case LUA_TSTRING:
    put_string(w, index);
    break;
  case LUA_TNUMBER:
    put_number(w, index);
    break;
  case LUA_TBOOLEAN:
    da_buf_puts(w->out, lua_toboolean(w->L, index) ? "true" : "false");
    break;
  case LUA_TTABLE:
    put_table(w, index);
    break;
  case LUA_TLIGHTUSERDATA:
    if (!lua_touserdata(w->L, index)) {
      da_buf_puts(w->out, "null");
      break;
    } /* fall through */
  default:
    refuse(w, luaL_typename(w->L, index));
  }
}

static void check_written(const writer *w) {
  if (w->out->failed == DA_ENOMEM)
    l_raise_nomem(w->L);
  if (w->out->failed)
    refuse(w, "too large");
}

void l_json_write(lua_State *L, int index, da_buf *out, const char *what,
                  int arg) {
  writer w = {L, out, what, arg, 0};
  put(&w, lua_absindex(L, index));
}

void l_json_put(lua_State *L, int index, da_buf *out, const char *what,
                int arg) {
  const writer w = {L, out, what, arg, 0};
  l_json_write(L, index, out, what, arg);
  check_written(&w);
}

/* ---- messages ---- */

static da_message *parse(da_text text, da_err *err) {
  da_message *m;
  return da_message_parse(&m, text, err) ? NULL : m;
}

static void put_message(lua_State *L, int index, da_buf *out) {
  writer w = {L, out, "it", 0, 0};
  put_object(&w, index);
  check_written(&w);
}

/* (table, buffer) */
static int l_put_message(lua_State *L) {
  put_message(L, 1, lua_touserdata(L, 2));
  return 0;
}

/* Our own members may be missing, but not be something else. */
static int check_ours(lua_State *L, int index, da_err *err) {
  int id = lua_getfield(L, index, "id");
  int created = lua_getfield(L, index, "created_at");
  lua_pop(L, 2);
  if (id != LUA_TNIL && id != LUA_TSTRING)
    return da_fail(err, DA_EINVAL, "a message's id must be a string");
  if (created != LUA_TNIL && created != LUA_TNUMBER)
    return da_fail(err, DA_EINVAL, "a message's created_at must be a number");
  return DA_OK;
}

da_message *l_message_take(lua_State *L, int index, da_err *err) {
  da_text text;
  da_buf *b;
  da_message *m;
  int status;
  index = lua_absindex(L, index);
  if (lua_type(L, index) == LUA_TSTRING) {
    text.data = lua_tolstring(L, index, &text.len);
    return parse(text, err);
  }
  if (lua_type(L, index) != LUA_TTABLE) {
    da_fail(err, DA_EINVAL, "a message must be a table, not a %s",
            luaL_typename(L, index));
    return NULL;
  }
  lua_pushliteral(L, "json");
  if (lua_rawget(L, index) == LUA_TSTRING) {
    text.data = lua_tolstring(L, -1, &text.len);
    m = parse(text, err);
    lua_pop(L, 1);
    return m;
  }
  lua_pop(L, 1);
  if (check_ours(L, index, err))
    return NULL;
  b = l_buf_push(L, DA_MESSAGE_MAX);
  lua_pushcfunction(L, l_put_message);
  lua_pushvalue(L, index);
  lua_pushlightuserdata(L, b);
  status = lua_pcall(L, 2, 0, 0);
  if (status == LUA_OK) {
    m = parse(da_buf_text(b), err);
  } else {
    l_error_caught(L, status, DA_EINVAL, err);
    lua_pop(L, 1);
    m = NULL;
  }
  da_buf_dispose(b); /* now: the collector does not see how large it is */
  lua_pop(L, 1);
  return m;
}

lua_Integer l_list_length(lua_State *L, int index) {
  lua_Integer n = luaL_len(L, index);
  if (n > 0)
    return n;
  index = lua_absindex(L, index);
  lua_pushnil(L);
  if (!lua_next(L, index))
    return 0;
  lua_pop(L, 2);
  return -1;
}

int l_json_encode(lua_State *L) {
  da_buf *b;
  luaL_checkany(L, 1);
  lua_settop(L, 1);
  b = l_buf_push(L, DA_MESSAGE_MAX);
  l_json_put(L, 1, b, "the value", 1);
  lua_pushlstring(L, b->data, b->len);
  da_buf_dispose(b); /* now: a state that closes collects no more */
  return 1;
}
