/* faults_agent.c - the same through an agent: whatever the disk does, it
** answers, says why it could not save, and has stored everything, once, soon
** after the disk works again.
*/
#include "faults.h"

#include "../c/store_kit.h" /* before agent_kit.h: that has a global `err` */

#include "../c/agent_kit.h"
#include "file_dir.h"
#include "private_tmp.h"

#define SAID(text) text "|You said: " text

enum { MOST_TOLD = 5 };

static const char corrupt[] = "{\"messages\":[";

static char dir[PATH_MAX];
static da_runtime *runtime;
static da_agent *a;
static cage cages[3];

/* ---- agents ---- */

static da_store *patient_store(int durable) {
  da_store *s = kit_store(dir, durable);
  ((da_file_store *)s)->patience = 0.0005;
  return s;
}

static da_agent *agent_in(da_runtime *rt, cage *c, int durable) {
  da_agent *fresh = kit_agent(rt, c);
  CHECK_INT(da_agent_set_store(fresh, patient_store(durable), &err), DA_OK);
  CHECK_INT(da_agent_set_session_id(fresh, "s", &err), DA_OK);
  return fresh;
}

/* Another process's part: a turn, or (NULL) only a look. */
static int others(const char *question, const char *want) {
  da_runtime *rt = kit_runtime();
  da_agent *other = agent_in(rt, &cages[1], 0);
  char *text = NULL;
  int same;
  if (question)
    CHECK_INT(da_agent_ask(other, question, &text, &err), DA_OK);
  free(text);
  same = !want || strcmp(kit_said(other), want) == 0;
  if (!same)
    fprintf(stderr, "stored is: %s\n", kit_said(other));
  CHECK_INT(da_agent_close(other, &err), DA_OK);
  da_agent_free(other);
  da_runtime_free(rt);
  return same;
}

static void one_turn(void) {
  ASK(a, "one");
  CHECK_INT(da_agent_flush(a, -1, &err), DA_OK);
}

/* ---- scenes ---- */

typedef struct scene {
  const char *name;
  int durable;
  void (*before)(void);  /* what happened before, or NULL */
  int (*act)(void);      /* while calls fail */
  int (*again)(void);    /* when they do not any more; DA_OK */
  const char *stored;    /* what is stored then */
  const char *or_stored; /* or this, if `act` has failed; NULL: not so */
} scene;

static void before_resume(void) {
  CHECK(others("one", SAID("one")));
}

static void before_merge(void) {
  one_turn();
  CHECK(others("theirs", SAID("one") "|" SAID("theirs")));
}

static void before_corrupt(void) {
  kit_write(dir, "s.json", corrupt);
  CHECK(chmod(kit_path(dir, "s.json"), 0600) == 0);
}

static int flush(void) {
  return da_agent_flush(a, -1, &err);
}

static int turn(void) {
  ASK(a, "two");
  return flush();
}

static int turn_and_save(void) {
  ASK(a, "two");
  return da_agent_save(a, &err);
}

static int save_again(void) {
  return da_agent_save(a, &err);
}

static int next_turn(void) {
  ASK(a, "three");
  return flush();
}

static int clear(void) {
  CHECK_INT(da_agent_clear(a, &err), DA_OK);
  return flush();
}

static int load(void) {
  int code = da_agent_load(a, &err);
  const char *is = kit_said(a);
  da_err_clear(&err);
  err.code = code;
  CHECK_STR(is, code ? SAID("one") : SAID("one") "|" SAID("theirs"));
  return code;
}

/* What was not deleted is still there, in the agent, too; what may have been
** is begun anew by load_session. */
static int erase(void) {
  int code = da_agent_delete(a, NULL, &err);
  const da_err why = err;
  if (code && code != DA_ENOTFOUND)
    CHECK_STR(kit_said(a), SAID("one"));
  err = why;
  return code;
}

static int erase_again(void) {
  int code = da_agent_delete(a, NULL, &err);
  CHECK(code == DA_OK || code == DA_ENOTFOUND);
  return next_turn();
}

static kit_names names;

static int list(void) {
  int code;
  memset(&names, 0, sizeof names);
  names.base.id = kit_id;
  code = da_agent_list(a, &names.base, &err);
  CHECK(code || (names.count == 1 && kit_listed(&names, "s")));
  return code;
}

static const scene scenes[] = {
    {"a first turn", 1, NULL, turn, flush, SAID("two"), NULL},
    {"a first turn, and the next", 0, NULL, turn, next_turn,
     SAID("two") "|" SAID("three"), NULL},
    {"a turn", 1, one_turn, turn, next_turn,
     SAID("one") "|" SAID("two") "|" SAID("three"), NULL},
    {"a turn, not durable", 0, one_turn, turn, flush,
     SAID("one") "|" SAID("two"), NULL},
    {"a turn after a resume", 1, before_resume, turn, next_turn,
     SAID("one") "|" SAID("two") "|" SAID("three"), NULL},
    {"a turn after somebody else's", 1, before_merge, turn, next_turn,
     SAID("one") "|" SAID("theirs") "|" SAID("two") "|" SAID("three"), NULL},
    {"a turn after somebody else's, not durable", 0, before_merge, turn, flush,
     SAID("one") "|" SAID("theirs") "|" SAID("two"), NULL},
    {"saving over a corrupt session", 1, before_corrupt, turn_and_save,
     save_again, SAID("two"), NULL},
    {"emptying", 1, one_turn, clear, next_turn, SAID("three"), NULL},
    {"loading again", 1, before_merge, load, next_turn,
     SAID("one") "|" SAID("theirs") "|" SAID("three"), NULL},
    {"listing", 1, one_turn, list, next_turn, SAID("one") "|" SAID("three"),
     NULL},
    {"deleting", 1, one_turn, erase, erase_again, SAID("three"), NULL},
};

