/* da_provider.h - a model that completes conversations (floor 4).
**
** A provider takes a request and gives text deltas while it goes and an
** answer at the end. provider_chat speaks the chat-completions protocol
** over a transport; others are written in C or, behind lua_provider, in
** Lua.
*/
#ifndef DA_PROVIDER_H
#define DA_PROVIDER_H

#include "da_history.h"
#include "da_transport.h"

#define DA_PROVIDER_VERSION 1u

typedef struct da_provider da_provider;
typedef struct da_call da_call;

typedef struct da_request {
  da_text model;
  da_text system;            /* plain text; len 0: none */
  da_text members;           /* further members of the request body, as in
                             ** `"temperature":0.7,"seed":1`; may be empty.
                             ** null: not to be sent, not even by default */
  const da_history *history; /* messages from index `first` on are sent, */
  size_t first;
  const da_history *turn; /* then these: the turn so far, never empty */
  int stream;             /* the caller wants deltas */
  da_timeouts timeouts;
  const char *idempotency_key; /* NULL: none */
} da_request;

/* DA_OK for a model's name that can be sent: not empty, UTF-8, no control
** character. */
int da_model_check(da_text name, da_err *err);

/* What came of it. Texts of JSON are empty where the service sent none. */
typedef struct da_answer {
  da_buf message; /* the assistant's message, a wire object; its tool calls
                  ** each have an id, a name, and arguments as a string */
  size_t calls;   /* how many tool calls it has */
  da_buf text;    /* its text, or the refusal where there is nothing else */
  int refused;    /* 1: it is a refusal */
  int begun;      /* 1: some of it has come, heard or not */
  int cached;     /* 1: it came out of a cache */
  da_buf choices; /* JSON array of the further choices, as they came */
  da_buf logprobs, raw_usage; /* JSON, as they came */
  char finish_reason[32];
  char model[128];
  char request_id[128];
  da_usage usage;
  int has_usage;
} da_answer;

void da_answer_init(da_answer *a);
void da_answer_dispose(da_answer *a);

/* As it was after init and da_answer_limit. */
void da_answer_reset(da_answer *a);

/* Neither its text nor its message may be larger: DA_ETOOLARGE sticks to what
** would be. Right after da_answer_init. */
void da_answer_limit(da_answer *a, size_t bytes);

/* Whether an answer with that finish reason is all that the model would have
** said: DA_OK; DA_ETRUNCATED, DA_EFILTER: it was cut. */
int da_finish_check(const char *finish_reason);

/* Appends the messages to be sent, to the byte, each with a comma behind it. */
void da_request_put_messages(const da_request *r, da_buf *out);

/* Appends `,"name":value` for each of the request's members that is not null;
** *named tells whether `name` is among them, null or not. DA_EINVAL if they
** are not JSON. */
int da_request_put_members(const da_request *r, da_buf *out, const char *name,
                           int *named, da_err *err);

typedef struct da_provider_ops {
  uint32_t version;
  const char *name;
  /* Begins; `r` and what it points to are not needed after the return.
  ** `answer`, `delta` (may be NULL) and `ctx` live until `end`. */
  int (*start)(da_provider *p, da_call **out, const da_request *r,
               da_answer *answer, da_delta_fn delta, void *ctx, da_err *err);
  /* Works for at most about `seconds`. 1: *answer is complete, 0: not yet,
  ** negative: it failed. */
  int (*step)(da_provider *p, da_call *c, double seconds, da_err *err);
  /* Ends a call, broken off if it was not done, and frees it. */
  void (*end)(da_provider *p, da_call *c);
  void (*close)(da_provider *p);
} da_provider_ops;

struct da_provider {
  const da_provider_ops *ops;
};

/* A member of the request, and the name that a service has for it. */
typedef struct da_rename {
  const char *ours, *theirs;
} da_rename;

/* How provider_chat gets its transport: opened at the first request, by
** whom the provider was given. */
typedef da_transport *(*da_transport_fn)(void *ctx, da_err *err);

typedef struct da_chat_options {
  const char *name;           /* "openai", for messages; NULL: "chat" */
  da_text base_url;           /* "https://api.openai.com/v1"; may have a
                              ** query */
  da_text api_key;            /* len 0: none */
  int needs_key;              /* 1: DA_EKEY at `start` without a key */
  const char *key_help;       /* what to set, for that error */
  const char *key_header;     /* NULL: "Authorization: Bearer KEY" */
  const char *const *headers; /* further "Name: value", NULL at the end */
  const da_rename *names;     /* a constant, NULL at the end; NULL: none. What
                              ** the request names by both stays as it is */
  int no_stream_options;      /* 1: not sent by default */
  int drop_thoughts;          /* 1: what led to tool calls (reasoning_content,
                              ** reasoning) is not sent back with them */
  int allow_http, insecure;
  const char *ca_file, *proxy; /* as in da_http_request; NULL: default */
  da_limits limits;            /* each 0: its default */
  da_transport_fn transport;
  void *transport_ctx;
} da_chat_options;

/* Copies the options. DA_EURL, DA_EINVAL (a header, a key with a control
** character), DA_ENOMEM. */
int da_provider_chat(da_provider **out, const da_chat_options *o, da_err *err);

#endif
