/* faults_store.c - every call of the file store to the system fails, once and
** for ever, with each errno, or does half of what it was asked for: an error
** with a code that says why, the old state whole, nothing left behind, and
** the next save works.
*/
#include "faults.h"

#include "faults_complete.h"
#include "faults_errnos.h"
#include "faults_scenes.h"
#include "private_tmp.h"

enum { MOST_TOLD = 5 };

/* ---- one case ---- */

static const char *const often[] = {"once", "for ever", "for ever (the disk)"};

static int is_there(const char *id, const char *text) {
  da_revision rev;
  char *got = kit_load(store, id, &rev, &err);
  int same =
      text ? got && strcmp(got, text) == 0 : !got && err.code == DA_ENOTFOUND;
  free(got);
  return same;
}

/* What an errno is told as; see da_err.c. */
static int code_of(int number) {
  da_err told;
  return da_fail_errno(&told, number, "x");
}

/* A lock that fails so is one that somebody else holds. */
static int looks_locked(void) {
  return faults_errno == EAGAIN || faults_errno == EACCES ||
         faults_errno == EINTR;
}

/* May it answer that, where `name` was failed? */
static int is_documented(const scene *s, int code, const char *name) {
  if (code == s->want || code == code_of(faults_errno))
    return 1;
  if (faults_kind == FAULTS_ZERO) /* an interruption; a file that shrinks */
    return code == DA_EIO || code == DA_EBUSY;
  if (code == DA_EBUSY)
    return looks_locked() && (faults_ever || strcmp(name, "fcntl") == 0);
  if (code == DA_ENOMEM)
    return faults_ever || strcmp(name, "pthread_mutex_init") == 0;
  return 0;
}

/* After these nothing may be said to be done: above all no second flush of
** the same file, of whose lost pages the kernel has told by the first. */
static int is_fatal(const char *name) {
  static const char *const calls[] = {"fsync",
                                      "syncfs",
                                      "writev",
                                      "renameat",
                                      "pread",
                                      "fchmod",
                                      FAULTS_CLOSE_WRITTEN,
                                      "renameat2",
                                      "linkat",
                                      "mkdirat"};
  if (faults_kind != FAULTS_ERRNO || faults_errno == EINTR)
    return 0;
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
    if (strcmp(name, calls[i]) == 0)
      return 1;
  return 0;
}

/* Deleting, putting aside and restoring may have been done before what failed:
** the flush of the directory, or what a network's file system has only said. */
static int may_be_done(const scene *s, const char *name) {
  return faults_kind == FAULTS_LIE ||
         ((!s->is || s->act == restore) &&
          (strcmp(name, "fsync") == 0 || faults_ever));
}

/* What was put aside is in one of the two places, and the other session, if
** there is one, in the other; or it has both names, for want of a better
** system. */
static int nothing_is_lost(const scene *s) {
  char text[64] = "";
  FILE *f = fopen(kit_path(dir, aside), "r");
  if (f && !fgets(text, sizeof text, f))
    text[0] = '\0';
  if (f)
    fclose(f);
  if (is_there("a", old_text))
    return strcmp(text, s->was ? s->was : old_text) == 0 || (!s->was && !f);
  return is_there("a", s->was) && strcmp(text, old_text) == 0;
}

static void judge(const scene *s, int code, const char *name) {
  int done = code == s->want || now.text[0];
  struct stat st;
  CHECK(is_documented(s, code, name));
  CHECK(code == DA_OK || err.code == code || s->want == DA_ECORRUPT);
  CHECK(code == DA_OK || err.message[0]);
  if (is_fatal(name))
    CHECK(code != DA_OK);
  if (!(done ? is_there("a", s->is) : is_there("a", s->was)))
    CHECK(!done && may_be_done(s, name) && is_there("a", s->is));
  if (s->act == save && code == DA_OK)
    CHECK(now.text[0]);
  if (s->act == save_under_umask && code == DA_OK)
    CHECK(stat(kit_path(dir, "a.json"), &st) == 0 &&
          (st.st_mode & 07777) == 0600);
  /* A directory whose entry could not be flushed is made, and flushed, anew
  ** the next time. */
  if (s->flags & VACANT && is_fatal(name) && !faults_ever &&
      strcmp(name, "fsync") == 0 && !kit_exists(dir, ".lock"))
    CHECK(!kit_exists(root, "p/s"));
  if (s->act == restore)
    CHECK(nothing_is_lost(s));
  /* The bytes that were put aside are those that were there. */
  if (s->act == quarantine && !is_there("a", s->was)) {
    CHECK_INT(kit_count(dir, "a.json.corrupt-"), 1);
    CHECK(strncmp(kept, dir, strlen(dir)) == 0 || code != DA_OK);
  }
}

