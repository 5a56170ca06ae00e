/* recording_store.h - a store that does as the test says, and remembers what
** was done to it: slow, failing, hanging, overtaken by somebody else.
**
** A session's messages are told by their contents: "a b c". */
#ifndef RECORDING_STORE_H
#define RECORDING_STORE_H

#include "da_saver.h"

#include "check.h"
#include "da_clock.h"
#include "text_kit.h"

#include <pthread.h>

enum { REC_SESSIONS = 8, REC_MESSAGES = 1024, REC_SAVES = 4096 };

typedef struct rec_session {
  char id[64];
  unsigned revision; /* 0: it does not exist */
  size_t count;
  char *messages[REC_MESSAGES];
} rec_session;

typedef struct rec_store {
  da_store base;
  da_store_ops ops;
  pthread_mutex_t lock;
  pthread_cond_t change;
  rec_session sessions[REC_SESSIONS];
  unsigned last_revision;
  /* What is to happen. */
  double delay;        /* seconds that a save takes */
  int hang;            /* saves come back when this is 0 again */
  int hang_loads;      /* loads, too */
  int fail_saves;      /* so many saves fail, < 0: all */
  int fail_code;       /* in this way */
  int fail_loads;      /* likewise */
  int overtaken;       /* so many saves find that someone was faster */
  int unsure;          /* so many saves do it and yet say that they failed */
  const char *hang_id; /* only this session hangs */
  /* What happened. */
  int saves, loads, removes, quarantines, at_once, most_at_once, closed;
  size_t sizes[REC_SAVES]; /* of each save that came through */
  size_t stored[REC_SAVES];
  int size_count;
} rec_store;

static inline rec_session *rec_session_of(rec_store *r, const char *id) {
  for (int i = 0; i < REC_SESSIONS; i++) {
    if (!r->sessions[i].id[0])
      snprintf(r->sessions[i].id, sizeof r->sessions[i].id, "%s", id);
    if (strcmp(r->sessions[i].id, id) == 0)
      return &r->sessions[i];
  }
  abort();
}

static inline void rec_empty(rec_session *s) {
  while (s->count)
    free(s->messages[--s->count]);
}

static inline void rec_add(rec_session *s, da_text json) {
  if (s->count == REC_MESSAGES)
    abort();
  s->messages[s->count++] = strndup(json.data, json.len);
}

static inline void rec_revision(rec_session *s, da_revision *now) {
  snprintf(now->text, sizeof now->text, s->revision ? "r%u" : "%.0u",
           s->revision);
}

/* Somebody else adds a message with that content. The lock is held. */
static inline void rec_intrude(rec_store *r, rec_session *s,
                               const char *content) {
  char json[160];
  static unsigned n;
  int len = snprintf(json, sizeof json,
                     "{\"id\":\"other%u\",\"created_at\":1.000,\"role\":"
                     "\"user\",\"content\":\"%s\"}",
                     __atomic_fetch_add(&n, 1, __ATOMIC_RELAXED), content);
  rec_add(s, (da_text){json, (size_t)len});
  s->revision = ++r->last_revision;
}

/* ---- the store's functions ---- */

static inline int rec_load(da_store *base, const char *id, da_store_sink *sink,
                           da_revision *now, da_err *err) {
  rec_store *r = (rec_store *)base;
  rec_session *s;
  int code = DA_OK;
  pthread_mutex_lock(&r->lock);
  s = rec_session_of(r, id);
  r->loads++;
  while (r->hang_loads)
    pthread_cond_wait(&r->change, &r->lock);
  rec_revision(s, now);
  if (r->fail_loads) {
    r->fail_loads -= r->fail_loads > 0;
    code = r->fail_code;
  } else if (!s->revision) {
    code = DA_ENOTFOUND;
  } else {
    for (size_t i = 0; i < s->count && !code; i++)
      code = sink->message(sink, kit_text_of(s->messages[i]));
    pthread_mutex_unlock(&r->lock);
    return code;
  }
  pthread_mutex_unlock(&r->lock);
  err->code = code;
  snprintf(err->message, sizeof err->message, "told to fail");
  return code;
}

static inline int rec_fail(rec_store *r, int code, da_err *err) {
  pthread_mutex_unlock(&r->lock);
  err->code = code;
  snprintf(err->message, sizeof err->message, "told to fail");
  return code;
}

static inline void rec_dawdle(rec_store *r, const char *id) {
  double delay = r->delay;
  while (r->hang && (!r->hang_id || strcmp(r->hang_id, id) == 0))
    pthread_cond_wait(&r->change, &r->lock);
  if (delay > 0) {
    pthread_mutex_unlock(&r->lock);
    da_sleep(delay);
    pthread_mutex_lock(&r->lock);
  }
}

