/* chat_options.h - what a chat provider was told, checked and copied
** (floor 4). */
#ifndef CHAT_OPTIONS_H
#define CHAT_OPTIONS_H

#include "da_provider.h"

typedef struct chat_options {
  char *name, *key_help, *ca_file, *proxy;
  char *url;      /* <base_url>/chat/completions, and its query */
  char **headers; /* "Name: value", without Accept; NULL at the end */
  size_t header_count;
  da_text *secrets; /* parts of headers and URL that must not be shown */
  size_t secret_count;
  const da_rename *names; /* as in da_chat_options, like the next two */
  int no_stream_options, drop_thoughts;
  int lacks_key;  /* one is needed, and there is none */
  int has_accept; /* the user's own */
  int has_idempotency_key;
  int insecure;
  da_limits limits; /* none is 0 */
  da_transport_fn transport;
  void *transport_ctx;
} chat_options;

/* Fills *c, which chat_options_dispose frees, also after a failure.
** DA_EURL, DA_EINVAL, DA_ENOMEM. */
int chat_options_copy(chat_options *c, const da_chat_options *o, da_err *err);
void chat_options_dispose(chat_options *c);

#endif
