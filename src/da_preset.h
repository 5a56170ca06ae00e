/* da_preset.h - the services that are known by name, and in what their
** requests differ from OpenAI's (floor 5). */
#ifndef DA_PRESET_H
#define DA_PRESET_H

#include "da_provider.h"

typedef struct da_preset {
  const char *name;
  const char *base_url;   /* NULL: none that everybody has */
  const char *url_env;    /* the variable that says another; may be NULL */
  const char *key_env;    /* the variable that has the key; may be NULL */
  const char *key_help;   /* what to do without a key; NULL: needs none */
  const char *key_header; /* NULL: "Authorization: Bearer KEY" */
  da_rename names[3];     /* members of the request; NULL at the end */
  da_rename headers[3];   /* header, variable that has its value; likewise */
  int no_stream_options;  /* refuses them; tells the usage by itself or not */
  int refuses_thoughts;   /* of tool calls, in messages that are sent back */
} da_preset;

/* Of which nothing is known. */
extern const da_preset da_preset_chat;

/* NULL: there is none of that name. */
const da_preset *da_preset_find(const char *name);

/* Azure OpenAI; `version`: of its API, "2024-10-21", or NULL for the one
** without versions. */
const da_preset *da_preset_azure(const char *version);

#endif
