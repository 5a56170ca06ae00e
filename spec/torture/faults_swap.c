/* faults_swap.c - somebody who may write to the directory, or to its parent,
** puts something else in the place of what the store works with, before each
** of its calls in turn: a link to outside, a FIFO, a directory. Nothing
** outside is ever read, written, removed or given other rights.
*/
#include "faults.h"

#include "faults_scenes.h"
#include "private_tmp.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static const char secret_text[] = "a secret";

static char outside[PATH_MAX], secret[PATH_MAX], away[PATH_MAX];
static int cases;

/* ---- what somebody does ---- */

static void link_directory(void) {
  CHECK(rename(dir, away) == 0);
  CHECK(symlink(outside, dir) == 0);
}

static void replace_by(const char *name, int (*put)(const char *)) {
  const char *path = kit_path(dir, name);
  unlink(path);
  rmdir(path);
  CHECK(put(path) == 0);
}

static int put_symlink(const char *path) {
  return symlink(secret, path);
}

static int put_hard_link(const char *path) {
  return link(secret, path);
}

static int put_fifo(const char *path) {
  return mkfifo(path, 0600);
}

static int put_directory(const char *path) {
  return mkdir(path, 0700);
}

static int (*put)(const char *);

static void replace_session(void) {
  replace_by("a.json", put);
}

static void replace_lock(void) {
  replace_by(".lock", put);
}

/* The new state, while it is being written. */
static void replace_temp(void) {
  DIR *stream = opendir(dir);
  const struct dirent *e;
  char name[NAME_MAX + 1] = "";
  while (stream && (e = readdir(stream)))
    if (strncmp(e->d_name, ".tmp-", 5) == 0)
      snprintf(name, sizeof name, "%s", e->d_name);
  if (stream)
    closedir(stream);
  if (name[0])
    replace_by(name, put);
}

/* ---- what it comes to ---- */

typedef struct snapshot {
  struct stat st;
  char text[32];
  int entries;
} snapshot;

static void look(snapshot *s) {
  FILE *f = fopen(secret, "r");
  memset(s, 0, sizeof *s);
  CHECK(f && fgets(s->text, sizeof s->text, f));
  if (f)
    fclose(f);
  CHECK(stat(secret, &s->st) == 0);
  s->entries = kit_count(outside, "");
}

static void same(const snapshot *before, int may_enter) {
  snapshot now_is;
  look(&now_is);
  CHECK_STR(now_is.text, secret_text);
  CHECK_INT(now_is.st.st_mode, before->st.st_mode);
  CHECK_INT(now_is.st.st_ino, before->st.st_ino);
  CHECK_INT(now_is.st.st_mtim.tv_nsec, before->st.st_mtim.tv_nsec);
  if (!may_enter)
    CHECK_INT(now_is.entries, before->entries);
}

static void set_outside(void) {
  snprintf(outside, sizeof outside, "%s", kit_path(root, "outside"));
  snprintf(secret, sizeof secret, "%s", kit_path(outside, "a.secret"));
  snprintf(away, sizeof away, "%s", kit_path(root, "away"));
  CHECK(mkdir(outside, 0755) == 0);
  kit_write(outside, "a.secret", secret_text);
  CHECK(chmod(secret, 0644) == 0);
}

static int one_case(const scene *s, void (*hook)(void), int at,
                    int may_enter) {
  snapshot before;
  int fds = kit_fds(), code;
  set_stage(s);
  set_outside();
  look(&before);
  faults_hook = at > 0 ? hook : NULL;
  faults_arm(FAULTS_NONE, at, 0, 0);
  code = s->act();
  faults_disarm();
  faults_hook = NULL;
  CHECK(code != DA_ECORRUPT); /* it never loads, or lists, another's */
  same(&before, may_enter);
  kit_close(store);
  CHECK_INT(kit_fds(), fds);
  if (check_failed_here)
    fprintf(stderr, "in \"%s\", before call %d (%s): %s\n", s->name, at,
            at > 0 ? faults_names[at - 1] : "", da_code_name(code));
  kit_rm(root);
  cases++;
  return faults_calls;
}

static const scene stages[] = {
    {"save", DURABLE, 0, NULL, save, 0, old_text, new_text},
    {"save, directory not open", DURABLE | FRESH, 0, NULL, save, 0, old_text,
     new_text},
    {"save after a dead writer", DURABLE | FRESH, 0, dead_writers, save, 0,
     old_text, new_text},
    {"delete", DURABLE, 0, NULL, erase, 0, old_text, NULL},
    {"quarantine", DURABLE, 0, NULL, quarantine, 0, old_text, NULL},
    {"quarantine without RENAME_NOREPLACE", DURABLE, FAULTS_NO_RENAME2, NULL,
     quarantine, 0, old_text, NULL},
    {"load", FRESH, 0, NULL, load, 0, old_text, old_text},
};

/* The path leads elsewhere from some call on. It is the user who says where
** his sessions are, by a link, too; but what has begun goes on in the
** directory where it began. */
static void directory(void) {
  for (size_t i = 0; i < sizeof stages / sizeof *stages; i++) {
    int calls, entered = 1;
    if (stages[i].act == load)
      continue;
    faults_kind = FAULTS_NONE;
    calls = one_case(&stages[i], link_directory, 0, 0);
    for (int at = 1; at <= calls && !check_failed_here; at++) {
      const char *before = at > 1 ? faults_names[at - 2] : "";
      /* It was looked where the path leads, or opened. */
      entered &= strcmp(before, "stat") != 0 && strcmp(before, "open") != 0;
      one_case(&stages[i], link_directory, at, entered);
    }
  }
}

static void each_call(void (*hook)(void)) {
  static int (*const puts[])(const char *) = {put_symlink, put_hard_link,
                                              put_fifo, put_directory};
  for (size_t i = 0; i < sizeof stages / sizeof *stages; i++)
    for (size_t k = 0; k < sizeof puts / sizeof *puts; k++) {
      int calls;
      put = puts[k];
      /* A hard link of one's own file is that file. */
      if (put == put_hard_link && stages[i].act == load)
        continue;
      calls = one_case(&stages[i], hook, 0, 0);
      for (int at = 1; at <= calls && !check_failed_here; at++)
        one_case(&stages[i], hook, at, 0);
    }
}

static void session(void) {
  each_call(replace_session);
}

static void lock_file(void) {
  each_call(replace_lock);
}

static void temporary_file(void) {
  each_call(replace_temp);
}

/* The same by chance, as fast as two processes can. */
static void racing(void) {
  static const scene here = {"race", 0, 0, NULL, save, 0, old_text, new_text};
  snapshot before;
  pid_t swapper;
  set_stage(&here);
  set_outside();
  look(&before);
  swapper = fork();
  if (swapper == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
      if (rename(dir, away) == 0 && symlink(outside, dir) == 0)
        unlink(dir);
      rename(away, dir);
    }
  }
  for (int i = 0; i < 500; i++) {
    kit_save(store, "a", new_text, NULL, &now, &err);
    kit_save(store, i % 2 ? "a.secret" : "b", new_text, NULL, &now, &err);
    store->ops->remove(store, i % 2 ? "a" : "b", &err);
    list();
  }
  CHECK(kill(swapper, SIGKILL) == 0);
  CHECK(waitpid(swapper, NULL, 0) == swapper);
  same(&before, 1);
  kit_close(store);
  kit_rm(root);
}

int main(void) {
  private_tmp();
  RUN(directory);
  RUN(session);
  RUN(lock_file);
  RUN(temporary_file);
  RUN(racing);
  printf("# %d cases\n", cases);
  return check_done();
}
