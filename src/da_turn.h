/* da_turn.h - one turn as a machine that is stepped (floor 5): request,
** deltas, answer; where the answer asks for tools, their results and the next
** request; and only at the end a change of the conversation. */
#ifndef DA_TURN_H
#define DA_TURN_H

#include "da_agent.h"

typedef struct da_turn da_turn;

/* Begins a turn with the user's `text`. `delta` NULL: a plain answer is
** asked for. DA_EBUSY if one is under way, DA_EUTF8, DA_EKEY ... */
int da_turn_start(da_turn **out, da_agent *a, da_text text, da_delta_fn delta,
                  void *ctx, da_err *err);

/* The same with a message that was made already; takes `user`, also upon
** failure. DA_ETOOLARGE: it is beyond the limit. */
int da_turn_start_message(da_turn **out, da_agent *a, da_message *user,
                          da_delta_fn delta, void *ctx, da_err *err);

/* Goes on with the agent's last turn that was not finished. A call of which no
** result is known runs again if its tool is idempotent, else the model is told
** so. DA_ENOTFOUND: there is none; DA_ECORRUPT. */
int da_turn_resume(da_turn **out, da_agent *a, da_delta_fn delta, void *ctx,
                   da_err *err);

/* Works for at most about `seconds`, or as long as a tool runs. 1: the answer
** is there; 0: not yet; negative: failed, the conversation is as it was. */
int da_turn_step(da_turn *t, double seconds, da_err *err);

/* The answer's text, after a step returned 1; until da_turn_free. */
da_text da_turn_text(const da_turn *t);

/* Then the conversation gets the turn, and is saved: a caller who cannot take
** the text lets the turn go instead. DA_OK, or everything is as it was. */
int da_turn_keep(da_turn *t, da_err *err);

/* From C: steps the turn to its end, keeps it, and frees it, also upon
** failure. *text is from malloc. */
int da_turn_finish(da_turn *t, char **text, da_err *err);

/* For who wants a stream, and not to hear it. */
int da_turn_no_delta(void *ctx, da_text delta, da_err *err);

/* Breaks the turn off if it was not done. NULL is fine. */
void da_turn_free(da_turn *t);

#endif
