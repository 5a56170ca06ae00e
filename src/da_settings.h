/* da_settings.h - what an agent was told to be (floor 5). Plain data that
** can be copied whole, which is what clone() does. */
#ifndef DA_SETTINGS_H
#define DA_SETTINGS_H

#include "da_output.h"
#include "da_provider.h"
#include "da_rate.h"
#include "da_preset.h"
#include "da_store.h"
#include "da_tool.h"
#include "deepagent.h"

/* A list of strings, NULL at the end. */
typedef struct da_strings {
  char **items;
  size_t count;
} da_strings;

/* Members of the request body: names, and their values' JSON. */
typedef struct da_members {
  da_strings names, values;
} da_members;

/* A model of the user's own, shared by an agent and its clones. */
typedef struct da_model {
  unsigned refs;
  da_provider *provider;
} da_model;
void da_model_unref(da_model *m); /* NULL is fine */

/* Other services, shared by an agent and its clones. */
typedef struct da_fallback da_fallback;

typedef struct da_settings {
  /* The service. */
  const da_preset *service; /* a constant */
  char *model, *base_url, *api_key, *ca_file, *proxy;
  int allow_http, insecure;
  da_strings headers;
  da_model *own; /* instead of all the above but `model` */
  /* The request. */
  char *system;
  size_t system_len;
  da_members members; /* those we have a name for */
  da_members extra;   /* those the user names: they win */
  size_t max_history; /* 0: no limit */
  da_timeouts timeouts;
  da_limits limits; /* none is 0 */
  /* The answer. */
  da_output output;
  /* Tools. */
  da_toolbox tools;
  char *tool_choice;   /* NULL: not said */
  int parallel_tools;  /* -1: not said */
  size_t tool_rounds;  /* the most of a turn */
  double tool_timeout; /* seconds; <= 0: none */
  da_approve_fn approve;
  void *approve_ctx;
  /* The conversation. */
  int memory; /* -1: as the session says */
  da_history start;
  /* The session. */
  char *session_id;
  da_backend *backend;
  int auto_save;
  double save_timeout;
  da_conflict on_conflict;
  /* Staying up. */
  da_retry retry;
  da_rate *rate;         /* NULL: no limit */
  da_fallback *fallback; /* NULL: none */
  da_backend *cache;     /* NULL: none */
  double cache_ttl;      /* <= 0: for ever */
  /* Telling. */
  da_log_fn log;
  void *log_ctx;
} da_settings;

typedef struct da_service {
  da_settings settings; /* of the agent that it was of: its service's part */
  da_provider *chat;    /* made from them at the first need */
} da_service;

struct da_fallback {
  unsigned refs;
  size_t count;
  da_service services[];
};
/* The services of `others` as they are set now. */
int da_fallback_new(da_fallback **out, const da_settings *const *others,
                    size_t count, da_err *err);
da_fallback *da_fallback_ref(da_fallback *f); /* NULL is fine, here too: */
void da_fallback_unref(da_fallback *f);

void da_settings_init(da_settings *s);
int da_settings_copy(da_settings *to, const da_settings *from, da_err *err);
void da_settings_dispose(da_settings *s);

/* Replaces *field by a copy of `value` (NULL: by nothing). */
int da_set_string(char **field, const char *value, da_err *err);

/* Adds "Name: value" if it may be sent (DA_EINVAL); the same name again
** replaces the former. */
int da_settings_header(da_settings *s, const char *name, const char *value,
                       da_err *err);

/* DA_EINVAL for "messages", "model" and "stream". */
int da_member_check(const char *name, da_err *err);

/* Sets one of the members, if it passes that check. `json` NULL: null. */
int da_members_set(da_members *m, const char *name, const char *json,
                   da_err *err);

/* Appends `"name":value,"name":value`; a value null means that the member is
** not to be sent, not even by default. */
int da_settings_put_members(const da_settings *s, da_buf *out);

/* Appends one more, unless the user's extra has it. */
void da_settings_put_member(const da_settings *s, da_buf *out,
                            const char *name, da_text json);
/* The same, and before them those of `others` (of that form, checked) that
** have no such name. */
int da_settings_put_over(const da_settings *s, da_text others, da_buf *out);

#endif
