/* stream_server.h - a chat-completions service that streams as many deltas
** as it is asked for, so many in each write, each write only once the client
** has dealt with the one before and sleeps: as in a real stream, where it is
** the model that one waits for.
**
** POST /<pid>/<together>/...: pid of the client, deltas in one write.
*/
#ifndef BENCH_STREAM_SERVER_H
#define BENCH_STREAM_SERVER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "bench.h"

enum { DELTAS = 10000, TOGETHER = 64, DELTA_TEXT = 5 };

/* A chunk as OpenAI sends it, in a chunk of HTTP's. */
static inline size_t put_delta(char *out, size_t size, int i) {
  char event[400];
  int n = snprintf(
      event, sizeof event,
      "data: {\"id\":\"chatcmpl-C9jhPsYUtVnHeB1Ugq0wOTFpK3Dxm\",\"object\":"
      "\"chat.completion.chunk\",\"created\":1756400000,\"model\":"
      "\"gpt-4o-mini-2024-07-18\",\"service_tier\":\"default\","
      "\"system_fingerprint\":\"fp_8bda4d3a2c\",\"choices\":[{\"index\":0,"
      "\"delta\":{\"content\":\" %04d\"},\"logprobs\":null,"
      "\"finish_reason\":%s}],\"obfuscation\":\"u9Kq\"}\n\n",
      i % 10000, i == DELTAS - 1 ? "\"stop\"" : "null");
  return (size_t)snprintf(out, size, "%x\r\n%s\r\n", (unsigned)n, event);
}

static inline void send_all(int fd, const char *p, size_t len) {
  while (len) {
    ssize_t n = send(fd, p, len, MSG_NOSIGNAL);
    if (n < 0)
      die("server", "the client went away");
    p += n;
    len -= (size_t)n;
  }
}

/* Until the client's main thread sleeps; its CPU time is not disturbed. */
static inline void wait_asleep(int stat_fd) {
  char line[128];
  for (;;) {
    ssize_t n = pread(stat_fd, line, sizeof line - 1, 0);
    if (n <= 0)
      return;
    line[n] = '\0';
    const char *p = strrchr(line, ')');
    if (p && p[2] == 'S')
      return;
    sched_yield();
  }
}

static inline void stream_deltas(int fd, int stat_fd, int together) {
  static char out[TOGETHER * 512];
  size_t len = 0;
  for (int i = 0; i < DELTAS; i++) {
    len += put_delta(out + len, sizeof out - len, i);
    if ((i + 1) % together && i < DELTAS - 1)
      continue;
    wait_asleep(stat_fd);
    send_all(fd, out, len);
    len = 0;
  }
  static const char done[] = "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n";
  wait_asleep(stat_fd);
  send_all(fd, done, sizeof done - 1);
}

/* Reads a request, head and body; 0 at the end of the connection. */
static inline int read_request(int fd, char *in, size_t size) {
  size_t have = 0, want = 0;
  while (!want || have < want) {
    ssize_t n = recv(fd, in + have, size - 1 - have, 0);
    if (n <= 0)
      return 0;
    have += (size_t)n;
    in[have] = '\0';
    const char *body = strstr(in, "\r\n\r\n");
    const char *length = strcasestr(in, "\r\ncontent-length:");
    if (body && length)
      want = (size_t)(body + 4 - in) + strtoul(length + 17, NULL, 10);
  }
  return 1;
}

static inline void serve_streams(int fd) {
  static const char head[] = "HTTP/1.1 200 OK\r\n"
                             "Content-Type: text/event-stream\r\n"
                             "Transfer-Encoding: chunked\r\n\r\n";
  static char in[65536];
  int pid, together, on = 1;
  char path[64];
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  while (read_request(fd, in, sizeof in)) {
    if (sscanf(in, "POST /%d/%d/", &pid, &together) != 2)
      die("server", in);
    snprintf(path, sizeof path, "/proc/%d/task/%d/stat", pid, pid);
    int stat_fd = sys(open(path, O_RDONLY | O_CLOEXEC), path);
    send_all(fd, head, sizeof head - 1);
    stream_deltas(fd, stat_fd, together);
    close(stat_fd);
  }
  close(fd);
}

/* A process of its own, which ends with this one, and has one more for each
** connection. Returns its port. */
static inline unsigned start_server(pid_t *pid, void (*serve)(int fd)) {
  struct sockaddr_in at = {0};
  socklen_t size = sizeof at;
  int fd = sys(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  sys(bind(fd, (struct sockaddr *)&at, sizeof at), "bind");
  sys(listen(fd, 8), "listen");
  sys(getsockname(fd, (struct sockaddr *)&at, &size), "getsockname");
  *pid = (pid_t)sys(fork(), "fork");
  if (*pid) {
    close(fd);
    return ntohs(at.sin_port);
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  signal(SIGCHLD, SIG_IGN);
  for (;;) {
    int connection = sys(accept(fd, NULL, NULL), "accept");
    if (fork() == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      serve(connection);
      _exit(0);
    }
    close(connection);
  }
}

#endif
