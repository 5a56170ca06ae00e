/* da_channel.c - who is at work on a stored session, and when (floor 4).
** What that work is, is in da_channel_store.c. */
#include "da_channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "da_clock.h"

static void task_run(da_task *task) {
  da_channel *c = (da_channel *)task; /* its first member */
  da_saver *s = c->saver;
  da_backend *unused;
  pthread_mutex_lock(&s->lock);
  c->queued = 0;
  da_channel_run(c, 0);
  /* Also if there was nothing left to do: some wait for `queued`. */
  pthread_cond_broadcast(&s->change);
  unused = da_channel_release(c);
  da_saver_task_done(s);
  da_backend_unref(unused);
}

/* ---- lifetime ---- */

da_channel *da_channel_get(da_saver *s, da_backend *b, const char *id) {
  da_channel *c;
  for (c = s->channels; c; c = c->next)
    if (c->backend == b && strcmp(c->id, id) == 0)
      return c;
  c = calloc(1, sizeof *c);
  if (!c)
    return NULL;
  c->id = strdup(id);
  if (!c->id) {
    free(c);
    return NULL;
  }
  c->task.run = task_run;
  da_buf_init(&c->meta, DA_MESSAGE_MAX);
  c->saver = s;
  c->backend = da_backend_ref(b);
  c->next = s->channels;
  s->channels = c;
  return c;
}

static da_backend *dispose(da_channel *c) {
  da_backend *backend = c->backend;
  da_channel **at = &c->saver->channels;
  while (*at != c)
    at = &(*at)->next;
  *at = c->next;
  da_history_dispose(&c->current);
  da_buf_dispose(&c->meta);
  free(c->id);
  free(c);
  return backend;
}

da_backend *da_channel_release(da_channel *c) {
  return c->sessions || c->busy || c->queued ? NULL : dispose(c);
}

void da_channel_free(da_channel *c) {
  da_backend_unref(dispose(c));
}

static int has_pending(const da_channel *c) {
  for (const da_session *s = c->sessions; s; s = s->next)
    if (s->pending.set && !da_session_hopeless(s))
      return 1;
  return 0;
}

int da_channel_quick(const da_channel *c) {
  return (da_backend_flags(c->backend) &
          (DA_STORE_QUICK | DA_STORE_OWNER_THREAD)) != 0;
}

int da_channel_wake(da_channel *c) {
  if (c->queued || c->busy || !has_pending(c))
    return 1;
  c->queued = 1;
  c->saver->tasks++;
  if (da_pool_submit(c->saver->pool, &c->task) == DA_OK)
    return 1;
  c->queued = 0;
  c->saver->tasks--;
  return 0;
}

/* ---- ownership ---- */

int da_channel_entered(const da_channel *c) {
  return c->busy && c->inline_busy && pthread_equal(c->runner, pthread_self());
}

int da_channel_working(const da_channel *c) {
  return (c->queued || c->busy) && !da_channel_entered(c);
}

int da_channel_acquire(da_channel *c, double deadline, int drain) {
  struct timespec until = da_timespec(deadline);
  while (c->busy || (drain && c->queued)) {
    if (da_channel_entered(c))
      return DA_EBUSY;
    if (pthread_cond_timedwait(&c->saver->change, &c->saver->lock, &until) ==
        ETIMEDOUT)
      return DA_ETIMEOUT;
  }
  c->busy = 1;
  c->inline_busy = 1;
  c->runner = pthread_self();
  return DA_OK;
}

void da_channel_yield(da_channel *c) {
  c->busy = 0;
  if (!(da_backend_flags(c->backend) & DA_STORE_OWNER_THREAD))
    da_channel_wake(c);
  pthread_cond_broadcast(&c->saver->change);
}

/* ---- one run ---- */

static da_session *take_batch(da_channel *c) {
  da_session *batch = NULL, **last = &batch;
  c->came = 0;
  for (da_session *s = c->sessions; s; s = s->next) {
    if (!s->pending.set || da_session_hopeless(s))
      continue;
    s->saving = s->pending;
    s->saving.policy = s->policy;
    /* What it could not read is not for it to replace. */
    if (!s->read && s->policy == DA_CONFLICT_OVERWRITE)
      s->saving.policy = DA_CONFLICT_MERGE;
    s->saving.patience = s->timeout;
    memset(&s->pending, 0, sizeof s->pending);
    s->next_batch = NULL;
    *last = s;
    last = &s->next_batch;
  }
  return batch;
}

/* What the agent wanted is what the store has. */
static void adopt(da_session *s, char *meta) {
  da_history_dispose(&s->base);
  da_history_copy(&s->base, &s->saving.history);
  free(s->base_meta);
  s->base_meta = meta;
  s->base_meta_len = meta ? s->saving.meta_len : 0;
}

