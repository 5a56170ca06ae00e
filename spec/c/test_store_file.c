/* test_store_file.c - sessions as files: what a user of it relies on.
** What hostile surroundings do to it is in test_store_file_unsafe.c, what
** others do at the same time in test_store_file_many.c. */
#include "store_kit.h"

#include <sys/resource.h>

#include "file_claim.h"
#include "file_name.h"

static char dir[PATH_MAX];
static da_err err;
static da_revision rev, none;

static void start(void) {
  kit_dir(dir);
  memset(&none, 0, sizeof none);
}

static void end(da_store *s) {
  if (s)
    kit_close(s);
  kit_rm(dir);
}

/* --- where the directory is --- */

static void path_is(const char *given, const char *want) {
  int fds = kit_fds();
  da_store *s = kit_store(given, 0);
  CHECK_STR(da_store_file_path(s), want);
  kit_close(s);
  CHECK_INT(kit_fds(), fds);
}

static void default_directory(void) {
  char *home = getenv("HOME") ? strdup(getenv("HOME")) : NULL;
  start();
  setenv("HOME", dir, 1);
  unsetenv("DEEPAGENT_HOME");
  path_is(NULL, kit_path(dir, ".deepagent/sessions"));
  setenv("DEEPAGENT_HOME", kit_path(dir, "own"), 1);
  path_is(NULL, kit_path(dir, "own/sessions"));
  setenv("DEEPAGENT_HOME", "", 1);
  path_is(NULL, kit_path(dir, ".deepagent/sessions"));
  unsetenv("HOME");
  {
    da_store *s = kit_store(NULL, 0); /* of the user's entry */
    const char *path = da_store_file_path(s);
    CHECK(strlen(path) > strlen("/.deepagent/sessions"));
    kit_close(s);
  }
  unsetenv("DEEPAGENT_HOME");
  if (home)
    setenv("HOME", home, 1);
  CHECK_INT(kit_count(dir, ""), 0); /* nothing was touched */
  free(home);
  end(NULL);
}

static void given_directory(void) {
  char cwd[PATH_MAX];
  da_file_options empty = {"", 0, 0};
  da_store *s;
  start();
  CHECK(getcwd(cwd, sizeof cwd) && chdir(dir) == 0);
  path_is("a", kit_path(dir, "a"));
  path_is("a//", kit_path(dir, "a"));
  path_is(kit_path(dir, "b/"), kit_path(dir, "b"));
  path_is("/", "/");
  CHECK_INT(da_store_file(&s, &empty, &err), DA_EINVAL);
  s = kit_store("later/on/", 0);
  CHECK(chdir("/") == 0);
  CHECK_INT(kit_save(s, "x", "1", NULL, &rev, &err), DA_OK);
  CHECK(kit_exists(dir, "later/on/x.json"));
  CHECK(kit_is(s, "x", "1"));
  CHECK(chdir(cwd) == 0);
  end(s);
}

static void names_in_any_script(void) {
  da_store *s;
  start();
  s = kit_store(kit_path(dir, "\xe6\x97\xa5 \xc3\xa9\xff %s"), 0);
  CHECK_INT(kit_save(s, "\xe6\x97\xa5", "1", NULL, &rev, &err), DA_OK);
  CHECK(kit_is(s, "\xe6\x97\xa5", "1"));
  end(s);
}

static void missing_is_empty(void) {
  kit_names names;
  da_store *s;
  start();
  s = kit_store(kit_path(dir, "no/where"), 1);
  CHECK(kit_load(s, "x", &rev, &err) == NULL);
  CHECK_INT(err.code, DA_ENOTFOUND);
  CHECK_STR(rev.text, "");
  CHECK(kit_list(&names, s));
  CHECK_INT(names.count, 0);
  CHECK_INT(s->ops->remove(s, "x", &err), DA_ENOTFOUND);
  CHECK_INT(s->ops->quarantine(s, "x", NULL, NULL, 0, &err), DA_ENOTFOUND);
  CHECK_INT(kit_count(dir, ""), 0);
  end(s);
}

/* --- saving and loading --- */

