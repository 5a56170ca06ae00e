/* lua_tool.c - tools written in Lua (floor 7). */
#include <stdlib.h>
#include <string.h>

#include "da_turn.h"
#include "lua_json.h"
#include "lua_schema.h"
#include "lua_tool.h"

/* ---- with_tool ---- */

static void tool_drop(void *ctx) {
  free(ctx);
}

static const char *text_field(lua_State *L, int index, const char *field,
                              int needed) {
  size_t len;
  const char *s;
  if (lua_getfield(L, index, field) == LUA_TNIL && !needed)
    return NULL;
  if (lua_type(L, -1) != LUA_TSTRING)
    luaL_error(L, "tool: %s must be a string, not a %s", field,
               luaL_typename(L, -1));
  s = lua_tolstring(L, -1, &len);
  if (strlen(s) != len)
    luaL_error(L, "tool: %s has a NUL byte", field);
  return s;
}

static int flag_field(lua_State *L, int index, const char *field) {
  int type = lua_getfield(L, index, field), on = lua_toboolean(L, -1);
  if (type != LUA_TNIL && type != LUA_TBOOLEAN)
    luaL_error(L, "tool: %s must be a boolean, not a %s", field,
               luaL_typename(L, -1));
  lua_pop(L, 1);
  return on;
}

static void check_fields(lua_State *L, int index, const char *const *known) {
  lua_pushnil(L);
  while (lua_next(L, index)) {
    const char *name =
        lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
    int i = 0;
    while (known[i] && strcmp(known[i], name) != 0)
      i++;
    if (!known[i])
      luaL_error(L, "tool: unknown field '%s'", luaL_tolstring(L, -2, NULL));
    lua_pop(L, 1);
  }
}

/* JSON of the schema, which may be written short; NULL without one. */
static const char *schema_field(lua_State *L, int index) {
  da_buf *b;
  if (lua_getfield(L, index, "parameters") == LUA_TNIL)
    return NULL;
  if (lua_type(L, -1) != LUA_TTABLE)
    luaL_error(L, "tool: parameters must be a table, not a %s",
               luaL_typename(L, -1));
  b = l_buf_push(L, DA_MESSAGE_MAX);
  l_schema_put(L, -2, b, "parameters", 0);
  return da_buf_text(b).data;
}

/* The function, or what can be called like one, of the field "run". */
static void push_run(lua_State *L, int index, const char *name) {
  if (lua_getfield(L, index, "run") == LUA_TFUNCTION)
    return;
  if (luaL_getmetafield(L, -1, "__call") == LUA_TNIL)
    luaL_error(L, "tool '%s': run must be a function, not a %s", name,
               luaL_typename(L, -1));
  lua_pop(L, 1);
}

/* Pushes the agent's own table of tools. */
static void push_tools(lua_State *L) {
  if (lua_getiuservalue(L, 1, L_TOOLS) == LUA_TTABLE)
    return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, 1, L_TOOLS);
}

/* Hands the tool over to the core, with its table, which is at the top, as
** what its function is found by. */
static void give(lua_State *L, l_agent *a, da_tool *tool) {
  const void *table = lua_topointer(L, -1);
  l_tool *t;
  da_err err;
  int code;
  l_owner_set(L, table, -1); /* may raise */
  t = malloc(sizeof *t);
  if (!t) {
    l_raise_nomem(L);
    return;
  }
  t->runtime = a->runtime;
  t->table = table;
  tool->run = l_tool_run;
  tool->drop = tool_drop;
  tool->ctx = t;
  code = da_agent_add_tool(a->agent, tool, &err);
  if (code) { /* it is not needed, then */
    lua_pushnil(L);
    lua_rawsetp(L, -3, table);
  }
  if (code == DA_ENOMEM)
    l_raise_nomem(L);
  if (code)
    luaL_error(L, "%s", err.message);
}