/* The same save may succeed later. */
static int is_passing(int code) {
  return code == DA_EIO || code == DA_EFULL || code == DA_EBUSY ||
         code == DA_ETIMEOUT || code == DA_ENOMEM;
}

static void settle_failed(da_session *s, const da_err *err) {
  s->failures++;
  s->counts.failures++;
  s->err = *err;
  s->err.retryable |= is_passing(err->code);
  s->state = DA_SAVE_FAILED;
  da_session_tell(s, DA_WARN, err->code,
                  "session '%s' could not be saved and is kept in memory: %s",
                  s->channel->id, err->message);
  /* Without memory for it, the tokens of before are counted twice. */
  if (s->saving.stored)
    adopt(s, da_memdup(s->saving.meta, s->saving.meta_len));
  s->saving.stored = 0;
  if (s->pending.set) { /* the newer wish holds the older */
    s->pending.force |= s->saving.force;
    da_want_dispose(&s->saving);
  } else {
    s->pending = s->saving;
  }
  memset(&s->saving, 0, sizeof s->saving);
}

static void settle_saved(da_session *s) {
  s->counts.saves++;
  adopt(s, s->saving.meta);
  s->saving.meta = NULL;
  da_want_dispose(&s->saving);
  s->late_told = 0;
  s->since = da_now();
  if (!s->pending.set)
    s->state = DA_SAVE_SAVED;
  da_session_tell(s, DA_DEBUG, DA_OK, "session '%s' saved", s->channel->id);
}

static void free_closed(da_channel *c) {
  for (da_session **at = &c->sessions, *s; (s = *at);) {
    if (s->closed && !s->pending.set && !s->saving.set) {
      *at = s->next;
      da_session_free(s);
    } else {
      at = &s->next;
    }
  }
}

/* The backend works again: what agents that are gone could not save, and
** nobody else would try again before the end. */
static void wake_orphans(const da_channel *saved) {
  for (da_channel *c = saved->saver->channels; c; c = c->next) {
    int orphans = 0;
    if (c->backend != saved->backend || c == saved)
      continue;
    for (const da_session *s = c->sessions; s; s = s->next)
      orphans |= s->closed && s->pending.set && !s->refused;
    if (orphans)
      da_channel_wake(c);
  }
}

/* It is the session's own contents that cannot be stored. */
static int is_of_contents(int code) {
  return code == DA_ETOOLARGE || code == DA_EINVAL || code == DA_EUTF8 ||
         code == DA_EJSON || code == DA_ENOMEM;
}

static void settle(da_channel *c, da_session *batch, da_session *refused,
                   int code, da_err *err) {
  pthread_mutex_lock(&c->saver->lock);
  for (; batch; batch = batch->next_batch) {
    if (code)
      settle_failed(batch, err);
    else
      settle_saved(batch);
  }
  if (refused)
    da_channel_refusal(c, err);
  for (; refused; refused = refused->next_batch)
    settle_failed(refused, err);
  pthread_mutex_unlock(&c->saver->lock);
}

/* All of them as one, or, where the contents of one may be what the others
** suffer from, each by itself. Busy owner, lock not held. 1 if something was
** stored. */
static int store(da_channel *c, da_session *batch) {
  da_session *refused = NULL, *next;
  da_err err;
  int code, stored = 0;
  da_err_clear(&err);
  code = da_channel_store(c, &batch, &refused, &err);
  if (!is_of_contents(code) || !batch->next_batch) {
    stored = batch && !code;
    settle(c, batch, refused, code, &err);
    return stored;
  }
  settle(c, NULL, refused, DA_OK, &err);
  for (; batch; batch = next) {
    next = batch->next_batch;
    batch->next_batch = NULL;
    stored |= store(c, batch);
  }
  return stored;
}

void da_channel_run(da_channel *c, int is_inline) {
  da_saver *saver = c->saver;
  da_session *batch;
  int stored, more;
  if (c->busy)
    return;
  batch = take_batch(c);
  if (!batch)
    return;
  c->busy = 1;
  c->inline_busy = is_inline;
  c->runner = pthread_self();
  pthread_mutex_unlock(&saver->lock);
  stored = store(c, batch);
  pthread_mutex_lock(&saver->lock);
  /* Came meanwhile, or the end has come: tried also if this one failed. */
  more = c->came || c->once_more;
  c->once_more = 0;
  free_closed(c);
  c->busy = 0;
  if (!(da_backend_flags(c->backend) & DA_STORE_OWNER_THREAD)) {
    if (more)
      da_channel_wake(c);
    if (stored)
      wake_orphans(c);
  }
  pthread_cond_broadcast(&saver->change);
}
