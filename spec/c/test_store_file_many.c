/* test_store_file_many.c - the file store among threads, processes and
** forks: everybody's turns are there afterwards, once each. */
#include "store_kit.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "file_claim.h"
#include "file_name.h"
#include "text_kit.h"

static char dir[PATH_MAX];
static da_err err;
static da_revision rev;

/* Appends "<who>.<turn>\n" to session "log", however often it takes. */
static int append(da_store *s, int who, int turn) {
  for (int tries = 0; tries < 100000; tries++) {
    da_revision now;
    da_err why;
    int code;
    char *old = kit_load(s, "log", &now, &why), *text;
    if (!old && why.code != DA_ENOTFOUND)
      return why.code;
    text = malloc((old ? strlen(old) : 0) + 32);
    sprintf(text, "%s%d.%d\n", old ? old : "", who, turn);
    code = kit_save(s, "log", text, &now, &now, &why);
    free(old);
    free(text);
    if (code != DA_ECONFLICT) {
      if (code != DA_OK)
        fprintf(stderr, "%s\n", why.message);
      return code;
    }
  }
  return DA_EBUSY;
}

/* Each writer's turns are all there, once each, in its order. */
static void check_log(da_store *s, int writers, int turns) {
  char *text = kit_load(s, "log", &rev, &err), *at = text;
  int next[32] = {0}, lines = 0;
  for (; at && *at; at = strchr(at, '\n') + 1) {
    int who = -1, turn = -1;
    CHECK(sscanf(at, "%d.%d\n", &who, &turn) == 2 && who < 32);
    CHECK_INT(turn, next[who]);
    next[who]++;
    lines++;
  }
  CHECK_INT(lines, writers * turns);
  free(text);
  CHECK_INT(kit_count(dir, ".tmp-"), 0);
}

/* --- threads --- */

enum { THREADS = 8, TURNS = 25 };

typedef struct writer {
  pthread_t thread;
  da_store *store;
  int who, failed;
} writer;

static void *write_turns(void *arg) {
  writer *w = arg;
  for (int turn = 0; turn < TURNS && !w->failed; turn++)
    w->failed = append(w->store, w->who, turn);
  return NULL;
}

/* `stores`: how many the threads share. */
static void threads_with(int stores) {
  writer w[THREADS];
  da_store *s[THREADS];
  int fds = kit_fds();
  kit_dir(dir);
  for (int i = 0; i < stores; i++)
    s[i] = kit_store(dir, 0);
  for (int i = 0; i < THREADS; i++) {
    w[i] = (writer){.store = s[i % stores], .who = i};
    CHECK_INT(pthread_create(&w[i].thread, NULL, write_turns, &w[i]), 0);
  }
  for (int i = 0; i < THREADS; i++) {
    pthread_join(w[i].thread, NULL);
    CHECK_INT(w[i].failed, DA_OK);
  }
  check_log(s[0], THREADS, TURNS);
  for (int i = 0; i < stores; i++)
    kit_close(s[i]);
  kit_rm(dir);
  CHECK_INT(kit_fds(), fds);
}

static void threads_on_one_store(void) {
  threads_with(1);
}

static void threads_with_a_store_each(void) {
  threads_with(THREADS);
}

static void *load_all(void *arg) {
  writer *w = arg;
  char text[16];
  for (int i = 0; i < 200 && !w->failed; i++)
    w->failed = !kit_is(w->store, "same", "text");
  snprintf(text, sizeof text, "%d", w->who);
  for (int i = 0; i < TURNS && !w->failed; i++) {
    da_revision now;
    da_err why;
    w->failed = kit_save(w->store, text, text, NULL, &now, &why) ||
                !kit_is(w->store, text, text);
  }
  return NULL;
}

static void threads_on_several_sessions(void) {
  writer w[THREADS];
  da_store *s;
  kit_dir(dir);
  s = kit_store(dir, 1);
  CHECK_INT(kit_save(s, "same", "text", NULL, &rev, &err), DA_OK);
  for (int i = 0; i < THREADS; i++) {
    w[i] = (writer){.store = s, .who = i};
    CHECK_INT(pthread_create(&w[i].thread, NULL, load_all, &w[i]), 0);
  }
  for (int i = 0; i < THREADS; i++) {
    pthread_join(w[i].thread, NULL);
    CHECK_INT(w[i].failed, 0);
  }
  CHECK_INT(kit_count(dir, ""), THREADS + 2);
  kit_close(s);
  kit_rm(dir);
}

/* --- processes --- */

static void wait_ok(pid_t pid) {
  int status = -1;
  CHECK_INT(waitpid(pid, &status, 0), pid);
  CHECK_INT(status, 0);
}

/* `shared`: all use what the parent had open before it forked. */
static void processes_with(int shared) {
  enum { PROCESSES = 4 };
  pid_t pids[PROCESSES];
  da_store *s;
  kit_dir(dir);
  s = kit_store(dir, 0);
  if (shared)
    CHECK_INT(kit_save(s, "log", "", NULL, &rev, &err), DA_OK);
  for (int i = 0; i < PROCESSES; i++) {
    pids[i] = fork();
    if (pids[i] == 0) {
      da_store *mine = shared ? s : kit_store(dir, 0);
      int code = 0;
      for (int turn = 0; turn < TURNS && code == 0; turn++)
        code = append(mine, i, turn);
      CHECK_EXIT(code != 0);
    }
  }
  for (int i = 0; i < PROCESSES; i++)
    wait_ok(pids[i]);
  check_log(s, PROCESSES, TURNS);
  kit_close(s);
  kit_rm(dir);
}

static void processes(void) {
  processes_with(0);
}

