/* test.slow - a native store in memory that is as slow as a test wants, or
** fails. It knows deepagent_store.h only, as any native backend.
**
**   local slow = require "test.slow"
**   package.preload["deepagent.backend.slow"] = function()
**     return slow.open
**   end
**   slow.delay("save", 0.5)  -- or "load", "delete", "list"; also what is
**                            -- under way looks at it again
**   slow.fail(3)             -- so many saves fail with io_error
**   slow.saves()             -- that ended well, of the whole process
**   slow.saving()            -- saves that are taking their time just now
**   slow.most()              -- calls for one session at once, at the most
*/
#include <lauxlib.h>
#include <lua.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "deepagent_store.h"

enum { SESSIONS = 64, ID_SIZE = 256, SAVE = 0, LOAD, DELETE, LIST };

typedef struct session {
  char id[ID_SIZE]; /* "": free */
  char *bytes;      /* the document */
  size_t len;
  unsigned revision;
  int calls;
} session;

typedef struct store {
  da_store base;
  pthread_mutex_t lock;
  unsigned last;
  session sessions[SESSIONS];
} store;

static atomic_int delay_ms[4], under_way[4], failures, saves, most;

static int fail(da_err *err, int code, const char *why) {
  memset(err, 0, sizeof *err);
  err->code = code;
  err->retry_after = -1;
  snprintf(err->message, sizeof err->message, "%s", why);
  return code;
}

static void take_time(int what) {
  const struct timespec ms = {0, 1000000};
  atomic_fetch_add(&under_way[what], 1);
  for (int waited = 0; waited < atomic_load(&delay_ms[what]); waited++)
    nanosleep(&ms, NULL);
  atomic_fetch_sub(&under_way[what], 1);
}

/* Under the lock: the session, or a free place, or NULL. */
static session *find(store *s, const char *id) {
  session *place = NULL;
  for (int i = 0; i < SESSIONS; i++) {
    if (strcmp(s->sessions[i].id, id) == 0)
      return &s->sessions[i];
    if (!place && !s->sessions[i].id[0])
      place = &s->sessions[i];
  }
  return place;
}

/* Takes its time for a session, of which nobody else may ask meanwhile.
** Comes back with the lock. */
static session *enter(store *s, const char *id, int what) {
  session *x;
  pthread_mutex_lock(&s->lock);
  x = find(s, id);
  if (!x)
    return NULL;
  if (!x->id[0])
    snprintf(x->id, sizeof x->id, "%s", id);
  if (++x->calls > atomic_load(&most))
    atomic_store(&most, x->calls);
  pthread_mutex_unlock(&s->lock);
  take_time(what);
  pthread_mutex_lock(&s->lock);
  x->calls--;
  return x;
}

static void leave(store *s, session *x) {
  if (x && !x->bytes && !x->calls)
    x->id[0] = '\0';
  pthread_mutex_unlock(&s->lock);
}

static void tell(da_revision *r, const session *x) {
  r->text[0] = '\0';
  if (x->bytes)
    snprintf(r->text, sizeof r->text, "%u", x->revision);
}

static int slow_load(da_store *base, const char *id, da_store_sink *sink,
                     da_revision *now, da_err *err) {
  store *s = (store *)base;
  session *x = enter(s, id, LOAD);
  char *copy = NULL;
  size_t len = 0;
  int code = DA_OK;
  if (!x || !x->bytes) {
    code = fail(err, DA_ENOTFOUND, "no such session");
  } else {
    tell(now, x);
    len = x->len;
    copy = malloc(len + 1);
    if (copy)
      memcpy(copy, x->bytes, len);
    else
      code = fail(err, DA_ENOMEM, "out of memory");
  }
  leave(s, x);
  return copy ? sink->document(sink, copy, len) : code;
}

static int put(store *s, session *x, const da_store_session *what) {
  char *bytes, *at;
  size_t len = 0;
  for (size_t i = 0; i < what->pieces; i++)
    len += what->document[i].len;
  bytes = at = malloc(len + 1);
  if (!bytes)
    return 0;
  for (size_t i = 0; i < what->pieces; at += what->document[i++].len)
    memcpy(at, what->document[i].data, what->document[i].len);
  free(x->bytes);
  x->bytes = bytes;
  x->len = len;
  x->revision = ++s->last;
  return 1;
}

