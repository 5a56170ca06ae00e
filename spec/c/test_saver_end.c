/* test_saver_end.c - how savers end: closed, at exit(), in forked children,
** with stores that hang. */
#include "store_kit.h"

#include "recording_store.h"

#include <sys/wait.h>

static const char *self; /* this program, to be run again */

/* ---- closing ---- */

static void close_drains(void) {
  rec_store *r = rec_new(0);
  da_backend *b = new_backend(r);
  da_saver *s = new_saver();
  talker a, c;
  REC_SET(r, delay, 0.05);
  sit_down(&a, s, b, "x", CHECK_LONG);
  sit_down(&c, s, b, "y", CHECK_LONG);
  say(&a, "one");
  say(&c, "two");
  CHECK(rec_wait(r, &r->saves, 1));
  say(&a, "three");
  get_up(&a); /* gone before it is saved */
  get_up(&c);
  da_saver_close(s);
  CHECK_STR(rec_text(r, "x"), "one three");
  CHECK_STR(rec_text(r, "y"), "two");
  da_backend_unref(b);
  rec_free(r);
}

/* What had failed is tried once more. */
static void close_tries_again(void) {
  rec_store *r = rec_new(0);
  da_backend *b = new_backend(r);
  da_saver *s = new_saver();
  talker a;
  REC_SET(r, fail_code, DA_EIO);
  REC_SET(r, fail_saves, 1);
  sit_down(&a, s, b, "x", CHECK_LONG);
  say(&a, "one");
  while (state(&a) == DA_SAVE_PENDING)
    da_sleep(0.001);
  CHECK_INT(state(&a), DA_SAVE_FAILED);
  get_up(&a);
  da_saver_close(s);
  CHECK_STR(rec_text(r, "x"), "one");
  da_backend_unref(b);
  rec_free(r);
}

static void *go_on(void *arg) {
  rec_store *r = arg;
  da_sleep(0.1); /* until close waits for it */
  REC_SET(r, hang, 0);
  return NULL;
}

/* What is under way when the end comes may fail by what is over by then. */
static void close_tries_again_what_was_under_way(void) {
  rec_store *r = rec_new(0);
  da_backend *b = new_backend(r);
  da_saver *s = new_saver();
  pthread_t thread;
  talker a;
  REC_SET(r, fail_code, DA_EIO);
  REC_SET(r, fail_saves, 1);
  REC_SET(r, hang, 1);
  sit_down(&a, s, b, "x", CHECK_LONG);
  say(&a, "one");
  CHECK(rec_wait(r, &r->saves, 1));
  get_up(&a);
  CHECK_INT(pthread_create(&thread, NULL, go_on, r), 0);
  da_saver_close(s);
  pthread_join(thread, NULL);
  CHECK_STR(rec_text(r, "x"), "one");
  CHECK_INT(r->saves, 2);
  da_backend_unref(b);
  rec_free(r);
}

typedef struct losses {
  int count, code;
  da_level level;
  char session[64], message[512];
} losses;

static void note_loss(void *ctx, da_level level, const char *message, int code,
                      const char *session) {
  losses *l = ctx;
  l->count++;
  l->code = code;
  l->level = level;
  snprintf(l->session, sizeof l->session, "%s", session);
  snprintf(l->message, sizeof l->message, "%s", message);
}

static void losses_are_told(void) {
  rec_store *r = rec_new(0);
  da_backend *b = new_backend(r);
  da_saver *s = new_saver();
  losses told = {0, 0, DA_DEBUG, "", ""};
  talker a, c;
  da_saver_on_loss(s, note_loss, &told);
  sit_down(&c, s, b, "y", CHECK_LONG);
  say(&c, "saved");
  CHECK_INT(flush(&c, CHECK_LONG), DA_OK);
  REC_SET(r, fail_code, DA_EFULL);
  REC_SET(r, fail_saves, -1);
  sit_down(&a, s, b, "x", CHECK_LONG);
  say(&a, "one");
  get_up(&a);
  get_up(&c);
  da_saver_close(s);
  CHECK_INT(told.count, 1);
  CHECK_INT(told.code, DA_EFULL);
  CHECK_INT(told.level, DA_ERROR);
  CHECK_STR(told.session, "x");
  CHECK(
      strstr(told.message, "session 'x' ends with turns that are not saved"));
  da_backend_unref(b);
  rec_free(r);
}

