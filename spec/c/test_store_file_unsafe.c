/* test_store_file_unsafe.c - the file store in hostile surroundings: other
** things in a session's place, umasks, rights, vanishing directories. */
#include "store_kit.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

static char dir[PATH_MAX];
static da_err err;
static da_revision rev, none;

static void start(void) {
  kit_dir(dir);
  memset(&none, 0, sizeof none);
}

static void end(da_store *s) {
  kit_close(s);
  kit_rm(dir);
}

static mode_t mode_of(const char *path) {
  struct stat st;
  return lstat(path, &st) == 0 ? st.st_mode & 07777 : 07777;
}

/* --- other things in a session's place --- */

static void put_symlink(const char *path) {
  CHECK(symlink(kit_path(dir, "target"), path) == 0);
}

static void put_dangling(const char *path) {
  CHECK(symlink("nowhere", path) == 0);
}

static void put_fifo(const char *path) {
  CHECK(mkfifo(path, 0600) == 0);
}

static int make_device(const char *path) { /* /dev/null's */
  return mknod(path, S_IFCHR | 0600, makedev(1, 3));
}

static void put_device(const char *path) {
  CHECK(make_device(path) == 0);
}

static void put_dir(const char *path) {
  CHECK(mkdir(path, 0700) == 0);
}