static void saves_and_loads(int durable) {
  da_revision saved, loaded;
  char *text;
  da_store *s;
  start();
  s = kit_store(kit_path(dir, "s"), durable);
  CHECK_INT(s->ops->flags & DA_STORE_QUICK, durable ? 0 : DA_STORE_QUICK);
  CHECK_INT(kit_save(s, "a", "one", &none, &saved, &err), DA_OK);
  text = kit_load(s, "a", &loaded, &err);
  CHECK_STR(text, "one");
  CHECK(saved.text[0]);
  CHECK_STR(loaded.text, saved.text);
  free(text);
  CHECK_INT(kit_save(s, "a", "two", &saved, &loaded, &err), DA_OK);
  CHECK(strcmp(loaded.text, saved.text) != 0);
  CHECK(kit_is(s, "a", "two"));
  CHECK_INT(kit_save(s, "a", "", &loaded, &saved, &err), DA_OK);
  CHECK(kit_is(s, "a", ""));
  CHECK_INT(kit_count(kit_path(dir, "s"), ""), 2); /* with the lock file */
  end(s);
}

static void saves_and_loads_durable(void) {
  saves_and_loads(1);
}

static void saves_and_loads_quick(void) {
  saves_and_loads(0);
}

/* 5,000 pieces, empty ones among them, and a large one. */
static void many_pieces(void) {
  enum { N = 5000, BIG = 3000000 };
  da_text *pieces = calloc(N, sizeof *pieces);
  char *big = malloc(BIG), *want = malloc(BIG + N * 4 + 1), *got;
  size_t len = 0;
  da_store_session session;
  da_store *s;
  start();
  s = kit_store(dir, 1);
  memset(big, 'B', BIG);
  memset(&session, 0, sizeof session);
  for (size_t i = 0; i < N; i++) {
    pieces[i].data = i == 77 ? big : "abcd";
    pieces[i].len = i == 77 ? BIG : i % 5;
    memcpy(want + len, pieces[i].data, pieces[i].len);
    len += pieces[i].len;
  }
  want[len] = '\0';
  session.document = pieces;
  session.pieces = N;
  CHECK_INT(s->ops->save(s, "many", &session, &rev, &err), DA_OK);
  got = kit_load(s, "many", &rev, &err);
  CHECK(got && strcmp(got, want) == 0);
  session.pieces = 0;
  CHECK_INT(s->ops->save(s, "many", &session, &rev, &err), DA_OK);
  CHECK(kit_is(s, "many", ""));
  free(pieces), free(big), free(want), free(got);
  end(s);
}

static void conflicts(void) {
  da_revision first, second, third;
  da_store *s, *other;
  start();
  s = kit_store(dir, 0);
  other = kit_store(dir, 0);
  CHECK_INT(kit_save(s, "a", "1", &none, &first, &err), DA_OK);
  CHECK_INT(kit_save(other, "a", "x", &none, &rev, &err), DA_ECONFLICT);
  CHECK_STR(rev.text, "");
  CHECK_INT(kit_save(other, "a", "2", &first, &second, &err), DA_OK);
  CHECK_INT(kit_save(s, "a", "x", &first, &rev, &err), DA_ECONFLICT);
  CHECK(kit_is(s, "a", "2"));
  CHECK_INT(kit_save(s, "a", "3", NULL, &third, &err), DA_OK);
  CHECK_INT(kit_save(other, "a", "x", &second, &rev, &err), DA_ECONFLICT);
  CHECK_INT(other->ops->remove(other, "a", &err), DA_OK);
  CHECK_INT(kit_save(s, "a", "x", &third, &rev, &err), DA_ECONFLICT);
  CHECK_INT(kit_save(s, "a", "4", &none, &rev, &err), DA_OK);
  /* somebody edits it by hand */
  kit_write(dir, "a.json", "5");
  CHECK_INT(kit_save(s, "a", "x", &rev, &third, &err), DA_ECONFLICT);
  CHECK(kit_is(s, "a", "5"));
  CHECK_INT(kit_count(dir, ".tmp-"), 0);
  kit_close(other);
  end(s);
}

static void limits(void) {
  da_file_options options = {NULL, 0, 4};
  da_store *s = NULL;
  start();
  options.path = dir;
  CHECK_INT(da_store_file(&s, &options, &err), DA_OK);
  CHECK_INT(kit_save(s, "a", "1234", NULL, &rev, &err), DA_OK);
  CHECK(kit_is(s, "a", "1234"));
  CHECK_INT(kit_save(s, "a", "12345", NULL, &rev, &err), DA_ETOOLARGE);
  CHECK(kit_is(s, "a", "1234"));
  kit_write(dir, "a.json", "12345");
  CHECK(kit_load(s, "a", &rev, &err) == NULL);
  CHECK_INT(err.code, DA_ETOOLARGE);
  end(s);
}

