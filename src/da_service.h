/* da_service.h - the services that are known by name, and in what their
** requests differ from OpenAI's (floor 5). */
#ifndef DA_SERVICE_H
#define DA_SERVICE_H

/* A member of the request that has another name here. */
typedef struct da_rename {
  const char *ours, *theirs;
} da_rename;

typedef struct da_service {
  const char *name;
  const char *base_url;   /* NULL: none that everybody has */
  const char *url_env;    /* the variable that says another; may be NULL */
  const char *key_env;    /* the variable that has the key; may be NULL */
  const char *key_help;   /* what to do without a key; NULL: needs none */
  const char *key_header; /* NULL: "Authorization: Bearer KEY" */
  da_rename names[2];     /* ended by a NULL or by their number */
  da_rename headers[2];   /* header, variable that has its value; likewise */
  int no_stream_options;  /* refuses them; tells the usage by itself or not */
  int keeps_reasoning;    /* wants the reasoning_content of tool calls back */
} da_service;

/* Of which nothing is known. */
extern const da_service da_service_chat;

/* NULL: there is none of that name. */
const da_service *da_service_find(const char *name);

/* Azure OpenAI; `version`: of its API, "2024-10-21", or NULL for the one
** without versions. */
const da_service *da_service_azure(const char *version);

/* The service's name for one of our members. */
const char *da_service_member(const da_service *s, const char *name);

#endif
