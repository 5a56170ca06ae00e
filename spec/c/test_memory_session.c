/* test_memory_session.c - sessions without memory, in files and in memory:
** what failed is told, nothing stored is lost or half there, and as soon as
** there is memory again all that was said is stored. */
#include "memory_agent.h"

#include <sys/wait.h>

#include "store_file.h"

static char dir[PATH_MAX];
static da_backend *backend;
static int durable;

/* ---- what is stored ---- */

static void write_session(const char *id, const char *text) {
  char name[64];
  snprintf(name, sizeof name, "%s.json", id);
  kit_write(dir, name, text);
}

/* As the store has it, by an agent of its own. */
static const char *stored(const char *id) {
  static char none[] = "";
  const char *said = none;
  da_runtime *other_rt = NULL;
  da_agent *other = NULL;
  memory_exempt++;
  CHECK_INT(da_runtime_new(&other_rt, NULL, &err), DA_OK);
  CHECK_INT(da_agent_new(&other, other_rt, "m", NULL, NULL, &err), DA_OK);
  CHECK_INT(da_agent_set_session_id(other, id, &err), DA_OK);
  CHECK_INT(da_agent_set_backend(other, backend, &err), DA_OK);
  if (da_agent_load(other, &err) == DA_OK)
    said = said_by(other);
  da_agent_free(other);
  da_runtime_free(other_rt);
  memory_exempt--;
  return said;
}

/* Others have stored this. */
#define LINE(id, role, content)                                               \
  "{\"id\":\"" id "\",\"created_at\":1700000000.000,\"role\":\"" role         \
  "\",\"content\":\"" content "\"}"
#define META "\"metadata\":{\"theirs\":[1,2],\"usage\":{\"total_tokens\":7}}"
static const char old_text[] =
    "{\"version\":1,\"id\":\"s\"," META ",\"messages\":[\n" LINE(
        "1", "user", "a") "," LINE("2", "assistant", "b") "]}";
static const char their_text[] =
    "{\"version\":1,\"id\":\"s\"," META
    ",\"messages\":[\n" LINE("1", "user", "a") "," LINE(
        "2", "assistant",
        "b") "," LINE("3", "user", "c") "," LINE("4", "assistant", "d") "]}";
static const char go_text[] = "[{\"Role\":\"user\",\"Content\":\"a\"},"
                              "{\"Role\":\"assistant\",\"Content\":\"b\"}]";

/* ---- an agent with a session ---- */

static void set_up(da_agent *agent) {
  CHECK_INT(da_agent_set_provider(agent, memory_model(), &err), DA_OK);
  CHECK_INT(da_agent_set_session_id(agent, "s", &err), DA_OK);
  CHECK_INT(da_agent_set_backend(agent, backend, &err), DA_OK);
  da_agent_set_save_timeout(agent, CHECK_LONG);
  da_agent_set_logger(agent, memory_log, NULL);
}

static void open_backend(int on_disk) {
  const da_file_options options = {dir, durable, 0};
  da_store *s = NULL;
  if (on_disk)
    CHECK_INT(da_store_file(&s, &options, &err), DA_OK);
  else
    CHECK_INT(da_store_memory(&s, &err), DA_OK);
  CHECK_INT(da_backend_new(&backend, s, &err), DA_OK);
}

/* Saves go to a worker. */
static void file_begin(void) {
  durable = 1;
  open_backend(1);
  plain_begin();
  set_up(a);
}

/* Saves that are waited for are done by who waits. */
static void quick_begin(void) {
  durable = 0;
  open_backend(1);
  plain_begin();
  set_up(a);
}

static void memory_begin(void) {
  open_backend(0);
  plain_begin();
  set_up(a);
}

