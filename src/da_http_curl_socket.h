/* da_http_curl_socket.h - the sockets that curl has open for us (floor 4).
** They are opened here so that they do not pass on to programs that the host
** starts, and kept in a list so that a forked child can close its copies. */
#ifndef DA_HTTP_CURL_SOCKET_H
#define DA_HTTP_CURL_SOCKET_H

#include <curl/curl.h>
#include <stddef.h>

typedef struct da_sockets {
  int *fds;
  size_t open, room;
  int starved; /* one was not opened for want of memory */
} da_sockets;

/* curl's open and close callbacks; `ctx` is the list. */
curl_socket_t da_sockets_open(void *ctx, curlsocktype purpose,
                              struct curl_sockaddr *a);
int da_sockets_close(void *ctx, curl_socket_t fd);

/* Closes all, saying nothing on any. */
void da_sockets_abandon(da_sockets *s);
void da_sockets_dispose(da_sockets *s);

#endif