static void close_of_a_store_that_fails(void) {
  rec_store *r = rec_new(0);
  da_backend *b = new_backend(r);
  da_saver *s = new_saver();
  talker a;
  double begun = da_now();
  REC_SET(r, fail_code, DA_EIO);
  REC_SET(r, fail_saves, -1);
  sit_down(&a, s, b, "x", CHECK_LONG);
  say(&a, "one");
  get_up(&a);
  da_saver_close(s);
  CHECK(da_now() - begun < CHECK_SOON);
  CHECK_STR(rec_text(r, "x"), "");
  da_backend_unref(b);
  rec_free(r);
}

/* Close waits for the timeout and no longer; what hangs ends alone, and what
** it was to save is saved then. */
static void close_of_a_store_that_hangs(void) {
  rec_store *r = rec_new(0);
  da_backend *b = new_backend(r);
  da_saver *s = new_saver();
  talker a;
  double begun = da_now(), deadline;
  REC_SET(r, hang, 1);
  sit_down(&a, s, b, "x", 0.2);
  say(&a, "one");
  CHECK(rec_wait(r, &r->saves, 1));
  say(&a, "two");
  get_up(&a);
  da_saver_close(s);
  CHECK(da_now() - begun >= 0.2 && da_now() - begun < CHECK_SOON);
  da_backend_unref(b);
  CHECK_INT(rec_get(r, &r->closed), 0);
  REC_SET(r, hang, 0);
  deadline = da_deadline(CHECK_LONG);
  while (!rec_get(r, &r->closed) && da_left(deadline) > 0)
    da_sleep(0.002);
  CHECK_STR(rec_text(r, "x"), "one two");
  da_sleep(0.05); /* the last thread on its way out */
  rec_free(r);
}

static void close_of_a_load_that_hangs(void) {
  rec_store *r = rec_new(0);
  da_backend *b = new_backend(r);
  da_saver *s = new_saver();
  talker a;
  double begun = da_now(), deadline = da_deadline(CHECK_LONG);
  REC_SET(r, hang_loads, 1);
  sit_down(&a, s, b, "x", 0.1);
  CHECK_INT(load(&a), DA_ETIMEOUT);
  get_up(&a);
  da_saver_close(s);
  CHECK(da_now() - begun < CHECK_SOON);
  da_backend_unref(b);
  REC_SET(r, hang_loads, 0);
  while (!rec_get(r, &r->closed) && da_left(deadline) > 0)
    da_sleep(0.002);
  da_sleep(0.05);
  rec_free(r);
}

static void empty_savers(void) {
  double deadline = da_deadline(CHECK_LONG);
  for (int i = 0; i < 100; i++)
    da_saver_close(new_saver());
  while (kit_count("/proc/self/task", "") > 3 && da_left(deadline) > 0)
    da_sleep(0.002); /* earlier threads on their way out */
  CHECK(kit_count("/proc/self/task", "") <= 3);
}

/* ---- exit ---- */

static da_backend *files_in(const char *dir, int durable) {
  da_backend *b = NULL;
  CHECK_INT(da_backend_new(&b, kit_store(dir, durable), &err), DA_OK);
  return b;
}

/* What session `id` in `dir` says. */
static const char *stored_in(const char *dir, const char *id) {
  static char text[8192];
  da_backend *b = files_in(dir, 0);
  da_stored stored;
  da_stored_init(&stored);
  CHECK_INT(da_store_load(b, id, &stored, &err), DA_OK);
  snprintf(text, sizeof text, "%s", said(&stored.history));
  da_stored_dispose(&stored);
  da_backend_unref(b);
  return text;
}

/* The child: talks, and ends without closing anything. */
static int child_that_exits(const char *dir) {
  static da_saver *s;
  static da_backend *b;
  static talker t[20];
  char id[16], text[16];
  s = new_saver();
  b = files_in(dir, 1);
  for (int i = 0; i < 20; i++) {
    snprintf(id, sizeof id, "s%d", i % 10);
    snprintf(text, sizeof text, "t%d", i);
    sit_down(&t[i], s, b, id, CHECK_LONG);
    say(&t[i], text);
  }
  exit(check_failed_here);
}

/* The child: its store hangs, its exit does not. */
static int child_that_hangs(const char *dir) {
  static talker t;
  rec_store *r = rec_new(0);
  da_backend *b = new_backend(r);
  da_saver *s = new_saver();
  (void)dir;
  r->hang = 1;
  sit_down(&t, s, b, "x", 0.3);
  say(&t, "one");
  exit(check_failed_here);
}

