/* da_rate.h - how many requests a second: a bucket of tokens, one for each
** request, that fills by and by (floor 0). Shared by those who count
** together; of one thread. */
#ifndef DA_RATE_H
#define DA_RATE_H

#include "da_err.h"

typedef struct da_rate da_rate;

/* `burst` tokens at most, and at first. DA_EINVAL, DA_ENOMEM. */
int da_rate_new(da_rate **out, double per_second, int burst, da_err *err);
da_rate *da_rate_ref(da_rate *r); /* NULL is fine, here too: */
void da_rate_unref(da_rate *r);

/* 0: a token was taken; else the seconds until there may be one. */
double da_rate_take(da_rate *r);

#endif
