/* da_saver.c - stored sessions, saved in the background (floor 4). */
#include "da_saver.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "da_channel.h"
#include "da_clock.h"

/* Durable saves of different sessions share the journal's flush: the more
** are under way at once, the fewer flushes there are. */
enum { MOST_THREADS = 64, MOST_EVENTS = 256 };

/* ---- the saver ---- */

int da_saver_new(da_saver **out, da_err *err) {
  pthread_condattr_t monotonic;
  da_saver *s = calloc(1, sizeof *s);
  if (!s)
    return da_nomem(err);
  if (da_pool_new(&s->pool, MOST_THREADS, err)) {
    free(s);
    return DA_ENOMEM;
  }
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_mutex_init(&s->lock, NULL);
  pthread_cond_init(&s->change, &monotonic);
  pthread_condattr_destroy(&monotonic);
  s->owner = pthread_self();
  da_saver_enlist(s);
  *out = s;
  return DA_OK;
}

void da_saver_free(da_saver *s) {
  while (s->channels) {
    da_channel *c = s->channels;
    while (c->sessions) {
      da_session *next = c->sessions->next;
      da_session_free(c->sessions);
      c->sessions = next;
    }
    da_channel_free(c);
  }
  pthread_cond_destroy(&s->change);
  pthread_mutex_destroy(&s->lock);
  free(s);
}

void da_saver_task_done(da_saver *s) {
  int last;
  s->tasks--;
  last = s->closed && !s->tasks;
  pthread_mutex_unlock(&s->lock);
  if (last)
    da_saver_free(s);
}

/* ---- sessions ---- */

static da_saver *lock(da_session *s) {
  pthread_mutex_lock(&s->channel->saver->lock);
  return s->channel->saver;
}

int da_session_open(da_session **out, da_saver *saver, da_backend *b,
                    const char *id, double timeout, da_err *err) {
  da_session *s = calloc(1, sizeof *s);
  if (!s)
    return da_nomem(err);
  pthread_mutex_lock(&saver->lock);
  s->channel = da_channel_get(saver, b, id);
  if (s->channel) {
    s->next = s->channel->sessions;
    s->channel->sessions = s;
  }
  pthread_mutex_unlock(&saver->lock);
  if (!s->channel) {
    free(s);
    return da_nomem(err);
  }
  s->timeout = timeout;
  s->last_event = &s->events;
  *out = s;
  return DA_OK;
}

void da_session_set_timeout(da_session *s, double seconds) {
  da_saver *saver = lock(s);
  s->timeout = seconds;
  pthread_mutex_unlock(&saver->lock);
}

void da_session_set_policy(da_session *s, da_conflict policy) {
  da_saver *saver = lock(s);
  s->policy = policy;
  s->refused = 0;
  pthread_mutex_unlock(&saver->lock);
}

void da_session_rebase(da_session *s, const da_history *base, da_text meta) {
  da_saver *saver = lock(s);
  da_history_dispose(&s->base);
  da_history_copy(&s->base, base);
  free(s->base_meta);
  /* Without memory for it, the tokens of before are counted twice. */
  s->base_meta = meta.len ? da_memdup(meta.data, meta.len) : NULL;
  s->base_meta_len = s->base_meta ? meta.len : 0;
  s->seen = UINT64_MAX; /* no state of the channel */
  pthread_mutex_unlock(&saver->lock);
}

void da_want_dispose(da_want *w) {
  da_history_dispose(&w->history);
  free(w->meta);
  memset(w, 0, sizeof *w);
}

void da_session_free(da_session *s) {
  da_event *e;
  while ((e = s->events)) {
    s->events = e->next;
    free(e);
  }
  da_want_dispose(&s->pending);
  da_want_dispose(&s->saving);
  da_history_dispose(&s->base);
  free(s->base_meta);
  free(s);
}

void da_session_close(da_session *s) {
  da_channel *c = s->channel;
  da_saver *saver = c->saver;
  da_backend *unused = NULL;
  da_loss *lost = NULL;
  pthread_mutex_lock(&saver->lock);
  s->closed = 1;
  /* Nobody will ask again for what needs its owner. */
  if (da_backend_flags(c->backend) & DA_STORE_OWNER_THREAD) {
    da_loss_add(&lost, s);
    da_want_dispose(&s->pending);
  }
  if (!s->pending.set && !s->saving.set) {
    da_session **at = &c->sessions;
    while (*at != s)
      at = &(*at)->next;
    *at = s->next;
    da_session_free(s);
    unused = da_channel_release(c);
  }
  pthread_mutex_unlock(&saver->lock);
  da_loss_tell(lost);
  da_backend_unref(unused);
}

/* ---- saving ---- */