/* A store that has to be waited for: all is done by workers. */
static void elsewhere_begin(void) {
  static da_store_ops ops;
  da_store *s = NULL;
  CHECK_INT(da_store_memory(&s, &err), DA_OK);
  ops = *s->ops;
  ops.flags = 0;
  s->ops = &ops;
  CHECK_INT(da_backend_new(&backend, s, &err), DA_OK);
  plain_begin();
  set_up(a);
  ask_surely("0");
  CHECK_INT(da_agent_flush(a, -1, &err), DA_OK);
}

static void session_end(void) {
  plain_end();
  da_backend_unref(backend);
  kit_rm(dir);
  kit_dir(dir);
}

static void old_begin(void) {
  write_session("s", old_text);
  quick_begin();
  expect("a");
  expect("b");
}

static void durable_old_begin(void) {
  write_session("s", old_text);
  file_begin();
  expect("a");
  expect("b");
}

static void talked_begin(void) {
  quick_begin();
  ask_surely("0");
  CHECK_INT(da_agent_flush(a, -1, &err), DA_OK);
}

/* ---- checks ---- */

/* The metadata that others have put there is still there. */
static void theirs_is_kept(void) {
  char text[4096] = "";
  FILE *f = fopen(kit_path(dir, "s.json"), "r");
  size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
  CHECK(n > 0 && strstr(text, "\"theirs\":[1,2]"));
  if (f)
    fclose(f);
}

/* With memory: a turn more, then all is stored, and the agent, once it has
** loaded, has it, too. */
static void session_check(void) {
  ask_surely("more");
  CHECK_INT(da_agent_flush(a, -1, &err), DA_OK);
  CHECK_INT(da_agent_save_state(a, &err), DA_SAVE_SAVED);
  CHECK_STR(stored("s"), expected);
  CHECK_INT(da_agent_load(a, &err), DA_OK);
  said_is_right();
}

static void old_check(void) {
  session_check();
  theirs_is_kept();
}

/* ---- acts ---- */

static void talk_act(void) {
  ask("1");
  OK(da_agent_flush(a, -1, &err));
  stream("2");
  OK(da_agent_flush(a, -1, &err));
}

static void save_act(void) {
  ask("1");
  OK(da_agent_save(a, &err));
  if (da_agent_save_state(a, &err) == DA_SAVE_FAILED)
    OK(err.code);
}

static void by_hand_begin(void) {
  quick_begin();
  da_agent_set_auto_save(a, 0);
}

static void by_hand_check(void) {
  da_agent_set_auto_save(a, 1);
  session_check();
}

/* The conversation is replaced, or it is not. */
static int cleared;

static void clear_act(void) {
  cleared = OK(da_agent_clear(a, &err));
  if (cleared)
    expected[0] = '\0';
  ask("1");
}

static void load_act(void) {
  ask("2");
  OK(da_agent_load(a, &err));
  said_is_right();
}

static void load_begin(void) {
  talked_begin();
  ask_surely("1");
}

/* Somebody else saves between our load and our save. */
static void conflict_begin(void) {
  old_begin();
  CHECK_INT(da_agent_load(a, &err), DA_OK);
  write_session("s", their_text);
  expect("c");
  expect("d");
}

static void conflict_act(void) {
  ask("1");
  OK(da_agent_flush(a, -1, &err));
}

/* Both are in the middle of it. */
static da_agent *second;

static void two_begin(void) {
  memory_begin();
  CHECK_INT(da_agent_clone(&second, a, &err), DA_OK);
  ask_surely("0");
  CHECK_INT(da_agent_flush(a, -1, &err), DA_OK);
}

static void second_asks(const char *question) {
  da_agent *first = a;
  a = second;
  ask(question);
  a = first;
}

static void two_act(void) {
  second_asks("1");
  OK(da_agent_flush(second, -1, &err));
  ask("2");
  OK(da_agent_flush(a, -1, &err));
}

