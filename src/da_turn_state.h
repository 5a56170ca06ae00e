/* da_turn_state.h - what the files of da_turn share. */
#ifndef DA_TURN_STATE_H
#define DA_TURN_STATE_H

#include "da_attempt.h"
#include "da_turn.h"

typedef enum da_turn_state {
  DA_TURN_ASKING,  /* a request is under way */
  DA_TURN_SAVING,  /* the journal is being saved; then `next` */
  DA_TURN_CALLING, /* the calls of the last answer are run, one a step */
  DA_TURN_ANSWERED
} da_turn_state;

struct da_turn {
  da_agent *agent;
  da_attempt *attempt; /* NULL: no request is under way */
  da_delta_fn delta;
  void *ctx;
  da_history messages; /* the user's, then answers with calls, and results */
  da_answer answer;    /* the last one */
  da_turn_state state, next;
  double deadline; /* da_now() when the whole must be over */
  double saved_by; /* da_now() when saving is not waited for any more */
  size_t asked;    /* index in messages of the answer whose calls are run */
  size_t doubtful; /* as many calls may have been made before a crash */
  size_t begun;    /* as many may have been made: what the journal tells */
  da_tool_entry *approved; /* what is run next, once that is saved */
  int unsaved; /* the calls, or what one gave that must not be made twice, are
                ** not saved yet: no other is made before */
  da_history unnoted;  /* what the journal is still to have, or empty */
  unsigned round;      /* of tools, from 1 */
  da_usage usage;      /* of all its answers */
  da_usage spent;      /* of those that came out of no cache */
  double began, first; /* da_now(): its start; the first delta, or 0 */
};

/* da_turn_ask.c: begins the next request. */
int da_turn_ask(da_turn *t, da_err *err);

/* DA_ETIMEOUT once the whole should be over. */
int da_turn_check_time(const da_turn *t, da_err *err);

/* da_turn_tools.c: whether the answer's calls are whole, and can be understood:
** DA_ETRUNCATED, DA_EFILTER, DA_EPROVIDER. */
int da_turn_check_calls(const da_turn *t, da_err *err);

/* Such calls become part of the turn. DA_ETOOLLIMIT: they are too many. */
int da_turn_begin_calls(da_turn *t, da_err *err);

/* Goes on with the calls that a turn of before has not finished, if any, of
** which `begun` may have been made. */
int da_turn_resume_calls(da_turn *t, size_t begun, da_err *err);

/* Makes the next call, or what comes before it; negative: the turn fails. */
enum {
  DA_TURN_CALLED,     /* there are more */
  DA_TURN_ALL_CALLED, /* each has a result */
  DA_TURN_TO_SAVE     /* first it is to be saved that the call is made */
};
int da_turn_call(da_turn *t, da_err *err);

#endif
