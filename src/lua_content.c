/* lua_content.c - questions of several parts (floor 7). */
#include "lua_content.h"

#include <string.h>

#include "da_message.h"
#include "da_part.h"
#include "lua_json.h"

/* ---- options ---- */

enum { PATH, DATA, NAME, TYPE, DETAIL, ID, MAX_BYTES, OPTIONS };

static const char *const names[OPTIONS] = {
    "path", "data", "name", "type", "detail", "id", "max_bytes"};

/* Which of them a function takes. */
#define BIT(option) (1u << (option))
#define SOURCE (BIT(PATH) | BIT(DATA) | BIT(NAME) | BIT(TYPE) | BIT(MAX_BYTES))

static void check_names(lua_State *L, int index, unsigned allowed) {
  lua_pushnil(L);
  while (lua_next(L, index)) {
    int i = 0;
    lua_pop(L, 1);
    while (i < OPTIONS &&
           !(allowed & BIT(i) && lua_type(L, -1) == LUA_TSTRING &&
             strcmp(lua_tostring(L, -1), names[i]) == 0))
      i++;
    if (i == OPTIONS) {
      lua_pushfstring(L, "unknown option '%s'", luaL_tolstring(L, -1, NULL));
      luaL_argerror(L, index, lua_tostring(L, -1));
    }
  }
}

static void check_option(lua_State *L, int arg, int option) {
  const char *must = option == MAX_BYTES ? "positive integer" : "string";
  int fine = option == MAX_BYTES
                 ? lua_isinteger(L, -1) && lua_tointeger(L, -1) > 0
                 : lua_type(L, -1) == LUA_TSTRING;
  if (fine || lua_isnil(L, -1))
    return;
  lua_pushfstring(L, "%s must be a %s", names[option], must);
  luaL_argerror(L, arg, lua_tostring(L, -1));
}

/* (path or options [, options]) -> the options' values, each in a slot of
** its own, from the one that is returned on. */
static int take_options(lua_State *L, unsigned allowed) {
  int options = lua_type(L, 1) == LUA_TSTRING ? 2 : 1;
  int first = 3, rest_is_nil = lua_isnoneornil(L, 2);
  lua_settop(L, options);
  if (options == 1 && !lua_istable(L, 1))
    luaL_typeerror(L, 1, "string or table");
  luaL_argcheck(L, options == 2 || rest_is_nil, 2, "options are given twice");
  if (options == 1 || !lua_isnil(L, 2)) {
    luaL_checktype(L, options, LUA_TTABLE);
    check_names(L, options, options == 2 ? allowed & ~BIT(PATH) : allowed);
  }
  lua_settop(L, 2);
  for (int i = 0; i < OPTIONS; i++) {
    if (lua_istable(L, options))
      lua_getfield(L, options, names[i]);
    else
      lua_pushnil(L);
    check_option(L, options, i);
  }
  if (options == 2) {
    lua_pushvalue(L, 1);
    lua_replace(L, first + PATH);
  }
  return first;
}

/* The string in a slot, or NULL; DA_EINVAL if C would see only some of it. */
static int take_text(lua_State *L, int first, int option, const char **to,
                     da_err *err) {
  size_t len = 0;
  *to = lua_tolstring(L, first + option, &len);
  if (!*to || strlen(*to) == len)
    return DA_OK;
  return da_fail(err, DA_EINVAL, "%s has a control character", names[option]);
}

static int take_media(lua_State *L, int first, da_media *m, da_err *err) {
  int code;
  memset(m, 0, sizeof *m);
  m->bytes.data = lua_tolstring(L, first + DATA, &m->bytes.len);
  m->max_bytes = (size_t)lua_tointeger(L, first + MAX_BYTES);
  code = take_text(L, first, PATH, &m->path, err);
  if (!code)
    code = take_text(L, first, NAME, &m->name, err);
  if (!code)
    code = take_text(L, first, TYPE, &m->type, err);
  if (!code)
    code = take_text(L, first, DETAIL, &m->detail, err);
  return code;
}

/* ---- parts ---- */

/* The part as a table, of the text in the buffer at the top. */
static int push_part(lua_State *L, da_buf *b, int code, const da_err *err) {
  if (code == DA_ENOMEM)
    return l_raise_nomem(L);
  if (code)
    return l_fail(L, err);
  l_json_push(L, da_buf_text(b));
  da_buf_dispose(b); /* now: the collector does not see how large it is */
  return 1;
}

typedef int part_fn(da_buf *, const da_media *, da_err *);

static int push_media(lua_State *L, int first, part_fn *put) {
  da_buf *b = l_buf_push(L, DA_MESSAGE_MAX);
  da_media m;
  da_err err;
  int code = take_media(L, first, &m, &err);
  if (!code)
    code = put(b, &m, &err);
  return push_part(L, b, code, &err);
}

