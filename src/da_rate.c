/* da_rate.c - how many requests a second (floor 0). */
#include "da_rate.h"

#include <stdlib.h>

#include "da_clock.h"

struct da_rate {
  unsigned refs;
  double per_second, burst;
  double tokens, at; /* there were so many at that da_now() */
};

int da_rate_new(da_rate **out, double per_second, int burst, da_err *err) {
  da_rate *r;
  if (!(per_second > 0 && per_second <= 1e6))
    return da_fail(err, DA_EINVAL,
                   "requests a second must be above 0, up to a million");
  if (burst < 1 || burst > 1000000)
    return da_fail(err, DA_EINVAL, "burst must be from 1 to a million");
  r = malloc(sizeof *r);
  if (!r)
    return da_nomem(err);
  r->refs = 1;
  r->per_second = per_second;
  r->burst = r->tokens = burst;
  r->at = da_now();
  *out = r;
  return DA_OK;
}

da_rate *da_rate_ref(da_rate *r) {
  if (r)
    r->refs++;
  return r;
}

void da_rate_unref(da_rate *r) {
  if (r && --r->refs == 0)
    free(r);
}

double da_rate_take(da_rate *r) {
  double now = da_now();
  r->tokens += (now - r->at) * r->per_second;
  r->at = now;
  if (r->tokens > r->burst)
    r->tokens = r->burst;
  if (r->tokens < 1) {
    double wait = (1 - r->tokens) / r->per_second;
    /* Never 0, and not so little that rounding eats it. */
    return wait > 1e-6 ? wait : 1e-6;
  }
  r->tokens -= 1;
  return 0;
}
