/* da_channel.h - inside the saver: one stored session and who uses it
** (floor 4). Everything here is guarded by the saver's lock, except what a
** channel's `busy` owner alone may touch, as marked. */
#ifndef DA_CHANNEL_H
#define DA_CHANNEL_H

#include <pthread.h>

#include "da_pool.h"
#include "da_saver.h"

typedef struct da_channel da_channel;

struct da_saver {
  pthread_mutex_t lock;
  pthread_cond_t change; /* some channel's state changed */
  da_pool *pool;
  da_channel *channels;
  da_saver *next_live; /* in the list of those to drain at exit */
  unsigned tasks;      /* given to the pool and not finished */
  int closed;          /* nobody uses it: the last task frees it */
  pthread_t owner;     /* who made it */
  da_log_fn on_loss;   /* or NULL */
  void *on_loss_ctx;
};

/* A list of what could not be saved before the end. */
typedef struct da_loss da_loss;

/* What an agent wants stored. */
typedef struct da_want {
  int set;
  int force;
  int stored;         /* it is in place, but its disk may not have it */
  da_conflict policy; /* as it was when work on it began, as is */
  double patience;    /* the session's timeout */
  da_history history;
  char *meta; /* from malloc */
  size_t meta_len;
} da_want;

struct da_session {
  da_channel *channel;
  da_session *next;       /* of the channel */
  da_session *next_batch; /* busy owner */
  double timeout;
  da_conflict policy;
  da_save_counts counts;
  uint64_t seen;   /* busy owner: the channel's state that the agent knows, */
  int saw;         /* whether there was a session then, */
  int read;        /* whether it ever knew what is stored, */
  int gone;        /* whether that was deleted under its hands, */
  int refused;     /* and whether its last wish was refused */
  da_history base; /* what the agent had when it last loaded or saved, */
  char *base_meta; /* and its metadata, from malloc */
  size_t base_meta_len;
  da_want pending; /* newest wish, no one works on it */
  da_want saving;  /* busy owner: what is being stored; set under lock */
  double since;    /* da_now() of the oldest pending wish */
  da_save_state state;
  da_err err; /* of state FAILED */
  unsigned failures;
  int late_told; /* the pending save's lateness was reported */
  int closed;    /* no agent: goes when nothing is pending */
  da_event *events, **last_event;
  unsigned event_count;
};

struct da_channel {
  da_task task;
  da_saver *saver;
  da_channel *next;
  da_backend *backend;
  char *id;
  da_session *sessions;
  int queued;       /* its task waits in the pool */
  int came;         /* a wish came since the last were taken */
  int once_more;    /* should what is under way fail, it is tried again */
  int busy;         /* someone reads or writes the stored session */
  int inline_busy;  /* it is the owner's thread */
  pthread_t runner; /* which one */
  /* Of the busy owner: */
  int known;      /* the following are the store's, as far as we know */
  int exists;     /* there is such a session */
  int erasing;    /* it was to be erased, and may be: the store is unsure */
  int overtaken;  /* somebody else has changed it, as the store says */
  uint64_t state; /* one more with each change of it */
  da_history current;
  da_buf meta;
  da_revision revision;
};

/* Whether the caller is in the middle of a call of the channel's store, which
** has called back. */
int da_channel_entered(const da_channel *c);

/* Whether it will come to rest by waiting: it is queued or busy, and not
** because of the caller. */
int da_channel_working(const da_channel *c);

/* The channel of that session, made if it is not there; NULL: no memory. */
da_channel *da_channel_get(da_saver *s, da_backend *b, const char *id);

/* Frees it if nobody uses it; the caller drops the reference that is then
** returned (else NULL) once it has let go of the lock, as a store may take
** its time to close. */
da_backend *da_channel_release(da_channel *c);

/* Frees it whatever its state; no one else is left. */
void da_channel_free(da_channel *c);

/* Gives the channel's task to the pool if there is something to save and no
** one is at it. 0 if no thread is to be had. */
int da_channel_wake(da_channel *c);

/* Waits until the channel is free (and, with `drain`, nothing is queued) and
** makes the caller its busy owner. DA_OK, DA_ETIMEOUT, or DA_EBUSY if the
** caller already is. */
int da_channel_acquire(da_channel *c, double deadline, int drain);
void da_channel_yield(da_channel *c);

/* Stores what is pending; the caller holds the lock, which is let go
** meanwhile. Nothing happens if the channel is busy. */
void da_channel_run(da_channel *c, int is_inline);

/* Whether saves run on the owner's thread when it waits for them. */
int da_channel_quick(const da_channel *c);

/* Reads the stored session into current and revision; busy owner, lock not
** held. DA_ENOTFOUND leaves them empty and known. `seen` (or NULL) gets the
** revision also of what cannot be understood. */
int da_channel_reload(da_channel *c, da_buf *meta, da_revision *seen,
                      da_err *err);

/* The stored session is gone by our own doing, which is no conflict. `whole`:
** what the agents have is to be stored again. Busy owner, lock not held. */
void da_channel_erased(da_channel *c, int whole);

/* Stores what the sessions of the batch are `saving`, after what others have
** stored meanwhile. Those whose policy forbids that are moved to `refused`;
** the result is of the others. Busy owner, lock not held. */
int da_channel_store(da_channel *c, da_session **batch, da_session **refused,
                     da_err *err);

/* Why the last ones were refused. */
int da_channel_refusal(const da_channel *c, da_err *err);

/* A wish that nobody can make good any more: it was refused, and its agent is
** gone. It is told of at the end. */
static inline int da_session_hopeless(const da_session *s) {
  return s->closed && s->refused;
}

void da_session_tell(da_session *s, da_level level, int code,
                     const char *format, ...) DA_PRINTF(4, 5);
void da_session_free(da_session *s);
void da_want_dispose(da_want *w);

/* Adds what the session has pending, if there is something and somebody to be
** told; the lock is held. Without memory it stays untold. */
void da_loss_add(da_loss **list, const da_session *s);

/* Tells and frees all of it; no lock is held. */
void da_loss_tell(da_loss *list);

/* Puts it on the list of those to drain at exit. */
void da_saver_enlist(da_saver *s);
void da_saver_free(da_saver *s);

/* A task is over: frees the saver if that was the last of a closed one.
** Returns without the lock. */
void da_saver_task_done(da_saver *s);

#endif
