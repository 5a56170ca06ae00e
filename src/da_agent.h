/* da_agent.h - an agent: settings, history, session (floor 5). The public
** functions are in deepagent.h; these are for the binding. */
#ifndef DA_AGENT_H
#define DA_AGENT_H

#include <stdatomic.h>

#include "da_runtime.h"
#include "da_settings.h"

struct da_agent {
  da_runtime *runtime;
  da_settings settings;
  da_provider *chat; /* made from the settings at the first turn */
  int stale;         /* the settings that it was made of have changed */
  /* The conversation. */
  da_history history;
  da_usage last, total;
  int has_last;       /* there was an answer: */
  da_answer answer;   /* the last one, but for its text */
  double first, took; /* seconds: see da_last */
  da_buf partial;     /* of the last turn, which failed: its text so far */
  /* The session, once it was resolved: at the first use that needs it. */
  int resolved;
  unsigned generation; /* of the runtime when the session was opened */
  da_session *session; /* NULL: no session id */
  da_buf meta;         /* as loaded, a JSON object */
  double created_at;
  da_buf journal;       /* turns that were broken off: da_journal.h */
  char abandoned[256];  /* id of this agent's own in it, "" without */
  da_history fragments; /* what there was of the last turn when it failed */
  da_history queued;    /* what was last given to be saved, or loaded */
  da_err load_err;      /* why the last load failed; DA_OK if it did not */
  da_err queue_err;     /* why the last change could not even be queued */
  int closed;
  da_save_state last_state; /* and error: how it stood when it was closed */
  da_err last_err;
  int talking;          /* a turn is under way */
  atomic_int cancelled; /* it is to end */
  int told_insecure;
  int telling; /* its logger is running */
};

/* Messages as the caller has them, taken from `h`, which is left empty.
** DA_ETOOLARGE: one is beyond the limit. */
int da_agent_set_history(da_agent *a, da_history *h, da_err *err);

/* Replaces what the agent starts from, likewise. */
int da_agent_set_start(da_agent *a, da_history *h, da_err *err);

int da_agent_set_backend(da_agent *a, da_backend *b, da_err *err);

/* NULL: no cache. */
void da_agent_set_cache_backend(da_agent *a, da_backend *b, double ttl);

/* Takes `p`, also upon failure. */
int da_agent_set_provider(da_agent *a, da_provider *p, da_err *err);

/* Chooses the store and loads the session, once. DA_OK also if it could not
** be read (a->load_err tells): the agent answers all the same. DA_ECLOSED,
** DA_ENOMEM ... */
int da_agent_resolve(da_agent *a, da_err *err);

/* DA_EBUSY in the middle of a turn, of the logger, or of a function of the
** session's own store that has called back: the agent must stay as it is. */
int da_agent_check_idle(da_agent *a, da_err *err);

/* The store that the settings mean: a new reference. */
int da_agent_backend(da_agent *a, da_backend **out, da_err *err);

/* Keeps what the turn's last answer said, all but its text; `spent` goes into
** the total. */
void da_agent_answered(da_agent *a, da_answer *take, const da_usage *spent);

/* The turn that is over failed: its text so far is kept, and taken. */
void da_agent_failed(da_agent *a, da_answer *take);

/* Another turn begins: what there was of the last one is forgotten. */
void da_agent_forget_failed(da_agent *a);

/* Nothing was answered yet. */
void da_agent_forget_answer(da_agent *a);

/* Whether turns are kept. */
int da_agent_remembers(const da_agent *a);

/* After a change of the conversation: queues it if it is to be saved. */
void da_agent_changed(da_agent *a);

/* Queues the change that there was no memory for (a->queue_err), if any. */
int da_agent_requeue(da_agent *a, da_err *err);

/* ---- turns that are not finished (da_agent_journal.c) ---- */

/* Notes how far the turn has come (`begun`: see da_journal.h), and queues that
** to be saved. */
int da_agent_journal(da_agent *a, const da_history *turn, size_t begun,
                     da_err *err);

/* The messages of the last one, as da_journal_last gives them. */
int da_agent_unfinished(da_agent *a, da_history *turn, da_err *err);

/* The same, and it is gone on with: it is called by their first's id from
** here on. */
int da_agent_adopt(da_agent *a, da_history *turn, size_t *begun, da_err *err);

/* The turn is over, and so is one that this agent has broken off. 1 if there
** was something of them. */
int da_agent_journal_drop(da_agent *a, da_text id);

/* Waits for at most `seconds` for the journal to be saved: 1, 0 not yet. What
** fails is logged: the turn goes on all the same. */
int da_agent_journal_saved(da_agent *a, double seconds);
/* The provider of its own service, borrowed: DA_EURL, DA_EINVAL ... No
** network. */
int da_agent_provider(da_agent *a, da_provider **out, da_err *err);

/* The same for one of the services that it falls back to. */
int da_agent_service_provider(da_agent *a, da_service *s, da_provider **out,
                              da_err *err);

/* Whether the settings make a provider; DA_EBUSY in the middle of a turn. */
int da_agent_check(da_agent *a, da_err *err);

/* Warns, once, of a service whose certificate is not verified: at a turn, as
** by then the logger is there. */
void da_agent_tell_insecure(da_agent *a, const da_settings *s);

/* Closes the chat provider; no turn may be under way. */
void da_agent_forget_chat(da_agent *a);

/* Hands what happened in the background to the logger. */
void da_agent_poll(da_agent *a);
void da_agent_log(da_agent *a, da_level level, const da_err *about,
                  const char *format, ...) DA_PRINTF(4, 5);

#endif
