/* test_store_file_planted.c - what others may have put into the directory of
** sessions: hard links, devices, things with names of temporary files and of
** files put aside. Nothing outside changes by it. */
#include "store_kit.h"

#include <fcntl.h>
#include <sys/sysmacros.h>

#include "file_claim.h"
#include "file_name.h"

static char dir[PATH_MAX];
static da_err err;
static da_revision rev, none;

static void start(void) {
  kit_dir(dir);
  CHECK(mkdir(kit_path(dir, "s"), 0700) == 0);
  CHECK(mkdir(kit_path(dir, "out"), 0755) == 0);
  kit_write(dir, "out/file", "outside");
  CHECK(chmod(kit_path(dir, "out/file"), 0644) == 0);
  memset(&none, 0, sizeof none);
}

/* The one file outside is as it was. */
static void end(da_store *s) {
  struct stat st;
  char text[16] = "";
  FILE *f = fopen(kit_path(dir, "out/file"), "r");
  CHECK(f && fgets(text, sizeof text, f));
  if (f)
    fclose(f);
  CHECK_STR(text, "outside");
  CHECK(stat(kit_path(dir, "out/file"), &st) == 0);
  CHECK_INT(st.st_mode & 07777, 0644);
  CHECK_INT(kit_count(kit_path(dir, "out"), ""), 1);
  kit_close(s);
  kit_rm(dir);
}

/* It is one of this user's files, and nothing tells that it has another
** place: it is replaced, not written into. */
static void hard_links(void) {
  char kept[PATH_MAX];
  da_store *s;
  start();
  s = kit_store(kit_path(dir, "s"), 1);
  for (int i = 0; i < 3; i++) {
    CHECK(link(kit_path(dir, "out/file"), kit_path(dir, "s/a.json")) == 0);
    if (i == 0)
      CHECK_INT(kit_save(s, "a", "1", NULL, &rev, &err), DA_OK);
    if (i == 1)
      CHECK_INT(s->ops->quarantine(s, "a", NULL, kept, sizeof kept, &err),
                DA_OK);
    if (i != 1)
      CHECK_INT(s->ops->remove(s, "a", &err), DA_OK);
  }
  end(s);
}

static void a_hard_link_as_lock(void) {
  da_store *s;
  start();
  s = kit_store(kit_path(dir, "s"), 1);
  CHECK(link(kit_path(dir, "out/file"), kit_path(dir, "s/.lock")) == 0);
  CHECK_INT(kit_save(s, "a", "1", NULL, &rev, &err), DA_OK);
  CHECK(kit_is(s, "a", "1"));
  end(s);
}

/* What is told apart from /dev/null reads as empty, and takes all that is
** written. */
static void devices(void) {
  const dev_t null_device = makedev(1, 3);
  struct stat st;
  da_store *s;
  start();
  s = kit_store(kit_path(dir, "s"), 0);
  CHECK_INT(kit_save(s, "b", "1", NULL, &rev, &err), DA_OK);
  CHECK(mknod(kit_path(dir, "s/a.json"), S_IFCHR | 0600, null_device) == 0);
  CHECK(kit_load(s, "a", &rev, &err) == NULL);
  CHECK_INT(err.code, DA_EUNSAFE);
  CHECK(strstr(err.message, "device"));
  CHECK_INT(kit_save(s, "a", "1", NULL, &rev, &err), DA_EUNSAFE);
  CHECK_INT(s->ops->remove(s, "a", &err), DA_EUNSAFE);
  CHECK_INT(s->ops->quarantine(s, "a", NULL, NULL, 0, &err), DA_EUNSAFE);
  kit_close(s);
  CHECK(unlink(kit_path(dir, "s/.lock")) == 0);
  CHECK(mknod(kit_path(dir, "s/.lock"), S_IFCHR | 0644, null_device) == 0);
  s = kit_store(kit_path(dir, "s"), 0);
  CHECK_INT(kit_save(s, "b", "2", NULL, &rev, &err), DA_EUNSAFE);
  CHECK(kit_is(s, "b", "1"));
  CHECK(lstat(kit_path(dir, "s/.lock"), &st) == 0);
  CHECK_INT(st.st_mode & 07777, 0644);
  end(s);
}