static inline int rec_save(da_store *base, const char *id,
                           const da_store_session *session, da_revision *now,
                           da_err *err) {
  rec_store *r = (rec_store *)base;
  rec_session *s;
  da_revision is;
  pthread_mutex_lock(&r->lock);
  s = rec_session_of(r, id);
  r->saves++;
  if (++r->at_once > r->most_at_once)
    r->most_at_once = r->at_once;
  rec_dawdle(r, id);
  r->at_once--;
  if (r->fail_saves) {
    r->fail_saves -= r->fail_saves > 0;
    return rec_fail(r, r->fail_code, err);
  }
  if (r->overtaken > 0) {
    r->overtaken--;
    rec_intrude(r, s, "intruder");
  }
  rec_revision(s, &is);
  if (session->expected && strcmp(session->expected->text, is.text) != 0)
    return rec_fail(r, DA_ECONFLICT, err);
  r->sizes[r->size_count] = session->count;
  r->stored[r->size_count++] = session->stored;
  rec_empty(s);
  for (size_t i = 0; i < session->count; i++)
    rec_add(s, session->messages[i]);
  s->revision = ++r->last_revision;
  rec_revision(s, now);
  if (r->unsure > 0) {
    r->unsure--;
    return rec_fail(r, DA_EIO, err);
  }
  pthread_mutex_unlock(&r->lock);
  return DA_OK;
}

static inline int rec_remove(da_store *base, const char *id, da_err *err) {
  rec_store *r = (rec_store *)base;
  rec_session *s;
  int existed;
  pthread_mutex_lock(&r->lock);
  s = rec_session_of(r, id);
  existed = s->revision != 0;
  r->removes++;
  rec_empty(s);
  s->revision = 0;
  if (!existed)
    return rec_fail(r, DA_ENOTFOUND, err);
  pthread_mutex_unlock(&r->lock);
  return DA_OK;
}

static inline int rec_list(da_store *base, da_store_ids *ids, da_err *err) {
  rec_store *r = (rec_store *)base;
  int code = DA_OK;
  (void)err;
  pthread_mutex_lock(&r->lock);
  while (r->hang_loads)
    pthread_cond_wait(&r->change, &r->lock);
  for (int i = 0; i < REC_SESSIONS && !code; i++)
    if (r->sessions[i].revision)
      code = ids->id(ids, kit_text_of(r->sessions[i].id));
  pthread_mutex_unlock(&r->lock);
  return code;
}

static inline void rec_close(da_store *base) {
  rec_store *r = (rec_store *)base;
  pthread_mutex_lock(&r->lock);
  r->closed++;
  pthread_mutex_unlock(&r->lock);
}

static inline int rec_quarantine(da_store *base, const char *id,
                                 const da_revision *expected, char *kept,
                                 size_t size, da_err *err) {
  rec_store *r = (rec_store *)base;
  rec_session *s;
  da_revision is;
  pthread_mutex_lock(&r->lock);
  s = rec_session_of(r, id);
  rec_revision(s, &is);
  if (expected && strcmp(expected->text, is.text) != 0)
    return rec_fail(r, DA_ECONFLICT, err);
  r->quarantines++;
  snprintf(kept, size, "a safe place");
  rec_empty(s);
  s->revision = 0;
  pthread_mutex_unlock(&r->lock);
  return DA_OK;
}

/* ---- for the test ---- */

static inline rec_store *rec_new(uint32_t flags) {
  rec_store *r = calloc(1, sizeof *r);
  r->ops.version = DA_STORE_VERSION;
  r->ops.flags = flags;
  r->ops.name = "recording";
  r->ops.load = rec_load;
  r->ops.save = rec_save;
  r->ops.remove = rec_remove;
  r->ops.list = rec_list;
  r->ops.close = rec_close;
  r->ops.quarantine = rec_quarantine;
  r->base.ops = &r->ops;
  pthread_mutex_init(&r->lock, NULL);
  pthread_cond_init(&r->change, NULL);
  return r;
}

/* After the last backend is gone. */
static inline void rec_free(rec_store *r) {
  CHECK_INT(r->closed, 1);
  for (int i = 0; i < REC_SESSIONS; i++)
    rec_empty(&r->sessions[i]);
  pthread_cond_destroy(&r->change);
  pthread_mutex_destroy(&r->lock);
  free(r);
}

/* Sets one of the store's fields, which its threads read. */
#define REC_SET(r, field, value)                                              \
  do {                                                                        \
    pthread_mutex_lock(&(r)->lock);                                           \
    (r)->field = (value);                                                     \
    pthread_cond_broadcast(&(r)->change);                                     \
    pthread_mutex_unlock(&(r)->lock);                                         \
  } while (0)

