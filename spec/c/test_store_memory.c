/* test_store_memory.c - sessions in memory. */
#include "check.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store_memory.h"

static da_err err;
static da_revision rev, none;

static da_store *open_store(void) {
  da_store *s = NULL;
  CHECK_INT(da_store_memory(&s, &err), DA_OK);
  return s;
}

/* Saves `text`, each character a message; `stored` of them are there. */
static int save(da_store *s, const char *id, const char *text, size_t stored,
                const da_revision *expected, da_revision *now) {
  da_text messages[64];
  da_store_session session;
  da_err why;
  memset(&session, 0, sizeof session);
  session.messages = messages;
  session.count = strlen(text);
  session.stored = stored;
  session.meta = (da_text){"{}", 2};
  session.expected = expected;
  for (size_t i = 0; i < session.count; i++)
    messages[i] = (da_text){text + i, 1};
  return s->ops->save(s, id, &session, now, &why);
}

typedef struct text {
  da_store_sink base;
  char got[256];
  size_t len, metas, stop_after;
} text;

static int take_message(da_store_sink *base, da_text json) {
  text *t = (text *)base;
  if (t->stop_after && t->len >= t->stop_after)
    return DA_ETOOLARGE;
  if (json.len)
    memcpy(t->got + t->len, json.data, json.len);
  t->len += json.len;
  return DA_OK;
}

static int take_meta(da_store_sink *base, da_text json) {
  ((text *)base)->metas++;
  return json.len == 2 && memcmp(json.data, "{}", 2) == 0 ? DA_OK : DA_EJSON;
}

static int load(text *t, da_store *s, const char *id, da_revision *now) {
  da_err why;
  memset(t, 0, sizeof *t);
  t->base.message = take_message;
  t->base.meta = take_meta;
  return s->ops->load(s, id, &t->base, now, &why);
}

static int is(da_store *s, const char *id, const char *want) {
  text t;
  da_revision now;
  return load(&t, s, id, &now) == DA_OK && t.metas == 1 &&
         strcmp(t.got, want) == 0;
}

static void saves_and_loads(void) {
  da_revision now;
  text t;
  da_store *s = open_store();
  CHECK_INT(load(&t, s, "a", &now), DA_ENOTFOUND);
  CHECK_STR(now.text, "");
  CHECK_INT(save(s, "a", "", 0, &none, &rev), DA_OK);
  CHECK(is(s, "a", ""));
  CHECK_INT(save(s, "a", "xyz", 0, &rev, &rev), DA_OK);
  CHECK_INT(save(s, "b", "b", 0, NULL, &now), DA_OK);
  CHECK(is(s, "a", "xyz") && is(s, "b", "b"));
  CHECK_INT(load(&t, s, "a", &now), DA_OK);
  CHECK_STR(now.text, rev.text);
  CHECK_STR(s->ops->name, "memory");
  CHECK_INT(s->ops->flags, DA_STORE_LOCAL | DA_STORE_QUICK);
  s->ops->close(s);
}

/* Of what is stored nothing is looked at again: the wrong letters here
** show which were kept. */
static void appends(void) {
  da_store *s = open_store();
  CHECK_INT(save(s, "a", "abc", 0, &none, &rev), DA_OK);
  CHECK_INT(save(s, "a", "???d", 3, &rev, &rev), DA_OK);
  CHECK(is(s, "a", "abcd"));
  CHECK_INT(save(s, "a", "??xy", 2, &rev, &rev), DA_OK);
  CHECK(is(s, "a", "abxy"));
  CHECK_INT(save(s, "a", "?", 1, &rev, &rev), DA_OK);
  CHECK(is(s, "a", "a"));
  CHECK_INT(save(s, "a", "new", 3, &rev, &rev), DA_OK); /* more than it has */
  CHECK(is(s, "a", "new"));
  CHECK_INT(save(s, "a", "NEW", 3, NULL, &rev), DA_OK); /* overwrites */
  CHECK(is(s, "a", "NEW"));
  s->ops->close(s);
}

static void bytes_and_lengths(void) {
  static const char bytes[] = "\0\xff{}";
  da_text messages[2] = {{bytes, 4}, {NULL, 0}};
  da_store_session session;
  text t;
  da_store *s = open_store();
  memset(&session, 0, sizeof session);
  session.messages = messages;
  session.count = 2;
  CHECK_INT(s->ops->save(s, "a", &session, &rev, &err), DA_OK);
  CHECK_INT(load(&t, s, "a", &rev), DA_OK);
  CHECK_INT(t.len, 4);
  CHECK_INT(t.metas, 0);
  CHECK(memcmp(t.got, bytes, 4) == 0);
  s->ops->close(s);
}

static void conflicts(void) {
  da_revision first, second;
  da_store *s = open_store();
  CHECK_INT(save(s, "a", "1", 0, &none, &first), DA_OK);
  CHECK_INT(save(s, "a", "2", 0, &none, &rev), DA_ECONFLICT);
  CHECK_STR(rev.text, "");
  CHECK_INT(save(s, "a", "2", 0, &first, &second), DA_OK);
  CHECK_INT(save(s, "a", "3", 0, &first, &rev), DA_ECONFLICT);
  CHECK(is(s, "a", "2"));
  CHECK_INT(s->ops->remove(s, "a", &err), DA_OK);
  CHECK_INT(save(s, "a", "3", 0, &second, &rev), DA_ECONFLICT);
  CHECK_INT(save(s, "a", "4", 0, &none, &rev), DA_OK);
  /* a session made anew has no revision of the old one */
  CHECK_INT(save(s, "a", "5", 0, &first, &rev), DA_ECONFLICT);
  CHECK_INT(save(s, "a", "5", 0, &second, &rev), DA_ECONFLICT);
  s->ops->close(s);
}

