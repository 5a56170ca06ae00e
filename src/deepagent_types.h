/* deepagent_types.h - the plain types that every public header shares.
** MIT licence, see LICENSE. */
#ifndef DEEPAGENT_TYPES_H
#define DEEPAGENT_TYPES_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Every error of the library, with the stable name that err.code shows. */
#define DA_CODES(X)                                                           \
  X(DA_ENOMEM, -1, "out_of_memory")                                           \
  X(DA_EINVAL, -2, "invalid_argument")                                        \
  X(DA_ENOTFOUND, -3, "not_found")                                            \
  X(DA_ECONFLICT, -4, "conflict")                                             \
  X(DA_ECORRUPT, -5, "session_corrupt")                                       \
  X(DA_EVERSION, -6, "version_too_new")                                       \
  X(DA_EIO, -7, "io_error")                                                   \
  X(DA_EPERM, -8, "permission_denied")                                        \
  X(DA_EFULL, -9, "disk_full")                                                \
  X(DA_EUNSAFE, -10, "unsafe_file")                                           \
  X(DA_ETOOLARGE, -11, "too_large")                                           \
  X(DA_ETIMEOUT, -12, "timeout")                                              \
  X(DA_ECANCELLED, -13, "cancelled")                                          \
  X(DA_ECLOSED, -14, "closed")                                                \
  X(DA_EBUSY, -15, "busy")                                                    \
  X(DA_EID, -16, "invalid_session_id")                                        \
  X(DA_ENOID, -17, "session_id_required")                                     \
  X(DA_EKEY, -18, "missing_api_key")                                          \
  X(DA_EUTF8, -19, "invalid_utf8")                                            \
  X(DA_EJSON, -20, "invalid_json")                                            \
  X(DA_ECALLBACK, -21, "callback_error")                                      \
  X(DA_EBACKEND, -22, "backend_error")                                        \
  X(DA_EPROVIDER, -23, "provider_error")                                      \
  X(DA_EUNSUPPORTED, -24, "unsupported")                                      \
  X(DA_ETOOLLIMIT, -25, "tool_limit")                                         \
  X(DA_ENETWORK, -30, "network")                                              \
  X(DA_ETLS, -31, "tls")                                                      \
  X(DA_EPROTOCOL, -32, "protocol")                                            \
  X(DA_ETRUNCATED, -33, "truncated")                                          \
  X(DA_EREDIRECT, -34, "redirect")                                            \
  X(DA_EEMPTY, -35, "empty_response")                                         \
  X(DA_ECONTENTTYPE, -36, "content_type")                                     \
  X(DA_EURL, -37, "invalid_url")                                              \
  X(DA_EAUTH, -40, "auth")                                                    \
  X(DA_ERATE, -41, "rate_limited")                                            \
  X(DA_EQUOTA, -42, "quota")                                                  \
  X(DA_EBADREQUEST, -43, "bad_request")                                       \
  X(DA_ECONTEXT, -44, "context_length")                                       \
  X(DA_ESERVER, -45, "server")                                                \
  X(DA_EAPI, -46, "api_error")                                                \
  X(DA_EHTTP, -47, "http_status")                                             \
  X(DA_EREFUSED, -48, "refused")                                              \
  X(DA_EFILTER, -49, "content_filter")                                        \
  X(DA_EOUTPUT, -50, "invalid_output")

#define DA_CODE_ENUM(symbol, number, name) symbol = number,
typedef enum da_code { DA_CODES(DA_CODE_ENUM) DA_OK = 0 } da_code;
#undef DA_CODE_ENUM

/* One error. Plain data: nothing to free, copied by assignment. */
typedef struct da_err {
  int code;              /* da_code */
  int status;            /* HTTP status, 0 where there was none */
  int retryable;         /* 1: the same call may succeed later */
  double retry_after;    /* seconds the service asked for; < 0: nothing */
  char request_id[128];  /* the service's, "" where there was none */
  char service_code[64]; /* the service's own error code, or "" */
  char message[512];     /* UTF-8, no control characters, no secrets */
} da_err;

/* Bytes that somebody else owns; not terminated. */
typedef struct da_text {
  const char *data;
  size_t len;
} da_text;

/* Tokens, as the service counted them. */
typedef struct da_usage {
  int64_t prompt, completion, total;
  int64_t cached;    /* of the prompt: read from the service's cache */
  int64_t reasoning; /* of the completion: thought, not said */
  int64_t audio;     /* of both: heard or spoken */
} da_usage;

/* Seconds; <= 0: none. */
typedef struct da_timeouts {
  double connect; /* until a connection stands */
  double idle;    /* the longest silence in an answer that has begun, or in
                  ** a stream */
  double total;   /* the whole of it */
} da_timeouts;

/* How often a request that failed in passing is tried again. */
typedef struct da_retry {
  int max;       /* further tries; 0: none */
  double base;   /* seconds to wait before the first of them, then twice as
                 ** much each time, each less by up to a half, at random. What
                 ** the service asks for (Retry-After) comes first */
  double cap;    /* the most of that, seconds */
  double budget; /* seconds after its beginning in which a further try of a
                 ** request may begin; 0: as long as it has */
} da_retry;

