/* test.blocks - loop devices and mounts of a test, for root on Linux.
**
**   local blocks = require "test.blocks"
**   blocks.private()                  -- mounts from now on are seen by this
**                                     -- process and its children only
**   blocks.tmpfs(directory)
**   local device = blocks.attach(file, size) -- a Lua file: a loop device on
**                                     -- the first `size` bytes of `file`,
**                                     -- which is gone when it is closed
**   blocks.sync(device)               -- fsync, of any Lua file
**   blocks.mount(file, size, directory, "ext4", "noatime")
**   blocks.unmount(directory)
**   blocks.detach(directory)          -- unmounts also what is still in use
**   blocks.copy(from, to)             -- the holes of `from` stay holes
**
** A failure is nil and its reason. Nothing stays behind when the process is
** killed: the mounts go with the last process that sees them, and a loop
** device with the last one that has it open.
*/
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <linux/loop.h>
#include <lua.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

int luaopen_test_blocks(lua_State *L);

static int done(lua_State *L, int ok, const char *what) {
  return luaL_fileresult(L, ok, what);
}

static int l_private(lua_State *L) {
  return done(L,
              unshare(CLONE_NEWNS) == 0 &&
                  mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0,
              "mount namespace");
}

static int l_tmpfs(lua_State *L) {
  const char *directory = luaL_checkstring(L, 1);
  return done(L, mount("tmpfs", directory, "tmpfs", 0, "mode=0700") == 0,
              directory);
}

/* The first free loop device, open, and its name; -1 with errno. */
static int open_free(char *name, size_t size) {
  int number, control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
  if (control < 0)
    return -1;
  number = ioctl(control, LOOP_CTL_GET_FREE);
  close(control);
  if (number < 0)
    return -1;
  snprintf(name, size, "/dev/loop%d", number);
  return open(name, O_RDWR | O_CLOEXEC);
}

/* A loop device on `file`, open, and its name. Another process may be faster
** with one that was free, so it is tried again. -1 with errno. */
static int attach(char *name, size_t name_size, const char *file,
                  lua_Integer size) {
  struct loop_config config = {0};
  int fd, result = -1, backing = open(file, O_RDWR | O_CLOEXEC);
  if (backing < 0)
    return -1;
  config.fd = (__u32)backing;
  config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
  config.info.lo_sizelimit = (__u64)size;
  for (int tries = 0; result < 0 && tries < 100; tries++) {
    fd = open_free(name, name_size);
    if (fd < 0)
      break;
    result = ioctl(fd, LOOP_CONFIGURE, &config);
    if (result < 0) {
      int saved = errno;
      close(fd);
      errno = saved;
      if (errno != EBUSY)
        break;
    }
  }
  close(backing);
  return result < 0 ? -1 : fd;
}

static int close_file(lua_State *L) {
  luaL_Stream *s = luaL_checkudata(L, 1, LUA_FILEHANDLE);
  return luaL_fileresult(L, fclose(s->f) == 0, NULL);
}

static int l_attach(lua_State *L) {
  const char *file = luaL_checkstring(L, 1);
  lua_Integer size = luaL_checkinteger(L, 2);
  luaL_Stream *s = lua_newuserdatauv(L, sizeof *s, 0);
  char name[32];
  int fd;
  s->closef = NULL;
  luaL_setmetatable(L, LUA_FILEHANDLE);
  fd = attach(name, sizeof name, file, size);
  if (fd < 0)
    return done(L, 0, file);
  s->f = fdopen(fd, "r+b");
  if (!s->f) {
    close(fd);
    return done(L, 0, name);
  }
  setvbuf(s->f, NULL, _IONBF, 0);
  s->closef = close_file;
  return 1;
}

static int l_sync(lua_State *L) {
  luaL_Stream *s = luaL_checkudata(L, 1, LUA_FILEHANDLE);
  luaL_argcheck(L, s->closef, 1, "closed");
  return done(L, fsync(fileno(s->f)) == 0, NULL);
}

static int l_mount(lua_State *L) {
  const char *file = luaL_checkstring(L, 1);
  lua_Integer size = luaL_checkinteger(L, 2);
  const char *directory = luaL_checkstring(L, 3);
  const char *type = luaL_checkstring(L, 4);
  const char *options = luaL_optstring(L, 5, "");
  char name[32];
  int saved, result, fd = attach(name, sizeof name, file, size);
  if (fd < 0)
    return done(L, 0, file);
  result = mount(name, directory, type, MS_NOATIME, options);
  saved = errno;
  close(fd);
  errno = saved;
  return done(L, result == 0, directory);
}

static int l_unmount(lua_State *L) {
  const char *directory = luaL_checkstring(L, 1);
  return done(L, umount2(directory, 0) == 0, directory);
}

static int l_detach(lua_State *L) {
  const char *directory = luaL_checkstring(L, 1);
  return done(L, umount2(directory, MNT_DETACH) == 0, directory);
}

static int copy_range(int to, int from, off_t at, off_t end) {
  char bytes[65536];
  while (at < end) {
    size_t want = sizeof bytes;
    ssize_t n;
    if (end - at < (off_t)want)
      want = (size_t)(end - at);
    n = pread(from, bytes, want, at);
    if (n <= 0 || pwrite(to, bytes, (size_t)n, at) != n)
      return -1;
    at += n;
  }
  return 0;
}

static int copy(int to, int from) {
  struct stat st;
  off_t at = 0, end;
  if (fstat(from, &st) < 0 || ftruncate(to, st.st_size) < 0)
    return -1;
  while ((at = lseek(from, at, SEEK_DATA)) >= 0) {
    end = lseek(from, at, SEEK_HOLE);
    if (end < 0 || copy_range(to, from, at, end) < 0)
      return -1;
    at = end;
  }
  return errno == ENXIO ? 0 : -1;
}

static int l_copy(lua_State *L) {
  const char *source = luaL_checkstring(L, 1);
  const char *target = luaL_checkstring(L, 2);
  int from = open(source, O_RDONLY | O_CLOEXEC);
  int to = open(target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  int ok = from >= 0 && to >= 0 && copy(to, from) == 0;
  int saved = errno;
  if (from >= 0)
    close(from);
  if (to >= 0 && close(to) < 0)
    ok = 0;
  errno = saved;
  return done(L, ok, target);
}

static const luaL_Reg functions[] = {
    {"private", l_private}, {"tmpfs", l_tmpfs}, {"attach", l_attach},
    {"sync", l_sync},       {"mount", l_mount}, {"unmount", l_unmount},
    {"detach", l_detach},   {"copy", l_copy},   {NULL, NULL},
};

__attribute__((visibility("default"))) int luaopen_test_blocks(lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