/* In the order that they were saved in: each turn once. */
static void two_check(void) {
  char want[sizeof expected], *turn;
  size_t length = 0;
  ask_surely("more");
  CHECK_INT(da_agent_flush(a, -1, &err), DA_OK);
  CHECK_INT(da_agent_flush(second, -1, &err), DA_OK);
  strcpy(want, expected);
  snprintf(expected, sizeof expected, "%s", stored("s"));
  CHECK_INT(strlen(expected), strlen(want));
  for (turn = strtok(want, "|"); turn; turn = strtok(NULL, "|")) {
    CHECK(strstr(expected, turn));
    length += strlen(turn) + 1;
  }
  CHECK_INT(length, strlen(expected) + 1);
  da_agent_free(second);
}

/* ---- a corrupt file ---- */

static void corrupt_begin(void) {
  write_session("s", "{\"messages\": [");
  quick_begin();
}

static int count_aside(void) {
  return kit_count(dir, "s.json.corrupt-");
}

static void corrupt_act(void) {
  size_t n;
  int code = da_agent_count(a, &n, &err);
  CHECK(code == DA_ECORRUPT || !OK(code));
  ask("1");
  code = da_agent_flush(a, -1, &err);
  if (code != DA_ECORRUPT)
    OK(code);
  CHECK_INT(count_aside(), 0);
  OK(da_agent_save(a, &err));
}

static void corrupt_check(void) {
  ask_surely("more");
  CHECK_INT(da_agent_save(a, &err), DA_OK);
  CHECK_INT(count_aside(), 1);
  CHECK_STR(stored("s"), expected);
}

/* ---- the Go peer's file ---- */

static void go_begin(void) {
  write_session("s", go_text);
  quick_begin();
  expect("a");
  expect("b");
}

/* ---- deleting ---- */

static void delete_begin(void) {
  write_session("s", old_text);
  write_session("t", "[]");
  quick_begin();
}

static int deleted[2];

static void delete_act(void) {
  deleted[0] = OK(da_agent_delete(a, "t", &err));
  deleted[1] = OK(da_agent_delete(a, NULL, &err));
}

static void delete_check(void) {
  CHECK(!deleted[0] || !kit_exists(dir, "t.json"));
  CHECK(!deleted[1] || !kit_exists(dir, "s.json"));
  if (!deleted[1] && kit_exists(dir, "s.json")) {
    expect("a");
    expect("b");
  }
  session_check();
}

/* ---- listing ---- */

static char ids[64];

static int note_id(da_store_ids *to, da_text id) {
  (void)to;
  strncat(ids, id.data, id.len);
  return DA_OK;
}

static int list(void) {
  da_store_ids to = {note_id};
  ids[0] = '\0';
  return da_agent_list(a, &to, &err);
}

static void list_act(void) {
  if (OK(list()))
    CHECK(strcmp(ids, "st") == 0 || strcmp(ids, "ts") == 0);
}

static void list_check(void) {
  CHECK_INT(list(), DA_OK);
  CHECK_INT(strlen(ids), 2);
  expect("a");
  expect("b");
  session_check();
}

/* Each verb by a worker, or, where there is none, by the caller. */
static void elsewhere_act(void) {
  ask("1");
  OK(da_agent_load(a, &err));
  OK(da_agent_delete(a, "t", &err) == DA_ENOTFOUND ? DA_OK : err.code);
  OK(list());
  ask("2");
  OK(da_agent_flush(a, -1, &err));
}

/* ---- an id that comes later ---- */

static void later_begin(void) {
  write_session("s", old_text);
  durable = 0;
  open_backend(1);
  plain_begin();
  CHECK_INT(da_agent_set_provider(a, memory_model(), &err), DA_OK);
  CHECK_INT(da_agent_set_backend(a, backend, &err), DA_OK);
  da_agent_set_memory(a, 1);
  expect("a");
  expect("b");
  ask_surely("0");
}

static int has_id;

static void later_act(void) {
  has_id = OK(da_agent_set_session_id(a, "s", &err));
  ask("1");
  OK(da_agent_flush(a, -1, &err));
}

