/* test.states - further Lua states in this process.
**
**   local states = require "test.states"
**   states.run(script, argument)        -- opens one, runs, closes it
**   states.threads(n, script, argument) -- n of them in threads at once;
**                                       -- the script also gets 1..n
*/
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <pthread.h>
#include <stdio.h>

enum { MOST = 64 };

typedef struct work {
  const char *script, *argument;
  int number;
  char why[512]; /* "": it went well */
} work;

static void run(work *w) {
  lua_State *L = luaL_newstate();
  w->why[0] = '\0';
  if (!L) {
    snprintf(w->why, sizeof w->why, "no state");
    return;
  }
  luaL_openlibs(L);
  if (luaL_loadstring(L, w->script) == LUA_OK) {
    lua_pushstring(L, w->argument);
    lua_pushinteger(L, w->number);
    lua_pcall(L, 2, 0, 0);
  }
  if (lua_gettop(L) > 0)
    snprintf(w->why, sizeof w->why, "%s", luaL_tolstring(L, -1, NULL));
  lua_close(L);
}

static int l_run(lua_State *L) {
  work w = {luaL_checkstring(L, 1), luaL_optstring(L, 2, ""), 1, ""};
  run(&w);
  return w.why[0] ? luaL_error(L, "%s", w.why) : 0;
}

static void *thread_main(void *w) {
  run(w);
  return NULL;
}

static int l_threads(lua_State *L) {
  work works[MOST];
  pthread_t threads[MOST];
  int started = 0, n = (int)luaL_checkinteger(L, 1);
  luaL_argcheck(L, n >= 1 && n <= MOST, 1, "too many");
  for (int i = 0; i < n; i++) {
    work w = {luaL_checkstring(L, 2), luaL_optstring(L, 3, ""), i + 1, ""};
    works[i] = w;
  }
  while (started < n && pthread_create(&threads[started], NULL, thread_main,
                                       &works[started]) == 0)
    started++;
  for (int i = 0; i < started; i++)
    pthread_join(threads[i], NULL);
  for (int i = 0; i < started; i++)
    if (works[i].why[0])
      return luaL_error(L, "%d: %s", i + 1, works[i].why);
  return started == n ? 0 : luaL_error(L, "no threads");
}

__attribute__((visibility("default"))) int luaopen_test_states(lua_State *L);

int luaopen_test_states(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"run", l_run}, {"threads", l_threads}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
