/* test_agent_session.c - an agent's stored session, from C: in memory, in
** files, in a store that fails. */
#include "store_kit.h"

#include "agent_kit.h"

#include <sys/wait.h>

static cage c;
static da_runtime *rt;

static void begin(void) {
  memset(&c, 0, sizeof c);
  rt = kit_runtime();
}

/* An agent with session `id` in `store` (taken; NULL: the default). */
static da_agent *agent(da_store *store, const char *id) {
  da_agent *a = kit_agent(rt, &c);
  if (store)
    CHECK_INT(da_agent_set_store(a, store, &err), DA_OK);
  if (id)
    CHECK_INT(da_agent_set_session_id(a, id, &err), DA_OK);
  return a;
}

static da_agent *clone_of(const da_agent *a) {
  da_agent *b = NULL;
  CHECK_INT(da_agent_clone(&b, a, &err), DA_OK);
  return b;
}

static da_store *memory(void) {
  da_store *s = NULL;
  CHECK_INT(da_store_memory(&s, &err), DA_OK);
  return s;
}

static void end(da_agent *a, da_agent *b) {
  da_agent_free(a);
  da_agent_free(b);
  da_runtime_free(rt);
}

/* ---- what a session is ---- */

static void remembers(void) {
  da_agent *a, *b;
  da_usage total;
  begin();
  a = agent(memory(), "user-alice");
  CHECK_STR(da_agent_session_id(a), "user-alice");
  ASK(a, "one"); /* a session id implies memory */
  ASK(a, "two");
  CHECK_INT(da_agent_flush(a, -1, &err), DA_OK);
  CHECK_INT(da_agent_save_state(a, &err), DA_SAVE_SAVED);
  b = clone_of(a);
  CHECK_STR(kit_said(b), "one|You said: one|two|You said: two");
  CHECK_INT(da_agent_usage(b, NULL, &total, &err), DA_OK);
  CHECK_INT(total.total, 16); /* stored with it */
  ASK(b, "three");
  CHECK_INT(c.sent, 5);
  CHECK_INT(da_agent_flush(b, -1, &err), DA_OK);
  CHECK_INT(da_agent_load(a, &err), DA_OK);
  CHECK_INT(kit_count_messages(a), 6);
  end(a, b);
}

static void any_order_of_settings(void) {
  da_agent *a, *b;
  begin();
  a = kit_agent(rt, &c);
  da_agent_set_auto_save(a, 1);
  CHECK_INT(da_agent_set_session_id(a, "x", &err), DA_OK);
  da_agent_set_memory(a, 1);
  CHECK_INT(da_agent_set_store(a, memory(), &err), DA_OK);
  CHECK_INT(da_agent_set_session_id(a, "y", &err), DA_OK);
  ASK(a, "one");
  CHECK_INT(da_agent_flush(a, -1, &err), DA_OK);
  b = clone_of(a);
  CHECK_INT(kit_count_messages(b), 2);
  /* in use: it stays what it is */
  CHECK_INT(da_agent_set_session_id(a, "z", &err), DA_EBUSY);
  CHECK_INT(da_agent_set_store(a, memory(), &err), DA_EBUSY);
  CHECK_STR(da_agent_session_id(a), "y");
  end(a, b);
}

/* An id that comes later: what was said before goes after what is stored. */
static void an_id_after_the_first_ask(void) {
  da_agent *a, *b;
  size_t n;
  begin();
  a = agent(memory(), NULL);
  da_agent_set_memory(a, 1);
  ASK(a, "one");
  CHECK_INT(da_agent_save(a, &err), DA_ENOID);
  CHECK_INT(da_agent_load(a, &err), DA_ENOID);
  CHECK_INT(da_agent_delete(a, NULL, &err), DA_ENOID);
  CHECK_INT(da_agent_flush(a, -1, &err), DA_OK);
  CHECK_INT(da_agent_save_state(a, &err), DA_SAVE_NONE);
  CHECK_INT(da_agent_set_session_id(a, "x", &err), DA_OK);
  b = clone_of(a);
  CHECK_INT(da_agent_save(a, &err), DA_OK);
  CHECK_STR(kit_said(a), "one|You said: one");
  CHECK_STR(kit_said(b), "one|You said: one");
  ASK(a, "two");
  CHECK_INT(da_agent_flush(a, -1, &err), DA_OK);
  da_agent_free(b);
  b = agent(NULL, NULL); /* another one that has talked before */
  CHECK_INT(da_agent_set_backend(b, a->settings.backend, &err), DA_OK);
  da_agent_set_memory(b, 1);
  ASK(b, "other");
  CHECK_INT(da_agent_set_session_id(b, "x", &err), DA_OK);
  CHECK_INT(da_agent_count(b, &n, &err), DA_OK);
  CHECK_STR(kit_said(b), "one|You said: one|two|You said: two|"
                         "other|You said: other");
  end(a, b);
}