int da_session_save(da_session *s, const da_history *history, da_text meta,
                    int force, da_err *err) {
  char *copy = da_memdup(meta.data, meta.len);
  da_saver *saver;
  int flushes; /* the caller will do it himself */
  if (!copy)
    return da_nomem(err);
  saver = lock(s);
  flushes = force && da_channel_quick(s->channel);
  force |= s->pending.force;
  if (!s->pending.set && !s->saving.set)
    s->since = da_now();
  da_want_dispose(&s->pending);
  s->channel->came = 1;
  s->pending.set = 1;
  s->pending.force = force;
  s->pending.meta = copy;
  s->pending.meta_len = meta.len;
  da_history_copy(&s->pending.history, history);
  s->state = DA_SAVE_PENDING;
  if (da_backend_flags(s->channel->backend) & DA_STORE_OWNER_THREAD)
    da_channel_run(s->channel, 1);
  else if (!flushes)
    da_channel_wake(s->channel);
  pthread_mutex_unlock(&saver->lock);
  return DA_OK;
}

/* One step towards nothing pending; the lock is held. DA_OK: go on. */
static int advance(da_session *s, const struct timespec *until) {
  da_channel *c = s->channel;
  if (da_channel_entered(c))
    return DA_EBUSY;
  if (!c->busy && (da_channel_quick(c) || !da_channel_wake(c))) {
    da_channel_run(c, 1);
    return DA_OK;
  }
  return pthread_cond_timedwait(&c->saver->change, &c->saver->lock, until) ==
                 ETIMEDOUT
             ? DA_ETIMEOUT
             : DA_OK;
}

int da_session_flush(da_session *s, double seconds, da_err *err) {
  struct timespec until = da_timespec(da_deadline(seconds));
  da_saver *saver = lock(s);
  /* A save that is under way may be of an older wish than what is waited for:
  ** then its failure does not count. */
  unsigned failures = s->failures + (s->pending.set && s->saving.set);
  int code = DA_OK;
  while (!code && (s->pending.set || s->saving.set)) {
    if ((int)(s->failures - failures) > 0) {
      *err = s->err;
      code = err->code;
    } else {
      code = advance(s, &until);
      if (code == DA_ETIMEOUT)
        da_fail(err, code, "session '%s' is not saved after %g s",
                s->channel->id, seconds);
      else if (code)
        da_fail(err, code, "session '%s' is being saved by its caller",
                s->channel->id);
      if (code)
        err->retryable = 1;
    }
  }
  pthread_mutex_unlock(&saver->lock);
  return code;
}

int da_session_entered(da_session *s) {
  da_saver *saver = lock(s);
  int entered = da_channel_entered(s->channel);
  pthread_mutex_unlock(&saver->lock);
  return entered;
}

/* ---- telling ---- */

void da_session_tell(da_session *s, da_level level, int code,
                     const char *format, ...) {
  da_event *e;
  va_list args;
  if (s->closed || s->event_count == MOST_EVENTS)
    return;
  e = malloc(sizeof *e);
  if (!e)
    return; /* the state still tells */
  va_start(args, format);
  vsnprintf(e->message, sizeof e->message, format, args);
  va_end(args);
  e->next = NULL;
  e->level = level;
  e->code = code;
  *s->last_event = e;
  s->last_event = &e->next;
  s->event_count++;
}

/* The lock is held. */
static void notice_lateness(da_session *s) {
  int open = s->pending.set || s->saving.set;
  if (!open || s->state == DA_SAVE_FAILED || da_now() - s->since <= s->timeout)
    return;
  s->state = DA_SAVE_FAILED;
  da_fail(&s->err, DA_ETIMEOUT, "session '%s' is not saved after %g s",
          s->channel->id, s->timeout);
  s->err.retryable = 1;
  if (!s->late_told)
    da_session_tell(s, DA_WARN, DA_ETIMEOUT, "%s", s->err.message);
  s->late_told = 1;
}

da_event *da_session_event(da_session *s) {
  da_saver *saver = lock(s);
  da_event *e;
  notice_lateness(s);
  e = s->events;
  if (e) {
    s->events = e->next;
    if (!s->events)
      s->last_event = &s->events;
    s->event_count--;
  }
  pthread_mutex_unlock(&saver->lock);
  return e;
}

da_save_state da_session_state(da_session *s, da_err *err) {
  da_saver *saver = lock(s);
  da_save_state state;
  notice_lateness(s);
  state = s->state;
  da_err_clear(err);
  if (state == DA_SAVE_FAILED)
    *err = s->err;
  pthread_mutex_unlock(&saver->lock);
  return state;
}

void da_session_counts(da_session *s, da_save_counts *counts) {
  da_saver *saver = lock(s);
  *counts = s->counts;
  pthread_mutex_unlock(&saver->lock);
}
