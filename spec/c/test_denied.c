/* test_denied.c - a system that gives no threads, no chance, no descriptors,
** no home: what is asked for is done all the same, or is an error. */
#include "store_kit.h"

#include "agent_kit.h"
#include "da_clock.h"
#include "da_transport.h"

#include <errno.h>
#include <pthread.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/wait.h>

static int no_threads, no_chance; /* 1: denied */

/* Linked in the place of the system's (see the Makefile). */
int __real_pthread_create(pthread_t *, const pthread_attr_t *,
                          void *(*)(void *), void *);
int __wrap_pthread_create(pthread_t *, const pthread_attr_t *,
                          void *(*)(void *), void *);
ssize_t __real_getrandom(void *, size_t, unsigned);
ssize_t __wrap_getrandom(void *, size_t, unsigned);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
                          void *(*fn)(void *), void *arg) {
  return no_threads ? EAGAIN : __real_pthread_create(thread, attr, fn, arg);
}

ssize_t __wrap_getrandom(void *to, size_t size, unsigned flags) {
  if (!no_chance)
    return __real_getrandom(to, size, flags);
  errno = ENOSYS;
  return -1;
}

/* ---- no threads ---- */

typedef struct listing {
  da_store_ids base;
  int count;
} listing;

static int count_id(da_store_ids *ids, da_text id) {
  ((listing *)ids)->count++;
  CHECK(kit_is_text(id, "x"));
  return DA_OK;
}

/* A session in durable files, which a worker would save. */
static void without_threads(void) {
  char dir[PATH_MAX];
  cage c = {0};
  listing ids = {{count_id}, 0};
  da_runtime *rt = kit_runtime();
  da_agent *a = kit_agent(rt, &c);
  kit_dir(dir);
  no_threads = 1;
  CHECK_INT(da_agent_set_store(a, kit_store(dir, 1), &err), DA_OK);
  CHECK_INT(da_agent_set_session_id(a, "x", &err), DA_OK);
  ASK(a, "one");
  CHECK_INT(da_agent_save_state(a, &err), DA_SAVE_PENDING);
  CHECK_INT(da_agent_flush(a, CHECK_LONG, &err),
            DA_OK); /* who waits does the work */
  CHECK_INT(da_agent_save_state(a, &err), DA_SAVE_SAVED);
  ASK(a, "two");
  CHECK_INT(da_agent_save(a, &err), DA_OK);
  CHECK_INT(da_agent_list(a, &ids.base, &err), DA_OK);
  CHECK_INT(ids.count, 1);
  CHECK_INT(da_agent_load(a, &err), DA_OK);
  CHECK_STR(kit_said(a), "one|You said: one|two|You said: two");
  ASK(a, "three");
  CHECK_INT(da_agent_close(a, &err), DA_OK); /* also at the end */
  da_agent_free(a);
  a = kit_agent(rt, &c);
  CHECK_INT(da_agent_set_store(a, kit_store(dir, 1), &err), DA_OK);
  CHECK_INT(da_agent_set_session_id(a, "x", &err), DA_OK);
  CHECK_INT(kit_count_messages(a), 6);
  CHECK_INT(da_agent_delete(a, NULL, &err), DA_OK);
  CHECK(!kit_exists(dir, "x.json"));
  ASK(a, "four"); /* and if there are threads again, they do it */
  no_threads = 0;
  ASK(a, "five");
  CHECK_INT(da_agent_flush(a, CHECK_LONG, &err), DA_OK);
  CHECK(kit_exists(dir, "x.json"));
  da_agent_free(a);
  da_runtime_free(rt);
  kit_rm(dir);
}

/* What waits for a thread at the end is stored by whoever ends it. */
static void without_threads_at_the_end(void) {
  char dir[PATH_MAX];
  cage c = {0};
  da_runtime *rt = kit_runtime();
  da_agent *a = kit_agent(rt, &c);
  kit_dir(dir);
  no_threads = 1;
  CHECK_INT(da_agent_set_store(a, kit_store(dir, 1), &err), DA_OK);
  CHECK_INT(da_agent_set_session_id(a, "x", &err), DA_OK);
  ASK(a, "one");
  CHECK_INT(da_agent_save_state(a, &err), DA_SAVE_PENDING);
  da_agent_free(a);
  da_runtime_free(rt);
  no_threads = 0;
  CHECK(kit_exists(dir, "x.json"));
  kit_rm(dir);
}

/* ---- no deletion ---- */

static int no_remove(da_store *s, const char *id, da_err *e) {
  (void)s, (void)id;
  return da_fail(e, DA_EPERM, "no");
}