/* Runs this program with those arguments; its exit status. */
static int run_child(const char *what, const char *dir) {
  int status = -1;
  pid_t pid = fork();
  if (pid == 0) {
    execl(self, self, what, dir, (char *)NULL);
    _exit(126);
  }
  CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void exit_drains(void) {
  char dir[PATH_MAX], id[16];
  int t;
  kit_dir(dir);
  CHECK_INT(run_child("exits", dir), 0);
  for (int i = 0; i < 10; i++) {
    snprintf(id, sizeof id, "s%d", i);
    CHECK_INT(sscanf(stored_in(dir, id), "t%d", &t), 1);
    CHECK_INT(t % 10, i);
    CHECK(strchr(stored_in(dir, id), ' ') != NULL); /* both are there */
  }
  kit_rm(dir);
}

static void exit_does_not_hang(void) {
  double begun = da_now();
  CHECK_INT(run_child("hangs", "."), 0);
  CHECK(da_now() - begun < CHECK_SOON);
}

/* ---- forks ---- */

/* The child of a fork in the middle of a save: says its own, with a saver of
** its own, and leaves the parent's alone. */
static void child_speaks(const char *dir, const da_history *known) {
  da_history h;
  da_saver *s;
  da_backend *b;
  da_session *session;
  int code = 1;
  alarm(CHECK_LONG);
  b = files_in(dir, 0);
  da_history_copy(&h, known);
  s = new_saver();
  add(&h, "child");
  code = da_session_open(&session, s, b, "x", CHECK_LONG, &err);
  if (!code) {
    da_session_rebase(session, known, (da_text){NULL, 0});
    code = da_session_save(session, &h, kit_text_of("{}"), 0, &err);
  }
  if (!code)
    code = da_session_flush(session, CHECK_LONG, &err);
  if (code)
    fprintf(stderr, "child: %s\n", err.message);
  CHECK_EXIT(code || check_failed_here ? 1 : 0);
}

static void fork_in_the_middle(void) {
  char dir[PATH_MAX];
  da_backend *b;
  da_saver *s = new_saver();
  talker a;
  char text[16], want[256] = "";
  kit_dir(dir);
  b = files_in(dir, 0);
  sit_down(&a, s, b, "x", CHECK_LONG);
  for (int i = 0; i < 6; i++) {
    int status = -1;
    pid_t pid;
    snprintf(text, sizeof text, "p%d", i);
    say(&a, text); /* pending, or on its way, or stored */
    pid = fork();
    if (pid == 0)
      child_speaks(dir, &a.history);
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
    CHECK_INT(status, 0);
    CHECK_INT(flush(&a, CHECK_LONG), DA_OK);
  }
  for (int i = 0; i < 6; i++) { /* all of it, and nothing twice */
    char *at;
    snprintf(want, sizeof want, "%s", stored_in(dir, "x"));
    snprintf(text, sizeof text, "p%d", i);
    at = strstr(want, text);
    CHECK(at && !strstr(at + 1, text));
  }
  CHECK_INT(strlen(want), 6 * 3 + 6 * 6 - 1);
  get_up(&a);
  da_saver_close(s);
  da_backend_unref(b);
  kit_rm(dir);
}

/* exit() in a forked child drains nothing of the parent's. */
static void fork_and_exit(void) {
  rec_store *r = rec_new(0);
  da_backend *b = new_backend(r);
  da_saver *s = new_saver();
  talker a;
  double begun = da_now();
  int status = -1;
  pid_t pid;
  REC_SET(r, hang, 1);
  sit_down(&a, s, b, "x", CHECK_LONG);
  say(&a, "one");
  CHECK(rec_wait(r, &r->saves, 1));
  fflush(stdout);
  pid = fork();
  if (pid == 0)
    exit(0);
  CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
  CHECK_INT(status, 0);
  CHECK(da_now() - begun < CHECK_SOON);
  REC_SET(r, hang, 0);
  CHECK_INT(flush(&a, CHECK_LONG), DA_OK);
  CHECK_STR(rec_text(r, "x"), "one");
  get_up(&a);
  da_saver_close(s);
  da_backend_unref(b);
  rec_free(r);
}

int main(int argc, char **argv) {
  self = argv[0];
  if (argc == 3)
    return strcmp(argv[1], "exits") == 0 ? child_that_exits(argv[2])
                                         : child_that_hangs(argv[2]);
  RUN(close_drains);
  RUN(close_tries_again);
  RUN(close_tries_again_what_was_under_way);
  RUN(losses_are_told);
  RUN(close_of_a_store_that_fails);
  RUN(close_of_a_store_that_hangs);
  RUN(close_of_a_load_that_hangs);
  RUN(empty_savers);
  RUN(exit_drains);
  RUN(exit_does_not_hang);
  if (!kit_no_fork()) {
    RUN(fork_in_the_middle);
    RUN(fork_and_exit);
  } else {
    SKIP("fork_in_the_middle", kit_no_fork());
    SKIP("fork_and_exit", kit_no_fork());
  }
  return check_done();
}
