/* da_channel.c - storing what the agents of one session want (floor 4). */
#include "da_channel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "da_clock.h"
#include "da_meta.h"

/* Another process can win the race between our load and our save this many
** times before we give up until the next turn. */
enum { MOST_TRIES = 30 };
#define LONGEST_PAUSE 0.02 /* seconds between two tries, at random */

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
    if (s->pending.set)
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

/* ---- the stored session ---- */

int da_channel_reload(da_channel *c, da_buf *meta, da_revision *seen,
                      da_err *err) {
  da_stored stored;
  int code;
  da_stored_init(&stored);
  code = da_store_load(c->backend, c->id, &stored, err);
  if (code == DA_OK || code == DA_ENOTFOUND) {
    da_history_dispose(&c->current);
    da_history_copy(&c->current, &stored.history);
    c->revision = stored.revision;
    c->known = 1;
    if (meta && stored.meta.len)
      da_buf_put(meta, stored.meta.data, stored.meta.len);
    da_buf_dispose(&c->meta);
    c->meta = stored.meta;
    da_buf_init(&stored.meta, 0);
  }
  if (seen)
    *seen = stored.revision;
  da_stored_dispose(&stored);
  return code;
}

/* The busy owner works without the lock. */
static void tell_all(da_channel *c, da_session *batch, da_level level,
                     int code, const char *text) {
  pthread_mutex_lock(&c->saver->lock);
  for (; batch; batch = batch->next_batch)
    da_session_tell(batch, level, code, "session '%s' %s", c->id, text);
  pthread_mutex_unlock(&c->saver->lock);
}

static int deleted(da_channel *c, da_err *err) {
  c->known = 0;
  memcpy(c->revision.text, "?", 2); /* it existed, still */
  return da_fail(err, DA_ECONFLICT,
                 "session '%s' was deleted by someone else; load_session() "
                 "to begin it anew",
                 c->id);
}

/* The caller asked for a save in so many words: the corrupt bytes go aside,
** and what the agents have is stored whole. */
static int put_aside(da_channel *c, da_session *batch, const da_revision *seen,
                     da_err *err) {
  char kept[1024], told[1100];
  int code =
      da_store_quarantine(c->backend, c->id, seen, kept, sizeof kept, err);
  if (code)
    return code;
  snprintf(told, sizeof told, "was corrupt; its bytes are kept in %s", kept);
  tell_all(c, batch, DA_WARN, DA_ECORRUPT, told);
  for (da_session *s = batch; s; s = s->next_batch)
    da_history_dispose(&s->base);
  da_history_dispose(&c->current);
  da_buf_reset(&c->meta);
  memset(&c->revision, 0, sizeof c->revision);
  c->known = 1;
  return DA_OK;
}

/* Makes sure that `current` is what the store holds, so that nothing in it
** is written over unseen. */
static int know(da_channel *c, da_session *batch, da_err *err) {
  int existed = c->revision.text[0] != '\0', force = 0, code;
  da_revision seen = {""};
  if (c->known)
    return DA_OK;
  code = da_channel_reload(c, NULL, &seen, err);
  if (code == DA_ENOTFOUND)
    return existed ? deleted(c, err) : DA_OK;
  for (const da_session *s = batch; s; s = s->next_batch)
    force |= s->saving.force;
  if (code != DA_ECORRUPT || !force)
    return code;
  code = put_aside(c, batch, &seen, err);
  /* Someone else has mended it meanwhile: look again. */
  return code == DA_ECONFLICT ? know(c, batch, err) : code;
}

/* What is to be stored: each agent's view continued from where the stored
** conversation is now. Nearly always there is one agent, whose last save is
** what is stored: then its snapshot is it. */
static int combine(da_history *want, const da_channel *c,
                   const da_session *batch) {
  da_history next;
  int code = DA_OK;
  da_history_copy(want, &c->current);
  for (; batch && !code; batch = batch->next_batch) {
    if (da_history_same(&batch->base, want)) {
      da_history_copy(&next, &batch->saving.history);
    } else {
      code =
          da_history_merge(&next, &batch->base, &batch->saving.history, want);
      if (code)
        break;
    }
    da_history_dispose(want);
    *want = next;
  }
  if (code)
    da_history_dispose(want);
  return code;
}

static void pause_a_little(void) {
  unsigned char chance = 128;
  if (getrandom(&chance, 1, GRND_NONBLOCK) == 1)
    da_sleep(LONGEST_PAUSE * (double)chance / 255);
}

