/* test_saver.c - saving in the background: order, coalescing, failures,
** stores that hang. */
#include "recording_store.h"

/* ---- order ---- */

static void saves_and_loads(uint32_t flags) {
  rec_store *r = rec_new(flags);
  da_backend *b = new_backend(r);
  da_saver *s = new_saver();
  talker a, again;
  sit_down(&a, s, b, "x", CHECK_LONG);
  CHECK_INT(load(&a), DA_ENOTFOUND);
  CHECK_INT(state(&a), DA_SAVE_NONE);
  CHECK_INT(flush(&a, CHECK_LONG), DA_OK); /* nothing to do */
  CHECK_INT(r->saves, 0);
  say(&a, "one");
  CHECK_INT(flush(&a, CHECK_LONG), DA_OK);
  CHECK_INT(state(&a), DA_SAVE_SAVED);
  CHECK_STR(rec_text(r, "x"), "one");
  say(&a, "two");
  say(&a, "three");
  CHECK_INT(flush(&a, CHECK_LONG), DA_OK);
  CHECK_STR(rec_text(r, "x"), "one two three");
  CHECK(events(&a, DA_OK) >= 2);
  CHECK(da_session_event(a.session) == NULL);
  sit_down(&again, s, b, "x", CHECK_LONG);
  CHECK_INT(load(&again), DA_OK);
  CHECK_STR(said(&again.history), "one two three");
  get_up(&again);
  get_up(&a);
  da_saver_close(s);
  CHECK_INT(r->closed, 0);
  da_backend_unref(b);
  rec_free(r);
}

static void on_a_worker(void) {
  saves_and_loads(0);
}
static void local(void) {
  saves_and_loads(DA_STORE_LOCAL);
}
static void quick(void) {
  saves_and_loads(DA_STORE_LOCAL | DA_STORE_QUICK);
}
static void on_the_owners_thread(void) {
  saves_and_loads(DA_STORE_OWNER_THREAD);
}

/* Two hundred saves while the store is at work on the first are one more call,
** with all of them. */
static void coalesces(void) {
  rec_store *r = rec_new(0);
  da_backend *b = new_backend(r);
  da_saver *s = new_saver();
  talker a;
  char text[16];
  REC_SET(r, hang, 1);
  sit_down(&a, s, b, "x", CHECK_LONG);
  for (int i = 0; i < 200; i++) {
    snprintf(text, sizeof text, "%d", i);
    say(&a, text);
    CHECK(rec_wait(r, &r->saves, 1));
  }
  CHECK(state(&a) == DA_SAVE_PENDING);
  REC_SET(r, hang, 0);
  CHECK_INT(flush(&a, CHECK_LONG), DA_OK);
  CHECK_INT(r->most_at_once, 1);
  CHECK_INT(r->size_count, 2);
  CHECK(r->sizes[0] == 1 && r->sizes[1] == 200);
  CHECK_INT(r->stored[1], 1); /* it could have appended */
  get_up(&a);
  da_saver_close(s);
  da_backend_unref(b);
  rec_free(r);
}

/* ---- failures ---- */

static void a_failure_is_kept(void) {
  rec_store *r = rec_new(0);
  da_backend *b = new_backend(r);
  da_saver *s = new_saver();
  talker a;
  sit_down(&a, s, b, "x", CHECK_LONG);
  REC_SET(r, fail_code, DA_EFULL);
  REC_SET(r, fail_saves, 2);
  say(&a, "one");
  CHECK_INT(flush(&a, CHECK_LONG), DA_EFULL);
  CHECK_STR(err.message, "told to fail");
  CHECK_INT(state(&a), DA_SAVE_FAILED);
  CHECK_INT(err.code, DA_EFULL);
  CHECK_INT(events(&a, DA_EFULL), r->saves);
  CHECK_STR(rec_text(r, "x"), "");
  if (r->saves == 1) /* the worker may have met both failures */
    CHECK_INT(flush(&a, CHECK_LONG), DA_EFULL);
  CHECK_INT(flush(&a, CHECK_LONG), DA_OK); /* tried again */
  CHECK_INT(state(&a), DA_SAVE_SAVED);
  CHECK_STR(rec_text(r, "x"), "one");
  REC_SET(r, fail_saves, 1);
  say(&a, "two");
  CHECK(rec_wait(r, &r->saves, 4));
  say(&a, "three"); /* with the next turn */
  CHECK_INT(flush(&a, CHECK_LONG) == DA_OK || flush(&a, CHECK_LONG) == DA_OK,
            1);
  CHECK_STR(rec_text(r, "x"), "one two three");
  get_up(&a);
  da_saver_close(s);
  da_backend_unref(b);
  rec_free(r);
}

