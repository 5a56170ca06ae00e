/* test.fork - processes, for tests.
**
**   local fork = require "test.fork"
**   local pid = fork.fork()     -- 0 in the child
**   fork.wait(pid)              -- "exit" or "signal", and the number of it
**   fork.kill("TERM" [, pid])   -- or "KILL"; without a pid: itself
**   fork.leave(status)          -- _exit: no handler runs
*/
#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int l_fork(lua_State *L) {
  pid_t pid = fork();
  if (pid < 0)
    return luaL_error(L, "fork: %s", strerror(errno));
  lua_pushinteger(L, pid);
  return 1;
}

static int l_wait(lua_State *L) {
  pid_t pid = (pid_t)luaL_checkinteger(L, 1);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR)
      return luaL_error(L, "waitpid: %s", strerror(errno));
  lua_pushstring(L, WIFSIGNALED(status) ? "signal" : "exit");
  lua_pushinteger(L, WIFSIGNALED(status) ? WTERMSIG(status)
                                         : WEXITSTATUS(status));
  return 2;
}

static int l_kill(lua_State *L) {
  static const char *const names[] = {"TERM", "KILL", NULL};
  static const int signals[] = {SIGTERM, SIGKILL};
  int which = luaL_checkoption(L, 1, NULL, names);
  kill((pid_t)luaL_optinteger(L, 2, getpid()), signals[which]);
  return 0;
}

static int l_leave(lua_State *L) {
  _exit((int)luaL_optinteger(L, 1, 0));
}

__attribute__((visibility("default"))) int luaopen_test_fork(lua_State *L);

int luaopen_test_fork(lua_State *L) {
  static const luaL_Reg functions[] = {{"fork", l_fork},
                                       {"wait", l_wait},
                                       {"kill", l_kill},
                                       {"leave", l_leave},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
