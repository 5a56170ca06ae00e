/* da_cache.h - answers that are kept for identical requests (floor 5).
**
** An entry is a session of two messages in a backend, under an id that is a
** hash of the request: the request, whole, with what was said of the answer,
** and the answer. Only the same bytes are the same request. Where the backend
** fails, that is logged, and all goes on as if there were no cache.
*/
#ifndef DA_CACHE_H
#define DA_CACHE_H

#include "da_agent.h"

typedef struct da_cache {
  da_agent *agent;
  da_backend *backend; /* NULL: there is no cache */
  double ttl;
  da_buf request; /* what is asked of whom */
  char id[40];
} da_cache;

/* As the agent's settings say, for this request to the agent's own service,
** whose provider is `p`. */
int da_cache_init(da_cache *c, da_agent *a, const da_provider *p,
                  const da_request *r, da_err *err);
void da_cache_dispose(da_cache *c); /* also of one that is all 0 */

/* 1: *answer is filled as it was. Waits for at most `seconds`, like the
** next. */
int da_cache_find(da_cache *c, da_answer *answer, double seconds);

/* Keeps the answer, if it is one that would do another time. */
void da_cache_keep(da_cache *c, const da_answer *answer, double seconds);

#endif