static void a_tebibyte_is_too_large(void) {
  da_store *s;
  start();
  s = kit_store(dir, 0);
  kit_write(dir, "a.json", "");
  CHECK(truncate(kit_path(dir, "a.json"), (off_t)1 << 40) == 0);
  CHECK(kit_load(s, "a", &rev, &err) == NULL);
  CHECK_INT(err.code, DA_ETOOLARGE);
  end(s);
}

/* A process's own limit: an error, and no SIGXFSZ, which would end it. */
static void file_size_limit(void) {
  struct rlimit old, low;
  da_store *s;
  start();
  s = kit_store(dir, 1);
  CHECK_INT(kit_save(s, "a", "old", NULL, &rev, &err), DA_OK);
  CHECK(getrlimit(RLIMIT_FSIZE, &old) == 0);
  low = old;
  low.rlim_cur = 10;
  CHECK(setrlimit(RLIMIT_FSIZE, &low) == 0);
  CHECK_INT(kit_save(s, "a", "0123456789a", &rev, &rev, &err), DA_EFULL);
  CHECK(setrlimit(RLIMIT_FSIZE, &old) == 0);
  CHECK(kit_is(s, "a", "old"));
  CHECK_INT(kit_count(dir, ""), 2);
  end(s);
}

/* --- remove, quarantine, list --- */

static void removes(void) {
  da_store *s;
  start();
  s = kit_store(dir, 1);
  CHECK_INT(kit_save(s, "a", "1", NULL, &rev, &err), DA_OK);
  CHECK_INT(kit_save(s, "b", "2", NULL, &rev, &err), DA_OK);
  CHECK_INT(s->ops->remove(s, "a", &err), DA_OK);
  CHECK_INT(s->ops->remove(s, "a", &err), DA_ENOTFOUND);
  CHECK(!kit_exists(dir, "a.json") && kit_is(s, "b", "2"));
  end(s);
}

static void puts_aside(void) {
  char kept[2][PATH_MAX], text[8] = "";
  kit_names names;
  da_store *s;
  FILE *f;
  start();
  s = kit_store(dir, 1);
  for (int i = 0; i < 2; i++) {
    CHECK_INT(kit_save(s, "X", "bad", NULL, &rev, &err), DA_OK);
    CHECK_INT(s->ops->quarantine(s, "X", NULL, kept[i], PATH_MAX, &err),
              DA_OK);
    CHECK(kit_load(s, "X", &rev, &err) == NULL);
    CHECK_INT(err.code, DA_ENOTFOUND);
  }
  CHECK(strcmp(kept[0], kept[1]) != 0);
  CHECK_INT(strncmp(kept[0], dir, strlen(dir)), 0);
  CHECK_INT(strncmp(kept[0] + strlen(dir), "/%58.json.corrupt-2", 19), 0);
  CHECK_INT(kit_count(dir, "%58.json.corrupt-"), 2);
  f = fopen(kept[1], "r");
  CHECK(f && fread(text, 1, 7, f) == 3 && strcmp(text, "bad") == 0);
  if (f)
    fclose(f);
  CHECK(kit_list(&names, s));
  CHECK_INT(names.count, 0);
  CHECK_INT(s->ops->quarantine(s, "X", NULL, kept[0], 9, &err), DA_ENOTFOUND);
  end(s);
}

static void lists_exactly(void) {
  static const char *const others[] = {
      "A.json",   "a.txt",      "a.json.corrupt-20260101T000000Z-0000",
      ".json",    "con.json",   ".tmp-0123456789abcdef-0123456789abcdef",
      "%61.json", "a.json.bak", "%2F.json",
      "x",        NULL,
  };
  static const char *const ids[] = {"a",   "B",   "\xc3\xa9", "x.json", ".y",
                                    "nul", "a b", "%",        NULL};
  kit_names names;
  da_store *s;
  int n = 0;
  start();
  s = kit_store(dir, 0);
  for (const char *const *o = others; *o; o++)
    kit_write(dir, *o, "{}");
  CHECK(mkdir(kit_path(dir, "dir.json"), 0700) == 0);
  CHECK(symlink("a.json", kit_path(dir, "link.json")) == 0);
  CHECK(mkfifo(kit_path(dir, "fifo.json"), 0600) == 0);
  for (; ids[n]; n++)
    CHECK_INT(kit_save(s, ids[n], "1", NULL, &rev, &err), DA_OK);
  CHECK(kit_list(&names, s));
  CHECK_INT(names.count, n);
  for (const char *const *id = ids; *id; id++)
    CHECK(kit_listed(&names, *id));
  end(s);
}