/* An agent that could not delete its session has it, though it had not been
** loaded before. */
static void without_deletion(void) {
  cage c = {0};
  da_runtime *rt = kit_runtime();
  da_agent *a = kit_agent(rt, &c), *b = NULL;
  da_store *s = NULL;
  da_store_ops ops;
  CHECK_INT(da_store_memory(&s, &err), DA_OK);
  ops = *s->ops;
  ops.remove = no_remove;
  s->ops = &ops;
  CHECK_INT(da_agent_set_store(a, s, &err), DA_OK);
  CHECK_INT(da_agent_set_session_id(a, "x", &err), DA_OK);
  ASK(a, "one");
  CHECK_INT(da_agent_flush(a, CHECK_LONG, &err), DA_OK);
  CHECK_INT(da_agent_clone(&b, a, &err), DA_OK);
  CHECK_INT(da_agent_delete(b, NULL, &err), DA_EPERM);
  CHECK_STR(kit_said(b), "one|You said: one");
  da_agent_free(a);
  da_agent_free(b);
  da_runtime_free(rt);
}

/* ---- no saving ---- */

static int no_save(da_store *s, const char *id,
                   const da_store_session *session, da_revision *now,
                   da_err *e) {
  (void)s, (void)id, (void)session, (void)now;
  return da_fail(e, DA_EFULL, "no");
}

typedef struct losses {
  int count, code;
  char id[8];
} losses;

static void note_loss(void *ctx, da_level level, const char *message, int code,
                      const char *id) {
  losses *l = ctx;
  CHECK_INT(level, DA_ERROR);
  CHECK(strstr(message, "turns that are not saved: no") != NULL);
  snprintf(l->id, sizeof l->id, "%s", id);
  l->code = code;
  l->count++;
}

typedef struct ending {
  da_runtime *rt;
  da_agent *a;
} ending;

static void *end(void *ctx) {
  ending *e = ctx;
  da_agent_free(e->a);
  da_runtime_free(e->rt);
  return NULL;
}

/* Who asks to be told of losses only after the first turn, is told, in
** whatever thread it ends. */
static void lose_one_turn(int elsewhere) {
  cage c = {0};
  losses l = {0, 0, ""};
  da_runtime *rt = kit_runtime();
  da_agent *a = kit_agent(rt, &c);
  da_store *s = NULL;
  da_store_ops ops;
  ending e;
  pthread_t thread;
  CHECK_INT(da_store_memory(&s, &err), DA_OK);
  ops = *s->ops;
  ops.save = no_save;
  s->ops = &ops;
  CHECK_INT(da_agent_set_store(a, s, &err), DA_OK);
  CHECK_INT(da_agent_set_session_id(a, "x", &err), DA_OK);
  ASK(a, "one");
  CHECK_INT(da_agent_flush(a, CHECK_LONG, &err), DA_EFULL);
  da_runtime_on_loss(rt, note_loss, &l);
  e.rt = rt;
  e.a = a;
  if (elsewhere) {
    CHECK_INT(pthread_create(&thread, NULL, end, &e), 0);
    CHECK_INT(pthread_join(thread, NULL), 0);
  } else {
    end(&e);
  }
  CHECK_INT(l.count, 1);
  CHECK_INT(l.code, DA_EFULL);
  CHECK_STR(l.id, "x");
}

static void without_saving(void) {
  lose_one_turn(0);
}

static void without_saving_elsewhere(void) {
  lose_one_turn(1);
}

/* ---- no chance ---- */

/* What tells messages and temporary files apart is made of the time. */
static void without_chance(void) {
  enum { N = 300 };
  static char ids[N][64];
  char dir[PATH_MAX];
  cage c = {0};
  da_runtime *rt = kit_runtime();
  da_agent *a = kit_agent(rt, &c);
  kit_dir(dir);
  no_chance = 1;
  for (int i = 0; i < N; i++) {
    da_message *m = NULL;
    da_text raw = {"\"\"", 2};
    CHECK_INT(da_message_text(&m, "user", kit_text_of("x"), &err), DA_OK);
    da_json_get(da_message_json(m), "id", &raw);
    kit_copy(ids[i], sizeof ids[i], raw);
    CHECK(strlen(ids[i]) > 10);
    for (int k = 0; k < i; k++)
      CHECK(strcmp(ids[i], ids[k]) != 0);
    da_message_unref(m);
  }
  CHECK_INT(da_agent_set_store(a, kit_store(dir, 1), &err), DA_OK);
  CHECK_INT(da_agent_set_session_id(a, "x", &err), DA_OK);
  for (int i = 0; i < 5; i++) {
    ASK(a, "again");
    CHECK_INT(da_agent_flush(a, CHECK_LONG, &err), DA_OK);
  }
  CHECK_INT(kit_count(dir, ".tmp"), 0);
  kit_write(dir, "x.json", "nonsense");
  CHECK_INT(da_agent_save(a, &err), DA_OK); /* puts the nonsense aside */
  CHECK_INT(kit_count(dir, "x.json.corrupt-"), 1);
  no_chance = 0;
  da_agent_free(a);
  da_runtime_free(rt);
  kit_rm(dir);
}

/* ---- no descriptors ---- */

