/* da_retry.h - whether a request is tried again, and when (floor 1). Pure. */
#ifndef DA_RETRY_H
#define DA_RETRY_H

#include "da_err.h"

/* The longest wait that a service may ask for, seconds. */
#define DA_RETRY_AFTER_MAX 120.0

/* 2 further tries, 0.5 s doubled up to 8 s, no budget. */
void da_retry_init(da_retry *r);

/* DA_OK, or DA_EINVAL naming what is wrong. */
int da_retry_check(const da_retry *r, da_err *err);

/* Seconds to wait after the failure *err of try number `tries` (from 1); -1:
** it is not tried again. `chance`: any from 0 to 1. */
double da_retry_wait(const da_retry *r, int tries, const da_err *err,
                     double chance);

#endif
