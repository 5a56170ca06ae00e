/* lua_timed.c - Lua functions that must end (floor 7). */
#include "da_clock.h"
#include "lua_runtime.h"

static const char interrupted = 0;

/* Where the function catches that and goes on, it is stopped sooner each
** time, until no instruction is left to catch it again. A coroutine that was
** made meanwhile has the hook too, and may outlive the call. */
static void count_hook(lua_State *L, lua_Debug *ar) {
  l_runtime *r = l_runtime_get(L);
  int count = lua_gethookcount(L);
  (void)ar;
  if (r->deadline == 0) {
    lua_sethook(L, NULL, 0, 0);
  } else if (da_now() > r->deadline) {
    lua_sethook(L, count_hook, LUA_MASKCOUNT, count > 10 ? count / 10 : 1);
    lua_pushlightuserdata(L, (void *)&interrupted);
    lua_error(L);
  }
}

int l_timed_call(l_runtime *r, lua_State *L, int nargs, double seconds) {
  lua_Hook hook = lua_gethook(L);
  int mask = lua_gethookmask(L), count = lua_gethookcount(L), status;
  double before = r->deadline;
  r->deadline = da_deadline(seconds);
  if (before > 0 && before < r->deadline) /* within another such function */
    r->deadline = before;
  lua_sethook(L, count_hook, LUA_MASKCOUNT, 1000);
  status = lua_pcall(L, nargs, 0, 0);
  lua_sethook(L, hook, mask, count);
  r->deadline = before;
  return status;
}

int l_is_timeout(lua_State *L, int index) {
  return lua_touserdata(L, index) == &interrupted;
}

int l_timed_out(lua_State *L) {
  return l_is_timeout(L, -1);
}
