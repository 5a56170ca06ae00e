/* kill_calls.c - an operation of the file store is killed at each of its
** system calls in turn. strace tells which calls it makes, and then sends
** SIGKILL as it is about to make the first, the second ... of them. After
** each the session is what it was before or what it was to become; the next
** save works and leaves no temporary file.
**
**   kill_calls OPERATION DIRECTORY   is the program that is traced
*/
#include "../c/store_kit.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "file_claim.h"
#include "file_name.h"

#define OLD "the old state"
#define NEW "the new state, which is longer"
#define NEXT "the next state"

static char root[PATH_MAX], self[PATH_MAX]; /* a directory; this program */

/* ---- what is traced ---- */

/* A call that the library never makes, so that the operation is found among
** those of starting and ending a program. */
static void mark(void) {
  syscall(SYS_getppid);
}

/* Temporary files of writers that were killed: of this session's slot, and
** of another one. */
static void leave_behind(const char *dir) {
  char temp[DA_FILE_TEMP_SIZE];
  da_file_temp(temp, da_file_slot("x.json"));
  kit_write(dir, temp, "half");
  da_file_temp(temp, da_file_slot("y.json"));
  kit_write(dir, temp, "half");
}

/* The revision, by a store of its own: the other one is fresh. */
static void look(da_revision *seen, const char *dir) {
  da_store *s = kit_store(dir, 0);
  da_err err;
  free(kit_load(s, "x", seen, &err));
  kit_close(s);
}

static int operate(const char *operation, const char *dir) {
  da_store *s = kit_store(dir, strcmp(operation, "quick save") != 0);
  da_revision seen = {""}, now;
  char kept[PATH_MAX];
  da_err err;
  int code = DA_OK;
  look(&seen, dir);
  if (strcmp(operation, "second save") == 0)
    code = kit_save(s, "x", OLD, &seen, &seen, &err);
  if (strstr(operation, "sweeping"))
    leave_behind(dir);
  mark();
  if (code == DA_OK && strstr(operation, "save"))
    code = kit_save(s, "x", NEW, &seen, &now, &err);
  else if (strcmp(operation, "delete") == 0)
    code = s->ops->remove(s, "x", &err);
  else if (strcmp(operation, "put aside") == 0)
    code = s->ops->quarantine(s, "x", &seen, kept, sizeof kept, &err);
  else
    free(kit_load(s, "x", &seen, &err));
  mark();
  kit_close(s);
  return code ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* ---- strace ---- */

/* The status, as of waitpid, of the operation under strace. */
static int trace(const char *option, const char *log, const char *operation,
                 const char *dir) {
  int status = -1;
  pid_t pid = fork();
  if (pid == 0) {
    /* LeakSanitizer cannot work in a process that is traced. */
    setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
    execlp("strace", "strace", "-o", log, "-e", option, self, operation, dir,
           (char *)NULL);
    _exit(EXIT_FAILURE);
  }
  waitpid(pid, &status, 0);
  return status;
}

enum { MOST_CALLS = 400, NAME_SIZE = 32 };

typedef struct call {
  char name[NAME_SIZE];
  int when; /* the how manieth of this name in the program */
} call;

static int earlier(const call *all, int n, const char *name) {
  int count = 0;
  for (int i = 0; i < n; i++)
    count += strcmp(all[i].name, name) == 0;
  return count;
}

/* The calls between the marks, in order; how many, -1 if it is not so. */
static int read_calls(call *calls, const char *log) {
  static call all[MOST_CALLS];
  char line[4096], name[NAME_SIZE];
  int n = 0, count = 0, marks = 0;
  FILE *f = fopen(log, "r");
  if (!f)
    return -1;
  while (fgets(line, sizeof line, f) && n < MOST_CALLS) {
    if (sscanf(line, "%31[a-z0-9_](", name) != 1)
      continue; /* a signal, the end */
    strcpy(all[n].name, name);
    all[n].when = earlier(all, n, name) + 1;
    if (strcmp(name, "getppid") == 0)
      marks++;
    else if (marks == 1)
      calls[count++] = all[n];
    n++;
  }
  fclose(f);
  return marks == 2 && n < MOST_CALLS ? count : -1;
}

/* ---- before and after ---- */

static void prepare(const char *dir, const char *operation) {
  kit_rm(kit_path(root, "home"));
  if (strcmp(operation, "first save") == 0)
    return;
  da_store *s = kit_store(dir, 0);
  da_revision now;
  da_err err;
  CHECK_INT(kit_save(s, "x", OLD, NULL, &now, &err), DA_OK);
  kit_close(s);
}

/* How many files of session x were put aside, all of them whole. */
static int count_aside(const char *dir) {
  int n = 0;
  DIR *d = opendir(dir);
  const struct dirent *e;
  while (d && (e = readdir(d)) != NULL) {
    char text[64] = "";
    FILE *f;
    if (strncmp(e->d_name, "x.json.corrupt-", 15) != 0)
      continue;
    n++;
    f = fopen(kit_path(dir, e->d_name), "r");
    CHECK(f && fgets(text, sizeof text, f));
    CHECK_STR(text, OLD);
    if (f)
      fclose(f);
  }
  if (d)
    closedir(d);
  return n;
}

/* Whether the state is one of the two that it may be; *is_new: the later. */
static int is_allowed(const char *operation, const char *dir, const char *text,
                      int *is_new) {
  int aside = count_aside(dir);
  *is_new = text && strcmp(text, NEW) == 0;
  if (strcmp(operation, "first save") == 0)
    return (!text || *is_new) && !aside;
  if (strstr(operation, "save"))
    return text && (*is_new || strcmp(text, OLD) == 0) && !aside;
  *is_new = !text;
  if (text && strcmp(text, OLD) != 0)
    return 0;
  if (strcmp(operation, "put aside") == 0)
    return text ? aside == 0 : aside == 1;
  return (text || strcmp(operation, "delete") == 0) && !aside;
}

/* Checks what is there, and that work goes on; whether it is the new state,
** or -1. */
static int check_state(const char *operation, const char *dir) {
  da_store *s = kit_store(dir, 1);
  da_revision now = {""};
  da_err err;
  int is_new, ok;
  char *text = kit_load(s, "x", &now, &err);
  ok = (text || err.code == DA_ENOTFOUND) &&
       is_allowed(operation, dir, text, &is_new);
  free(text);
  ok = ok && kit_save(s, "x", NEXT, &now, &now, &err) == DA_OK &&
       kit_is(s, "x", NEXT) && kit_count(dir, ".tmp-") == 0;
  kit_close(s);
  return ok ? is_new : -1;
}

/* ---- the tests ---- */

/* Before that call is made; whether the state is then new, -1 if wrong. */
static int kill_at(const call *c, const char *operation, const char *dir) {
  char option[128];
  int status;
  snprintf(option, sizeof option, "inject=%.31s:signal=KILL:when=%d", c->name,
           c->when);
  prepare(dir, operation);
  status = trace(option, "/dev/null", operation, dir);
  if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
    fprintf(stderr, "%s: not killed at %s %d\n", operation, c->name, c->when);
    return -1;
  }
  return check_state(operation, dir);
}

