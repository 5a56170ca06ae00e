/* da_settings_fallback.c - other services to go to (floor 5). */
#include <stdlib.h>
#include <string.h>

#include "da_settings.h"

/* A conversation, its tools and its session are not of a service. */
static int service_init(da_service *s, const da_settings *from, da_err *err) {
  int code = da_settings_copy(&s->settings, from, err);
  if (code)
    return code;
  da_toolbox_dispose(&s->settings.tools);
  da_history_dispose(&s->settings.start);
  da_backend_unref(s->settings.backend);
  da_backend_unref(s->settings.cache);
  da_fallback_unref(s->settings.fallback);
  s->settings.backend = s->settings.cache = NULL;
  s->settings.fallback = NULL;
  s->settings.log = NULL;
  return DA_OK;
}

int da_fallback_new(da_fallback **out, const da_settings *const *others,
                    size_t count, da_err *err) {
  da_fallback *f = calloc(1, sizeof *f + count * sizeof *f->services);
  int code = DA_OK;
  if (!f)
    return da_nomem(err);
  f->refs = 1;
  while (f->count < count && !code) {
    code = service_init(&f->services[f->count], others[f->count], err);
    f->count += !code;
  }
  if (code)
    da_fallback_unref(f);
  else
    *out = f;
  return code;
}

da_fallback *da_fallback_ref(da_fallback *f) {
  if (f)
    f->refs++;
  return f;
}

void da_fallback_unref(da_fallback *f) {
  if (!f || --f->refs > 0)
    return;
  for (size_t i = 0; i < f->count; i++) {
    da_service *s = &f->services[i];
    if (s->chat)
      s->chat->ops->close(s->chat);
    da_settings_dispose(&s->settings);
  }
  free(f);
}