/* Adds the tool that the table at `index` describes. */
static void add_tool(lua_State *L, l_agent *a, int index) {
  static const char *const fields[] = {"name", "description", "parameters",
                                       "run",  "strict",      "idempotent",
                                       NULL};
  da_tool tool = {0};
  int top = lua_gettop(L);
  luaL_checkstack(L, 20, NULL);
  check_fields(L, index, fields);
  tool.name = text_field(L, index, "name", 1);
  tool.description = text_field(L, index, "description", 0);
  tool.strict = flag_field(L, index, "strict");
  tool.idempotent = flag_field(L, index, "idempotent");
  tool.parameters = schema_field(L, index);
  push_tools(L);
  lua_createtable(L, 0, 1);
  push_run(L, index, tool.name);
  lua_setfield(L, -2, "run");
  /* Kept before the core has it, and by its name only then: what raises in
  ** between leaves both the former tool and the new one in order. */
  lua_pushvalue(L, -1);
  lua_rawsetp(L, -3, lua_topointer(L, -1));
  give(L, a, &tool);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, tool.name);
  lua_pushnil(L);
  lua_rawsetp(L, -3, lua_topointer(L, -2));
  lua_settop(L, top);
}

/* What is wrong is the argument's fault. */
static int l_add(lua_State *L) {
  add_tool(L, l_agent_check(L), 2);
  return 0;
}

static void add_checked(lua_State *L, int index, int arg) {
  lua_pushcfunction(L, l_add);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, index);
  if (lua_pcall(L, 2, 0, 0) == LUA_OK)
    return;
  if (lua_type(L, -1) != LUA_TSTRING)
    lua_error(L);
  luaL_argerror(L, arg, lua_tostring(L, -1));
}