static void without_auto_save(void) {
  da_agent *a, *b;
  begin();
  a = agent(memory(), "x");
  da_agent_set_auto_save(a, 0);
  CHECK_INT(kit_count_messages(a), 0);
  CHECK_INT(da_agent_save_state(a, &err), DA_SAVE_NONE);
  ASK(a, "one");
  CHECK_INT(da_agent_save_state(a, &err), DA_SAVE_UNSAVED);
  CHECK_INT(da_agent_flush(a, -1, &err), DA_OK); /* nothing was asked for */
  CHECK_INT(da_agent_save_state(a, &err), DA_SAVE_UNSAVED);
  b = clone_of(a);
  CHECK_INT(kit_count_messages(b), 0);
  CHECK_INT(da_agent_load(b, &err), DA_ENOTFOUND);
  CHECK_INT(da_agent_save(a, &err), DA_OK);
  CHECK_INT(da_agent_save_state(a, &err), DA_SAVE_SAVED);
  CHECK_INT(da_agent_load(b, &err), DA_OK);
  CHECK_INT(kit_count_messages(b), 2);
  end(a, b);
}

static void start_gives_way(void) {
  da_agent *a, *b;
  begin();
  a = agent(memory(), "x");
  CHECK_INT(da_agent_add_message(
                a, "{\"role\":\"user\",\"content\":\"before\"}", &err),
            DA_OK);
  ASK(a, "one");
  CHECK_STR(kit_said(a), "before|one|You said: one");
  CHECK_INT(da_agent_flush(a, -1, &err), DA_OK);
  b = clone_of(a); /* its start is not put in front once more */
  CHECK_STR(kit_said(b), "before|one|You said: one");
  end(a, b);
}

typedef struct names {
  da_store_ids base;
  char text[256];
} names;

static int add_name(da_store_ids *base, da_text id) {
  names *n = (names *)base;
  size_t used = strlen(n->text);
  snprintf(n->text + used, sizeof n->text - used, "%.*s ", (int)id.len,
           id.data);
  return DA_OK;
}

static void listed_and_deleted(void) {
  da_agent *a, *b;
  da_usage last, total;
  names n = {{add_name}, ""};
  begin();
  a = agent(memory(), "x");
  ASK(a, "one");
  CHECK_INT(da_agent_flush(a, -1, &err), DA_OK);
  CHECK_INT(da_agent_list(a, &n.base, &err), DA_OK);
  CHECK_STR(n.text, "x ");
  CHECK_INT(da_agent_delete(a, "y", &err), DA_ENOTFOUND);
  CHECK_INT(da_agent_delete(a, "a/b", &err), DA_EID);
  CHECK_INT(kit_count_messages(a), 2);
  b = clone_of(a);
  CHECK_INT(da_agent_delete(a, NULL, &err), DA_OK);
  CHECK_INT(kit_count_messages(a), 0);
  CHECK_INT(da_agent_usage(a, &last, &total, &err), DA_OK);
  CHECK(last.total == 0 && total.total == 0);
  CHECK_INT(kit_count_messages(b), 0);
  CHECK_INT(da_agent_delete(a, "x", &err), DA_ENOTFOUND);
  ASK(a, "two");
  CHECK_INT(c.sent, 1);
  CHECK_INT(da_agent_flush(a, -1, &err), DA_OK);
  CHECK_INT(da_agent_load(b, &err), DA_OK);
  CHECK_STR(kit_said(b), "two|You said: two");
  end(a, b);
}

