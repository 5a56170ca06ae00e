/* da_saver_io.c - loading, deleting and listing, with a deadline where the
** store could hang (floor 4). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "da_channel.h"
#include "da_clock.h"
#include "da_meta.h"

/* One call of a store. It outlives its caller if the store outlasts the
** caller's patience. */
typedef struct request {
  da_task task;
  da_saver *saver;
  da_channel *channel;          /* we are its busy owner; NULL: none */
  da_session *session;          /* likewise */
  char *id;                     /* where there is no channel; from malloc */
  da_backend *backend, *unused; /* unused: the channel's, to be dropped */
  uint32_t here;   /* stores with one of these flags: on the caller's thread */
  double deadline; /* da_now() when the caller's patience ends */
  int (*work)(struct request *);
  void (*settle)(struct request *); /* under the lock, if still wanted */
  da_history history;
  da_buf meta;
  char *base_meta; /* a copy of it, from malloc */
  da_buf ids;      /* each with its NUL */
  int code;
  da_err err;
  int done, abandoned;
} request;

static request *request_new(da_saver *s, da_backend *b, double timeout,
                            int (*work)(request *)) {
  request *r = calloc(1, sizeof *r);
  if (!r)
    return NULL;
  r->here = DA_STORE_LOCAL | DA_STORE_OWNER_THREAD;
  r->deadline = da_deadline(timeout);
  r->saver = s;
  r->backend = da_backend_ref(b);
  r->work = work;
  da_buf_init(&r->meta, DA_MESSAGE_MAX);
  da_buf_init(&r->ids, (size_t)1 << 30);
  return r;
}

static void request_free(request *r) {
  da_history_dispose(&r->history);
  da_buf_dispose(&r->meta);
  free(r->base_meta);
  free(r->id);
  da_buf_dispose(&r->ids);
  da_backend_unref(r->backend);
  da_backend_unref(r->unused);
  free(r);
}

/* Does the work; comes back with the lock held. */
static void run(request *r) {
  da_err_clear(&r->err);
  r->code = r->work(r);
  pthread_mutex_lock(&r->saver->lock);
  if (r->settle && !r->abandoned)
    r->settle(r);
  if (r->channel) {
    da_channel_yield(r->channel);
    r->unused = da_channel_release(r->channel);
  }
  r->done = 1;
  pthread_cond_broadcast(&r->saver->change);
}

static void task_run(da_task *task) {
  request *r = (request *)task; /* its first member */
  da_saver *s = r->saver;
  int abandoned;
  run(r);
  abandoned = r->abandoned; /* else its owner may free it from now on */
  da_saver_task_done(s);
  if (abandoned)
    request_free(r);
}

/* On a worker, so that it can be left behind. DA_OK: it is done;
** DA_ETIMEOUT: it is abandoned, and its own affair from now on; DA_ENOMEM:
** there is no worker. */
static int run_elsewhere(request *r) {
  struct timespec until = da_timespec(r->deadline);
  da_saver *s = r->saver;
  int code = DA_OK;
  pthread_mutex_lock(&s->lock);
  s->tasks++;
  r->task.run = task_run;
  if (da_pool_submit(s->pool, &r->task)) {
    s->tasks--;
    pthread_mutex_unlock(&s->lock);
    return DA_ENOMEM;
  }
  if (r->channel)
    r->channel->inline_busy = 0;
  while (!r->done && !code)
    if (pthread_cond_timedwait(&s->change, &s->lock, &until) == ETIMEDOUT)
      code = DA_ETIMEOUT;
  if (r->done)
    code = DA_OK;
  r->abandoned = code != DA_OK;
  pthread_mutex_unlock(&s->lock);
  return code;
}

/* Runs the request. *r becomes NULL if it had to be abandoned (the result is
** then DA_ETIMEOUT); else the caller frees it. */
static int perform(request **r, double timeout, da_err *err) {
  request *q = *r;
  int code = DA_ENOMEM;
  if (!(da_backend_flags(q->backend) & q->here))
    code = run_elsewhere(q);
  if (code == DA_ETIMEOUT) {
    *r = NULL;
    return da_fail(err, code, "the backend did not answer within %g s",
                   timeout);
  }
  if (code == DA_ENOMEM) {
    da_saver *s = q->saver;
    run(q);
    pthread_mutex_unlock(&s->lock);
  }
  *err = q->err;
  return q->code;
}

