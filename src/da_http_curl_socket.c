/* da_http_curl_socket.c - the sockets that curl has open for us (floor 4). */
#include "da_http_curl_socket.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

curl_socket_t da_sockets_open(void *ctx, curlsocktype purpose,
                              struct curl_sockaddr *a) {
  da_sockets *s = ctx;
  int fd;
  (void)purpose;
  if (s->open == s->room) {
    size_t room = s->room ? s->room * 2 : 8;
    int *more = realloc(s->fds, room * sizeof *more);
    if (!more) {
      s->starved = 1;
      return CURL_SOCKET_BAD;
    }
    s->fds = more;
    s->room = room;
  }
  fd = socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
  if (fd < 0)
    return CURL_SOCKET_BAD;
  s->fds[s->open++] = fd;
  return fd;
}

int da_sockets_close(void *ctx, curl_socket_t fd) {
  da_sockets *s = ctx;
  for (size_t i = 0; i < s->open; i++) {
    if (s->fds[i] == fd) {
      s->fds[i] = s->fds[--s->open];
      break;
    }
  }
  return close(fd);
}

void da_sockets_abandon(da_sockets *s) {
  while (s->open)
    close(s->fds[--s->open]);
}

void da_sockets_dispose(da_sockets *s) {
  free(s->fds);
  s->fds = NULL;
  s->open = s->room = 0;
}