/* To delete another's session first is no reason not to load one's own. */
static void deleting_another_first(void) {
  da_agent *a, *b;
  begin();
  a = agent(memory(), "x");
  ASK(a, "one");
  CHECK_INT(da_agent_flush(a, -1, &err), DA_OK);
  b = clone_of(a);
  CHECK_INT(da_agent_delete(b, "y", &err), DA_ENOTFOUND);
  ASK(b, "two");
  CHECK_INT(c.sent, 3);
  CHECK_STR(kit_said(b), "one|You said: one|two|You said: two");
  end(a, b);
}

static void clearing(void) {
  da_agent *a, *b;
  begin();
  a = agent(memory(), "x");
  ASK(a, "one");
  CHECK_INT(da_agent_clear(a, &err), DA_OK);
  CHECK_INT(da_agent_flush(a, -1, &err), DA_OK);
  b = clone_of(a);
  CHECK_INT(kit_count_messages(b), 0);
  CHECK_INT(da_agent_load(b, &err), DA_OK); /* it is there, and empty */
  end(a, b);
}

/* ---- files ---- */

static void files(void) {
  char dir[PATH_MAX];
  da_agent *a;
  kit_dir(dir);
  begin();
  a = agent(kit_store(dir, 1), "user-alice");
  CHECK_INT(kit_count_messages(a), 0);
  CHECK_INT(kit_count(dir, ""), 0); /* nothing before the first save */
  ASK(a, "one");
  CHECK_INT(da_agent_close(a, &err), DA_OK);
  CHECK(kit_exists(dir, "user-alice.json"));
  end(a, NULL);
  begin();
  a = agent(kit_store(dir, 1), "user-alice");
  CHECK_STR(kit_said(a), "one|You said: one");
  ASK(a, "two");
  end(a, NULL); /* neither closed nor flushed: saved all the same */
  begin();
  a = agent(kit_store(dir, 1), "user-alice");
  CHECK_INT(kit_count_messages(a), 4);
  end(a, NULL);
  kit_rm(dir);
}

/* A failed ask leaves the stored session to the byte as it was. */
static void a_failed_ask(void) {
  char dir[PATH_MAX];
  da_agent *a;
  struct stat before, after;
  kit_dir(dir);
  begin();
  a = agent(kit_store(dir, 0), "x");
  ASK(a, "one");
  CHECK_INT(da_agent_flush(a, -1, &err), DA_OK);
  CHECK_INT(stat(kit_path(dir, "x.json"), &before), 0);
  c.fail_start = DA_ENETWORK;
  CHECK_INT(kit_ask_fails(a, "x"), DA_ENETWORK);
  c.fail_step = DA_ETRUNCATED;
  CHECK_INT(kit_ask_fails(a, "x"), DA_ETRUNCATED);
  CHECK_INT(da_agent_flush(a, -1, &err), DA_OK);
  CHECK_INT(stat(kit_path(dir, "x.json"), &after), 0);
  CHECK(before.st_ino == after.st_ino &&
        before.st_mtim.tv_nsec == after.st_mtim.tv_nsec);
  CHECK_STR(kit_said(a), "one|You said: one");
  end(a, NULL);
  kit_rm(dir);
}

static void corrupt_file(void) {
  char dir[PATH_MAX];
  da_agent *a;
  size_t n;
  kit_dir(dir);
  kit_write(dir, "x.json", "{\"messages\": [");
  begin();
  a = agent(kit_store(dir, 0), "x");
  CHECK_INT(da_agent_count(a, &n, &err), DA_ECORRUPT);
  ASK(a, "one"); /* it answers all the same */
  CHECK_INT(da_agent_flush(a, -1, &err), DA_ECORRUPT);
  CHECK_INT(da_agent_save_state(a, &err), DA_SAVE_FAILED);
  CHECK_INT(err.code, DA_ECORRUPT);
  CHECK_INT(kit_count(dir, "x.json"), 1); /* untouched */
  CHECK_INT(da_agent_save(a, &err), DA_OK);
  CHECK_INT(kit_count(dir, "x.json.corrupt-"), 1); /* kept aside */
  CHECK_INT(da_agent_load(a, &err), DA_OK);
  CHECK_STR(kit_said(a), "one|You said: one");
  end(a, NULL);
  kit_rm(dir);
}