/* A request on the session's channel, of which we become the owner. */
static int begin(request **out, da_session *s, int drain,
                 int (*work)(request *), void (*settle)(request *),
                 da_err *err) {
  da_channel *c = s->channel;
  request *r = request_new(c->saver, c->backend, s->timeout, work);
  int code;
  if (!r)
    return da_nomem(err);
  pthread_mutex_lock(&c->saver->lock);
  code = da_channel_acquire(c, r->deadline, drain);
  pthread_mutex_unlock(&c->saver->lock);
  if (code) {
    request_free(r);
    return da_fail(err, code, "session '%s' is being saved", c->id);
  }
  r->channel = c;
  r->session = s;
  r->settle = settle;
  *out = r;
  return DA_OK;
}

/* ---- load ---- */

/* All that asks for memory comes before `settle`: a session whose base is
** what its agent then does not get would take all of that for removed. */
static int work_load(request *r) {
  int code = da_channel_reload(r->channel, &r->meta, NULL, &r->err);
  if (code != DA_OK && code != DA_ENOTFOUND)
    return code;
  da_history_copy(&r->history, &r->channel->current);
  if (r->meta.failed)
    return da_buf_check(&r->meta, "the metadata", &r->err);
  r->base_meta = da_memdup(r->meta.data, r->meta.len);
  return r->base_meta ? code : da_nomem(&r->err);
}

/* What is pending goes after what was read, and stays pending: *history and
** *meta are both together. Where nothing was read it is begun anew, as it
** is. */
static int continue_pending(da_session *s, request *r, da_history *history,
                            da_buf *meta) {
  const da_text base = {s->base_meta, s->base_meta_len};
  const da_text ours = {s->pending.meta, s->pending.meta_len};
  char *copy;
  if (r->code == DA_ENOTFOUND) {
    da_history_copy(history, &s->pending.history);
    return DA_OK;
  }
  da_meta_merge(meta, base, ours, da_buf_text(&r->meta));
  copy = meta->failed ? NULL : da_memdup(meta->data, meta->len);
  if (!copy ||
      da_history_merge(history, &s->base, &s->pending.history, &r->history)) {
    free(copy);
    return da_nomem(&r->err);
  }
  da_history_dispose(&s->pending.history);
  da_history_copy(&s->pending.history, history);
  free(s->pending.meta);
  s->pending.meta = copy;
  s->pending.meta_len = meta->len;
  return DA_OK;
}

static void settle_load(request *r) {
  da_session *s = r->session;
  da_history history = DA_HISTORY_EMPTY;
  da_buf meta;
  if (r->code != DA_OK && r->code != DA_ENOTFOUND)
    return;
  da_buf_init(&meta, DA_MESSAGE_MAX);
  if (s->pending.set) {
    if (continue_pending(s, r, &history, &meta)) {
      r->code = DA_ENOMEM;
      da_buf_dispose(&meta);
      return;
    }
    s->state = DA_SAVE_PENDING; /* it is tried again now */
  } else {
    da_history_copy(&history, &r->history);
  }
  da_history_dispose(&s->base);
  s->base = r->history;
  r->history = history;
  s->seen = r->channel->state;
  s->saw = r->channel->exists;
  s->read = 1;
  s->gone = s->refused = 0;
  free(s->base_meta);
  s->base_meta = r->base_meta;
  s->base_meta_len = r->meta.len;
  r->base_meta = NULL;
  if (meta.len) {
    da_buf_dispose(&r->meta);
    r->meta = meta;
  }
}

int da_session_load(da_session *s, da_history *history, da_buf *meta,
                    da_err *err) {
  request *r;
  int code = begin(&r, s, 1, work_load, settle_load, err);
  if (code)
    return code;
  code = perform(&r, s->timeout, err);
  if (!r)
    return code;
  if (code == DA_OK || code == DA_ENOTFOUND) {
    da_history_copy(history, &r->history);
    da_buf_dispose(meta);
    *meta = r->meta;
    da_buf_init(&r->meta, 0);
  }
  request_free(r);
  return code;
}

/* ---- remove ---- */

static int work_remove(request *r) {
  da_channel *c = r->channel;
  int code = da_store_remove(c->backend, c->id, &r->err);
  if (code == DA_OK || code == DA_ENOTFOUND) {
    da_channel_erased(c, 0);
  } else { /* perhaps it has been done all the same */
    c->known = 0;
    c->erasing = 1;
  }
  return code;
}

