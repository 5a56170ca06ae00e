/* da_saver.h - stored sessions, saved in the background (floor 4).
**
** A da_session is one agent's hold on one stored session. Saving takes an
** O(1) snapshot and returns; per stored session, saves are done one after
** the other by a worker, newest wins, what several agents of this process
** want stored is combined, and what other processes stored meanwhile is
** loaded and kept (da_history_merge with what this agent saw last as the
** base). A failed save stays pending and is tried again with the next one,
** at a flush, and at the end.
**
** A da_saver and its sessions are used by one thread; the workers are its
** own. In a forked child nothing may be done to them but to forget them: the
** workers are not there, and locks may be held for ever. What it does to a
** store of DA_STORE_OWNER_THREAD it does at once, on the caller's thread.
*/
#ifndef DA_SAVER_H
#define DA_SAVER_H

#include "da_store.h"

typedef struct da_saver da_saver;
typedef struct da_session da_session;

int da_saver_new(da_saver **out, da_err *err);

/* Saves what is pending, for at most the longest timeout of the sessions
** concerned, and frees. Sessions must have been closed. The same draining
** happens at exit() for savers that are still open. */
void da_saver_close(da_saver *s);

/* `fn` is told of each session that ends, with its saver, with something that
** could not be saved: in da_saver_close, in da_session_close of a store of
** DA_STORE_OWNER_THREAD, and at exit() on the owner's thread. */
void da_saver_on_loss(da_saver *s, da_log_fn fn, void *ctx);

/* `timeout`: seconds that a load, a save, or the drain at the end may take. */
int da_session_open(da_session **out, da_saver *s, da_backend *b,
                    const char *id, double timeout, da_err *err);

void da_session_set_timeout(da_session *s, double seconds);

/* What a save does where somebody else has changed the stored session since
** this one last loaded or saved it; DA_CONFLICT_MERGE unless it is set. */
void da_session_set_policy(da_session *s, da_conflict policy);

/* What is pending will still be saved. */
void da_session_close(da_session *s);

/* Reads the session from its store, after what this process has pending for
** it. Turns of our own that could not be saved yet are put after what was
** read, and stay pending. DA_OK, DA_ENOTFOUND (nothing is stored: *history
** and *meta are empty, but for such turns), DA_ETIMEOUT, or why it cannot
** be read; nothing is saved over such a session until it can be. *history
** must be empty. */
int da_session_load(da_session *s, da_history *history, da_buf *meta,
                    da_err *err);

/* Of all that is stored the caller has seen only this: it could not take what
** was loaded, or it is a forked child. `meta`: with which metadata (a JSON
** object, or empty), copied. */
void da_session_rebase(da_session *s, const da_history *base, da_text meta);

/* Queues a snapshot. `meta` (a JSON object) is copied. `force`: the caller
** asked for it in so many words, and flushes next: a corrupt stored session
** is put aside instead of being left alone, and no worker is woken for what
** the flush does on the caller's thread. DA_ENOMEM. */
int da_session_save(da_session *s, const da_history *history, da_text meta,
                    int force, da_err *err);

/* Waits until all that was queued is stored; tries again what had failed.
** DA_OK, DA_ETIMEOUT, or why it could not be stored. */
int da_session_flush(da_session *s, double seconds, da_err *err);

/* Whether the caller is in the middle of a function of the session's store,
** which has called back. */
int da_session_entered(da_session *s);

/* Deletes the stored session and drops what is pending for it from this
** process. DA_OK, or DA_ENOTFOUND if there was none. */
int da_session_remove(da_session *s, da_err *err);

/* *err tells why, of DA_SAVE_FAILED. */
da_save_state da_session_state(da_session *s, da_err *err);
void da_session_counts(da_session *s, da_save_counts *counts);

/* What happened in the background since the last call, oldest first. */
typedef struct da_event {
  struct da_event *next;
  da_level level;
  int code; /* of an error, or DA_OK */
  char message[512];
} da_event;
/* NULL if there is none; the caller frees it with free(). */
da_event *da_session_event(da_session *s);

/* ---- other work on a store, with a deadline where it could hang ---- */

int da_saver_list(da_saver *s, da_backend *b, double timeout,
                  da_store_ids *ids, da_err *err);

/* Of a session that no da_session holds, such as a cache's: reads it, or puts
** `h` in its place, once, now. What is not done in time is left to end by
** itself. DA_ENOTFOUND, DA_ETIMEOUT ... *h must be empty to be read into. */
int da_saver_fetch(da_saver *s, da_backend *b, const char *id, double timeout,
                   da_history *h, da_err *err);
int da_saver_put(da_saver *s, da_backend *b, const char *id, double timeout,
                 const da_history *h, da_err *err);

#endif
