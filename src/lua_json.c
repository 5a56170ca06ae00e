/* lua_json.c - Lua values and JSON text (floor 7). */
#include "lua_json.h"

#include <math.h>
#include <string.h>

#include "da_utf8.h"

#define ARRAY_TYPE "deepagent.array"
enum { MOST_LEVELS = 200 };

/* ---- writing ---- */

typedef struct writer {
  lua_State *L;
  da_buf *out;
  const char *what;
  int depth;
} writer;

static int refuse(const writer *w, const char *why) {
  return luaL_error(w->L, "%s cannot be JSON: %s", w->what, why);
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
    luaL_getmetatable(L, ARRAY_TYPE);
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

static void put_object(writer *w, int index) {
  int n = 0;
  da_buf_puts(w->out, "{");
  lua_pushnil(w->L);
  while (lua_next(w->L, index)) {
    int value = lua_gettop(w->L);
    if (lua_type(w->L, value - 1) != LUA_TSTRING)
      refuse(w, "a table has both kinds of keys, or holes");
    if (n++)
      da_buf_puts(w->out, ",");
    put_string(w, value - 1);
    da_buf_puts(w->out, ":");
    put(w, value);
    lua_pop(w->L, 1);
  }
  da_buf_puts(w->out, "}");
}

static void put_table(writer *w, int index) {
  lua_Integer n;
  if (++w->depth > MOST_LEVELS)
    refuse(w, "it is nested too deep (or in a circle)");
  luaL_checkstack(w->L, 8, "nested tables");
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

void l_json_put(lua_State *L, int index, da_buf *out, const char *what) {
  writer w = {L, out, what, 0};
  put(&w, lua_absindex(L, index));
  if (out->failed)
    refuse(&w, out->failed == DA_ENOMEM ? "out of memory" : "too large");
}

/* ---- reading ---- */

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
  luaL_setmetatable(r->L, ARRAY_TYPE);
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
  luaL_checkstack(r->L, 8, "nested JSON");
  if (type == DA_JSON_OBJECT)
    push_object(r);
  else
    push_array(r);
}

/* Pushes the slots of what is known. */
static void open_reader(reader *r, lua_State *L) {
  luaL_checkstack(L, KNOWN + 8, "JSON");
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

/* Our id and time are in front; the service's own, which may come later, must
** not take their place. */
static void push_message(reader *r, const da_message *m) {
  da_text key;
  int n = 0;
  lua_createtable(r->L, 0, 4);
  da_json_init(&r->j, da_message_json(m));
  da_json_object(&r->j);
  while (da_json_member(&r->j, &key) == 1) {
    if (n++ >= 2 &&
        (da_json_equals(key, "id") || da_json_equals(key, "created_at"))) {
      da_json_value(&r->j, NULL);
      continue;
    }
    push_key(r, key);
    push_next(r);
    lua_rawset(r->L, -3);
  }
}

void l_history_push(lua_State *L, const da_history *h) {
  reader r;
  open_reader(&r, L);
  lua_createtable(L, (int)h->len, 0);
  for (size_t i = 0; i < h->len; i++) {
    push_message(&r, da_history_at(h, i));
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  close_reader(&r);
}

static da_message *parse(da_text text, da_err *err) {
  da_message *m;
  return da_message_parse(&m, text, err) ? NULL : m;
}

/* Members in no order of ours would make the same message another text each
** time: role and content come first. */
static void put_message(lua_State *L, int index, da_buf *out) {
  static const char *const first[] = {"role", "content"};
  writer w = {L, out, "a message", 0};
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
  if (out->failed)
    refuse(&w, out->failed == DA_ENOMEM ? "out of memory" : "too large");
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
  put_message(L, index, b);
  m = parse(da_buf_text(b), err);
  da_buf_dispose(b); /* now: the collector does not see how large it is */
  lua_pop(L, 1);
  return m;
}

/* ---- the module's part ---- */

int l_json_array(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  luaL_setmetatable(L, ARRAY_TYPE);
  return 1;
}

int l_json_encode(lua_State *L) {
  da_buf *b;
  luaL_checkany(L, 1);
  lua_settop(L, 1);
  b = l_buf_push(L, DA_MESSAGE_MAX);
  l_json_put(L, 1, b, "the value");
  lua_pushlstring(L, b->data, b->len);
  return 1;
}

void l_json_open(lua_State *L) {
  luaL_newmetatable(L, ARRAY_TYPE);
  lua_pop(L, 1);
}
