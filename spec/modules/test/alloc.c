/* test.alloc - a Lua state whose allocator fails.
**
**   local alloc = require "test.alloc"
**   local r = alloc.run(prelude, script, argument, mode, at)
**
** opens a state, runs `prelude` and then `script` (a function of
** `argument`) while allocation `at` fails, then, with memory again, the same
** script once more in the same state, and closes the state, which has no
** memory again where the mode says for ever. At 0 nothing fails. Modes:
**
**   "collect"  it fails, but not when Lua tries again after a collection
**   "once"     it fails, also when Lua tries again
**   "ever"     all fail from then on
**
** `prelude` nil: memory fails from the state's creation on. r.calls: how
** many allocations the first run asked for; r.failed: how many failed;
** r.why, r.again: what each run raised, or nil; r.left: bytes and r.blocks:
** blocks that the closed state has not given back.
*/
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef enum mode { COLLECT, ONCE, EVER } mode;

typedef struct box {
  mode mode;
  long at; /* 0: none fails */
  long calls, failed, blocks;
  size_t bytes;
  const char *prelude, *script, *argument, *path, *cpath;
  char why[2][512];
} box;

/* ---- the allocator ---- */

/* After the first failure Lua collects and asks for the same again. */
static int fails(box *b) {
  long n = ++b->calls;
  int failing = b->at && (n == b->at || (b->mode == ONCE && n == b->at + 1) ||
                          (b->mode == EVER && n > b->at));
  b->failed += failing;
  return failing;
}

static void *allocate(void *ctx, void *old, size_t was, size_t size) {
  box *b = ctx;
  void *block;
  if (!old)
    was = 0; /* then it is a kind of object */
  if (size > was && fails(b))
    return NULL;
  if (size == 0) {
    b->blocks -= old != NULL;
    b->bytes -= was;
    free(old);
    return NULL;
  }
  block = realloc(old, size);
  if (!block)
    abort();
  b->blocks += !old;
  b->bytes += size - was;
  return block;
}

/* ---- a run ---- */

static const char *running;
static char *leaves; /* the scenes' directory */

static void hangs(int number) {
  static const char says[] = "not ok - no end: ";
  static char sh[] = "sh", c[] = "-c", rm[] = "rm -rf \"$0\"; exit 1";
  char *const command[] = {sh, c, rm, leaves, NULL};
  ssize_t n = write(2, says, sizeof says - 1);
  (void)number;
  n += write(2, running, strlen(running));
  execv("/bin/sh", command);
  _exit(n > 0 ? EXIT_FAILURE : 2);
}

static int panics(lua_State *L) {
  fprintf(stderr, "panic: %s\n", lua_tostring(L, -1));
  abort();
}

static void set_path(lua_State *L, const char *field, const char *value) {
  lua_getglobal(L, "package");
  lua_pushstring(L, value);
  lua_setfield(L, -2, field);
  lua_pop(L, 1);
}

static void call(lua_State *L, const char *text, const char *argument) {
  if (luaL_loadbufferx(L, text, strlen(text), "=scene", "t") != LUA_OK)
    lua_error(L);
  lua_pushstring(L, argument);
  lua_call(L, 1, 0);
}

static int l_open(lua_State *L) {
  const box *b = lua_touserdata(L, 1);
  luaL_openlibs(L);
  set_path(L, "path", b->path);
  set_path(L, "cpath", b->cpath);
  if (b->prelude)
    call(L, b->prelude, b->argument);
  return 0;
}

static int l_script(lua_State *L) {
  const box *b = lua_touserdata(L, 1);
  call(L, b->script, b->argument);
  return 0;
}

/* Keeps in why[i] what was raised. */
static int protect(lua_State *L, lua_CFunction f, box *b, int i) {
  lua_pushcfunction(L, f);
  lua_pushlightuserdata(L, b);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK)
    return 1;
  if (lua_type(L, -1) == LUA_TSTRING) {
    snprintf(b->why[i], sizeof b->why[i], "%s", lua_tostring(L, -1));
  } else { /* an error object: to print it takes memory */
    b->at = 0;
    snprintf(b->why[i], sizeof b->why[i], "%s", luaL_tolstring(L, -1, NULL));
  }
  lua_settop(L, 0);
  return 0;
}

/* *b has all that it takes; *first gets what the first run came to. */
static void run(box *b, box *first) {
  long at = b->at;
  int opened;
  lua_State *L;
  if (b->prelude)
    b->at = 0;
  L = lua_newstate(allocate, b);
  *first = *b;
  if (!L)
    return;
  lua_atpanic(L, panics);
  opened = protect(L, l_open, b, 0);
  if (opened && b->prelude)
    b->calls = 0;
  b->at = b->prelude ? at : b->at;
  if (opened)
    protect(L, l_script, b, 0);
  *first = *b;
  b->at = 0;
  if (opened || protect(L, l_open, b, 1))
    protect(L, l_script, b, 1);
  if (b->mode == EVER && at) {
    b->calls = 0;
    b->at = 1;
  }
  lua_close(L);
}

static void set(lua_State *L, const char *field, long n) {
  lua_pushinteger(L, n);
  lua_setfield(L, -2, field);
}

static void say(lua_State *L, const char *field, const char *why) {
  if (why[0]) {
    lua_pushstring(L, why);
    lua_setfield(L, -2, field);
  }
}

static const char *path_of(lua_State *L, const char *field) {
  lua_getglobal(L, "package");
  lua_getfield(L, -1, field);
  return lua_tostring(L, -1);
}

static int l_run(lua_State *L) {
  static const char *const modes[] = {"collect", "once", "ever", NULL};
  char what[256];
  box b, first;
  memset(&b, 0, sizeof b);
  b.prelude = luaL_optstring(L, 1, NULL);
  b.script = luaL_checkstring(L, 2);
  b.argument = luaL_checkstring(L, 3);
  b.mode = (mode)luaL_checkoption(L, 4, NULL, modes);
  b.at = (long)luaL_checkinteger(L, 5);
  b.path = path_of(L, "path");
  b.cpath = path_of(L, "cpath");
  snprintf(what, sizeof what, "%s %ld of %.150s\n", modes[b.mode], b.at,
           b.script);
  running = what;
  leaves = (char *)(uintptr_t)b.argument;
  signal(SIGALRM, hangs);
  alarm(60);
  run(&b, &first);
  alarm(0);
  lua_newtable(L);
  set(L, "calls", first.calls);
  set(L, "failed", first.failed);
  set(L, "left", (long)b.bytes);
  set(L, "blocks", b.blocks);
  say(L, "why", b.why[0]);
  say(L, "again", b.why[1]);
  return 1;
}

__attribute__((visibility("default"))) int luaopen_test_alloc(lua_State *L);

int luaopen_test_alloc(lua_State *L) {
  static const luaL_Reg functions[] = {{"run", l_run}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
