/* da_agent_journal.c - an agent's turns that are not finished (floor 5).
**
** They are no part of the conversation, which has whole turns only, but are
** saved beside it: so neither another agent nor another process on the same
** session meets half a turn, and none is in the way of the other.
*/
#include <string.h>

#include "da_agent.h"
#include "da_journal.h"
#include "deepagent.h"

#define MOST_UNFINISHED 16

/* One turn that this agent itself broke off is kept: the last. */
static int forget_abandoned(da_agent *a, da_text except) {
  da_text id = {a->abandoned, strlen(a->abandoned)};
  int dropped;
  if (id.len == except.len && memcmp(id.data, except.data, id.len) == 0)
    return 0;
  dropped = da_journal_drop(&a->journal, id);
  a->abandoned[0] = '\0';
  return dropped;
}

int da_agent_journal(da_agent *a, const da_history *turn, size_t begun,
                     da_err *err) {
  da_text id = da_message_id(da_history_at(turn, 0));
  int code;
  forget_abandoned(a, id);
  code = da_journal_set(&a->journal, turn, begun);
  if (code == DA_ETOOLARGE) {
    /* It can be gone on with, but not kept; and what is kept of it does not
    ** tell any more which calls were made. */
    da_fail(err, code, "the unfinished turn is too large to be saved");
    da_agent_log(a, DA_WARN, err, "%s", err->message);
    if (da_journal_drop(&a->journal, id))
      da_agent_changed(a);
    return DA_OK;
  }
  if (code)
    return da_nomem(err);
  if (da_journal_trim(&a->journal, MOST_UNFINISHED))
    da_agent_log(a, DA_WARN, NULL,
                 "the session has more than %d turns that are not finished: "
                 "the oldest is dropped",
                 MOST_UNFINISHED);
  if (id.len < sizeof a->abandoned) {
    memcpy(a->abandoned, id.data, id.len);
    a->abandoned[id.len] = '\0';
  }
  da_agent_changed(a);
  return DA_OK;
}

int da_agent_journal_drop(da_agent *a, da_text id) {
  const da_text none = {"", 0};
  int dropped = da_journal_drop(&a->journal, id);
  return forget_abandoned(a, none) || dropped;
}

/* A store may answer that it came too late itself: that is a failure, and not
** that nothing has come of it yet. */
static int has_failed(const da_agent *a) {
  da_err ignored;
  return da_session_state(a->session, &ignored) == DA_SAVE_FAILED;
}

int da_agent_journal_saved(da_agent *a, double seconds) {
  da_err err;
  int code;
  if (!a->session || !a->settings.auto_save)
    return 1;
  code = da_agent_requeue(a, &err);
  if (!code)
    code = da_session_flush(a->session, seconds, &err);
  if (code == DA_ETIMEOUT && !has_failed(a))
    return 0;
  if (code)
    da_agent_log(a, DA_WARN, &err, "the unfinished turn was not saved: %s",
                 err.message);
  da_agent_poll(a);
  return 1;
}

/* ---- from C ---- */

/* Whether there is one cannot be told of a session that could not be read. */
static int check_read(const da_agent *a, da_err *err) {
  if (a->journal.len || !a->load_err.code)
    return DA_OK;
  *err = a->load_err;
  return err->code;
}

int da_agent_discard_turn(da_agent *a, da_err *err) {
  int code = da_agent_check_idle(a, err);
  if (!code)
    code = da_agent_resolve(a, err);
  if (!code)
    code = check_read(a, err);
  if (!code)
    code = da_journal_pop(&a->journal, err);
  if (!code)
    da_agent_changed(a);
  return code;
}

static int has_message(const da_history *h, da_text id) {
  da_history_iter it;
  da_message *m;
  int found = 0;
  da_history_begin(&it, h, 0);
  while (!found && (m = da_history_next(&it))) {
    da_text other = da_message_id(m);
    found = other.len == id.len && memcmp(other.data, id.data, id.len) == 0;
  }
  da_history_end(&it);
  return found;
}

/* Somebody else may have gone on with the turn: what is stored is looked at, if
** nothing of ours is lost by that. A turn that is not there is still ours, as
** a store need not keep the journal. */
static void look_again(da_agent *a) {
  const da_text none = {"", 0};
  da_buf ours = a->journal, both;
  da_err ignored;
  if (!a->session || !a->settings.auto_save ||
      !da_history_same(&a->history, &a->queued) ||
      da_agent_save_state(a, &ignored) > DA_SAVE_SAVED)
    return;
  da_buf_init(&both, ours.cap);
  da_buf_init(&a->journal, ours.cap);
  if (da_agent_load(a, &ignored) ||
      da_journal_merge(&both, none, da_buf_text(&a->journal),
                       da_buf_text(&ours))) {
    da_buf_dispose(&a->journal);
    da_buf_dispose(&both);
    a->journal = ours;
    return;
  }
  da_buf_dispose(&a->journal);
  da_buf_dispose(&ours);
  a->journal = both;
}

/* The last one that is not part of the conversation by now. */
static int find_last(da_agent *a, da_history *turn, size_t *begun,
                     da_err *err) {
  for (;;) {
    int code = da_journal_last(da_buf_text(&a->journal), turn, begun, err);
    if (code ||
        !has_message(&a->history, da_message_id(da_history_at(turn, 0))))
      return code;
    da_history_dispose(turn);
    da_journal_pop(&a->journal, err);
  }
}

/* `adopt`: it is gone on with. */
static int read_last(da_agent *a, da_history *turn, size_t *begun, int adopt,
                     da_err *err) {
  int code = da_agent_check_idle(a, err);
  if (!code)
    code = da_agent_resolve(a, err);
  if (!code && adopt)
    look_again(a);
  if (!code)
    code = check_read(a, err);
  if (!code)
    code = find_last(a, turn, begun, err);
  if (!code && adopt && da_journal_adopt(&a->journal, turn, *begun)) {
    da_history_dispose(turn);
    code = da_nomem(err);
  }
  return code;
}

int da_agent_unfinished(da_agent *a, da_history *turn, da_err *err) {
  size_t begun;
  return read_last(a, turn, &begun, 0, err);
}

int da_agent_adopt(da_agent *a, da_history *turn, size_t *begun, da_err *err) {
  return read_last(a, turn, begun, 1, err);
}

int da_agent_unfinished_turn(da_agent *a, char **json, da_err *err) {
  da_history turn;
  da_history_iter it;
  da_message *m;
  da_buf out;
  int code = da_agent_unfinished(a, &turn, err);
  if (code)
    return code;
  da_buf_init(&out, SIZE_MAX / 2);
  da_history_begin(&it, &turn, 0);
  while ((m = da_history_next(&it))) {
    da_buf_puts(&out, out.len ? "," : "[");
    da_buf_put(&out, da_message_json(m).data, da_message_json(m).len);
  }
  da_buf_puts(&out, "]");
  code = it.failed ? da_nomem(err) : da_buf_check(&out, "the turn", err);
  da_history_end(&it);
  da_history_dispose(&turn);
  if (code)
    da_buf_dispose(&out);
  else
    *json = da_buf_take(&out, NULL);
  return code;
}