static int stop(da_store_ids *ids, da_text id) {
  (void)ids, (void)id;
  return DA_ENOMEM;
}

static int refuse(da_store_sink *sink, char *bytes, size_t len) {
  (void)sink, (void)len;
  free(bytes);
  return DA_ECORRUPT;
}

/* What the caller's functions answer comes back; load still tells the
** revision of what was refused. */
static void sinks_may_fail(void) {
  da_store_ids ids = {stop};
  da_store_sink sink = {NULL, NULL, refuse};
  da_revision now;
  da_store *s;
  int fds = kit_fds();
  start();
  s = kit_store(dir, 0);
  CHECK_INT(kit_save(s, "a", "1", NULL, &rev, &err), DA_OK);
  CHECK_INT(s->ops->list(s, &ids, &err), DA_ENOMEM);
  CHECK_INT(s->ops->load(s, "a", &sink, &now, &err), DA_ECORRUPT);
  CHECK_STR(now.text, rev.text);
  end(s);
  CHECK_INT(kit_fds(), fds);
}

/* --- what crashed writers left --- */

static void temp_name(char *temp, const char *id) {
  char name[DA_FILE_NAME_SIZE];
  CHECK_INT(da_file_name(name, id, &err), DA_OK);
  da_file_temp(temp, da_file_slot(name));
}

static void sweeps(void) {
  char own[DA_FILE_TEMP_SIZE], dead[DA_FILE_TEMP_SIZE];
  char live[DA_FILE_TEMP_SIZE], name[DA_FILE_NAME_SIZE];
  da_file_claim claim;
  da_store *s, *other;
  start();
  temp_name(own, "a"), temp_name(dead, "b"), temp_name(live, "c");
  kit_write(dir, own, "x"), kit_write(dir, dead, "x");
  kit_write(dir, live, "x"), kit_write(dir, ".tmp-notes", "x");
  other = kit_store(dir, 0);
  CHECK_INT(da_file_name(name, "c", &err), DA_OK);
  CHECK_INT(da_file_claim_take(&claim, (da_file_store *)other, name, 1, &err),
            DA_OK);
  s = kit_store(dir, 0);
  CHECK_INT(kit_save(s, "a", "1", NULL, &rev, &err), DA_OK);
  CHECK(!kit_exists(dir, own) && !kit_exists(dir, dead));
  CHECK(kit_exists(dir, live) && kit_exists(dir, ".tmp-notes"));
  CHECK_INT(da_file_claim_end(&claim, (da_file_store *)other, 0, &err), DA_OK);
  kit_close(s);
  s = kit_store(dir, 0);
  CHECK_INT(kit_save(s, "a", "1", NULL, &rev, &err), DA_OK);
  CHECK(!kit_exists(dir, live));
  kit_close(other);
  end(s);
}

static void names_of_temps(void) {
  char temp[DA_FILE_TEMP_SIZE];
  uint64_t slot;
  da_file_temp(temp, 0x123456789abcdefu);
  CHECK_INT(strncmp(temp, ".tmp-0123456789abcdef-", 22), 0);
  CHECK(da_file_temp_slot(temp, &slot) && slot == 0x123456789abcdefu);
  CHECK(!da_file_temp_slot(".tmp-0123456789abcdef-0123456789abcdeF", &slot));
  CHECK(!da_file_temp_slot(".tmp-0123456789abcdef-0123456789abcde", &slot));
  CHECK(!da_file_temp_slot(".tmp- 123456789abcdef-0123456789abcdef", &slot));
  CHECK(!da_file_temp_slot("x", &slot));
  /* part of what is on disk: never to change */
  CHECK(da_file_slot("a.json") == 0x33dcbcf2bc73e040u);
}

int main(void) {
  RUN(default_directory);
  RUN(given_directory);
  RUN(names_in_any_script);
  RUN(missing_is_empty);
  RUN(saves_and_loads_durable);
  RUN(saves_and_loads_quick);
  RUN(many_pieces);
  RUN(conflicts);
  RUN(limits);
  RUN(a_tebibyte_is_too_large);
  RUN(file_size_limit);
  RUN(removes);
  RUN(puts_aside);
  RUN(lists_exactly);
  RUN(sinks_may_fail);
  RUN(sweeps);
  RUN(names_of_temps);
  return check_done();
}