static inline int rec_get(rec_store *r, const int *field) {
  int value;
  pthread_mutex_lock(&r->lock);
  value = *field;
  pthread_mutex_unlock(&r->lock);
  return value;
}

/* Waits until *field is at least `n`; 0 if that takes too long. */
static inline int rec_wait(rec_store *r, const int *field, int n) {
  double deadline = da_deadline(CHECK_LONG);
  while (rec_get(r, field) < n && da_left(deadline) > 0)
    da_sleep(0.001);
  return rec_get(r, field) >= n;
}

/* "a b c", valid until the next call. */
static inline const char *rec_text(rec_store *r, const char *id) {
  static char text[REC_MESSAGES * 8];
  rec_session *s;
  text[0] = '\0';
  pthread_mutex_lock(&r->lock);
  s = rec_session_of(r, id);
  for (size_t i = 0; i < s->count; i++) {
    da_text raw = {"\"\"", 2};
    size_t n = strlen(text);
    da_json_get(kit_text_of(s->messages[i]), "content", &raw);
    snprintf(text + n, sizeof text - n, "%s%.*s", n ? " " : "",
             (int)raw.len - 2, raw.data + 1);
  }
  pthread_mutex_unlock(&r->lock);
  return text;
}

/* Somebody else's message; their deletion of the whole. */
static inline void rec_other(rec_store *r, const char *id,
                             const char *content) {
  pthread_mutex_lock(&r->lock);
  rec_intrude(r, rec_session_of(r, id), content);
  pthread_mutex_unlock(&r->lock);
}

static inline void rec_delete(rec_store *r, const char *id) {
  da_err ignored;
  rec_remove(&r->base, id, &ignored);
}

/* ---- one who talks ---- */

typedef struct talker {
  da_session *session;
  da_history history;
} talker;

static da_err err;

static inline da_saver *new_saver(void) {
  da_saver *s = NULL;
  CHECK_INT(da_saver_new(&s, &err), DA_OK);
  return s;
}

static inline da_backend *new_backend(rec_store *r) {
  da_backend *b = NULL;
  CHECK_INT(da_backend_new(&b, &r->base, &err), DA_OK);
  return b;
}

static inline void sit_down(talker *t, da_saver *s, da_backend *b,
                            const char *id, double timeout) {
  memset(t, 0, sizeof *t);
  CHECK_INT(da_session_open(&t->session, s, b, id, timeout, &err), DA_OK);
}

static inline void add(da_history *h, const char *content) {
  da_message *m = NULL;
  CHECK_INT(da_message_text(&m, "user", kit_text_of(content), &err), DA_OK);
  CHECK_INT(da_history_append(h, m), DA_OK);
}

static inline void save(talker *t, int force) {
  CHECK_INT(
      da_session_save(t->session, &t->history, kit_text_of("{}"), force, &err),
      DA_OK);
}

static inline void say(talker *t, const char *content) {
  add(&t->history, content);
  save(t, 0);
}

static inline int flush(talker *t, double seconds) {
  return da_session_flush(t->session, seconds, &err);
}

static inline int load(talker *t) {
  da_history h = DA_HISTORY_EMPTY;
  da_buf meta;
  int code;
  da_buf_init(&meta, KIT_CAP);
  code = da_session_load(t->session, &h, &meta, &err);
  da_buf_dispose(&meta);
  if (code == DA_OK) {
    da_history_dispose(&t->history);
    t->history = h;
  } else {
    da_history_dispose(&h);
  }
  return code;
}

static inline da_save_state state(talker *t) {
  return da_session_state(t->session, &err);
}

static inline void get_up(talker *t) {
  da_session_close(t->session);
  da_history_dispose(&t->history);
}

/* How many events there are of that code; all are taken. */
static inline int events(talker *t, int code) {
  da_event *e;
  int n = 0;
  while ((e = da_session_event(t->session))) {
    n += e->code == code;
    free(e);
  }
  return n;
}

/* "a b c" of a history. */
static inline const char *said(const da_history *h) {
  static char text[REC_MESSAGES * 8];
  da_history_iter it;
  da_message *m;
  da_buf b;
  da_buf_init(&b, sizeof text - 1);
  da_history_begin(&it, h, 0);
  while ((m = da_history_next(&it))) {
    if (b.len)
      da_buf_puts(&b, " ");
    da_message_content(m, &b);
  }
  da_history_end(&it);
  snprintf(text, sizeof text, "%s", b.data ? b.data : "");
  da_buf_dispose(&b);
  return text;
}

#endif