/* What comes while a save is on its way to failing is tried itself. */
static void a_failure_under_way(void) {
  rec_store *r = rec_new(0);
  da_backend *b = new_backend(r);
  da_saver *s = new_saver();
  talker a;
  double deadline = da_deadline(CHECK_LONG);
  sit_down(&a, s, b, "x", CHECK_LONG);
  REC_SET(r, fail_code, DA_EIO);
  REC_SET(r, fail_saves, 1);
  REC_SET(r, hang, 1);
  say(&a, "one");
  CHECK(rec_wait(r, &r->saves, 1));
  say(&a, "two");
  REC_SET(r, hang, 0);
  while (state(&a) != DA_SAVE_SAVED && da_left(deadline) > 0)
    da_sleep(0.002);
  CHECK_STR(rec_text(r, "x"), "one two");
  CHECK_INT(r->saves, 2);
  get_up(&a);
  da_saver_close(s);
  da_backend_unref(b);
  rec_free(r);
}

/* Replaced, but perhaps not for good: the next save starts from there. */
static void an_unsure_store(void) {
  rec_store *r = rec_new(0);
  da_backend *b = new_backend(r);
  da_saver *s = new_saver();
  talker a;
  sit_down(&a, s, b, "x", CHECK_LONG);
  REC_SET(r, unsure,
          2); /* one may be over before the flush, which tries again */
  say(&a, "one");
  CHECK_INT(flush(&a, CHECK_LONG), DA_EIO);
  REC_SET(r, unsure, 0);
  say(&a, "two");
  CHECK_INT(flush(&a, CHECK_LONG), DA_OK);
  CHECK_STR(rec_text(r, "x"), "one two");
  CHECK_INT(r->loads, 1); /* no one else was there */
  get_up(&a);
  da_saver_close(s);
  da_backend_unref(b);
  rec_free(r);
}

/* ---- stores that hang ---- */

static void a_hung_save(void) {
  rec_store *r = rec_new(0);
  da_backend *b = new_backend(r);
  da_saver *s = new_saver();
  talker a;
  double begun;
  sit_down(&a, s, b, "x", 0.1);
  REC_SET(r, hang, 1);
  say(&a, "one");
  CHECK(rec_wait(r, &r->saves, 1));
  begun = da_now();
  CHECK_INT(flush(&a, 0.1), DA_ETIMEOUT);
  CHECK(da_now() - begun >= 0.1 && da_now() - begun < CHECK_SOON);
  say(&a, "two");
  say(&a, "three");
  CHECK_INT(flush(&a, 0.1), DA_ETIMEOUT);
  CHECK_INT(state(&a), DA_SAVE_FAILED);
  CHECK_INT(err.code, DA_ETIMEOUT);
  CHECK_INT(events(&a, DA_ETIMEOUT), 1); /* told once */
  CHECK_INT(r->saves, 1);                /* nothing overtakes it */
  CHECK_INT(load(&a), DA_ETIMEOUT);
  REC_SET(r, hang, 0); /* the late end */
  CHECK_INT(flush(&a, CHECK_LONG), DA_OK);
  CHECK_INT(state(&a), DA_SAVE_SAVED);
  CHECK_STR(rec_text(r, "x"), "one two three");
  CHECK(r->size_count == 2 && r->sizes[0] == 1 && r->sizes[1] == 3);
  CHECK_INT(r->most_at_once, 1);
  get_up(&a);
  da_saver_close(s);
  da_backend_unref(b);
  rec_free(r);
}