static int l_with_tool(lua_State *L) {
  l_agent_check(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  add_checked(L, 2, 2);
  lua_settop(L, 1);
  return 1;
}

static int l_with_tools(lua_State *L) {
  lua_Integer n;
  l_agent_check(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  n = l_list_length(L, 2);
  luaL_argcheck(L, n >= 0, 2, "must be a list of tools");
  lua_settop(L, 2);
  for (lua_Integer i = 1; i <= n; i++) {
    luaL_argcheck(L, lua_geti(L, 2, i) == LUA_TTABLE, 2,
                  "must be a list of tools");
    add_checked(L, 3, 2);
    lua_settop(L, 2);
  }
  lua_settop(L, 1);
  return 1;
}

/* ---- how they are used ---- */

static int l_with_tool_choice(lua_State *L) {
  l_agent *a = l_agent_check(L);
  size_t len = 0;
  const char *choice = NULL;
  da_err err;
  luaL_checkany(L, 2);
  if (!lua_isnil(L, 2)) {
    luaL_checktype(L, 2, LUA_TSTRING);
    choice = lua_tolstring(L, 2, &len);
    luaL_argcheck(L, strlen(choice) == len, 2, "it has a NUL byte");
  }
  return l_setter_done(L, da_agent_set_tool_choice(a->agent, choice, &err),
                       &err, 2);
}

static int l_with_parallel_tools(lua_State *L) {
  l_agent *a = l_agent_check(L);
  luaL_checktype(L, 2, LUA_TBOOLEAN);
  da_agent_set_parallel_tools(a->agent, lua_toboolean(L, 2));
  return l_setter_done(L, DA_OK, NULL, 2);
}

static int l_with_max_tool_rounds(lua_State *L) {
  l_agent *a = l_agent_check(L);
  lua_Integer n = luaL_checkinteger(L, 2);
  luaL_argcheck(L, n >= 0, 2, "must not be negative");
  da_agent_set_max_tool_rounds(a->agent, (size_t)n);
  return l_setter_done(L, DA_OK, NULL, 2);
}

static int l_with_tool_timeout(lua_State *L) {
  l_agent *a = l_agent_check(L);
  lua_Number seconds = luaL_checknumber(L, 2);
  luaL_argcheck(L, seconds > 0 && seconds < 1e9, 2,
                "must be a positive number of seconds");
  da_agent_set_tool_timeout(a->agent, (double)seconds);
  return l_setter_done(L, DA_OK, NULL, 2);
}

static int l_on_tool_call(lua_State *L) {
  l_agent *a = l_agent_check(L);
  luaL_checkany(L, 2);
  da_agent_on_tool_call(a->agent, lua_isnil(L, 2) ? NULL : l_tool_approve, a);
  return l_set_function(L, L_ON_TOOL_CALL);
}

void l_tool_clone(lua_State *L, l_agent *to, int index) {
  if (to->agent->settings.approve)
    da_agent_on_tool_call(to->agent, l_tool_approve, to);
  if (lua_getiuservalue(L, index, L_TOOLS) == LUA_TTABLE) {
    lua_newtable(L);
    lua_pushnil(L);
    while (lua_next(L, -3)) {
      lua_pushvalue(L, -2);
      lua_insert(L, -2);
      lua_rawset(L, -4);
    }
    lua_setiuservalue(L, index, L_TOOLS);
  }
  lua_pop(L, 1);
}

/* ---- an agent as a tool ---- */

/* (args) -> what the agent, an upvalue, answers to args.input */
static int l_ask_agent(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lua_pushcfunction(L, l_agent_ask);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_getfield(L, 1, "input");
  lua_call(L, 2, LUA_MULTRET);
  return lua_gettop(L) - 1;
}

/* as_tool{name =, description =} -> a tool for with_tool */
static int l_as_tool(lua_State *L) {
  static const char *const fields[] = {"name", "description", NULL};
  l_agent_check(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  check_fields(L, 2, fields);
  lua_settop(L, 2);
  lua_createtable(L, 0, 4);
  text_field(L, 2, "name", 1);
  lua_setfield(L, 3, "name");
  text_field(L, 2, "description", 0);
  lua_setfield(L, 3, "description");
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "string");
  lua_setfield(L, -2, "input");
  lua_setfield(L, 3, "parameters");
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, l_ask_agent, 1);
  lua_setfield(L, 3, "run");
  return 1;
}

/* ---- turns that are not finished ---- */

/* discard_turn() -> true, also if there was none */
static int l_discard_turn(lua_State *L) {
  l_agent *a = l_agent_check(L);
  da_err err;
  l_frame before = l_agent_enter(L, a);
  int code = da_agent_discard_turn(a->agent, &err);
  l_leave(a->runtime, before);
  return l_answer(L, code == DA_ENOTFOUND ? DA_OK : code, &err);
}

/* Owns the messages while they are pushed. */
static int l_push_messages(lua_State *L) {
  l_history_push(L, lua_touserdata(L, 1));
  return 1;
}

/* unfinished_turn() -> list of messages; nil if there is none */
static int l_unfinished_turn(lua_State *L) {
  l_agent *a = l_agent_check(L);
  da_history turn;
  da_err err;
  l_frame before = l_agent_enter(L, a);
  int code = da_agent_unfinished(a->agent, &turn, &err), status;
  l_leave(a->runtime, before);
  if (code == DA_ENOTFOUND) {
    lua_pushnil(L);
    return 1;
  }
  if (code)
    return l_fail(L, &err);
  lua_pushcfunction(L, l_push_messages);
  lua_pushlightuserdata(L, &turn);
  status = lua_pcall(L, 1, 1, 0);
  da_history_dispose(&turn);
  return status == LUA_OK ? 1 : lua_error(L);
}

void l_tool_open(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"with_tool", l_with_tool},
      {"with_tools", l_with_tools},
      {"with_tool_choice", l_with_tool_choice},
      {"with_parallel_tools", l_with_parallel_tools},
      {"with_max_tool_rounds", l_with_max_tool_rounds},
      {"with_tool_timeout", l_with_tool_timeout},
      {"with_on_tool_call", l_on_tool_call}, /* as an option */
      {"on_tool_call", l_on_tool_call},
      {"as_tool", l_as_tool},
      {"discard_turn", l_discard_turn},
      {"unfinished_turn", l_unfinished_turn},
      {NULL, NULL}};
  luaL_setfuncs(L, methods, 0);
}
