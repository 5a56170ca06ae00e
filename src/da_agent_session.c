/* da_agent_session.c - an agent and its stored session (floor 5). */
#include <string.h>

#include "da_agent.h"
#include "da_clock.h"
#include "da_limits.h"
#include "da_meta.h"
#include "da_session_id.h"

int da_agent_remembers(const da_agent *a) {
  if (a->settings.memory >= 0)
    return a->settings.memory;
  return a->settings.session_id != NULL;
}

const char *da_agent_session_id(const da_agent *a) {
  return a->settings.session_id;
}

/* ---- metadata ---- */

static void read_meta(da_agent *a) {
  da_meta m;
  da_meta_read(&m, da_buf_text(&a->meta));
  a->total = m.usage;
  a->created_at = m.created_at;
}

/* The journal of what was loaded, and with `keep` what the agent's own has
** more. Without memory for it the load counts as not done. */
static int read_journal(const da_agent *a, da_buf *journal, da_text meta,
                        int keep, da_err *err) {
  const da_text none = {"", 0};
  da_meta m;
  int code;
  da_meta_read(&m, meta);
  da_journal_merge(journal, none, keep ? da_buf_text(&a->journal) : none,
                   m.unfinished);
  code = da_buf_check(journal, "the unfinished turn", err);
  if (code)
    da_session_rebase(a->session, keep ? &a->settings.start : &a->queued,
                      none);
  return code;
}

static int put_meta(da_agent *a, da_buf *out) {
  da_meta m;
  if (a->created_at == 0)
    a->created_at = da_wall();
  m.created_at = a->created_at;
  m.usage = a->total;
  m.unfinished = da_buf_text(&a->journal);
  return da_meta_put(out, &m, da_buf_text(&a->meta));
}

/* ---- resolving ---- */

int da_agent_backend(da_agent *a, da_backend **out, da_err *err) {
  if (!a->settings.backend)
    return da_runtime_store(a->runtime, out, err);
  *out = da_backend_ref(a->settings.backend);
  return DA_OK;
}

/* A handle on session `id` in the agent's store. */
static int open_session(da_agent *a, da_session **out, const char *id,
                        da_err *err) {
  da_saver *saver;
  da_backend *b;
  int code;
  saver = da_runtime_saver(a->runtime, &a->generation, err);
  if (!saver)
    return err->code;
  code = da_agent_backend(a, &b, err);
  if (code)
    return code;
  code = da_session_open(out, saver, b, id, a->settings.save_timeout, err);
  da_backend_unref(b);
  if (!code)
    da_session_set_policy(*out, a->settings.on_conflict);
  return code;
}

/* The store has this, or has been asked to have it. */
static void mark(da_agent *a, const da_history *h) {
  da_history before = a->queued;
  da_history_copy(&a->queued, h);
  da_history_dispose(&before);
}

/* What was said before the agent was given its session goes after what the
** session holds; what it started from does not. */
static int continue_with(da_agent *a, da_history *loaded, da_err *err) {
  const da_history *start = &a->settings.start;
  da_history merged;
  if (da_history_same(&a->history, start)) {
    mark(a, loaded);
    return DA_OK;
  }
  if (da_history_merge(&merged, start, &a->history, loaded)) {
    da_session_rebase(a->session, start, (da_text){NULL, 0});
    return da_nomem(err);
  }
  mark(a, loaded);
  da_history_dispose(loaded);
  *loaded = merged;
  return DA_OK;
}

/* Reads the session into the agent; the agent is unchanged unless DA_OK.
** `keep`: what the agent has is continued with, else replaced. */
static int load(da_agent *a, int keep, da_err *err) {
  da_history history = DA_HISTORY_EMPTY;
  const da_usage before = a->total; /* of turns without a session */
  da_buf meta, journal;
  int code;
  da_buf_init(&meta, DA_MESSAGE_MAX);
  da_buf_init(&journal, DA_MESSAGE_MAX);
  code = da_session_load(a->session, &history, &meta, err);
  if (code == DA_OK)
    code = read_journal(a, &journal, da_buf_text(&meta), keep, err);
  if (code == DA_OK && keep)
    code = continue_with(a, &history, err);
  else if (code == DA_OK)
    mark(a, &history);
  da_agent_poll(a);
  da_err_clear(&a->load_err);
  if (code == DA_OK) {
    da_history_dispose(&a->history);
    a->history = history;
    da_buf_dispose(&a->meta);
    a->meta = meta;
    da_buf_dispose(&a->journal);
    a->journal = journal;
    read_meta(a);
    if (keep)
      da_usage_add(&a->total, &before);
    if (a->journal.len)
      da_agent_log(
          a, DA_INFO, NULL,
          "the session has a turn that is not finished: resume() goes "
          "on with it, discard_turn() drops it");
    return DA_OK;
  }
  if (code != DA_ENOTFOUND) {
    a->load_err = *err;
    da_agent_log(a, DA_WARN, err, "%s", err->message);
  }
  da_history_dispose(&history);
  da_buf_dispose(&meta);
  da_buf_dispose(&journal);
  return code;
}