static void forked_processes(void) {
  processes_with(1);
}

/* --- forks --- */

static int claim(da_file_claim *c, da_store *s, const char *id, int wait) {
  da_file_store *f = (da_file_store *)s;
  char name[DA_FILE_NAME_SIZE];
  da_file_dir *d;
  int code = da_file_name(name, id, &err);
  if (wait)
    return da_file_claim_take(c, f, name, 1, &err);
  code = da_file_dir_use(&d, f, 1, &err);
  if (code == DA_OK && !da_file_claim_try(c, f, d, da_file_slot(name))) {
    da_file_dir_done(f, d);
    code = DA_EBUSY;
  }
  return code;
}

/* A child does not have what its parent claimed, and neither using the
** store nor closing it there takes the claim from the parent. */
static void claims_and_forks(void) {
  da_file_claim c, mine;
  da_store *s, *other;
  kit_dir(dir);
  s = kit_store(dir, 0);
  CHECK_INT(claim(&c, s, "a", 1), DA_OK);
  for (int use = 0; use < 2; use++) {
    pid_t pid = fork();
    if (pid == 0) {
      int good = 1;
      if (use)
        good = claim(&mine, s, "a", 0) == DA_EBUSY &&
               kit_save(s, "b", "1", NULL, &rev, &err) == DA_OK;
      kit_close(s);
      CHECK_EXIT(!good);
    }
    wait_ok(pid);
  }
  other = kit_store(dir, 0);
  CHECK_INT(claim(&mine, other, "a", 0), DA_EBUSY);
  CHECK_INT(claim(&mine, s, "a", 0), DA_EBUSY);
  CHECK_INT(da_file_claim_end(&c, (da_file_store *)s, 0, &err), DA_OK);
  CHECK_INT(claim(&mine, other, "a", 0), DA_OK);
  CHECK_INT(da_file_claim_end(&mine, (da_file_store *)other, 0, &err), DA_OK);
  kit_close(other);
  kit_close(s);
  kit_rm(dir);
}

static atomic_int stopping;

static void *save_on(void *arg) {
  da_store *s = arg;
  da_revision now;
  da_err why;
  while (!atomic_load(&stopping))
    kit_save(s, "parent", "p", NULL, &now, &why), usleep(200);
  return NULL;
}

/* Children forked while another thread saves: none waits for a lock whose
** holder it does not have. */
static void forks_among_saves(void) {
  pthread_t thread;
  da_store *s;
  kit_dir(dir);
  s = kit_store(dir, 0);
  atomic_store(&stopping, 0);
  CHECK_INT(kit_save(s, "parent", "p", NULL, &rev, &err), DA_OK);
  CHECK_INT(pthread_create(&thread, NULL, save_on, s), 0);
  for (int i = 0; i < 50; i++) {
    pid_t pid = fork();
    if (pid == 0) {
      alarm(CHECK_LONG);
      CHECK_EXIT(kit_save(s, "child", "c", NULL, &rev, &err) != DA_OK ||
                 kit_save(s, "parent", "c", NULL, &rev, &err) != DA_OK);
    }
    wait_ok(pid);
  }
  atomic_store(&stopping, 1);
  pthread_join(thread, NULL);
  CHECK(kit_is(s, "child", "c"));
  kit_close(s);
  kit_rm(dir);
}

/* A writer killed at any moment leaves the old state or the new one, and
** nothing beside it after the next store's first save. */
static void killed_writers(void) {
  da_store *s;
  kit_dir(dir);
  for (int i = 0; i < 30; i++) {
    char *text;
    pid_t pid = fork();
    if (pid == 0) {
      s = kit_store(dir, 0);
      for (int n = 0;; n++)
        kit_save(s, "a", n % 2 ? "odd" : "even", NULL, &rev, &err);
    }
    usleep((useconds_t)(1000 + i * 137));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    s = kit_store(dir, 0);
    text = kit_load(s, "a", &rev, &err);
    CHECK(text ? !strcmp(text, "odd") || !strcmp(text, "even")
               : err.code == DA_ENOTFOUND);
    free(text);
    CHECK_INT(kit_save(s, "b", "1", NULL, &rev, &err), DA_OK);
    CHECK_INT(kit_count(dir, ".tmp-"), 0);
    kit_close(s);
  }
  kit_rm(dir);
}

/* DA_EBUSY in bounded time, while others are not kept waiting. */
static void a_claim_that_is_kept(void) {
  da_file_claim c;
  da_store *s, *other;
  kit_dir(dir);
  s = kit_store(dir, 0);
  other = kit_store(dir, 0);
  ((da_file_store *)s)->patience = 0.2;
  CHECK_INT(claim(&c, other, "a", 1), DA_OK);
  CHECK_INT(kit_save(s, "b", "1", NULL, &rev, &err), DA_OK);
  CHECK_INT(kit_save(s, "a", "1", NULL, &rev, &err), DA_EBUSY);
  CHECK_INT(err.retryable, 1);
  CHECK_INT(da_file_claim_end(&c, (da_file_store *)other, 0, &err), DA_OK);
  CHECK_INT(kit_save(s, "a", "1", NULL, &rev, &err), DA_OK);
  kit_close(other);
  kit_close(s);
  kit_rm(dir);
}

int main(void) {
  RUN(threads_on_one_store);
  RUN(threads_with_a_store_each);
  RUN(threads_on_several_sessions);
  RUN(processes);
  RUN(forked_processes);
  RUN(claims_and_forks);
  if (!kit_no_fork())
    RUN(forks_among_saves);
  else
    SKIP("forks_among_saves", kit_no_fork());
  RUN(killed_writers);
  RUN(a_claim_that_is_kept);
  return check_done();
}