/* The trouble is over: all is as it should be, and goes on. */
static void recover(const scene *s) {
  struct stat st;
  int lost = s->before == directory_lost || s->flags & VACANT;
  const da_revision *last = now.text[0] ? &now : NULL;
  chmod(root, 0700);
  /* Where it can be known which state is there, its revision is, too. */
  if (!last && s->was && s->was != other_text && is_there("a", s->was))
    last = &seen;
  if (!last && is_there("a", NULL))
    last = &none;
  CHECK_INT(kit_save(store, "a", next_text, last, &now, &err), DA_OK);
  CHECK(is_there("a", next_text));
  CHECK(is_there("b", lost ? NULL : other_text));
  CHECK_INT(list(), DA_OK);
  CHECK_INT(names.count, lost ? 1 : 2);
  CHECK(kit_listed(&names, "a"));
  if (!looks_locked() && faults_errno != EPERM) /* perhaps another's */
    CHECK_INT(kit_count(dir, ".tmp-"), 0);
  kit_close(store);
  open_store(s);
  CHECK_INT(kit_save(store, "a", next_text, &now, &now, &err), DA_OK);
  CHECK_INT(kit_count(dir, ".tmp-"), 0);
  CHECK(stat(kit_path(dir, "a.json"), &st) == 0);
  CHECK_INT(st.st_mode & 07777, 0600);
  CHECK(stat(dir, &st) == 0);
  if (s->act != save_under_umask || !(s->flags & VACANT))
    CHECK_INT(st.st_mode & 07777, 0700);
  CHECK_INT(st.st_mode & 0077, 0);
}

static int cases, all_cases;

/* 1 if the case went well. */
static int one_case(const scene *s, faults_how how, int at, int ever,
                    int number) {
  const char *name = at > 0 ? faults_names[at - 1] : "";
  int before = check_failed_here, fds = kit_fds(), code;
  check_failed_here = 0;
  set_stage(s);
  faults_arm(how, at, ever, number);
  code = s->act();
  faults_disarm();
  faults_world = 0;
  judge(s, code, name);
  if (at > 0 && !faults_supports(name, how))
    CHECK_INT(faults_hits, ever ? faults_hits : 0);
  else if (how != FAULTS_NONE && ever < FAULTS_EVER_DISK)
    CHECK(faults_hits > 0);
  recover(s);
  kit_close(store);
  CHECK_INT(kit_fds(), fds);
  kit_rm(root);
  cases++;
  all_cases++;
  if (check_failed_here)
    fprintf(stderr, "in \"%s\", %s %d (%s) %s, kind %d, with %s: %s\n",
            s->name, "call", at, name, often[ever], (int)how, strerror(number),
            da_code_name(code));
  before += check_failed_here;
  check_failed_here = before;
  return !before;
}

/* ---- all of a scene ---- */

static const char *hit[FAULTS_MOST];
static size_t hit_count;

static void note(const char *name) {
  for (size_t i = 0; i < hit_count; i++)
    if (strcmp(hit[i], name) == 0)
      return;
  hit[hit_count++] = name;
}

/* All kinds of faults, of call `at`. */
static void each_fault(const scene *s, int at) {
  const char *name = faults_names[at - 1];
  for (int ever = 0; ever < FAULTS_OFTEN && check_failed_here < MOST_TOLD;
       ever++) {
    for (size_t i = 0; i < FAULTS_ERRNOS; i++)
      if (faults_wanted(i, at + ever, ever))
        one_case(s, FAULTS_ERRNO, at, ever, faults_errnos[i]);
    for (faults_how how = FAULTS_SHORT; how <= FAULTS_LIE; how++)
      if (ever < FAULTS_EVER_DISK && faults_supports(name, how))
        one_case(s, how, at, ever, EIO);
  }
}