/* The parent's saver has what was pending before the fork; here it counts
** as somebody else's, and only what comes now is ours to save. */
static int reopen_after_fork(da_agent *a, da_err *err) {
  unsigned generation;
  da_buf meta;
  int code;
  if (!a->session)
    return DA_OK;
  if (!da_runtime_saver(a->runtime, &generation, err))
    return err->code;
  if (generation == a->generation)
    return DA_OK;
  a->session = NULL;
  code = open_session(a, &a->session, a->settings.session_id, err);
  if (code)
    return code;
  da_buf_init(&meta, DA_MESSAGE_MAX);
  put_meta(a, &meta);
  da_session_rebase(a->session, &a->history, da_buf_text(&meta));
  da_buf_dispose(&meta);
  return DA_OK;
}

/* Everything but the loading; *fresh: it was not done before. An id may come
** to an agent that has talked without one: what was said then goes after what
** the session holds. */
static int prepare(da_agent *a, int *fresh, da_err *err) {
  int open = a->resolved && (a->session || !a->settings.session_id);
  int code = DA_OK;
  *fresh = !open;
  if (a->closed)
    return da_fail(err, DA_ECLOSED, "the agent is closed");
  if (open)
    return reopen_after_fork(a, err);
  if (a->settings.session_id)
    code = open_session(a, &a->session, a->settings.session_id, err);
  if (code)
    return code;
  if (a->session)
    da_session_rebase(a->session, &a->settings.start, (da_text){NULL, 0});
  if (!a->resolved) {
    da_history_copy(&a->history, &a->settings.start);
    mark(a, &a->history);
  }
  a->resolved = 1;
  return DA_OK;
}

int da_agent_resolve(da_agent *a, da_err *err) {
  int fresh, code = prepare(a, &fresh, err);
  if (!code && a->session && fresh)
    load(a, 1, err); /* nothing stored, or unreadable: it goes on without */
  if (!code && a->session && fresh &&
      !da_history_same(&a->history, &a->queued))
    da_agent_changed(a); /* what was said before the id came is to be kept */
  if (!code)
    da_agent_poll(a);
  return code;
}

/* Its own logger must not set off what it is told about. */
static int check_not_telling(const da_agent *a, da_err *err) {
  return a->telling ? da_fail(err, DA_EBUSY, "the agent's logger is at work")
                    : DA_OK;
}

int da_agent_check_idle(da_agent *a, da_err *err) {
  int fresh, code = DA_OK;
  if (a->talking)
    return da_fail(err, DA_EBUSY, "the agent is in the middle of a turn");
  code = check_not_telling(a, err);
  if (code || !a->session || a->closed)
    return code;
  code = prepare(a, &fresh, err);
  if (!code && da_session_entered(a->session))
    code = da_fail(err, DA_EBUSY, "the agent's backend is at work");
  return code;
}

/* ---- saving ---- */

static int queue(da_agent *a, int force, da_err *err) {
  da_buf meta;
  int code;
  da_buf_init(&meta, DA_MESSAGE_MAX);
  put_meta(a, &meta);
  code = da_buf_check(&meta, "the metadata", err);
  if (!code)
    code = da_session_save(a->session, &a->history, da_buf_text(&meta), force,
                           err);
  da_err_clear(&a->queue_err);
  if (code)
    a->queue_err = *err;
  else
    mark(a, &a->history);
  da_buf_dispose(&meta);
  return code;
}

void da_agent_changed(da_agent *a) {
  da_err err;
  if (a->session && a->settings.auto_save && queue(a, 0, &err))
    da_agent_log(a, DA_WARN, &err, "the session was not saved: %s",
                 err.message);
  da_agent_poll(a);
}

int da_agent_requeue(da_agent *a, da_err *err) {
  return a->queue_err.code ? queue(a, 0, err) : DA_OK;
}

static int need_session(da_agent *a, da_err *err) {
  if (!a->settings.session_id)
    return da_fail(err, DA_ENOID,
                   "the agent has no session id: with_session_id(id)");
  return DA_OK;
}

int da_agent_save(da_agent *a, da_err *err) {
  int code = check_not_telling(a, err);
  if (!code)
    code = need_session(a, err);
  if (!code)
    code = da_agent_resolve(a, err);
  if (!code)
    code = queue(a, 1, err);
  if (!code)
    code = da_session_flush(a->session, a->settings.save_timeout, err);
  da_agent_poll(a);
  return code;
}

