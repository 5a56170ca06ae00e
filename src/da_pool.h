/* da_pool.h - a few worker threads that come and go with the work (floor 4).
** They run with all signals blocked, so that the host's handlers run on the
** host's threads. */
#ifndef DA_POOL_H
#define DA_POOL_H

#include "da_err.h"

typedef struct da_pool da_pool;

/* Embedded in what the work is about; must live until `run` is called,
** which may free it. */
typedef struct da_task {
  void (*run)(struct da_task *);
  struct da_task *next;
} da_task;

/* Starts no thread yet; there will be at most `most` of them. */
int da_pool_new(da_pool **out, unsigned most, da_err *err);

/* Runs the task soon, tasks in the order of their coming. DA_ENOMEM: no
** thread is to be had, the task was not taken. */
int da_pool_submit(da_pool *p, da_task *task);

/* No more submits. Runs what is queued, stops the threads and waits for
** them until `deadline` (da_now); a thread that still hangs in a task then
** goes on alone and frees the pool when it comes back. */
void da_pool_close(da_pool *p, double deadline);

#endif