/* Only files are swept, and only their names: what they lead to stays. */
static void temporary_names(void) {
  char temps[5][DA_FILE_TEMP_SIZE + 2];
  da_store *s;
  start();
  for (int i = 0; i < 5; i++) {
    memcpy(temps[i], "s/", 2);
    da_file_temp(temps[i] + 2, da_file_slot("x.json"));
  }
  CHECK(symlink("../out/file", kit_path(dir, temps[0])) == 0);
  CHECK(symlink("../out", kit_path(dir, temps[1])) == 0);
  CHECK(mkdir(kit_path(dir, temps[2]), 0700) == 0);
  CHECK(mkfifo(kit_path(dir, temps[3]), 0600) == 0);
  CHECK(link(kit_path(dir, "out/file"), kit_path(dir, temps[4])) == 0);
  s = kit_store(kit_path(dir, "s"), 1);
  CHECK_INT(kit_save(s, "a", "1", NULL, &rev, &err), DA_OK);
  for (int i = 0; i < 5; i++)
    CHECK_INT(kit_exists(dir, temps[i]), i < 4);
  end(s);
}

/* A session is put aside under a name that nobody has. */
static void names_aside(void) {
  static const char text[] = "somebody's own";
  char kept[PATH_MAX];
  kit_names names;
  da_store *s;
  start();
  kit_write(dir, "s/a.json.corrupt-20260101T000000Z-0000", text);
  s = kit_store(kit_path(dir, "s"), 1);
  CHECK_INT(kit_save(s, "a", "bad", NULL, &rev, &err), DA_OK);
  CHECK_INT(s->ops->quarantine(s, "a", &rev, kept, sizeof kept, &err), DA_OK);
  CHECK_INT(kit_count(kit_path(dir, "s"), "a.json.corrupt-"), 2);
  CHECK(kit_list(&names, s));
  CHECK_INT(names.count, 0);
  end(s);
}

/* Ids with anything in them that means something to a file system. */
static void strange_ids(void) {
  static const char *const ids[] = {
      "..\\..\\x",    "~",      "~root",       "$HOME",    "a.json",
      ".lock",        ".tmp-1", "CON",         "nul",      "%2e%2e%2fx",
      "%00",          "a%2Fb",  "*",           "-rf",      "|id",
      "`id`",         "C:",     "\\\\host\\x", "\xc2\xad", "\xe2\x80\xae",
      "\xef\xbb\xbf", "...x",   NULL};
  kit_names names;
  da_store *s;
  int n = 0;
  start();
  s = kit_store(kit_path(dir, "s"), 0);
  for (; ids[n]; n++)
    CHECK_INT(kit_save(s, ids[n], ids[n], &none, &rev, &err), DA_OK);
  CHECK_INT(kit_count(dir, ""), 2);
  CHECK_INT(kit_count(kit_path(dir, "s"), ""), n + 1);
  CHECK(kit_list(&names, s));
  CHECK_INT(names.count, n);
  for (int i = 0; i < n; i++) {
    CHECK(kit_listed(&names, ids[i]));
    CHECK(kit_is(s, ids[i], ids[i]));
    CHECK_INT(s->ops->remove(s, ids[i], &err), DA_OK);
  }
  CHECK_INT(kit_count(kit_path(dir, "s"), ""), 1);
  end(s);
}

int main(void) {
  RUN(hard_links);
  RUN(a_hard_link_as_lock);
  if (geteuid() == 0)
    RUN(devices);
  else
    SKIP("devices", "only root can make them");
  RUN(temporary_names);
  RUN(names_aside);
  RUN(strange_ids);
  return check_done();
}
