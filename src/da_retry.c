/* da_retry.c - whether a request is tried again, and when (floor 1). */
#include "da_retry.h"

void da_retry_init(da_retry *r) {
  r->max = 2;
  r->base = 0.5;
  r->cap = 8;
  r->budget = 0;
}

/* Written so that a NaN is out of range, too. */
static int within(double value, double low, double high) {
  return value >= low && value <= high;
}

int da_retry_check(const da_retry *r, da_err *err) {
  if (r->max < 0 || r->max > 100)
    return da_fail(err, DA_EINVAL, "max must be from 0 to 100");
  if (!within(r->base, 0, 3600))
    return da_fail(err, DA_EINVAL, "base must be from 0 to 3600 seconds");
  if (!within(r->cap, 0, 3600))
    return da_fail(err, DA_EINVAL, "cap must be from 0 to 3600 seconds");
  if (!within(r->budget, 0, 1e9))
    return da_fail(err, DA_EINVAL, "budget must be from 0 to 1e9 seconds");
  return DA_OK;
}

/* Doubled each time; half of it at random, so that those who failed together
** do not come back together. */
static double backoff(const da_retry *r, int tries, double chance) {
  double wait = r->base;
  while (--tries > 0 && wait < r->cap)
    wait *= 2;
  if (wait > r->cap)
    wait = r->cap;
  return wait * (0.5 + 0.5 * chance);
}

double da_retry_wait(const da_retry *r, int tries, const da_err *err,
                     double chance) {
  if (!err->retryable || tries > r->max)
    return -1;
  if (err->retry_after < 0)
    return backoff(r, tries, chance);
  return err->retry_after <= DA_RETRY_AFTER_MAX ? err->retry_after : -1;
}
