/* benchlib.c - what bench.h has, for the benchmarks in Lua, and a look at
** what a process holds.
*/
#include <lauxlib.h>
#include <lua.h>
#include <malloc.h>

#include "../bench.h"

/* now(), cpu(): microseconds, of the wall and of this process */
static int l_now(lua_State *L) {
  lua_pushnumber(L, wall_us());
  return 1;
}

static int l_cpu(lua_State *L) {
  lua_pushnumber(L, clock_us(CLOCK_PROCESS_CPUTIME_ID));
  return 1;
}

/* pause(microseconds) */
static int l_pause(lua_State *L) {
  usleep((useconds_t)luaL_checkinteger(L, 1));
  return 0;
}

static int l_pid(lua_State *L) {
  lua_pushinteger(L, getpid());
  return 1;
}

/* content(i): the workload's text number i */
static int l_content(lua_State *L) {
  char text[LONGEST_CONTENT];
  size_t len = content(text, (size_t)luaL_checkinteger(L, 1));
  lua_pushlstring(L, text, len);
  return 1;
}

/* scratch(name): a new directory */
static int l_scratch(lua_State *L) {
  char path[512];
  scratch(path, sizeof path, luaL_checkstring(L, 1));
  lua_pushstring(L, path);
  return 1;
}

/* bare_save(directory, name, bytes, durable) -> microseconds */
static int l_bare_save(lua_State *L) {
  size_t len;
  const char *path = luaL_checkstring(L, 1), *name = luaL_checkstring(L, 2);
  const char *bytes = luaL_checklstring(L, 3, &len);
  int dir = sys(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), path);
  double start = wall_us();
  bare_save(dir, name, bytes, len, lua_toboolean(L, 4));
  lua_pushnumber(L, wall_us() - start);
  close(dir);
  return 1;
}

static lua_Integer entries(const char *path) {
  lua_Integer n = 0;
  DIR *d = opendir(path);
  while (d && readdir(d))
    n++;
  if (d)
    closedir(d);
  return n;
}

/* entries(directory): how many, by a bare readdir */
static int l_entries(lua_State *L) {
  lua_pushinteger(L, entries(luaL_checkstring(L, 1)));
  return 1;
}

/* holds() -> {rss = KiB, heap = KiB, fds = n, threads = n, registry = n} */
static int l_holds(lua_State *L) {
  long pages = 0, all;
  lua_Integer n = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  if (!f || fscanf(f, "%ld %ld", &all, &pages) != 2)
    die("/proc/self/statm", "cannot be read");
  fclose(f);
  lua_pushnil(L);
  while (lua_next(L, LUA_REGISTRYINDEX)) {
    n++;
    lua_pop(L, 1);
  }
  struct mallinfo2 m = mallinfo2();
  lua_createtable(L, 0, 5);
  lua_pushinteger(L, (lua_Integer)((m.uordblks + m.hblkhd) / 1024));
  lua_setfield(L, -2, "heap");
  lua_pushinteger(L, pages * (sysconf(_SC_PAGESIZE) / 1024));
  lua_setfield(L, -2, "rss");
  lua_pushinteger(L, entries("/proc/self/fd"));
  lua_setfield(L, -2, "fds");
  lua_pushinteger(L, entries("/proc/self/task"));
  lua_setfield(L, -2, "threads");
  lua_pushinteger(L, n);
  lua_setfield(L, -2, "registry");
  return 1;
}

/* row(what, measured, limit, unit, allowed); without `allowed` a note */
static int l_row(lua_State *L) {
  const char *what = luaL_checkstring(L, 1), *unit = luaL_checkstring(L, 4);
  double measured = luaL_checknumber(L, 2), limit = luaL_checknumber(L, 3);
  if (lua_isnoneornil(L, 5))
    note(what, measured, limit, unit);
  else
    row(what, measured, limit, unit, luaL_checknumber(L, 5));
  return 0;
}

int luaopen_benchlib(lua_State *L);

__attribute__((visibility("default"))) int luaopen_benchlib(lua_State *L) {
  static const luaL_Reg functions[] = {{"now", l_now},
                                       {"cpu", l_cpu},
                                       {"pause", l_pause},
                                       {"pid", l_pid},
                                       {"content", l_content},
                                       {"scratch", l_scratch},
                                       {"entries", l_entries},
                                       {"bare_save", l_bare_save},
                                       {"holds", l_holds},
                                       {"row", l_row},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