static void put_socket(const char *path) {
  struct sockaddr_un address = {AF_UNIX, ""};
  char cwd[PATH_MAX];
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  const char *name = strrchr(path, '/') + 1;
  snprintf(address.sun_path, sizeof address.sun_path, "%s", name);
  CHECK(getcwd(cwd, sizeof cwd) && chdir(dir) == 0);
  CHECK(bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
  CHECK(chdir(cwd) == 0);
  close(fd);
}

static void refuses(void (*put)(const char *), const char *says) {
  struct stat before, after;
  char kept[PATH_MAX] = "";
  char path[PATH_MAX];
  int fds;
  da_store *s;
  start();
  kit_write(dir, "target", "mine");
  snprintf(path, sizeof path, "%s", kit_path(dir, "a.json"));
  put(path);
  CHECK(lstat(path, &before) == 0);
  s = kit_store(dir, 1);
  CHECK_INT(kit_save(s, "b", "1", NULL, &rev, &err), DA_OK);
  fds = kit_fds();
  CHECK(kit_load(s, "a", &rev, &err) == NULL);
  CHECK_INT(err.code, DA_EUNSAFE);
  CHECK(strstr(err.message, says));
  CHECK_INT(kit_save(s, "a", "1", NULL, &rev, &err), DA_EUNSAFE);
  CHECK(strstr(err.message, says));
  CHECK_INT(kit_save(s, "a", "1", &none, &rev, &err), DA_EUNSAFE);
  CHECK_INT(s->ops->remove(s, "a", &err), DA_EUNSAFE);
  CHECK_INT(s->ops->quarantine(s, "a", NULL, kept, sizeof kept, &err),
            DA_EUNSAFE);
  CHECK_STR(kept, "");
  CHECK(lstat(path, &after) == 0 && after.st_ino == before.st_ino);
  CHECK_INT(kit_count(dir, ".tmp-"), 0);
  CHECK_INT(kit_fds(), fds);
  end(s);
}

static void refuses_other_things(void) {
  refuses(put_symlink, "symbolic link");
  refuses(put_dangling, "symbolic link");
  refuses(put_fifo, "FIFO");
  refuses(put_dir, "directory");
  refuses(put_socket, "socket");
}

static void refuses_devices(void) {
  refuses(put_device, "device");
}

static int can_make_devices(void) {
  char own[PATH_MAX];
  int can = make_device(kit_path(kit_dir(own), "d")) == 0;
  kit_rm(own);
  return can;
}

/* Nothing there is locked, written or followed; reading needs no lock. */
static void refuses_other_locks(void) {
  void (*puts[])(const char *) = {put_symlink, put_dangling, put_fifo, put_dir,
                                  put_socket};
  for (size_t i = 0; i < sizeof puts / sizeof *puts; i++) {
    int fds = kit_fds();
    da_store *s;
    start();
    kit_write(dir, "target", "mine");
    kit_write(dir, "a.json", "1");
    puts[i](kit_path(dir, ".lock"));
    s = kit_store(dir, 0);
    CHECK(kit_save(s, "a", "2", NULL, &rev, &err) < 0);
    CHECK(err.code == DA_EUNSAFE || err.code == DA_EIO);
    CHECK(kit_is(s, "a", "1"));
    CHECK(!kit_exists(dir, "nowhere"));
    end(s);
    CHECK_INT(kit_fds(), fds);
  }
}

static void refuses_other_owners(void) {
  da_store *s;
  start();
  s = kit_store(dir, 0);
  CHECK_INT(kit_save(s, "a", "1", NULL, &rev, &err), DA_OK);
  CHECK(chown(kit_path(dir, "a.json"), 65534, 65534) == 0);
  CHECK(kit_load(s, "a", &rev, &err) == NULL);
  CHECK_INT(err.code, DA_EUNSAFE);
  CHECK(strstr(err.message, "another user"));
  CHECK_INT(kit_save(s, "a", "2", NULL, &rev, &err), DA_EUNSAFE);
  CHECK_INT(s->ops->remove(s, "a", &err), DA_EUNSAFE);
  CHECK(kit_exists(dir, "a.json"));
  end(s);
}

static void unsafe_ids(void) {
  static const char *const ids[] = {"../x", "..", ".", "a/b", "/etc/x",
                                    "a\n",  "",   " ", NULL};
  da_store *s;
  start();
  s = kit_store(kit_path(dir, "in"), 0);
  for (const char *const *id = ids; *id; id++) {
    CHECK_INT(kit_save(s, *id, "1", NULL, &rev, &err), DA_EID);
    CHECK(kit_load(s, *id, &rev, &err) == NULL);
    CHECK_INT(err.code, DA_EID);
    CHECK_INT(s->ops->remove(s, *id, &err), DA_EID);
    CHECK_INT(s->ops->quarantine(s, *id, NULL, NULL, 0, &err), DA_EID);
  }
  CHECK_INT(kit_count(dir, ""), 0);
  CHECK_INT(kit_save(s, "..\\x", "1", NULL, &rev, &err), DA_OK);
  CHECK_INT(kit_count(dir, ""), 1);
  end(s);
}

/* --- rights --- */

static void modes_under(mode_t mask) {
  da_store *s;
  mode_t old;
  s = kit_store(kit_path(dir, "x/y/z"), 1);
  old = umask(mask);
  CHECK_INT(kit_save(s, "a", "1", NULL, &rev, &err), DA_OK);
  CHECK_INT(kit_save(s, "a", "2", &rev, &rev, &err), DA_OK);
  umask(old);
  CHECK(kit_is(s, "a", "2"));
  CHECK_INT(mode_of(kit_path(dir, "x")), 0700);
  CHECK_INT(mode_of(kit_path(dir, "x/y")), 0700);
  CHECK_INT(mode_of(kit_path(dir, "x/y/z")), 0700);
  CHECK_INT(mode_of(kit_path(dir, "x/y/z/a.json")), 0600);
  CHECK_INT(mode_of(kit_path(dir, "x/y/z/.lock")), 0600);
  kit_close(s);
  kit_rm(kit_path(dir, "x"));
}

static void modes(void) {
  static const mode_t masks[] = {0, 022, 077, 0777};
  for (size_t i = 0; i < sizeof masks / sizeof *masks; i++) {
    start();
    CHECK(chmod(dir, 0755) == 0);
    modes_under(masks[i]);
    CHECK_INT(mode_of(dir), 0755); /* not ours to change */
    kit_rm(dir);
  }
}

static void rights(void) {
  da_store *s;
  start();
  s = kit_store(kit_path(dir, "s"), 0);
  CHECK_INT(kit_save(s, "a", "1", NULL, &rev, &err), DA_OK);
  CHECK(chmod(kit_path(dir, "s/a.json"), 0) == 0);
  CHECK(kit_load(s, "a", &rev, &err) == NULL);
  CHECK_INT(err.code, DA_EPERM);
  CHECK(chmod(kit_path(dir, "s"), 0500) == 0);
  CHECK_INT(kit_save(s, "a", "2", NULL, &rev, &err), DA_EPERM);
  CHECK_INT(s->ops->remove(s, "a", &err), DA_EPERM);
  CHECK(chmod(kit_path(dir, "s"), 0) == 0);
  CHECK(kit_load(s, "a", &rev, &err) == NULL);
  CHECK_INT(err.code, DA_EPERM);
  {
    da_store_ids ids = {NULL};
    CHECK_INT(s->ops->list(s, &ids, &err), DA_EPERM);
  }
  CHECK(chmod(kit_path(dir, "s"), 0700) == 0);
  CHECK_INT(kit_save(s, "a", "3", NULL, &rev, &err), DA_OK);
  CHECK(kit_is(s, "a", "3"));
  end(s);
}

/* A parent that may be searched but not read cannot be flushed by itself. */
static void unreadable_parent(void) {
  da_store *s;
  start();
  CHECK(chmod(dir, 0300) == 0);
  s = kit_store(kit_path(dir, "s"), 1);
  CHECK_INT(kit_save(s, "a", "1", NULL, &rev, &err), DA_OK);
  CHECK(kit_is(s, "a", "1"));
  CHECK(chmod(dir, 0700) == 0);
  end(s);
}

/* Root ignores modes, so it steps down, to where everybody may go. */
static void as_nobody(void (*test)(void)) {
  char tmp[PATH_MAX] = "/tmp";
  int root = geteuid() == 0;
  if (getenv("TMPDIR"))
    snprintf(tmp, sizeof tmp, "%s", getenv("TMPDIR"));
  if (root) {
    setenv("TMPDIR", "/tmp", 1);
    CHECK(seteuid(65534) == 0);
  }
  test();
  if (root) {
    CHECK(seteuid(0) == 0);
    setenv("TMPDIR", tmp, 1);
  }
}

static void modes_of_a_user(void) {
  as_nobody(modes);
}

static void rights_of_a_user(void) {
  as_nobody(rights);
}

static void parent_without_read(void) {
  as_nobody(unreadable_parent);
}

/* --- directories that are not what they were --- */

static void a_file_for_a_directory(void) {
  kit_names names;
  da_store *s;
  start();
  kit_write(dir, "f", "");
  s = kit_store(kit_path(dir, "f/s"), 1);
  CHECK(kit_load(s, "a", &rev, &err) == NULL);
  CHECK_INT(err.code, DA_EIO);
  CHECK_INT(kit_save(s, "a", "1", NULL, &rev, &err), DA_EIO);
  CHECK(!kit_list(&names, s));
  kit_close(s);
  CHECK(symlink("nowhere", kit_path(dir, "l")) == 0);
  s = kit_store(kit_path(dir, "l"), 1);
  CHECK_INT(kit_save(s, "a", "1", NULL, &rev, &err), DA_EIO);
  CHECK(!kit_exists(dir, "nowhere"));
  end(s);
}

static void a_link_to_a_directory(void) {
  da_store *s;
  start();
  CHECK(mkdir(kit_path(dir, "real"), 0700) == 0);
  CHECK(symlink("real", kit_path(dir, "link")) == 0);
  s = kit_store(kit_path(dir, "link"), 1);
  CHECK_INT(kit_save(s, "a", "1", NULL, &rev, &err), DA_OK);
  CHECK(kit_exists(dir, "real/a.json"));
  end(s);
}

static void directory_removed(void) {
  int fds = kit_fds();
  da_store *s;
  start();
  s = kit_store(kit_path(dir, "p/s"), 1);
  CHECK_INT(kit_save(s, "a", "1", NULL, &rev, &err), DA_OK);
  kit_rm(kit_path(dir, "p"));
  CHECK(kit_load(s, "a", &none, &err) == NULL);
  CHECK_INT(err.code, DA_ENOTFOUND);
  CHECK_INT(s->ops->remove(s, "a", &err), DA_ENOTFOUND);
  CHECK_INT(kit_save(s, "a", "2", &rev, &none, &err), DA_ECONFLICT);
  kit_rm(kit_path(dir, "p"));
  CHECK_INT(kit_save(s, "a", "3", NULL, &rev, &err), DA_OK);
  CHECK(kit_is(s, "a", "3"));
  CHECK_INT(kit_save(s, "a", "4", &rev, &rev, &err), DA_OK);
  end(s);
  CHECK_INT(kit_fds(), fds);
}

static void directory_moved(void) {
  da_store *s;
  char old[PATH_MAX];
  start();
  s = kit_store(kit_path(dir, "s"), 0);
  CHECK_INT(kit_save(s, "a", "1", NULL, &rev, &err), DA_OK);
  snprintf(old, sizeof old, "%s", kit_path(dir, "s"));
  CHECK(rename(old, kit_path(dir, "away")) == 0);
  CHECK_INT(kit_save(s, "b", "2", &none, &rev, &err), DA_OK);
  CHECK(kit_exists(dir, "s/b.json") && !kit_exists(dir, "away/b.json"));
  CHECK(kit_exists(dir, "away/a.json") && !kit_exists(dir, "s/a.json"));
  end(s);
}

static void lock_removed(void) {
  da_store *s;
  start();
  s = kit_store(dir, 0);
  CHECK_INT(kit_save(s, "a", "1", NULL, &rev, &err), DA_OK);
  CHECK(unlink(kit_path(dir, ".lock")) == 0);
  CHECK_INT(kit_save(s, "a", "2", &rev, &rev, &err), DA_OK);
  CHECK(kit_exists(dir, ".lock"));
  end(s);
}

int main(void) {
  RUN(refuses_other_things);
  if (can_make_devices())
    RUN(refuses_devices);
  else
    SKIP("refuses_devices", "mknod is not allowed here");
  RUN(refuses_other_locks);
  if (geteuid() == 0)
    RUN(refuses_other_owners);
  else
    SKIP("refuses_other_owners", "only root can give files away");
  RUN(unsafe_ids);
  RUN(modes);
  RUN(modes_of_a_user);
  RUN(rights_of_a_user);
  RUN(parent_without_read);
  RUN(a_file_for_a_directory);
  RUN(a_link_to_a_directory);
  RUN(directory_removed);
  RUN(directory_moved);
  RUN(lock_removed);
  return check_done();
}
