/* test_saver_shared.c - sessions that others write, delete, lock away or
** damage, too: nothing of theirs is written over, nothing of ours is lost. */
#include "store_kit.h"

#include "recording_store.h"

static rec_store *r;
static da_backend *b;
static da_saver *s;

static void begin(void) {
  r = rec_new(0);
  b = new_backend(r);
  s = new_saver();
}

static void end(void) {
  da_saver_close(s);
  da_backend_unref(b);
  rec_free(r);
}

/* ---- conflicts ---- */

static void others_come_first(void) {
  talker a;
  begin();
  sit_down(&a, s, b, "x", CHECK_LONG);
  say(&a, "one");
  CHECK_INT(flush(&a, CHECK_LONG), DA_OK);
  rec_other(r, "x", "theirs");
  say(&a, "two");
  CHECK_INT(flush(&a, CHECK_LONG), DA_OK);
  CHECK_STR(rec_text(r, "x"), "one theirs two");
  CHECK(events(&a, DA_ECONFLICT) >= 1);
  CHECK_STR(said(&a.history), "one two"); /* its own view */
  say(&a, "three");
  CHECK_INT(flush(&a, CHECK_LONG), DA_OK);
  CHECK_STR(rec_text(r, "x"), "one theirs two three");
  CHECK_INT(load(&a), DA_OK);
  CHECK_STR(said(&a.history), "one theirs two three");
  say(&a, "four");
  CHECK_INT(flush(&a, CHECK_LONG), DA_OK);
  CHECK_STR(rec_text(r, "x"), "one theirs two three four");
  get_up(&a);
  end();
}

/* A session that was there before we looked is not replaced. */
static void unloaded(void) {
  talker a;
  begin();
  rec_other(r, "x", "theirs");
  sit_down(&a, s, b, "x", CHECK_LONG);
  say(&a, "ours");
  CHECK_INT(flush(&a, CHECK_LONG), DA_OK);
  CHECK_STR(rec_text(r, "x"), "theirs ours");
  get_up(&a);
  end();
}

static void overtaken_again_and_again(void) {
  talker a;
  begin();
  sit_down(&a, s, b, "x", CHECK_LONG);
  REC_SET(r, overtaken, 5);
  say(&a, "ours");
  CHECK_INT(flush(&a, CHECK_LONG), DA_OK);
  CHECK_STR(rec_text(r, "x"),
            "intruder intruder intruder intruder intruder ours");
  CHECK_INT(r->saves, 6);
  REC_SET(r, overtaken, 1000); /* at some time we give up, and keep ours */
  da_session_set_timeout(a.session, 0.5);
  say(&a, "more");
  CHECK_INT(flush(&a, CHECK_LONG), DA_ECONFLICT);
  CHECK_INT(state(&a), DA_SAVE_FAILED);
  REC_SET(r, overtaken, 0);
  CHECK_INT(flush(&a, CHECK_LONG), DA_OK);
  CHECK(strstr(rec_text(r, "x"), " more") != NULL);
  get_up(&a);
  end();
}

/* Two savers, as of two Lua states, on one store. */
static void two_savers(void) {
  da_saver *other;
  talker a, c;
  int n = 0;
  char text[16];
  begin();
  other = new_saver();
  sit_down(&a, s, b, "x", CHECK_LONG);
  sit_down(&c, other, b, "x", CHECK_LONG);
  for (int i = 0; i < 20; i++) {
    snprintf(text, sizeof text, "a%02d", i);
    say(&a, text);
    text[0] = 'c';
    say(&c, text);
  }
  CHECK_INT(flush(&a, CHECK_LONG), DA_OK);
  CHECK_INT(flush(&c, CHECK_LONG), DA_OK);
  for (int i = 0; i < 40; i++) {
    const char *at;
    snprintf(text, sizeof text, "%c%02d", i < 20 ? 'a' : 'c', i % 20);
    at = strstr(rec_text(r, "x"), text);
    CHECK(at != NULL);
    CHECK(at && strstr(at + 1, text) == NULL);
    n++;
  }
  CHECK_INT(strlen(rec_text(r, "x")), n * 4 - 1);
  get_up(&a);
  get_up(&c);
  da_saver_close(other);
  end();
}

static void deleted_by_someone_else(void) {
  talker a;
  begin();
  sit_down(&a, s, b, "x", CHECK_LONG);
  say(&a, "one");
  CHECK_INT(flush(&a, CHECK_LONG), DA_OK);
  rec_delete(r, "x");
  say(&a, "two"); /* no silent rebirth */
  CHECK_INT(flush(&a, CHECK_LONG), DA_ECONFLICT);
  CHECK(strstr(err.message, "deleted") != NULL);
  say(&a, "three");
  CHECK_INT(flush(&a, CHECK_LONG), DA_ECONFLICT);
  CHECK_STR(rec_text(r, "x"), "");
  save(&a, 1); /* not even when asked to save */
  CHECK_INT(flush(&a, CHECK_LONG), DA_ECONFLICT);
  CHECK_INT(load(&a), DA_ENOTFOUND);
  say(&a, "four"); /* now that we know of it: begun anew */
  CHECK_INT(flush(&a, CHECK_LONG), DA_OK);
  CHECK(strstr(rec_text(r, "x"), "four") != NULL);
  get_up(&a);
  end();
}