int da_agent_flush(da_agent *a, double seconds, da_err *err) {
  int fresh, code;
  if (a->closed)
    return da_fail(err, DA_ECLOSED, "the agent is closed");
  if (!a->session)
    return DA_OK;
  code = check_not_telling(a, err);
  if (!code)
    code = prepare(a, &fresh, err);
  if (!code)
    code = da_agent_requeue(a, err);
  if (!code)
    code = da_session_flush(
        a->session, seconds < 0 ? a->settings.save_timeout : seconds, err);
  da_agent_poll(a);
  return code;
}

da_save_state da_agent_save_state(da_agent *a, da_err *err) {
  da_save_state state;
  int fresh;
  da_err_clear(err);
  if (a->closed) {
    *err = a->last_err;
    return a->last_state;
  }
  if (!a->session || prepare(a, &fresh, err))
    return DA_SAVE_NONE;
  da_agent_poll(a);
  state = da_session_state(a->session, err);
  if (a->queue_err.code) {
    *err = a->queue_err;
    return DA_SAVE_FAILED;
  }
  if (state <= DA_SAVE_SAVED && !da_history_same(&a->history, &a->queued))
    state = DA_SAVE_UNSAVED;
  return state;
}

void da_agent_save_counts(da_agent *a, da_save_counts *counts) {
  da_err ignored;
  int fresh;
  memset(counts, 0, sizeof *counts);
  if (a->session && !a->closed && !prepare(a, &fresh, &ignored))
    da_session_counts(a->session, counts);
}

/* ---- the other verbs ---- */

int da_agent_load(da_agent *a, da_err *err) {
  int fresh, code = need_session(a, err);
  if (!code)
    code = da_agent_check_idle(a, err);
  if (!code)
    code = prepare(a, &fresh, err);
  if (!code)
    code = da_agent_requeue(a, err);
  return code ? code : load(a, 0, err);
}

static int remove_other(da_agent *a, const char *id, da_err *err) {
  da_session *other;
  int code = da_session_id_check(id, strlen(id), err);
  if (!code)
    code = open_session(a, &other, id, err);
  if (code)
    return code;
  code = da_session_remove(other, err);
  da_session_close(other);
  return code;
}

int da_agent_delete(da_agent *a, const char *id, da_err *err) {
  const char *ours = a->settings.session_id;
  int own = !id || (ours && strcmp(id, ours) == 0), fresh = 0;
  int code = own ? da_agent_check_idle(a, err) : da_agent_resolve(a, err);
  if (!code && own)
    code = prepare(a, &fresh, err);
  if (code)
    return code;
  if (!own)
    return remove_other(a, id, err);
  code = need_session(a, err);
  if (!code)
    code = da_session_remove(a->session, err);
  if (code == DA_OK || code == DA_ENOTFOUND) {
    da_history_dispose(&a->history);
    da_history_dispose(&a->queued);
    da_buf_reset(&a->meta);
    da_buf_reset(&a->journal);
    read_meta(a);
    da_agent_forget_answer(a);
    da_err_clear(&a->load_err);
    da_err_clear(&a->queue_err);
  } else if (fresh && a->session) { /* it is still there, then */
    da_err ignored;
    load(a, 1, &ignored);
  }
  da_agent_poll(a);
  return code;
}

int da_agent_list(da_agent *a, da_store_ids *ids, da_err *err) {
  unsigned generation;
  da_saver *saver;
  da_backend *b;
  int code;
  if (a->closed)
    return da_fail(err, DA_ECLOSED, "the agent is closed");
  saver = da_runtime_saver(a->runtime, &generation, err);
  code = saver ? da_agent_backend(a, &b, err) : err->code;
  if (code)
    return code;
  code = da_saver_list(saver, b, a->settings.save_timeout, ids, err);
  da_backend_unref(b);
  return code;
}

/* ---- history ---- */

int da_agent_set_history(da_agent *a, da_history *h, da_err *err) {
  int code = da_agent_check_idle(a, err);
  if (!code)
    code = da_limits_history(&a->settings.limits, h, err);
  if (!code)
    code = da_agent_resolve(a, err);
  if (code)
    return code;
  da_history_dispose(&a->history);
  a->history = *h;
  memset(h, 0, sizeof *h);
  da_agent_changed(a);
  return DA_OK;
}

int da_agent_clear(da_agent *a, da_err *err) {
  da_history empty = DA_HISTORY_EMPTY;
  int code = da_agent_check_idle(a, err);
  if (!code)
    code = da_agent_resolve(a, err);
  if (code)
    return code;
  da_buf_reset(&a->journal);
  return da_agent_set_history(a, &empty, err);
}

int da_agent_count(da_agent *a, size_t *messages, da_err *err) {
  int code = da_agent_resolve(a, err);
  if (code)
    return code;
  *messages = a->history.len;
  if (a->load_err.code) {
    *err = a->load_err;
    return err->code;
  }
  return DA_OK;
}

da_text da_agent_message(const da_agent *a, size_t i) {
  return da_message_json(da_history_at(&a->history, i));
}