static void without_descriptors(void) {
  struct rlimit before, few;
  da_transport *t = NULL;
  da_http *h = NULL;
  da_http_request r = {0};
  CHECK_INT(da_transport_curl.open(&t, &err), DA_OK);
  r.url = "http://127.0.0.1:9/";
  r.connect_timeout = CHECK_LONG;
  r.deadline = da_deadline(CHECK_LONG);
  r.max_body = 1 << 20;
  CHECK_INT(t->ops->start(t, &h, &r, &err), DA_OK);
  CHECK_INT(getrlimit(RLIMIT_NOFILE, &before), 0);
  few = before;
  few.rlim_cur = 0; /* not even for a poll */
  CHECK_INT(setrlimit(RLIMIT_NOFILE, &few), 0);
  CHECK_INT(t->ops->step(t, 1, &err), DA_ENETWORK);
  CHECK(strncmp(err.message, "libcurl: ", 9) == 0);
  few.rlim_cur = 3; /* for that, but for no socket */
  CHECK_INT(setrlimit(RLIMIT_NOFILE, &few), 0);
  for (int i = 0; i < 100 && !h->done; i++)
    CHECK_INT(t->ops->step(t, 1, &err), DA_OK);
  CHECK_INT(setrlimit(RLIMIT_NOFILE, &before), 0);
  CHECK_INT(h->err.code, DA_ENETWORK);
  t->ops->end(t, h);
  t->ops->close(t, 0);
}

/* ---- nowhere to be ---- */

/* In a child, which may change what it is. */
static void in_a_child(void (*test)(const char *), const char *dir) {
  int status = -1;
  pid_t pid = fork();
  if (pid == 0) {
    test(dir);
    CHECK_EXIT(check_failed_here);
  }
  CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
  CHECK_INT(status, 0);
}

static void from_nowhere(const char *dir) {
  const da_file_options here = {"sessions", 1, 0};
  cage c = {0};
  listing ids = {{count_id}, 0};
  da_store *s = NULL;
  da_runtime *rt = kit_runtime();
  da_agent *a = kit_agent(rt, &c);
  CHECK(chdir(dir) == 0 && rmdir(dir) == 0);
  CHECK_INT(da_store_file(&s, &here, &err), DA_EINVAL);
  CHECK_INT(err.code, DA_EINVAL);
  CHECK(strncmp(err.message, "the current directory is not known: ", 36) == 0);
  CHECK_INT(da_store_file(&s, &here, NULL), DA_EINVAL);
  /* So is an agent's own store, where it is said with a relative path. */
  setenv("DEEPAGENT_HOME", "home", 1);
  CHECK_INT(da_agent_set_session_id(a, "x", &err), DA_OK);
  CHECK_INT(kit_ask_fails(a, "hi"), DA_EINVAL);
  CHECK_INT(da_agent_list(a, &ids.base, &err), DA_EINVAL);
  CHECK_INT(da_agent_delete(a, NULL, &err), DA_EINVAL);
  CHECK_INT(da_agent_delete(a, "y", &err), DA_EINVAL);
  setenv("DEEPAGENT_HOME", "/proc/none", 1);
  ASK(a, "hi"); /* a known place, even if nothing can be made there */
  CHECK_INT(da_agent_flush(a, CHECK_LONG, &err), err.code);
  CHECK(err.code < 0);
  da_agent_free(a);
  da_runtime_free(rt);
}

static void without_a_directory(void) {
  char dir[PATH_MAX];
  in_a_child(from_nowhere, kit_dir(dir));
}

/* A user that the system does not know, and no HOME. */
static void as_nobody(const char *unused) {
  const da_file_options usual = {NULL, 1, 0};
  da_store *s = NULL;
  (void)unused;
  unsetenv("HOME");
  unsetenv("DEEPAGENT_HOME");
  CHECK_INT(seteuid(4000000), 0);
  CHECK_INT(da_store_file(&s, &usual, &err), DA_EINVAL);
  CHECK(strncmp(err.message, "no home directory is known", 26) == 0);
  setenv("HOME", "", 1); /* none, too */
  CHECK_INT(da_store_file(&s, &usual, &err), DA_EINVAL);
  setenv("HOME", "/", 1);
  CHECK_INT(da_store_file(&s, &usual, &err), DA_OK);
  CHECK_STR(da_store_file_path(s), "//.deepagent/sessions");
  kit_close(s);
  CHECK_INT(seteuid(0), 0);
}

static void without_a_home(void) {
  in_a_child(as_nobody, NULL);
}

int main(void) {
  RUN(without_threads);
  RUN(without_threads_at_the_end);
  RUN(without_deletion);
  RUN(without_saving);
  RUN(without_saving_elsewhere);
  RUN(without_chance);
  RUN(without_descriptors);
  RUN(without_a_directory);
  if (geteuid() == 0)
    RUN(without_a_home);
  else
    SKIP("without_a_home", "only root can be somebody else");
  return check_done();
}