static void play(const scene *s) {
  int calls;
  check_failed_here = cases = 0;
  if (one_case(s, FAULTS_NONE, 0, 0, 0)) {
    calls = faults_calls;
    CHECK(calls > 0 && calls <= FAULTS_MOST);
    for (int at = 1; at <= calls && check_failed_here < MOST_TOLD; at++) {
      note(faults_names[at - 1]);
      each_fault(s, at);
    }
    printf("# %s: %d calls, %d cases\n", s->name, calls, cases);
  }
  printf("%s - %s\n", check_failed_here ? "not ok" : "ok", s->name);
  fflush(stdout);
  check_failures += check_failed_here > 0;
}

/* ---- finding the directory ---- */

static int construct(const char *path) {
  da_file_options options = {path, 0, 0};
  int code = da_store_file(&store, &options, &err);
  if (code == DA_OK)
    kit_close(store);
  return code;
}

/* Where the system is to be asked for it. */
static void constructors(void) {
  static const char *const paths[] = {NULL, "sessions"};
  unsetenv("DEEPAGENT_HOME"), unsetenv("HOME");
  for (size_t i = 0; i < 2; i++) {
    int calls, fds = kit_fds();
    faults_count();
    CHECK_INT(construct(paths[i]), DA_OK);
    faults_disarm();
    calls = faults_calls;
    CHECK(calls > 0);
    for (int at = 1; at <= calls; at++)
      for (size_t k = 0; k < FAULTS_ERRNOS; k++) {
        int code;
        note(faults_names[at - 1]);
        faults_arm(FAULTS_ERRNO, at, 0, faults_errnos[k]);
        code = construct(paths[i]);
        faults_disarm();
        CHECK(code == DA_EINVAL || code == DA_ENOMEM ||
              (code == DA_OK && faults_errnos[k] == EINTR));
        CHECK(code == DA_OK || err.message[0]);
      }
    CHECK_INT(kit_fds(), fds);
  }
}

/* Somebody else has the session, and waiting is interrupted at once. */
static void busy(void) {
  static const scene here = {"busy", 0, 0, NULL, save, DA_EBUSY, NULL, NULL};
  char name[DA_FILE_NAME_SIZE];
  da_file_claim claim;
  da_store *other;
  set_stage(&here);
  other = kit_store(dir, 0);
  CHECK_INT(da_file_name(name, "a", &err), DA_OK);
  CHECK_INT(da_file_claim_take(&claim, (da_file_store *)other, name, 1, &err),
            DA_OK);
  faults_count();
  CHECK_INT(save(), DA_EBUSY);
  CHECK(err.retryable);
  faults_disarm();
  for (int i = 0; i < faults_calls && i < FAULTS_MOST; i++)
    note(faults_names[i]);
  for (int at = 1; at <= faults_calls && at < 12; at++) {
    if (strcmp(faults_names[at - 1], "nanosleep") != 0)
      continue;
    faults_arm(FAULTS_ERRNO, at, 0, EINTR);
    CHECK_INT(save(), DA_EBUSY);
    faults_disarm();
    CHECK(is_there("a", old_text));
  }
  CHECK_INT(da_file_claim_end(&claim, (da_file_store *)other, 0, &err), DA_OK);
  recover(&here);
  kit_close(other);
  kit_close(store);
  kit_rm(root);
}

/* ---- nothing is forgotten ---- */

static void every_call_is_known(void) {
  CHECK(complete_check() > 0);
}

static void every_call_was_failed(void) {
  for (size_t i = 0; i < sizeof complete_wrapped / sizeof *complete_wrapped;
       i++) {
    const char *name = complete_wrapped[i];
    if (strcmp(name, "pthread_create") != 0 && /* the saver's, not here */
        !complete_is_in(hit, hit_count, name)) {
      fprintf(stderr, "%s was never reached\n", name);
      check_failed_here = 1;
    }
  }
}

int main(void) {
  private_tmp();
  for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i++)
    play(&scenes[i]);
  RUN(constructors);
  RUN(busy);
  RUN(every_call_was_failed);
  if (complete_check() < 0)
    SKIP("every_call_is_known", "nm or the library is not there");
  else
    RUN(every_call_is_known);
  printf("# %d cases\n", all_cases);
  return check_done();
}
