/* loopback.h - a server on 127.0.0.1 that answers with raw bytes, from a
** thread of its own. */
#ifndef LOOPBACK_H
#define LOOPBACK_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

/* What is done about one request. */
typedef struct script {
  const char *bytes; /* sent; NULL: nothing */
  size_t len;        /* 0: strlen(bytes) */
  size_t step;       /* bytes at a time, 0: all */
  int pause_ms;      /* after each step */
  enum { CLOSE, KEEP, HANG, RESET } end;
} script;

typedef struct loopback {
  int fd, port;
  const script *scripts; /* for the requests, in the order that they come */
  size_t count;
  pthread_t thread;
  atomic_int next;        /* requests so far */
  atomic_int connections; /* accepted so far */
  atomic_int stop;
  atomic_int open; /* threads that serve a connection */
  pthread_mutex_t lock;
  char seen[64 * 1024]; /* the last request */
} loopback;

typedef struct guest {
  loopback *server;
  int fd;
} guest;

/* Waits for readable bytes; 0 if the server is to stop. */
static int readable(loopback *s, int fd) {
  struct pollfd p = {fd, POLLIN, 0};
  while (!atomic_load(&s->stop))
    if (poll(&p, 1, 20) > 0)
      return 1;
  return 0;
}

/* Reads one request into `seen`; 0 at the end of the connection. */
static int read_request(loopback *s, int fd) {
  static const char name[] = "content-length:";
  char buf[sizeof s->seen];
  size_t used = 0, body = 0;
  char *end = NULL;
  while (!end || used < (size_t)(end - buf) + 4 + body) {
    ssize_t n;
    if (used + 1 == sizeof buf || !readable(s, fd))
      return 0;
    n = read(fd, buf + used, sizeof buf - 1 - used);
    if (n <= 0)
      return 0;
    used += (size_t)n;
    buf[used] = '\0';
    end = strstr(buf, "\r\n\r\n");
    for (char *p = buf; end && p < end; p++)
      if (strncasecmp(p, name, sizeof name - 1) == 0)
        body = (size_t)strtoul(p + sizeof name - 1, NULL, 10);
  }
  pthread_mutex_lock(&s->lock);
  memcpy(s->seen, buf, used + 1);
  pthread_mutex_unlock(&s->lock);
  return 1;
}

static int send_all(loopback *s, int fd, const script *c) {
  size_t len = c->len || !c->bytes ? c->len : strlen(c->bytes);
  size_t step = c->step ? c->step : len;
  for (size_t at = 0; at < len && !atomic_load(&s->stop);) {
    size_t n = len - at < step ? len - at : step;
    ssize_t sent = send(fd, c->bytes + at, n, MSG_NOSIGNAL);
    if (sent <= 0)
      return 0;
    at += (size_t)sent;
    if (c->pause_ms)
      usleep((useconds_t)c->pause_ms * 1000);
  }
  return 1;
}

static void *serve_guest(void *ctx) {
  guest *g = ctx;
  loopback *s = g->server;
  int going = 1;
  while (going && read_request(s, g->fd)) {
    size_t i = (size_t)atomic_fetch_add(&s->next, 1);
    const script *c = &s->scripts[i < s->count ? i : s->count - 1];
    going = send_all(s, g->fd, c) && (c->end == KEEP || c->end == HANG);
    if (c->end == RESET) {
      struct linger hard = {1, 0};
      usleep(20000);
      setsockopt(g->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    }
  }
  close(g->fd);
  free(g);
  atomic_fetch_sub(&s->open, 1);
  return NULL;
}

static void *serve(void *ctx) {
  loopback *s = ctx;
  while (readable(s, s->fd)) {
    guest *g = malloc(sizeof *g);
    pthread_t thread;
    if (!g)
      break;
    g->server = s;
    g->fd = accept(s->fd, NULL, NULL);
    atomic_fetch_add(&s->connections, 1);
    atomic_fetch_add(&s->open, 1);
    if (pthread_create(&thread, NULL, serve_guest, g) != 0)
      abort();
    pthread_detach(thread);
  }
  return NULL;
}

static void loopback_open(loopback *s, const script *scripts, size_t count) {
  struct sockaddr_in a;
  socklen_t len = sizeof a;
  memset(s, 0, sizeof *s);
  memset(&a, 0, sizeof a);
  s->scripts = scripts;
  s->count = count;
  pthread_mutex_init(&s->lock, NULL);
  s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  a.sin_family = AF_INET;
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&a, len) != 0 ||
      listen(s->fd, 64) != 0 ||
      getsockname(s->fd, (struct sockaddr *)&a, &len) != 0 ||
      pthread_create(&s->thread, NULL, serve, s) != 0)
    abort();
  s->port = ntohs(a.sin_port);
}

static void loopback_close(loopback *s) {
  atomic_store(&s->stop, 1);
  pthread_join(s->thread, NULL);
  while (atomic_load(&s->open))
    usleep(1000);
  close(s->fd);
  pthread_mutex_destroy(&s->lock);
}

/* ---- what it often says ---- */

#define OK_HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
#define ANSWER "{\"choices\":[{\"message\":{\"content\":\"Hi\"}}]}"
#define OK_ANSWER OK_HEAD "Content-Length: 42\r\n\r\n" ANSWER
#define SSE_HEAD                                                              \
  "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"                    \
  "X-Request-Id: req_7\r\nConnection: close\r\n\r\n"

#define SERVE(s, ...)                                                         \
  static const script scripts[] = {__VA_ARGS__};                              \
  loopback s;                                                                 \
  loopback_open(&s, scripts, sizeof scripts / sizeof *scripts)

#endif
