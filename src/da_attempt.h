/* da_attempt.h - one request with all that keeps it up: the tries at one
** service, then those at the next (floor 5). */
#ifndef DA_ATTEMPT_H
#define DA_ATTEMPT_H

#include "da_agent.h"

typedef struct da_attempt da_attempt;

/* Begins. What `r` points to is copied; its idempotency key is ours to make,
** and its total time counts from here over all tries and waits. `answer`,
** `delta` (NULL: nobody listens) and `ctx` live until da_attempt_free; upon
** failure answer->text holds what had come. */
int da_attempt_start(da_attempt **out, da_agent *a, const da_request *r,
                     da_answer *answer, da_delta_fn delta, void *ctx,
                     da_err *err);

/* Works, or waits for the next try, for at most about `seconds`. 1: the
** answer is there; 0: not yet; negative: it failed for good. */
int da_attempt_step(da_attempt *t, double seconds, da_err *err);

/* After a step has returned 1, of an answer that is found to be good: the cache
** may have it. */
void da_attempt_keep(da_attempt *t);

/* Breaks it off if it was not done. NULL is fine. */
void da_attempt_free(da_attempt *t);

#endif