/* One that hangs is nobody else's concern. */
static void a_hung_save_and_another(void) {
  rec_store *r = rec_new(0);
  da_backend *b = new_backend(r);
  da_saver *s = new_saver();
  talker a, other, third;
  REC_SET(r, hang_id, "x");
  REC_SET(r, hang, 1);
  sit_down(&a, s, b, "x", 0.2);
  sit_down(&other, s, b, "y", CHECK_LONG);
  sit_down(&third, s, b, "z", CHECK_LONG);
  say(&a, "one");
  CHECK(rec_wait(r, &r->saves, 1));
  say(&other, "two");
  CHECK_INT(flush(&other, CHECK_LONG), DA_OK);
  CHECK_STR(rec_text(r, "y"), "two");
  CHECK_INT(load(&third), DA_ENOTFOUND);
  CHECK_INT(flush(&a, 0), DA_ETIMEOUT);
  REC_SET(r, hang, 0);
  CHECK_INT(flush(&a, CHECK_LONG), DA_OK);
  get_up(&a);
  get_up(&other);
  get_up(&third);
  da_saver_close(s);
  da_backend_unref(b);
  rec_free(r);
}

static int count_ids(da_store_ids *base, da_text id) {
  (void)base;
  (void)id;
  return DA_OK;
}

static void a_hung_load(void) {
  rec_store *r = rec_new(0);
  da_backend *b = new_backend(r);
  da_saver *s = new_saver();
  da_store_ids ids = {count_ids};
  talker a;
  double begun = da_now();
  sit_down(&a, s, b, "x", 0.1);
  rec_other(r, "x", "theirs");
  REC_SET(r, hang_loads, 1);
  CHECK_INT(load(&a), DA_ETIMEOUT);
  CHECK_INT(da_saver_list(s, b, 0.1, &ids, &err), DA_ETIMEOUT);
  CHECK(da_now() - begun < CHECK_SOON);
  say(&a, "ours"); /* the agent answers all the same */
  CHECK_INT(flush(&a, 0.1), DA_ETIMEOUT);
  REC_SET(r, hang_loads, 0);
  CHECK_INT(flush(&a, CHECK_LONG), DA_OK);
  CHECK_STR(rec_text(r, "x"), "theirs ours");
  CHECK_INT(da_saver_list(s, b, CHECK_LONG, &ids, &err), DA_OK);
  get_up(&a);
  da_saver_close(s);
  da_backend_unref(b);
  rec_free(r);
}

/* ---- several at once ---- */

static void different_sessions_at_once(void) {
  enum { N = 6 };
  rec_store *r = rec_new(0);
  da_backend *b = new_backend(r);
  da_saver *s = new_saver();
  talker t[N];
  char id[16];
  REC_SET(r, hang, 1);
  for (int i = 0; i < N; i++) {
    snprintf(id, sizeof id, "s%d", i);
    sit_down(&t[i], s, b, id, CHECK_LONG);
    say(&t[i], id);
  }
  CHECK(rec_wait(r, &r->at_once, 2));
  REC_SET(r, hang, 0);
  for (int i = 0; i < N; i++)
    CHECK_INT(flush(&t[i], CHECK_LONG), DA_OK);
  for (int i = 0; i < N; i++) {
    snprintf(id, sizeof id, "s%d", i);
    CHECK_STR(rec_text(r, id), id);
    get_up(&t[i]);
  }
  da_saver_close(s);
  da_backend_unref(b);
  rec_free(r);
}