/* The most that is taken; 0: the default. Beyond one of them a turn ends, in
** bounded memory, with DA_ETOOLARGE, beyond `depth` with DA_EPROTOCOL, and
** the conversation stays as it was. */
typedef struct da_limits {
  size_t line;    /* bytes of a line of an event stream, and of an event:
                  ** 16 MiB */
  size_t header;  /* bytes of all header lines of an answer, those of interim
                  ** ones (1xx) and trailers, too: 256 KiB. libcurl itself
                  ** takes no line above 100 KiB, and some 300 KB in all */
  size_t body;    /* bytes of an answer, unpacked: 64 MiB. Of one with status
                  ** 400 or more only 64 KiB are read, and that is no error */
  size_t depth;   /* levels of JSON in an answer, or in an event: 512, which
                  ** is also the most */
  size_t message; /* bytes of one message as the JSON that is sent: 256 MiB,
                  ** which is also the most. For questions, answers, and what
                  ** the conversation is set to; what a store has, loads */
  size_t result;  /* bytes of a tool's result: 1 MiB. A longer one becomes an
                  ** error that the model reads */
} da_limits;

/* A call of a tool as the model made it; borrowed, for the time of the run. */
typedef struct da_tool_call {
  da_text id, name;
  da_text arguments;   /* JSON, an object that fits the tool's parameters */
  unsigned round;      /* 1: the turn's first answer asked for it */
  double seconds;      /* left for the run; <= 0: no limit */
  const char *session; /* the agent's session id or NULL */
} da_tool_call;

/* What a tool gives back: text, UTF-8. */
typedef struct da_tool_result da_tool_result;

/* A function that the model may call. */
typedef struct da_tool {
  const char *name;        /* 1 to 64 of A-Z a-z 0-9 _ - */
  const char *description; /* for the model; NULL: none */
  const char *parameters;  /* a JSON schema of type "object"; NULL: none */
  int strict;              /* 1: "strict": true is sent */
  int idempotent;          /* 1: after a crash it may be run once more */
  /* DA_OK with the text put into *result (da_tool_put), or negative with
  ** *err filled, whose message the model then reads as the result. */
  int (*run)(void *ctx, const da_tool_call *call, da_tool_result *result,
             da_err *err);
  void (*drop)(void *ctx); /* when nobody has the tool any more; may be NULL */
  void *ctx;
} da_tool;

/* Asked before a tool runs, with arguments that fit. DA_OK: it may; else
** negative with *err filled: DA_EREFUSED is told to the model, with the
** message, anything else ends the turn. */
typedef int (*da_approve_fn)(void *ctx, const da_tool_call *call, da_err *err);

/* A piece of text as it comes: UTF-8, whole characters. 0: go on, else a
** negative code, with *err filled, with which the turn ends. */
typedef int (*da_delta_fn)(void *ctx, da_text delta, da_err *err);

/* For da_store_file. */
typedef struct da_file_options {
  const char *path; /* directory; NULL: $DEEPAGENT_HOME/sessions, else
                    ** ~/.deepagent/sessions */
  int durable;      /* 1: saved means that the disk has it (fsync) */
  size_t max_bytes; /* largest file that is read; 0: 1 GiB */
} da_file_options;

/* An image, audio or another file that goes into a question. */
typedef struct da_media {
  const char *path;   /* a regular file; NULL: */
  da_text bytes;      /* what is in memory */
  const char *name;   /* what the service is told a file is called; NULL: the
                      ** last part of the path */
  const char *type;   /* "image/png" ... NULL: what its first bytes say */
  const char *detail; /* of an image: "low", "high" ... NULL: not sent */
  size_t max_bytes;   /* more is refused; 0: 20 MiB */
} da_media;

/* How it stands with saving a session. */
typedef enum da_save_state {
  DA_SAVE_NONE, /* nothing was to be saved yet */
  DA_SAVE_SAVED,
  DA_SAVE_PENDING,
  DA_SAVE_UNSAVED, /* it has changed, and nobody has asked for a save */
  DA_SAVE_FAILED   /* it is kept, and tried again */
} da_save_state;

/* What happened so far to an agent's saves of its session. */
typedef struct da_save_counts {
  uint64_t saves;       /* it was stored */
  uint64_t failures;    /* it could not be, was kept, and tried again later */
  uint64_t retries;     /* somebody else was just faster: at once again */
  uint64_t merges;      /* it was put after what somebody else had stored */
  uint64_t quarantines; /* corrupt bytes in its place were put aside */
} da_save_counts;

/* What a save does where somebody else has changed the stored session. */
typedef enum da_conflict {
  DA_CONFLICT_MERGE,    /* ours goes after theirs */
  DA_CONFLICT_ERROR,    /* DA_ECONFLICT, until the agent loads */
  DA_CONFLICT_OVERWRITE /* ours takes the place of theirs */
} da_conflict;

typedef enum da_level { DA_DEBUG, DA_INFO, DA_WARN, DA_ERROR } da_level;

/* `code`: of the error that it is about, or DA_OK. Called on the thread that
** uses the agent. `session`: its id or NULL. */
typedef void (*da_log_fn)(void *ctx, da_level level, const char *message,
                          int code, const char *session);

#ifdef __cplusplus
}
#endif
#endif