/* Deleted and begun anew by someone else: what they deleted stays away. */
static void deleted_and_begun_anew(void) {
  talker a;
  begin();
  sit_down(&a, s, b, "x", CHECK_LONG);
  say(&a, "one");
  CHECK_INT(flush(&a, CHECK_LONG), DA_OK);
  rec_delete(r, "x");
  rec_other(r, "x", "theirs");
  say(&a, "two");
  CHECK_INT(flush(&a, CHECK_LONG), DA_OK);
  CHECK_STR(rec_text(r, "x"), "theirs two");
  get_up(&a);
  end();
}

/* ---- what cannot be read ---- */

static void unreadable(void) {
  talker a;
  begin();
  rec_other(r, "x", "theirs");
  REC_SET(r, fail_code, DA_EPERM);
  REC_SET(r, fail_loads, -1);
  sit_down(&a, s, b, "x", CHECK_LONG);
  CHECK_INT(load(&a), DA_EPERM);
  say(&a, "one");
  CHECK_INT(flush(&a, CHECK_LONG), DA_EPERM);
  CHECK_INT(state(&a), DA_SAVE_FAILED);
  save(&a, 1); /* asked for or not */
  CHECK_INT(flush(&a, CHECK_LONG), DA_EPERM);
  CHECK_INT(r->saves, 0);
  CHECK_STR(rec_text(r, "x"), "theirs");
  REC_SET(r, fail_loads, 0);
  say(&a, "two");
  CHECK_INT(flush(&a, CHECK_LONG), DA_OK);
  CHECK_STR(rec_text(r, "x"), "theirs one two");
  get_up(&a);
  end();
}

/* Loading puts what could not be saved behind what is there. */
static void loading_over_what_is_pending(void) {
  talker a;
  begin();
  sit_down(&a, s, b, "x", CHECK_LONG);
  say(&a, "one");
  CHECK_INT(flush(&a, CHECK_LONG), DA_OK);
  REC_SET(r, fail_code, DA_EFULL);
  REC_SET(r, fail_saves, -1);
  say(&a, "two");
  CHECK_INT(flush(&a, CHECK_LONG), DA_EFULL);
  rec_other(r, "x", "theirs");
  CHECK_INT(load(&a), DA_OK);
  CHECK_STR(said(&a.history), "one theirs two");
  CHECK_STR(rec_text(r, "x"), "one theirs");
  REC_SET(r, fail_saves, 0);
  CHECK_INT(flush(&a, CHECK_LONG), DA_OK);
  CHECK_STR(rec_text(r, "x"), "one theirs two");
  get_up(&a);
  end();
}

static void corrupt(void) {
  talker a;
  begin();
  rec_other(r, "x", "theirs");
  REC_SET(r, fail_code, DA_ECORRUPT);
  REC_SET(r, fail_loads, -1);
  sit_down(&a, s, b, "x", CHECK_LONG);
  CHECK_INT(load(&a), DA_ECORRUPT);
  say(&a, "one");
  CHECK_INT(flush(&a, CHECK_LONG), DA_ECORRUPT);
  CHECK(r->saves == 0 && r->quarantines == 0);
  save(&a, 1); /* in so many words */
  CHECK_INT(flush(&a, CHECK_LONG), DA_OK);
  CHECK_INT(r->quarantines, 1);
  CHECK_STR(rec_text(r, "x"), "one");
  CHECK(events(&a, DA_ECORRUPT) >= 2);
  say(&a, "two"); /* not asked again */
  CHECK_INT(flush(&a, CHECK_LONG), DA_OK);
  CHECK_STR(rec_text(r, "x"), "one two");
  get_up(&a);
  end();
}

static void corrupt_for_a_store_without_quarantine(void) {
  talker a;
  begin();
  r->ops.quarantine = NULL;
  REC_SET(r, fail_code, DA_ECORRUPT);
  REC_SET(r, fail_loads, -1);
  sit_down(&a, s, b, "x", CHECK_LONG);
  add(&a.history, "one");
  save(&a, 1);
  CHECK_INT(flush(&a, CHECK_LONG), DA_EUNSUPPORTED);
  CHECK_INT(r->saves, 0);
  get_up(&a);
  end();
}

