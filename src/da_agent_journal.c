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
  forget_abandoned(a, id);
  if (da_journal_set(&a->journal, turn, begun))
    return da_nomem(err);
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

int da_agent_journal_saved(da_agent *a, double seconds) {
  da_err err;
  int code;
  if (!a->session || !a->settings.auto_save)
    return 1;
  code = da_agent_requeue(a, &err);
  if (!code)
    code = da_session_flush(a->session, seconds, &err);
  if (code == DA_ETIMEOUT)
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

/* `adopt`: it is gone on with. */
static int read_last(da_agent *a, da_history *turn, size_t *begun, int adopt,
                     da_err *err) {
  int code = da_agent_check_idle(a, err);
  if (!code)
    code = da_agent_resolve(a, err);
  if (!code)
    code = check_read(a, err);
  if (!code)
    code = da_journal_last(da_buf_text(&a->journal), turn, begun, err);
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
