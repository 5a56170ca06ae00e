/* da_pool.c - a few worker threads that come and go with the work (floor 4).
*/
#include "da_pool.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "da_clock.h"

/* How long a thread waits for more work before it ends; the last one stays,
** so that a turn now and then does not pay for a new thread each time. */
#define LINGER 2.0
#define STACK_BYTES ((size_t)512 << 10)

struct da_pool {
  pthread_mutex_t lock;
  pthread_cond_t work; /* something was queued, or the pool closes */
  pthread_cond_t gone; /* a thread has ended */
  da_task *first, **last;
  unsigned threads, idle, most;
  int closing;
  int closed; /* nobody waits in da_pool_close: the last thread frees */
};

int da_pool_new(da_pool **out, unsigned most, da_err *err) {
  pthread_condattr_t monotonic;
  da_pool *p = calloc(1, sizeof *p);
  if (!p)
    return da_nomem(err);
  p->last = &p->first;
  p->most = most;
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_mutex_init(&p->lock, NULL);
  pthread_cond_init(&p->work, &monotonic);
  pthread_cond_init(&p->gone, &monotonic);
  pthread_condattr_destroy(&monotonic);
  *out = p;
  return DA_OK;
}

static void pool_free(da_pool *p) {
  pthread_cond_destroy(&p->work);
  pthread_cond_destroy(&p->gone);
  pthread_mutex_destroy(&p->lock);
  free(p);
}

/* 1 if there is a task or the pool closes, 0 if this thread may end. */
static int wait_for_work(da_pool *p) {
  struct timespec until = da_timespec(da_deadline(LINGER));
  int late = 0;
  p->idle++;
  while (!p->first && !p->closing && !late) {
    if (p->threads == 1)
      pthread_cond_wait(&p->work, &p->lock);
    else
      late = pthread_cond_timedwait(&p->work, &p->lock, &until) == ETIMEDOUT;
  }
  p->idle--;
  return p->first || p->closing || p->threads == 1;
}

static int spawn(da_pool *p);

static void *worker(void *arg) {
  da_pool *p = arg;
  int free_it;
  pthread_mutex_lock(&p->lock);
  while (wait_for_work(p)) {
    da_task *task = p->first;
    if (!task) {
      if (p->closing)
        break;
      continue;
    }
    p->first = task->next;
    if (!p->first)
      p->last = &p->first;
    /* Someone has to be there for what comes next, should this task take its
    ** time or never end. It is not the caller's time. */
    if (!p->idle && p->threads < p->most)
      spawn(p);
    pthread_mutex_unlock(&p->lock);
    task->run(task);
    pthread_mutex_lock(&p->lock);
  }
  p->threads--;
  free_it = p->closed && !p->threads;
  pthread_cond_broadcast(&p->gone);
  pthread_mutex_unlock(&p->lock);
  if (free_it)
    pool_free(p);
  return NULL;
}

/* Starts a thread; the lock is held. 0 if the system gives none. */
static int spawn(da_pool *p) {
  pthread_attr_t attr;
  sigset_t all, before;
  pthread_t thread;
  int failed;
  sigfillset(&all);
  pthread_attr_init(&attr);
  pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attr, STACK_BYTES);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  p->threads++;
  failed = pthread_create(&thread, &attr, worker, p);
  if (failed)
    p->threads--;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attr);
  return !failed;
}

int da_pool_submit(da_pool *p, da_task *task) {
  int wake, code = DA_OK;
  pthread_mutex_lock(&p->lock);
  if (!p->threads && !spawn(p)) {
    code = DA_ENOMEM;
    wake = 0;
  } else {
    task->next = NULL;
    *p->last = task;
    p->last = &task->next;
    wake = p->idle > 0;
  }
  pthread_mutex_unlock(&p->lock);
  if (wake) /* after the unlock: the woken thread finds the lock free */
    pthread_cond_signal(&p->work);
  return code;
}

void da_pool_close(da_pool *p, double deadline) {
  struct timespec until = da_timespec(deadline);
  int alone;
  pthread_mutex_lock(&p->lock);
  p->closing = 1;
  pthread_cond_broadcast(&p->work);
  while (p->threads &&
         pthread_cond_timedwait(&p->gone, &p->lock, &until) != ETIMEDOUT)
    ;
  p->closed = 1;
  alone = !p->threads;
  pthread_mutex_unlock(&p->lock);
  if (alone)
    pool_free(p);
}