static int one_of(lua_State *L, int first, unsigned sources) {
  int n = 0;
  for (int i = 0; i < OPTIONS; i++)
    n += sources & BIT(i) && !lua_isnil(L, first + i);
  return n == 1;
}

static int l_part(lua_State *L, unsigned more, part_fn *put) {
  int first = take_options(L, SOURCE | more);
  luaL_argcheck(L, one_of(L, first, BIT(PATH) | BIT(DATA)), 1,
                "either a path or data is needed");
  return push_media(L, first, put);
}

int l_part_image(lua_State *L) {
  return l_part(L, BIT(DETAIL), da_part_image);
}

int l_part_audio(lua_State *L) {
  return l_part(L, 0, da_part_audio);
}

int l_part_file(lua_State *L) {
  int first = take_options(L, SOURCE | BIT(ID));
  da_text id;
  da_buf *b;
  da_err err;
  luaL_argcheck(L, one_of(L, first, BIT(PATH) | BIT(DATA) | BIT(ID)), 1,
                "either a path, data or an id is needed");
  id.data = lua_tolstring(L, first + ID, &id.len);
  if (!id.data)
    return push_media(L, first, da_part_file);
  b = l_buf_push(L, DA_MESSAGE_MAX);
  return push_part(L, b, da_part_file_id(b, id, &err), &err);
}

/* (url [, {detail =}]) */
int l_part_image_url(lua_State *L) {
  const char *detail;
  da_text url;
  da_buf *b;
  da_err err;
  int first, code;
  luaL_checktype(L, 1, LUA_TSTRING);
  first = take_options(L, BIT(DETAIL));
  url.data = lua_tolstring(L, 1, &url.len);
  b = l_buf_push(L, DA_MESSAGE_MAX);
  code = take_text(L, first, DETAIL, &detail, &err);
  if (!code)
    code = da_part_image_url(b, url, detail, &err);
  return push_part(L, b, code, &err);
}

/* ---- lists of them ---- */

/* What stands in the place of a part that could not be made: nothing, and
** where it was the last of the list, the error after it. */
static int no_part(lua_State *L, int index, lua_Integer i) {
  int type = lua_rawgeti(L, index, i);
  if (type == LUA_TNIL && lua_rawgeti(L, index, i + 1) != LUA_TTABLE)
    lua_pop(L, 1);
  if (l_is_error(L, -1))
    lua_pushfstring(L, "part %I is missing: %s", i,
                    luaL_tolstring(L, -1, NULL));
  else if (type == LUA_TTABLE)
    lua_pushfstring(L, "part %I has no type", i);
  else
    lua_pushfstring(L, "part %I is %s%s, neither a string nor a part", i,
                    type == LUA_TNIL ? "" : "a ", lua_typename(L, type));
  return luaL_argerror(L, index, lua_tostring(L, -1));
}

/* The largest key; raises if there are others than positive integers: a part
** without the braces of a list around it, or a message. */
static lua_Integer last_of(lua_State *L, int index) {
  lua_Integer last = 0;
  int fine = 1;
  lua_pushnil(L);
  while (fine && lua_next(L, index)) {
    lua_pop(L, 1);
    fine = lua_isinteger(L, -1) && lua_tointeger(L, -1) > 0;
    if (fine && lua_tointeger(L, -1) > last)
      last = lua_tointeger(L, -1);
  }
  luaL_argcheck(L, fine && last, index,
                "a list of strings and parts expected");
  return last;
}

/* The part at the top of the stack. */
static int put_part(lua_State *L, int index, lua_Integer i, da_buf *out,
                    da_err *err) {
  da_text text;
  int typed;
  if (lua_type(L, -1) == LUA_TSTRING) {
    text.data = lua_tolstring(L, -1, &text.len);
    return da_part_text(out, text, err);
  }
  if (!lua_istable(L, -1))
    return no_part(L, index, i);
  lua_pushliteral(L, "type");
  typed = lua_rawget(L, -2) == LUA_TSTRING;
  lua_pop(L, 1);
  if (!typed)
    return no_part(L, index, i);
  lua_pushfstring(L, "part %I", i);
  l_json_write(L, -2, out, lua_tostring(L, -1), index);
  lua_pop(L, 1);
  return da_buf_check(out, "the question", err);
}

int l_content_put(lua_State *L, int index, da_buf *out, da_err *err) {
  lua_Integer last = last_of(L, index);
  int code = DA_OK;
  da_buf_puts(out, "{\"role\":\"user\",\"content\":[");
  for (lua_Integer i = 1; !code && i <= last; i++) {
    if (i > 1)
      da_buf_puts(out, ",");
    lua_rawgeti(L, index, i);
    code = put_part(L, index, i, out, err);
    lua_pop(L, 1);
  }
  da_buf_puts(out, "]}");
  return code ? code : da_buf_check(out, "the question", err);
}