/* Several agents of one process on one session: all that they say is there,
** and none of it twice. */
static void one_session_for_several(void) {
  rec_store *r = rec_new(0);
  da_backend *b = new_backend(r);
  da_saver *s = new_saver();
  talker t[3];
  REC_SET(r, delay, 0.02);
  for (int i = 0; i < 3; i++)
    sit_down(&t[i], s, b, "x", CHECK_LONG);
  say(&t[0], "a1");
  say(&t[1], "b1");
  say(&t[2], "c1");
  say(&t[0], "a2");
  for (int i = 0; i < 3; i++)
    CHECK_INT(flush(&t[i], CHECK_LONG), DA_OK);
  say(&t[1], "b2");
  CHECK_INT(flush(&t[1], CHECK_LONG), DA_OK);
  CHECK_INT(strlen(rec_text(r, "x")), 5 * 3 - 1);
  for (int i = 0; i < 5; i++)
    CHECK(strstr(rec_text(r, "x"),
                 (const char *[]){"a1", "a2", "b1", "b2", "c1"}[i]) != NULL);
  CHECK(strstr(rec_text(r, "x"), "a1") < strstr(rec_text(r, "x"), "a2"));
  CHECK_INT(r->most_at_once, 1);
  CHECK_INT(load(&t[2]), DA_OK);
  CHECK_STR(said(&t[2].history), rec_text(r, "x"));
  da_history_dispose(&t[2].history); /* this one clears the conversation */
  save(&t[2], 0);
  CHECK_INT(flush(&t[2], CHECK_LONG), DA_OK);
  CHECK_STR(rec_text(r, "x"), "");
  say(&t[0], "a3"); /* and what is gone does not come back */
  CHECK_INT(flush(&t[0], CHECK_LONG), DA_OK);
  CHECK_STR(rec_text(r, "x"), "a3");
  for (int i = 0; i < 3; i++)
    get_up(&t[i]);
  da_saver_close(s);
  da_backend_unref(b);
  rec_free(r);
}

static void removing(void) {
  rec_store *r = rec_new(0);
  da_backend *b = new_backend(r);
  da_saver *s = new_saver();
  talker a, other;
  sit_down(&a, s, b, "x", CHECK_LONG);
  sit_down(&other, s, b, "x", CHECK_LONG);
  CHECK_INT(da_session_remove(a.session, &err), DA_ENOTFOUND);
  say(&a, "a1");
  say(&other, "b1");
  CHECK_INT(flush(&a, CHECK_LONG) || flush(&other, CHECK_LONG), DA_OK);
  REC_SET(r, fail_code, DA_EIO);
  REC_SET(r, fail_saves, 1);
  say(&other, "b2"); /* pending, or stored: it goes as well */
  flush(&other, CHECK_LONG);
  CHECK_INT(da_session_remove(a.session, &err), DA_OK);
  da_history_dispose(&a.history);
  CHECK_STR(rec_text(r, "x"), "");
  CHECK_INT(state(&a), DA_SAVE_NONE);
  CHECK_INT(flush(&other, CHECK_LONG), DA_OK);
  CHECK_INT(load(&a), DA_ENOTFOUND);
  say(&other, "b3");
  say(&a, "a2");
  CHECK_INT(flush(&a, CHECK_LONG) || flush(&other, CHECK_LONG), DA_OK);
  CHECK_INT(strlen(rec_text(r, "x")), 5);
  CHECK(strstr(rec_text(r, "x"), "b3") && strstr(rec_text(r, "x"), "a2"));
  get_up(&a);
  get_up(&other);
  da_saver_close(s);
  da_backend_unref(b);
  rec_free(r);
}

int main(void) {
  RUN(on_a_worker);
  RUN(local);
  RUN(quick);
  RUN(on_the_owners_thread);
  RUN(coalesces);
  RUN(a_failure_is_kept);
  RUN(a_failure_under_way);
  RUN(an_unsure_store);
  RUN(a_hung_save);
  RUN(a_hung_save_and_another);
  RUN(a_hung_load);
  RUN(different_sessions_at_once);
  RUN(one_session_for_several);
  RUN(removing);
  return check_done();
}
