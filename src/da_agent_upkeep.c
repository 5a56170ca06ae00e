/* da_agent_upkeep.c - the settings of what keeps an agent up (floor 5). */
#include <stdlib.h>

#include "da_agent.h"
#include "da_retry.h"

int da_agent_set_retry(da_agent *a, const da_retry *r, da_err *err) {
  int code = da_retry_check(r, err);
  if (!code)
    a->settings.retry = *r;
  return code;
}

int da_agent_set_rate_limit(da_agent *a, double per_second, int burst,
                            da_err *err) {
  da_rate *rate = NULL;
  int code =
      per_second == 0 ? DA_OK : da_rate_new(&rate, per_second, burst, err);
  if (code)
    return code;
  da_rate_unref(a->settings.rate);
  a->settings.rate = rate;
  return DA_OK;
}

/* The services of others are checked now: a fallback that cannot be used is
** found when it is set, not when it is needed. */
static int check_other(const da_agent *a, da_agent *other, da_err *err) {
  if (other->runtime != a->runtime)
    return da_fail(err, DA_EINVAL, "the agents are of different runtimes");
  return da_agent_check(other, err);
}

int da_agent_set_fallback(da_agent *a, da_agent *const *others, size_t count,
                          da_err *err) {
  const da_settings **settings = NULL;
  da_fallback *f = NULL;
  int code = DA_OK;
  if (count) {
    settings = calloc(count, sizeof *settings);
    if (!settings)
      return da_nomem(err);
    for (size_t i = 0; i < count && !code; i++) {
      code = check_other(a, others[i], err);
      settings[i] = &others[i]->settings;
    }
    if (!code)
      code = da_fallback_new(&f, settings, count, err);
    free(settings);
  }
  if (code)
    return code;
  da_fallback_unref(a->settings.fallback);
  a->settings.fallback = f;
  return DA_OK;
}

void da_agent_set_cache_backend(da_agent *a, da_backend *b, double ttl) {
  if (b)
    da_backend_ref(b);
  da_backend_unref(a->settings.cache);
  a->settings.cache = b;
  a->settings.cache_ttl = ttl;
}

int da_agent_set_cache(da_agent *a, da_store *store, double ttl, da_err *err) {
  da_backend *b = NULL;
  int code = store ? da_backend_new(&b, store, err) : DA_OK;
  if (!code)
    da_agent_set_cache_backend(a, b, ttl);
  da_backend_unref(b);
  return code;
}

/* Tries and timeouts are by default what they should be: what was set, before
** or after, stays. */
void da_agent_set_defaults(da_agent *a) {
  if (a->settings.memory < 0)
    a->settings.memory = 1;
}