/* The default place, and members of the metadata that others have put
** there. */
static void default_store(void) {
  static const char text[] =
      "{\"version\":1,\"metadata\":{\"title\":\"T\",\"created_at\":5},"
      "\"messages\":[{\"role\":\"user\",\"content\":\"before\"}]}";
  char dir[PATH_MAX], all[4096] = "";
  da_agent *a, *b;
  FILE *f;
  kit_dir(dir);
  CHECK_INT(setenv("DEEPAGENT_HOME", dir, 1), 0);
  CHECK_INT(mkdir(kit_path(dir, "sessions"), 0700), 0);
  kit_write(dir, "sessions/x.json", text);
  begin();
  a = agent(NULL, "x");
  b = agent(NULL, "y");
  ASK(a, "one");
  CHECK_STR(kit_said(a), "before|one|You said: one");
  ASK(b, "two");
  end(a, b);
  f = fopen(kit_path(dir, "sessions/x.json"), "r");
  CHECK(f && fread(all, 1, sizeof all - 1, f) > 0);
  CHECK(strstr(all, "\"metadata\": {\"created_at\":5.000,") != NULL);
  CHECK(strstr(all, "\"title\":\"T\"}") != NULL);
  fclose(f);
  CHECK(kit_exists(dir, "sessions/y.json"));
  CHECK_INT(unsetenv("DEEPAGENT_HOME"), 0);
  kit_rm(dir);
}

/* ---- telling ---- */

typedef struct told {
  int count, code;
  char message[256], session[64];
} told;

static void on_log(void *ctx, da_level level, const char *message, int code,
                   const char *session) {
  told *t = ctx;
  if (level < DA_WARN)
    return;
  t->count++;
  t->code = code;
  snprintf(t->message, sizeof t->message, "%s", message);
  snprintf(t->session, sizeof t->session, "%s", session ? session : "");
}

static void logging(void) {
  char dir[PATH_MAX];
  told t = {0, 0, "", ""};
  da_agent *a;
  kit_dir(dir);
  kit_write(dir, "x.json", "nonsense");
  begin();
  a = agent(kit_store(dir, 0), "x");
  da_agent_set_logger(a, on_log, &t);
  ASK(a, "one");
  CHECK(t.count >= 1);
  CHECK_INT(t.code, DA_ECORRUPT);
  CHECK_STR(t.session, "x");
  CHECK(strstr(t.message, "corrupt") != NULL);
  t.count = 0;
  CHECK_INT(da_agent_flush(a, -1, &err), DA_ECORRUPT);
  CHECK(t.count >= 1); /* the save's failure, on our thread */
  da_agent_set_logger(a, NULL, NULL);
  end(a, NULL);
  kit_rm(dir);
}

/* ---- forks ---- */

static void fork_in_a_conversation(void) {
  char dir[PATH_MAX];
  da_agent *a;
  int status = -1;
  pid_t pid;
  kit_dir(dir);
  begin();
  a = agent(kit_store(dir, 0), "x");
  ASK(a, "one");
  pid = fork();
  if (pid == 0) {
    alarm(CHECK_LONG);
    ASK(a, "child");
    CHECK_INT(da_agent_flush(a, CHECK_LONG, &err), DA_OK);
    CHECK_INT(da_agent_close(a, &err), DA_OK);
    CHECK_EXIT(check_failed_here);
  }
  CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
  CHECK_INT(status, 0);
  ASK(a, "parent");
  CHECK_INT(da_agent_flush(a, CHECK_LONG, &err), DA_OK);
  CHECK_INT(da_agent_load(a, &err), DA_OK);
  CHECK_INT(kit_count_messages(a), 6);
  CHECK(strstr(kit_said(a), "child|You said: child") != NULL);
  CHECK(strstr(kit_said(a), "parent|You said: parent") != NULL);
  CHECK(strstr(kit_said(a), "one|You said: one") != NULL);
  end(a, NULL);
  kit_rm(dir);
}

int main(void) {
  RUN(remembers);
  RUN(any_order_of_settings);
  RUN(an_id_after_the_first_ask);
  RUN(without_auto_save);
  RUN(start_gives_way);
  RUN(listed_and_deleted);
  RUN(deleting_another_first);
  RUN(clearing);
  RUN(files);
  RUN(a_failed_ask);
  RUN(corrupt_file);
  RUN(default_store);
  RUN(logging);
  if (!kit_no_fork())
    RUN(fork_in_a_conversation);
  else
    SKIP("fork_in_a_conversation", kit_no_fork());
  return check_done();
}
