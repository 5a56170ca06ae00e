/* da_limits.h - the limits of what is taken from outside (floor 1). The struct
** is in deepagent_types.h. */
#ifndef DA_LIMITS_H
#define DA_LIMITS_H

#include "da_history.h"

/* Puts the default where a limit is 0. DA_EINVAL: one is beyond what it can
** be. */
int da_limits_fill(da_limits *l, da_err *err);

/* DA_OK, or DA_ETOOLARGE for a message whose wire text is larger. */
int da_limits_message(const da_limits *l, const da_message *m, da_err *err);

/* The same for each of them; also DA_ENOMEM. */
int da_limits_history(const da_limits *l, const da_history *h, da_err *err);

#endif
