/* da_saver_end.c - the end of savers (floor 4): what is pending is tried a
** last time, and what is lost is told. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "da_channel.h"
#include "da_clock.h"

/* ---- what is lost ---- */

struct da_loss {
  da_loss *next;
  da_log_fn fn;
  void *ctx;
  da_err err;
  char id[];
};

void da_loss_add(da_loss **list, const da_session *s) {
  const da_saver *saver = s->channel->saver;
  const char *id = s->channel->id;
  da_loss *loss;
  if ((!s->pending.set && !s->saving.set) || !saver->on_loss)
    return;
  loss = malloc(sizeof *loss + strlen(id) + 1);
  if (!loss)
    return;
  loss->fn = saver->on_loss;
  loss->ctx = saver->on_loss_ctx;
  memcpy(loss->id, id, strlen(id) + 1);
  if (s->state == DA_SAVE_FAILED)
    loss->err = s->err;
  else
    da_fail(&loss->err, DA_ETIMEOUT, "it took longer than %g s", s->timeout);
  loss->next = *list;
  *list = loss;
}

void da_loss_tell(da_loss *list) {
  da_loss *next;
  da_err line;
  for (; list; list = next) {
    next = list->next;
    da_fail(&line, list->err.code,
            "session '%s' ends with turns that are not saved: %.300s",
            list->id, list->err.message);
    list->fn(list->ctx, DA_ERROR, line.message, line.code, list->id);
    free(list);
  }
}

void da_saver_on_loss(da_saver *s, da_log_fn fn, void *ctx) {
  s->on_loss = fn;
  s->on_loss_ctx = ctx;
}

/* ---- draining ---- */

static double longest_timeout(const da_saver *s) {
  double longest = 0;
  for (const da_channel *c = s->channels; c; c = c->next)
    for (const da_session *x = c->sessions; x; x = x->next)
      if ((x->pending.set || x->saving.set) && x->timeout > longest)
        longest = x->timeout;
  return longest;
}

/* A task that this very thread is in the middle of will not end by waiting:
** exit() was called from inside a store. */
static int at_work(const da_saver *s) {
  for (const da_channel *c = s->channels; c; c = c->next)
    if (da_channel_working(c))
      return 1;
  return 0;
}

/* Has all that is pending tried once more; returns by when it must be done. */
static double begin_drain(da_saver *s) {
  double deadline;
  pthread_mutex_lock(&s->lock);
  deadline = da_deadline(longest_timeout(s));
  for (da_channel *c = s->channels; c; c = c->next) {
    c->once_more =
        c->busy; /* that may have begun before what failed it went */
    if (!(da_backend_flags(c->backend) & DA_STORE_OWNER_THREAD) &&
        !da_channel_wake(c))
      da_channel_run(c, 1); /* there is no thread to be had */
  }
  pthread_mutex_unlock(&s->lock);
  return deadline;
}

static void end_drain(da_saver *s, double deadline, da_loss **lost) {
  struct timespec until = da_timespec(deadline);
  pthread_mutex_lock(&s->lock);
  while (at_work(s) &&
         pthread_cond_timedwait(&s->change, &s->lock, &until) != ETIMEDOUT)
    ;
  for (const da_channel *c = s->channels; lost && c; c = c->next)
    for (da_session *x = c->sessions; x; x = x->next)
      da_loss_add(lost, x);
  pthread_mutex_unlock(&s->lock);
}

/* ---- draining at exit ---- */

/* exit() gives its handlers no argument, so the savers that are still open
** have to be found from here. The only file-scope state of the core. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t live_lock = PTHREAD_MUTEX_INITIALIZER;
static da_saver *live;

/* All at the same time: hung ones do not add up. */
static void at_exit(void) {
  double deadline = 0;
  da_loss *lost = NULL;
  pthread_mutex_lock(&live_lock);
  for (da_saver *s = live; s; s = s->next_live) {
    double own = begin_drain(s);
    if (own > deadline)
      deadline = own;
  }
  /* Listeners live on their saver's thread; this may be another one. */
  for (da_saver *s = live; s; s = s->next_live)
    end_drain(s, deadline,
              pthread_equal(s->owner, pthread_self()) ? &lost : NULL);
  pthread_mutex_unlock(&live_lock);
  da_loss_tell(lost);
}

static void before_fork(void) {
  pthread_mutex_lock(&live_lock);
}

static void after_fork_in_parent(void) {
  pthread_mutex_unlock(&live_lock);
}

/* The parent's savers are the parent's to drain. */
static void after_fork_in_child(void) {
  live = NULL;
  pthread_mutex_unlock(&live_lock);
}

static void set_up(void) {
  atexit(at_exit);
  pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

void da_saver_enlist(da_saver *s) {
  pthread_once(&once, set_up);
  pthread_mutex_lock(&live_lock);
  s->next_live = live;
  live = s;
  pthread_mutex_unlock(&live_lock);
}

static void delist(da_saver *s) {
  da_saver **at = &live;
  pthread_mutex_lock(&live_lock);
  while (*at && *at != s)
    at = &(*at)->next_live;
  if (*at)
    *at = s->next_live;
  pthread_mutex_unlock(&live_lock);
}

/* ---- closing ---- */

void da_saver_close(da_saver *s) {
  da_loss *lost = NULL;
  double deadline;
  int alone;
  delist(s);
  deadline = begin_drain(s);
  end_drain(s, deadline, &lost);
  da_loss_tell(lost);
  /* Idle threads end at once; a hung one is left to itself. */
  da_pool_close(s->pool,
                da_left(deadline) > 0.2 ? deadline : da_deadline(0.2));
  pthread_mutex_lock(&s->lock);
  s->closed = 1;
  alone = !s->tasks;
  pthread_mutex_unlock(&s->lock);
  if (alone)
    da_saver_free(s);
}
