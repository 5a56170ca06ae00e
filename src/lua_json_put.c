/* lua_json_put.c - Lua values as JSON text (floor 7). */
#include "lua_json.h"

#include <math.h>
#include <string.h>

#include "da_utf8.h"

enum { MOST_LEVELS = 200 };

typedef struct writer {
  lua_State *L;
  da_buf *out;
  const char *what;
  int arg;
  int depth;
  int sorted; /* the keys of objects */
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

/* The members of content parts that come before others, in this order, so
** that the same part is the same text each time: services find by its text
** what they have seen before. */
static const char *const early[] = {"type", "url", "data", "filename"};
enum { EARLY = sizeof early / sizeof *early };

static int is_early(const char *key) {
  for (int i = 0; i < EARLY; i++)
    if (strcmp(key, early[i]) == 0)
      return 1;
  return 0;
}

/* Those that are there: how many. */
static int put_early(writer *w, int index) {
  int n = 0;
  for (int i = 0; i < EARLY; i++) {
    lua_pushstring(w->L, early[i]);
    if (lua_rawget(w->L, index) != LUA_TNIL) {
      da_buf_printf(w->out, "%s\"%s\":", n++ ? "," : "", early[i]);
      put(w, lua_gettop(w->L));
    }
    lua_pop(w->L, 1);
  }
  return n;
}

static void put_object(writer *w, int index) {
  int n;
  da_buf_puts(w->out, "{");
  n = put_early(w, index);
  lua_pushnil(w->L);
  while (lua_next(w->L, index)) {
    int value = lua_gettop(w->L);
    if (lua_type(w->L, value - 1) != LUA_TSTRING)
      refuse(w, "a table has both kinds of keys, or holes");
    if (!is_early(lua_tostring(w->L, value - 1))) {
      if (n++)
        da_buf_puts(w->out, ",");
      put_string(w, value - 1);
      da_buf_puts(w->out, ":");
      put(w, value);
    }
    lua_pop(w->L, 1);
  }
  da_buf_puts(w->out, "}");
}

/* Byte by byte: what lua_compare says depends on the locale. */
static int is_less(lua_State *L, int a, int b) {
  size_t m, n;
  const char *s = lua_tolstring(L, a, &m), *t = lua_tolstring(L, b, &n);
  int order = memcmp(s, t, m < n ? m : n);
  return order ? order < 0 : m < n;
}

/* Puts the next key after the one at the top, which is nil at first, in its
** place: 0 and nothing if there is none. Quadratic, but for what people write
** by hand, and without memory. */
static int next_key(writer *w, int index) {
  lua_State *L = w->L;
  int last = lua_gettop(L), best = last + 1;
  lua_pushnil(L);
  lua_pushnil(L);
  while (lua_next(L, index)) {
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TSTRING)
      refuse(w, "a table has both kinds of keys, or holes");
    if ((lua_isnil(L, last) || is_less(L, last, -1)) &&
        (lua_isnil(L, best) || is_less(L, -1, best)))
      lua_copy(L, -1, best);
  }
  lua_remove(L, last);
  if (!lua_isnil(L, -1))
    return 1;
  lua_pop(L, 1);
  return 0;
}

static void put_sorted(writer *w, int index) {
  int n = 0;
  da_buf_puts(w->out, "{");
  lua_pushnil(w->L);
  while (next_key(w, index)) {
    lua_pushvalue(w->L, -1);
    lua_rawget(w->L, index);
    if (n++)
      da_buf_puts(w->out, ",");
    put_string(w, lua_gettop(w->L) - 1);
    da_buf_puts(w->out, ":");
    put(w, lua_gettop(w->L));
    lua_pop(w->L, 1);
  }
  da_buf_puts(w->out, "}");
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
  else if (w->sorted)
    put_sorted(w, index);
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
  writer w = {L, out, what, arg, 0, 0};
  put(&w, lua_absindex(L, index));
}

void l_json_put(lua_State *L, int index, da_buf *out, const char *what,
                int arg) {
  const writer w = {L, out, what, arg, 0, 0};
  l_json_write(L, index, out, what, arg);
  check_written(&w);
}

void l_json_put_sorted(lua_State *L, int index, da_buf *out, const char *what,
                       int arg) {
  writer w = {L, out, what, arg, 0, 1};
  put(&w, lua_absindex(L, index));
  check_written(&w);
}

/* ---- messages ---- */

static da_message *parse(da_text text, da_err *err) {
  da_message *m;
  return da_message_parse(&m, text, err) ? NULL : m;
}

/* Members in no order of ours would make the same message another text each
** time: role and content come first. */
static void put_message(lua_State *L, int index, da_buf *out) {
  static const char *const first[] = {"role", "content"};
  writer w = {L, out, "it", 0, 0, 0};
  int n = 0;
  da_buf_puts(out, "{");
  for (size_t i = 0; i < 2; i++) {
    if (lua_getfield(L, index, first[i]) != LUA_TNIL) {
      da_buf_printf(out, "%s\"%s\":", n++ ? "," : "", first[i]);
      put(&w, lua_gettop(L));
    }
    lua_pop(L, 1);
  }
  lua_pushnil(L);
  while (lua_next(L, index)) {
    int value = lua_gettop(L);
    if (lua_type(L, value - 1) != LUA_TSTRING)
      refuse(&w, "its keys must be strings");
    const char *key = lua_tostring(L, value - 1);
    if (strcmp(key, first[0]) != 0 && strcmp(key, first[1]) != 0) {
      if (n++)
        da_buf_puts(out, ",");
      put_string(&w, value - 1);
      da_buf_puts(out, ":");
      put(&w, value);
    }
    lua_pop(L, 1);
  }
  da_buf_puts(out, "}");
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
  return 1;
}
