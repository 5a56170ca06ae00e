/* da_agent_provider.c - the provider that an agent's settings mean
** (floor 5). */
#include <string.h>

#include "da_agent.h"

static int chat_new(da_provider **out, const da_settings *s, da_runtime *rt,
                    da_err *err) {
  da_chat_options o;
  memset(&o, 0, sizeof o);
  o.name = s->service->name;
  o.base_url.data = s->base_url ? s->base_url : "";
  o.base_url.len = strlen(o.base_url.data);
  o.api_key.data = s->api_key ? s->api_key : "";
  o.api_key.len = strlen(o.api_key.data);
  o.needs_key = s->service->key_help != NULL;
  o.key_help = s->service->key_help;
  o.key_header = s->service->key_header;
  o.names = s->service->names;
  o.no_stream_options = s->service->no_stream_options;
  o.drop_thoughts = s->service->refuses_thoughts;
  o.headers = (const char *const *)s->headers.items;
  o.allow_http = s->allow_http;
  o.insecure = s->insecure;
  o.ca_file = s->ca_file;
  o.proxy = s->proxy;
  o.limits = s->limits;
  o.transport = da_runtime_transport;
  o.transport_ctx = rt;
  return da_provider_chat(out, &o, err);
}

int da_agent_provider(da_agent *a, da_provider **out, da_err *err) {
  int code = DA_OK;
  if (a->settings.own) {
    *out = a->settings.own->provider;
    return DA_OK;
  }
  if (!a->chat || a->stale) {
    da_agent_forget_chat(a);
    a->stale = 0;
    code = chat_new(&a->chat, &a->settings, a->runtime, err);
  }
  *out = a->chat;
  return code;
}

int da_agent_service_provider(da_agent *a, da_service *s, da_provider **out,
                              da_err *err) {
  int code = DA_OK;
  if (s->settings.own)
    *out = s->settings.own->provider;
  else if (s->chat ||
           !(code = chat_new(&s->chat, &s->settings, a->runtime, err)))
    *out = s->chat;
  return code;
}

int da_agent_check(da_agent *a, da_err *err) {
  da_provider *p;
  if (a->talking)
    return da_fail(err, DA_EBUSY, "the agent is in the middle of a turn");
  return da_agent_provider(a, &p, err);
}

void da_agent_tell_insecure(da_agent *a, const da_settings *s) {
  if (!s->insecure || s->own || !a->settings.log || a->told_insecure)
    return;
  a->told_insecure = 1;
  da_agent_log(a, DA_WARN, NULL,
               "certificates are not verified: whoever is in between can "
               "read the key and change the answers");
}
