/* da_http_head.h - reads the header lines of an answer (floor 4). Pure. */
#ifndef DA_HTTP_HEAD_H
#define DA_HTTP_HEAD_H

#include "da_transport.h"

/* Zeroed but for `http`, which it fills, and `max`. */
typedef struct da_http_head {
  da_http *http;
  size_t max, used; /* bytes of all lines: the most, and so far */
  int full;         /* there were more */
  int status;       /* of the block being read, which may be a 1xx one */
  int complete;     /* the final block is over: what follows are trailers */
  int id_rank;      /* how good the name was that gave the request id */
  char length[24];  /* Content-Length, to see two that differ */
} da_http_head;

/* One line, with its line end. http->status is set once the final block is
** complete. DA_OK, DA_EPROTOCOL for two lengths that differ, DA_ETOOLARGE. */
int da_http_head_line(da_http_head *head, const char *line, size_t len);

#endif
