/* da_transport.h - the table through which HTTP is spoken (floor 4).
**
** deepagent's own transport is libcurl's (da_http_curl.c), brought in at
** the first request; a host may give another. A transport object is used
** by one thread at a time and drives all its exchanges together.
*/
#ifndef DA_TRANSPORT_H
#define DA_TRANSPORT_H

#include "da_buf.h"

#define DA_TRANSPORT_VERSION 1u

typedef struct da_transport da_transport;

typedef struct da_http_request {
  const char *url;            /* checked by da_http_check_url */
  const char *const *headers; /* "Name: value", checked; NULL at the end */
  da_text body;               /* POSTed; lives until `end` */
  double connect_timeout;     /* seconds */
  double idle_timeout;        /* seconds without a byte of the body, counted
                              ** from the first one, or from the start if
                              ** `stream` */
  double deadline;            /* da_now() by which all must be over */
  size_t max_header;          /* bytes of all header lines, those of interim
                              ** answers (1xx) and trailers included */
  size_t max_body;            /* bytes, after decompression */
  int stream;                 /* an event stream is expected */
  int insecure;               /* 1: do not verify the certificate */
  const char *ca_file;        /* NULL: the system's authorities */
  const char *proxy;          /* NULL: none, "env": as the environment says,
                              ** else a proxy's URL */
} da_http_request;

/* One exchange. The transport fills it, the provider reads it and takes
** bytes out of `body` as they come. */
typedef struct da_http {
  int done;               /* 1: over; `err` tells how */
  da_err err;             /* code DA_OK if the answer is whole */
  int status;             /* 0 until the header is there */
  da_buf body;            /* received and not yet taken; of an answer with
                          ** status >= 400 only the first 64 KiB */
  char content_type[128]; /* lower case, without parameters */
  char request_id[128];
  char retry_after[64]; /* the headers' texts, "" if none */
  char retry_after_ms[64];
  char should_retry[8];
} da_http;

typedef struct da_transport_ops {
  /* Valid from version 1. */
  uint32_t version;
  const char *name;
  int (*open)(da_transport **out, da_err *err);
  /* Begins an exchange; touches no network yet. */
  int (*start)(da_transport *t, da_http **out, const da_http_request *r,
               da_err *err);
  /* Moves every exchange on; waits at most `seconds` for something to do.
  ** Returns early when any exchange got bytes or ended. */
  int (*step)(da_transport *t, double seconds, da_err *err);
  /* Ends an exchange, breaking it off if it is not done, and frees it. */
  void (*end)(da_transport *t, da_http *h);
  /* No exchange may be left. `forked`: this process is a child of the one
  ** that opened it: free what can be freed, say nothing on any socket. */
  void (*close)(da_transport *t, int forked);
} da_transport_ops;

struct da_transport {
  const da_transport_ops *ops;
};

/* libcurl's, in libdeepagent.a and in the module deepagent.curl. */
extern const da_transport_ops da_transport_curl;

#endif