/* *meta becomes what is stored with what each agent has changed of it. */
static int combine_meta(da_buf *meta, const da_channel *c,
                        const da_session *batch) {
  da_buf next;
  da_buf_put(meta, c->meta.data, c->meta.len);
  for (; batch && !meta->failed; batch = batch->next_batch) {
    const da_text base = {batch->base_meta, batch->base_meta_len};
    const da_text ours = {batch->saving.meta, batch->saving.meta_len};
    da_buf_init(&next, DA_MESSAGE_MAX);
    da_meta_merge(&next, base, ours, da_buf_text(meta));
    da_buf_dispose(meta);
    *meta = next;
  }
  return meta->failed;
}

static int store(da_channel *c, const da_session *batch,
                 const da_history *want, da_err *err) {
  size_t stored = da_history_is_prefix(&c->current, want) ? c->current.len : 0;
  da_revision now = {""};
  da_buf meta;
  int code;
  da_buf_init(&meta, DA_MESSAGE_MAX);
  if (combine_meta(&meta, c, batch)) {
    code = da_buf_check(&meta, "the metadata", err);
    da_buf_dispose(&meta);
    return code;
  }
  code = da_store_save(c->backend, c->id, want, stored, da_buf_text(&meta),
                       &c->revision, &now, err);
  /* A store may have replaced the session and yet be unsure whether the
  ** disk has it: then it gives the new revision with the error. */
  if (code == DA_OK || (code != DA_ECONFLICT && now.text[0])) {
    da_history_dispose(&c->current);
    da_history_copy(&c->current, want);
    c->revision = now;
    da_buf_dispose(&c->meta);
    c->meta = meta;
    return code;
  }
  da_buf_dispose(&meta);
  return code;
}

/* Busy owner, lock not held. */
static int save_batch(da_channel *c, da_session *batch, da_err *err) {
  for (int tries = 1;; tries++) {
    da_history want;
    int code = know(c, batch, err);
    if (code)
      return code;
    if (tries == 2)
      tell_all(c, batch, DA_INFO, DA_ECONFLICT,
               "was changed by someone else; ours goes after theirs");
    if (combine(&want, c, batch))
      return da_nomem(err);
    code = store(c, batch, &want, err);
    da_history_dispose(&want);
    if (code != DA_ECONFLICT || tries == MOST_TRIES)
      return code;
    c->known = 0;
    pause_a_little();
  }
}

/* ---- one run ---- */

static da_session *take_batch(da_channel *c) {
  da_session *batch = NULL, **last = &batch;
  for (da_session *s = c->sessions; s; s = s->next) {
    if (!s->pending.set)
      continue;
    s->saving = s->pending;
    memset(&s->pending, 0, sizeof s->pending);
    s->next_batch = NULL;
    *last = s;
    last = &s->next_batch;
  }
  return batch;
}

static void settle_failed(da_session *s, const da_err *err) {
  s->failures++;
  s->err = *err;
  s->state = DA_SAVE_FAILED;
  da_session_tell(s, DA_WARN, err->code,
                  "session '%s' could not be saved and is kept in memory: %s",
                  s->channel->id, err->message);
  if (s->pending.set) { /* the newer wish holds the older */
    s->pending.force |= s->saving.force;
    da_want_dispose(&s->saving);
  } else {
    s->pending = s->saving;
  }
  memset(&s->saving, 0, sizeof s->saving);
}

static void settle_saved(da_session *s) {
  da_history_dispose(&s->base);
  da_history_copy(&s->base, &s->saving.history);
  free(s->base_meta);
  s->base_meta = s->saving.meta;
  s->base_meta_len = s->saving.meta_len;
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
      orphans |= s->closed && s->pending.set;
    if (orphans)
      da_channel_wake(c);
  }
}

void da_channel_run(da_channel *c, int is_inline) {
  da_saver *saver = c->saver;
  da_session *batch;
  da_err err;
  int code, more;
  if (c->busy)
    return;
  batch = take_batch(c);
  if (!batch)
    return;
  c->busy = 1;
  c->inline_busy = is_inline;
  c->runner = pthread_self();
  pthread_mutex_unlock(&saver->lock);
  da_err_clear(&err);
  code = save_batch(c, batch, &err);
  pthread_mutex_lock(&saver->lock);
  more = has_pending(c); /* came meanwhile: tried also if this one failed */
  for (da_session *s = batch; s; s = s->next_batch) {
    if (code)
      settle_failed(s, &err);
    else
      settle_saved(s);
  }
  free_closed(c);
  c->busy = 0;
  if (!(da_backend_flags(c->backend) & DA_STORE_OWNER_THREAD)) {
    if (more)
      da_channel_wake(c);
    if (!code)
      wake_orphans(c);
  }
  pthread_cond_broadcast(&saver->change);
}