static void later_check(void) {
  if (!has_id)
    CHECK_INT(da_agent_set_session_id(a, "s", &err), DA_OK);
  session_check();
}

/* ---- the end ---- */

static void end_act(void) {
  ask("1");
  da_agent_free(a);
  da_runtime_free(rt);
  a = NULL;
  rt = NULL;
}

/* What could not be saved before the end is gone with it, but what is there
** is whole, and the answer to a close says so. */
static int closed_well;

static void close_act(void) {
  ask("1");
  closed_well = OK(da_agent_close(a, &err));
  da_agent_free(a);
  da_runtime_free(rt);
  a = NULL;
  rt = NULL;
}

static void end_check(void) {
  const char *there = stored("s");
  CHECK(strcmp(there, expected) == 0 || strcmp(there, "a|b") == 0);
}

static void close_check(void) {
  const char *there = stored("s");
  if (closed_well)
    CHECK_STR(there, expected);
  else
    CHECK(strcmp(there, expected) == 0 || strcmp(there, "a|b") == 0);
}

/* ---- a fork ---- */

/* In the child, whose exit status tells. */
static void child(void) {
  check_failed_here = 0;
  memory_exempt = 0;
  ask("child");
  OK(da_agent_flush(a, -1, &err));
  memory_back();
  ask_surely("grown");
  CHECK_INT(da_agent_flush(a, -1, &err), DA_OK);
  CHECK_STR(stored("s"), expected);
  plain_end();
  fflush(stderr);
  _exit(check_failed_here ? 1 : atomic_load(&memory_failed) ? 2 : 0);
}

static void fork_act(void) {
  int status = 0;
  pid_t pid = fork();
  if (pid == 0)
    child();
  CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) != 1);
  /* The child's failure is ours. */
  atomic_store(&memory_failed, WIFEXITED(status) && WEXITSTATUS(status) == 2);
}

/* The parent knows nothing of what its child has said. */
static void fork_check(void) {
  CHECK_INT(da_agent_load(a, &err), DA_OK);
  snprintf(expected, sizeof expected, "%s", said_by(a));
  session_check();
}

int main(void) {
  static const scene scenes[] = {
      {"a session begun", quick_begin, talk_act, session_check, session_end,
       0},
      {"a session begun, by a worker", file_begin, talk_act, session_check,
       session_end, 1},
      {"a session in memory", memory_begin, talk_act, session_check,
       session_end, 0},
      {"a session in a store elsewhere", elsewhere_begin, elsewhere_act,
       session_check, session_end, 1},
      {"a session continued", old_begin, talk_act, old_check, session_end, 1},
      {"a session continued, by a worker", durable_old_begin, talk_act,
       old_check, session_end, 1},
      {"saved by hand", by_hand_begin, save_act, by_hand_check, session_end,
       0},
      {"cleared", talked_begin, clear_act, session_check, session_end, 0},
      {"loaded again", load_begin, load_act, session_check, session_end, 0},
      {"somebody else was there", conflict_begin, conflict_act, old_check,
       session_end, 1},
      {"two agents", two_begin, two_act, two_check, session_end, 0},
      {"a corrupt session", corrupt_begin, corrupt_act, corrupt_check,
       session_end, 0},
      {"a session of the Go peer", go_begin, talk_act, session_check,
       session_end, 0},
      {"deleted", delete_begin, delete_act, delete_check, session_end, 0},
      {"listed", delete_begin, list_act, list_check, session_end, 0},
      {"an id that comes later", later_begin, later_act, later_check,
       session_end, 1},
      {"left", durable_old_begin, end_act, end_check, session_end, 1},
      {"closed", durable_old_begin, close_act, close_check, session_end, 1},
      {"a fork", talked_begin, fork_act, fork_check, session_end, 1},
  };
  memory_leaves = kit_dir(dir);
  PLAY(scenes);
  kit_rm(dir);
  return check_done();
}