static int slow_save(da_store *base, const char *id,
                     const da_store_session *what, da_revision *now,
                     da_err *err) {
  store *s = (store *)base;
  session *x = enter(s, id, SAVE);
  da_revision there = {""};
  int code = DA_OK;
  if (x)
    tell(&there, x);
  if (!x || atomic_load(&failures) > 0) {
    atomic_fetch_sub(&failures, 1);
    code = fail(err, DA_EIO, "the test wants it to fail");
  } else if (what->expected && strcmp(what->expected->text, there.text) != 0) {
    code = fail(err, DA_ECONFLICT, "changed meanwhile");
  } else if (!put(s, x, what)) {
    code = fail(err, DA_ENOMEM, "out of memory");
  } else {
    tell(now, x);
    atomic_fetch_add(&saves, 1);
  }
  leave(s, x);
  return code;
}

static int slow_remove(da_store *base, const char *id, da_err *err) {
  store *s = (store *)base;
  session *x = enter(s, id, DELETE);
  int code = DA_OK;
  if (!x || !x->bytes)
    code = fail(err, DA_ENOTFOUND, "no such session");
  else
    free(x->bytes);
  if (x)
    x->bytes = NULL;
  leave(s, x);
  return code;
}

static int slow_list(da_store *base, da_store_ids *ids, da_err *err) {
  store *s = (store *)base;
  int code = DA_OK;
  (void)err;
  take_time(LIST);
  pthread_mutex_lock(&s->lock);
  for (int i = 0; i < SESSIONS && code == DA_OK; i++) {
    da_text id = {s->sessions[i].id, strlen(s->sessions[i].id)};
    if (s->sessions[i].bytes)
      code = ids->id(ids, id);
  }
  pthread_mutex_unlock(&s->lock);
  return code;
}

static void slow_close(da_store *base) {
  store *s = (store *)base;
  for (int i = 0; i < SESSIONS; i++)
    free(s->sessions[i].bytes);
  pthread_mutex_destroy(&s->lock);
  free(s);
}

static const da_store_ops ops = {
    .version = DA_STORE_VERSION,
    .flags = DA_STORE_DOCUMENT,
    .name = "slow",
    .load = slow_load,
    .save = slow_save,
    .remove = slow_remove,
    .list = slow_list,
    .close = slow_close,
};

static int slow_open(da_store **out, da_text options, da_err *err) {
  store *s;
  if (options.len != 2 || memcmp(options.data, "{}", 2) != 0)
    return fail(err, DA_EINVAL, "the slow store has no options");
  s = calloc(1, sizeof *s);
  if (!s)
    return fail(err, DA_ENOMEM, "out of memory");
  pthread_mutex_init(&s->lock, NULL);
  s->base.ops = &ops;
  *out = &s->base;
  return DA_OK;
}

/* ---- from Lua ---- */

static int l_delay(lua_State *L) {
  static const char *const names[] = {"save", "load", "delete", "list", NULL};
  int what = luaL_checkoption(L, 1, NULL, names);
  atomic_store(&delay_ms[what], (int)(luaL_checknumber(L, 2) * 1000));
  return 0;
}

static int l_fail(lua_State *L) {
  atomic_store(&failures, (int)luaL_checkinteger(L, 1));
  return 0;
}

static int l_saves(lua_State *L) {
  lua_pushinteger(L, atomic_load(&saves));
  return 1;
}

static int l_saving(lua_State *L) {
  lua_pushinteger(L, atomic_load(&under_way[SAVE]));
  return 1;
}

static int l_most(lua_State *L) {
  lua_pushinteger(L, atomic_load(&most));
  return 1;
}

__attribute__((visibility("default"))) int luaopen_test_slow(lua_State *L);

int luaopen_test_slow(lua_State *L) {
  static const luaL_Reg functions[] = {{"delay", l_delay},
                                       {"fail", l_fail},
                                       {"saves", l_saves},
                                       {"saving", l_saving},
                                       {"most", l_most},
                                       {NULL, NULL}};
  da_store_open_fn *open = slow_open;
  void *address;
  memcpy(&address, &open, sizeof address); /* POSIX: interchangeable */
  luaL_newlib(L, functions);
  lua_pushlightuserdata(L, address);
  lua_setfield(L, -2, "open");
  return 1;
}