typedef struct ids {
  da_store_ids base;
  int count, stop_after;
  unsigned char seen[3000];
} ids;

static int take_id(da_store_ids *base, da_text id) {
  ids *i = (ids *)base;
  char copy[16] = "";
  if (i->stop_after && i->count >= i->stop_after)
    return DA_ENOMEM;
  i->count++;
  memcpy(copy, id.data, id.len < 15 ? id.len : 15);
  i->seen[atoi(copy)]++;
  return DA_OK;
}

/* More than there are buckets. */
static void many_sessions(void) {
  enum { N = 3000 };
  ids all = {{take_id}, 0, 0, {0}};
  char id[16];
  da_store *s = open_store();
  for (int i = 0; i < N; i++) {
    snprintf(id, sizeof id, "%d", i);
    CHECK_INT(save(s, id, id, 0, &none, &rev), DA_OK);
  }
  CHECK_INT(s->ops->list(s, &all.base, &err), DA_OK);
  CHECK_INT(all.count, N);
  for (int i = 0; i < N; i++) {
    snprintf(id, sizeof id, "%d", i);
    CHECK(all.seen[i] == 1 && is(s, id, id));
    if (i % 3 != 0)
      CHECK_INT(s->ops->remove(s, id, &err), DA_OK);
  }
  memset(&all, 0, sizeof all);
  all.base.id = take_id;
  CHECK_INT(s->ops->list(s, &all.base, &err), DA_OK);
  CHECK_INT(all.count, N / 3);
  CHECK_INT(s->ops->remove(s, "1", &err), DA_ENOTFOUND);
  s->ops->close(s);
}

static void sinks_may_fail(void) {
  ids some = {{take_id}, 0, 1, {0}};
  text t;
  da_store *s = open_store();
  CHECK_INT(save(s, "1", "abc", 0, NULL, &rev), DA_OK);
  CHECK_INT(save(s, "2", "abc", 0, NULL, &rev), DA_OK);
  CHECK_INT(s->ops->list(s, &some.base, &err), DA_ENOMEM);
  CHECK_INT(some.count, 1);
  load(&t, s, "1", &rev);
  t.len = 0;
  t.stop_after = 2;
  CHECK_INT(s->ops->load(s, "1", &t.base, &rev, &err), DA_ETOOLARGE);
  CHECK_INT(t.len, 2);
  CHECK(is(s, "1", "abc")); /* the lock is free */
  CHECK_INT(save(s, "1", "d", 0, NULL, &rev), DA_OK);
  s->ops->close(s);
}

/* --- threads and forks --- */

enum { THREADS = 8, TURNS = 5 };

typedef struct writer {
  pthread_t thread;
  da_store *store;
  int who, failed;
} writer;

/* Adds a letter TURNS times to a session that all share. */
static void *append_letters(void *arg) {
  writer *w = arg;
  for (int done = 0; done < TURNS && !w->failed;) {
    text t;
    da_revision now = {""};
    int code = load(&t, w->store, "log", &now);
    size_t stored = t.len;
    w->failed = code != DA_OK && code != DA_ENOTFOUND;
    t.got[t.len] = (char)('a' + w->who);
    code = save(w->store, "log", t.got, stored, &now, &now);
    w->failed |= code != DA_OK && code != DA_ECONFLICT;
    done += code == DA_OK;
  }
  return NULL;
}

static void threads(void) {
  writer w[THREADS];
  text t;
  int count[THREADS] = {0};
  da_store *s = open_store();
  for (int i = 0; i < THREADS; i++) {
    w[i] = (writer){.store = s, .who = i};
    CHECK_INT(pthread_create(&w[i].thread, NULL, append_letters, &w[i]), 0);
  }
  for (int i = 0; i < THREADS; i++) {
    pthread_join(w[i].thread, NULL);
    CHECK_INT(w[i].failed, 0);
  }
  CHECK_INT(load(&t, s, "log", &rev), DA_OK);
  CHECK_INT(t.len, THREADS * TURNS);
  for (size_t i = 0; i < t.len; i++)
    count[t.got[i] - 'a']++;
  for (int i = 0; i < THREADS; i++)
    CHECK_INT(count[i], TURNS);
  s->ops->close(s);
}

static int sink_that_forks(da_store_sink *base, da_text json) {
  da_store *s = *(da_store **)(void *)((text *)base)->got;
  int status = -1;
  pid_t pid = fork(); /* the store's lock is held now */
  (void)json;
  if (pid == 0) {
    alarm(CHECK_LONG);
    CHECK_EXIT(!is(s, "a", "x") || save(s, "a", "y", 0, NULL, &rev) != DA_OK ||
               !is(s, "a", "y"));
  }
  waitpid(pid, &status, 0);
  return status == 0 ? DA_OK : DA_EIO;
}

/* A child has a copy of what was there, whoever held the lock. */
static void forks(void) {
  text t;
  da_store *s = open_store();
  CHECK_INT(save(s, "a", "x", 0, NULL, &rev), DA_OK);
  memset(&t, 0, sizeof t);
  memcpy(t.got, &s, sizeof s);
  t.base.message = sink_that_forks;
  t.base.meta = take_meta;
  CHECK_INT(s->ops->load(s, "a", &t.base, &rev, &err), DA_OK);
  CHECK(is(s, "a", "x"));
  s->ops->close(s);
}

int main(void) {
  RUN(saves_and_loads);
  RUN(appends);
  RUN(bytes_and_lengths);
  RUN(conflicts);
  RUN(many_sessions);
  RUN(sinks_may_fail);
  RUN(threads);
  RUN(forks);
  return check_done();
}