/* Old up to some call, and new from then on. */
static void kill_at_each(const char *operation) {
  static call calls[MOST_CALLS];
  char dir[PATH_MAX];
  int n, turned = 0, is_new = 0;
  const char *last = "none";
  snprintf(dir, sizeof dir, "%s", kit_path(root, "home/sessions"));
  prepare(dir, operation);
  CHECK_INT(trace("trace=all", kit_path(root, "log"), operation, dir), 0);
  n = read_calls(calls, kit_path(root, "log"));
  CHECK(n > 0);
  check_state(operation, dir);
  for (int i = 0; i < n; i++) {
    int now = kill_at(&calls[i], operation, dir);
    if (now < 0 || now < is_new) {
      fprintf(stderr, "%s, killed at call %d of %d, %s: wrong state\n",
              operation, i + 1, n, calls[i].name);
      check_failed_here = 1;
    }
    if (now > is_new) {
      turned++;
      last = i ? calls[i - 1].name : "before";
    }
    is_new = now;
  }
  printf(
      "%s: killed at each of %d system calls; what brings the new state: %s\n",
      operation, n, last);
  CHECK_INT(turned, strstr(operation, "load") == NULL);
}

static void a_save_of_a_stored_session(void) {
  kill_at_each("save");
}
static void a_save_that_is_not_flushed(void) {
  kill_at_each("quick save");
}
static void a_save_after_another_one(void) {
  kill_at_each("second save");
}
static void a_save_that_sweeps(void) {
  kill_at_each("sweeping save");
}
static void the_first_save_of_all(void) {
  kill_at_each("first save");
}
static void a_deletion(void) {
  kill_at_each("delete");
}
static void putting_aside(void) {
  kill_at_each("put aside");
}
static void a_load(void) {
  kill_at_each("load");
}

static void a_load_that_sweeps(void) {
  kill_at_each("sweeping load");
}

/* In a container without ptrace, for example. */
static int can_trace(void) {
  int status;
  prepare(kit_path(root, "home"), "first save");
  status = trace("inject=getppid:signal=KILL", "/dev/null", "load",
                 kit_path(root, "home"));
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

#define TRY(test)                                                             \
  do {                                                                        \
    if (possible)                                                             \
      RUN(test);                                                              \
    else                                                                      \
      SKIP(#test, "strace cannot kill what it traces here");                  \
  } while (0)

int main(int argc, char **argv) {
  int possible;
  if (argc == 3)
    return operate(argv[1], argv[2]);
  kit_dir(root);
  if (!realpath("/proc/self/exe", self))
    return EXIT_FAILURE;
  possible = can_trace();
  TRY(a_save_of_a_stored_session);
  TRY(a_save_that_is_not_flushed);
  TRY(a_save_after_another_one);
  TRY(a_save_that_sweeps);
  TRY(the_first_save_of_all);
  TRY(a_deletion);
  TRY(putting_aside);
  TRY(a_load);
  TRY(a_load_that_sweeps);
  kit_rm(root);
  return check_done();
}