static void version_of_tomorrow(void) {
  talker a;
  begin();
  rec_other(r, "x", "theirs");
  REC_SET(r, fail_code, DA_EVERSION);
  REC_SET(r, fail_loads, -1);
  sit_down(&a, s, b, "x", CHECK_LONG);
  add(&a.history, "one");
  save(&a, 1);
  CHECK_INT(flush(&a, CHECK_LONG), DA_EVERSION);
  CHECK(r->saves == 0 && r->quarantines == 0);
  get_up(&a);
  end();
}

/* ---- threads on files ---- */

enum { THREADS = 8, TURNS = 6 };

typedef struct worker {
  pthread_t thread;
  const char *dir;
  da_backend *backend; /* NULL: a store of its own */
  int who, code;
} worker;

static int take_turns(worker *w, da_saver *saver, da_session *session) {
  da_history h = DA_HISTORY_EMPTY;
  da_err why;
  int code = DA_OK;
  (void)saver;
  for (int i = 0; i < TURNS && !code; i++) {
    char text[16];
    da_message *m;
    snprintf(text, sizeof text, "%c%d", 'a' + w->who, i);
    code = da_message_text(&m, "user", kit_text_of(text), &why);
    if (!code)
      code = da_history_append(&h, m);
    if (!code)
      code = da_session_save(session, &h, kit_text_of("{}"), 0, &why);
    if (!code && i % 2)
      da_session_flush(session, CHECK_LONG, &why);
  }
  for (int tries = 0; !code && tries < 20; tries++)
    if (da_session_flush(session, CHECK_LONG, &why) == DA_OK)
      break;
    else if (tries == 19)
      code = why.code;
  da_history_dispose(&h);
  return code;
}

static void *work(void *arg) {
  worker *w = arg;
  da_file_options options = {w->dir, 0, 0};
  da_backend *own = w->backend;
  da_saver *saver = NULL;
  da_session *session;
  da_store *store;
  da_err why;
  w->code = da_saver_new(&saver, &why);
  if (!w->code && !own) {
    w->code = da_store_file(&store, &options, &why);
    if (!w->code)
      w->code = da_backend_new(&own, store, &why);
  } else {
    da_backend_ref(own);
  }
  if (!w->code)
    w->code = da_session_open(&session, saver, own, "log", CHECK_LONG, &why);
  if (!w->code) {
    w->code = take_turns(w, saver, session);
    da_session_close(session);
  }
  da_saver_close(saver);
  da_backend_unref(own);
  return NULL;
}

/* Every turn is there, once, each one's in order. */
static void check_turns(const char *dir) {
  da_backend *files = NULL;
  da_stored stored;
  int count[THREADS] = {0};
  CHECK_INT(da_backend_new(&files, kit_store(dir, 0), &err), DA_OK);
  da_stored_init(&stored);
  CHECK_INT(da_store_load(files, "log", &stored, &err), DA_OK);
  CHECK_INT(stored.history.len, THREADS * TURNS);
  for (size_t i = 0; i < stored.history.len; i++) {
    char text[16] = "", want[16];
    da_buf content;
    int who;
    da_buf_init(&content, 8);
    da_message_content(da_history_at(&stored.history, i), &content);
    snprintf(text, sizeof text, "%s", content.data);
    who = text[0] - 'a';
    CHECK(who >= 0 && who < THREADS);
    snprintf(want, sizeof want, "%c%d", text[0],
             who >= 0 && who < THREADS ? count[who]++ : -1);
    CHECK_STR(text, want);
    da_buf_dispose(&content);
  }
  da_stored_dispose(&stored);
  da_backend_unref(files);
}

static void threads_on_files(int share) {
  char dir[PATH_MAX];
  worker w[THREADS];
  da_backend *files = NULL;
  kit_dir(dir);
  if (share)
    CHECK_INT(da_backend_new(&files, kit_store(dir, 0), &err), DA_OK);
  for (int i = 0; i < THREADS; i++) {
    w[i] = (worker){.dir = dir, .backend = files, .who = i};
    CHECK_INT(pthread_create(&w[i].thread, NULL, work, &w[i]), 0);
  }
  for (int i = 0; i < THREADS; i++) {
    pthread_join(w[i].thread, NULL);
    CHECK_INT(w[i].code, DA_OK);
  }
  da_backend_unref(files);
  check_turns(dir);
  kit_rm(dir);
}

static void threads_with_stores_of_their_own(void) {
  threads_on_files(0);
}

static void threads_with_one_store(void) {
  threads_on_files(1);
}

int main(void) {
  RUN(others_come_first);
  RUN(unloaded);
  RUN(overtaken_again_and_again);
  RUN(two_savers);
  RUN(deleted_by_someone_else);
  RUN(deleted_and_begun_anew);
  RUN(unreadable);
  RUN(loading_over_what_is_pending);
  RUN(corrupt);
  RUN(corrupt_for_a_store_without_quarantine);
  RUN(version_of_tomorrow);
  RUN(threads_with_stores_of_their_own);
  RUN(threads_with_one_store);
  return check_done();
}