/* ---- one case ---- */

static int is_documented(int code) {
  da_err told;
  if (code == DA_OK || code == da_fail_errno(&told, faults_errno, "x"))
    return 1;
  switch (code) {
  case DA_EBUSY: /* a lock that looks like another's; a file that shrinks */
    return faults_errno == EAGAIN || faults_errno == EACCES ||
           faults_errno == EINTR || faults_kind == FAULTS_ZERO;
  case DA_ENOMEM: /* no mutex, no thread */
    return 1;
  case DA_ENOTFOUND: /* deleted, and it was said that it was not */
  case DA_ECONFLICT:
    return faults_kind == FAULTS_LIE;
  default:
    return faults_kind == FAULTS_ZERO && code == DA_EIO;
  }
}

/* What the agent says while the disk does not work. */
static void judge(const scene *s, int code) {
  const da_err why = err;
  int saves = s->act != load && s->act != list && s->act != erase;
  CHECK(is_documented(code));
  CHECK(code == DA_OK || why.code == code);
  if (saves && code == DA_OK) {
    CHECK_INT(da_agent_save_state(a, &err), DA_SAVE_SAVED);
  } else if (saves) {
    CHECK_INT(da_agent_save_state(a, &err), DA_SAVE_FAILED);
    CHECK_INT(err.code, code);
    CHECK(err.message[0]);
  }
}

/* What was corrupt lies aside, as it was. */
static void judge_aside(void) {
  char command[PATH_MAX + 100];
  snprintf(command, sizeof command,
           "grep -qxF '%s' '%s'/s.json.corrupt-* 2>/dev/null", corrupt, dir);
  CHECK(kit_count(dir, "s.json.corrupt-") >= 1);
  if (check_failed_here == 0 && faults_at % 8 == 1)
    CHECK(system(command) == 0);
}

static void recover(const scene *s) {
  CHECK_INT(s->again(), DA_OK);
  CHECK_INT(da_agent_save_state(a, &err), DA_SAVE_SAVED);
  CHECK(others(NULL, s->stored));
  if (s->before == before_corrupt)
    judge_aside();
  CHECK_INT(list(), DA_OK);
  CHECK_INT(kit_count(dir, "s.json"), s->before == before_corrupt ? 2 : 1);
}

static int cases, all_cases;

static int one_case(const scene *s, faults_how how, int at, int ever,
                    int number) {
  int before = check_failed_here, fds = kit_fds(), code;
  check_failed_here = 0;
  memset(cages, 0, sizeof cages);
  kit_dir(dir);
  runtime = kit_runtime();
  a = agent_in(runtime, &cages[0], s->durable);
  if (s->before)
    s->before();
  da_err_clear(&err);
  faults_arm(how, at, ever, number);
  code = s->act();
  faults_disarm();
  judge(s, code);
  /* What the worker tried before it was asked for may be a try more. */
  if (how != FAULTS_NONE && !faults_only && s->before != before_corrupt)
    CHECK(faults_hits > 0);
  recover(s);
  da_agent_free(a);
  da_runtime_free(runtime);
  CHECK_INT(kit_fds(), fds);
  CHECK(others("last", NULL));
  CHECK_INT(kit_count(dir, ".tmp-"), 0);
  kit_rm(dir);
  cases++, all_cases++;
  if (check_failed_here)
    fprintf(stderr, "in \"%s\", call %d (%s) %s, kind %d, with %s: %s\n",
            s->name, at, at > 0 ? faults_names[at - 1] : "",
            ever ? "for ever" : "once", (int)how, strerror(number),
            da_code_name(code));
  before += check_failed_here;
  check_failed_here = before;
  return !before;
}

/* ---- all of a scene ---- */

static void each_fault(const scene *s, int at) {
  const char *name = faults_names[at - 1];
  for (int ever = 0; ever < 2 && check_failed_here < MOST_TOLD; ever++) {
    for (size_t i = 0; i < FAULTS_ERRNOS; i++)
      if (faults_wanted(i, at + ever))
        one_case(s, FAULTS_ERRNO, at, ever, faults_errnos[i]);
    for (faults_how how = FAULTS_SHORT; how <= FAULTS_LIE; how++)
      if (faults_supports(name, how))
        one_case(s, how, at, ever, EIO);
  }
}

static void play(const scene *s) {
  int calls;
  check_failed_here = cases = 0;
  if (one_case(s, FAULTS_NONE, 0, 0, 0)) {
    calls = faults_calls;
    CHECK(calls > 0 && calls <= FAULTS_MOST);
    for (int at = 1; at <= calls && check_failed_here < MOST_TOLD; at++)
      each_fault(s, at);
    printf("# %s: %d calls, %d cases\n", s->name, calls, cases);
  }
  printf("%s - %s\n", check_failed_here ? "not ok" : "ok", s->name);
  fflush(stdout);
  check_failures += check_failed_here > 0;
}

/* Then saves are made by whoever waits for them. */
static void without_threads(void) {
  int before = check_failed_here;
  faults_only = "pthread_create";
  for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i++)
    for (int ever = 0; ever < 2; ever++) {
      faults_names[0] = faults_only;
      one_case(&scenes[i], FAULTS_ERRNO, 1, ever, EAGAIN);
    }
  faults_only = NULL;
  check_failed_here += before;
}

int main(void) {
  private_tmp();
  for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i++)
    play(&scenes[i]);
  RUN(without_threads);
  printf("# %d cases\n", all_cases);
  return check_done();
}