static void settle_remove(request *r) {
  if (r->code != DA_OK && r->code != DA_ENOTFOUND)
    return;
  for (da_session *s = r->channel->sessions; s; s = s->next) {
    s->read = 1;
    if (s->pending.set) { /* deleted with the rest: it does not come back */
      da_history_dispose(&s->base);
      da_history_copy(&s->base, &s->pending.history);
    }
    da_want_dispose(&s->pending);
    if (s->state != DA_SAVE_NONE)
      s->state = DA_SAVE_SAVED;
  }
  da_history_dispose(&r->session->base);
  r->session->state = DA_SAVE_NONE;
}

int da_session_remove(da_session *s, da_err *err) {
  request *r;
  int code = begin(&r, s, 0, work_remove, settle_remove, err);
  if (code)
    return code;
  r->here = DA_STORE_OWNER_THREAD; /* it may have to wait for a lock */
  code = perform(&r, s->timeout, err);
  if (r)
    request_free(r);
  return code;
}

/* ---- list ---- */

typedef struct collector {
  da_store_ids base; /* first */
  da_buf *ids;
} collector;

static int collect(da_store_ids *base, da_text id) {
  collector *c = (collector *)base;
  da_buf_put(c->ids, id.data, id.len);
  return da_buf_put(c->ids, "", 1);
}

static int work_list(request *r) {
  collector c = {{collect}, &r->ids};
  int code = da_store_list(r->backend, &c.base, &r->err);
  return code ? code : da_buf_check(&r->ids, "the list", &r->err);
}

/* Sessions that are about to be saved for the first time belong on the list,
** too. */
static void wait_for_saves(da_saver *s, const da_backend *b, double timeout) {
  struct timespec until = da_timespec(da_deadline(timeout));
  int busy, late = 0;
  pthread_mutex_lock(&s->lock);
  do {
    busy = 0;
    for (const da_channel *c = s->channels; c; c = c->next)
      busy |= c->backend == b && da_channel_working(c);
    if (busy)
      late = pthread_cond_timedwait(&s->change, &s->lock, &until) == ETIMEDOUT;
  } while (busy && !late);
  pthread_mutex_unlock(&s->lock);
}

int da_saver_list(da_saver *s, da_backend *b, double timeout,
                  da_store_ids *ids, da_err *err) {
  request *r = request_new(s, b, timeout, work_list);
  int code;
  if (!r)
    return da_nomem(err);
  wait_for_saves(s, b, timeout);
  code = perform(&r, timeout, err);
  if (!r)
    return code;
  for (size_t at = 0; !code && at < r->ids.len;) {
    da_text id = {r->ids.data + at, strlen(r->ids.data + at)};
    code = ids->id(ids, id);
    at += id.len + 1;
  }
  request_free(r);
  return code;
}

/* ---- a session by itself ---- */

static int work_fetch(request *r) {
  da_stored stored;
  int code;
  da_stored_init(&stored);
  code = da_store_load(r->backend, r->id, &stored, &r->err);
  if (!code)
    da_history_copy(&r->history, &stored.history);
  da_stored_dispose(&stored);
  return code;
}

static int work_put(request *r) {
  const da_text meta = {"{}", 2};
  da_revision now;
  return da_store_save(r->backend, r->id, &r->history, 0, meta, NULL, &now,
                       &r->err);
}

static request *request_of(da_saver *s, da_backend *b, const char *id,
                           double timeout, int (*work)(request *),
                           da_err *err) {
  request *r = request_new(s, b, timeout, work);
  if (r && !(r->id = da_memdup(id, strlen(id)))) {
    request_free(r);
    r = NULL;
  }
  if (!r)
    da_nomem(err);
  return r;
}

int da_saver_fetch(da_saver *s, da_backend *b, const char *id, double timeout,
                   da_history *h, da_err *err) {
  request *r = request_of(s, b, id, timeout, work_fetch, err);
  int code;
  if (!r)
    return DA_ENOMEM;
  code = perform(&r, timeout, err);
  if (r) {
    da_history_copy(h, &r->history);
    request_free(r);
  }
  return code;
}

int da_saver_put(da_saver *s, da_backend *b, const char *id, double timeout,
                 const da_history *h, da_err *err) {
  request *r = request_of(s, b, id, timeout, work_put, err);
  int code;
  if (!r)
    return DA_ENOMEM;
  r->here = DA_STORE_QUICK | DA_STORE_OWNER_THREAD;
  da_history_copy(&r->history, h);
  code = perform(&r, timeout, err);
  if (r)
    request_free(r);
  return code;
}
