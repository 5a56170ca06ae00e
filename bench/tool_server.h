/* tool_server.h - a chat-completions service that asks for a tool until the
** request has the results of so many, and then says "Done.": at once, in
** whole answers, on connections that stay open.
**
** POST /<rounds>/...
*/
#ifndef BENCH_TOOL_SERVER_H
#define BENCH_TOOL_SERVER_H

#include "stream_server.h"

static inline size_t count_results(const char *body) {
  size_t n = 0;
  while ((body = strstr(body, "\"role\":\"tool\""))) {
    n++;
    body++;
  }
  return n;
}

static inline void answer_request(int fd, const char *in) {
  char message[400], body[1000], out[1200];
  size_t results = count_results(in), rounds;
  int n;
  if (sscanf(in, "POST /%zu/", &rounds) != 1)
    die("server", in);
  snprintf(message, sizeof message,
           results >= rounds
               ? "\"content\":\"Done.\"},\"finish_reason\":\"stop\"}]"
               : "\"content\":null,\"tool_calls\":[{\"id\":\"call_%zu\","
                 "\"type\":\"function\",\"function\":{\"name\":\"lookup\","
                 "\"arguments\":\"{\\\"word\\\":\\\"naive\\\"}\"}}]},"
                 "\"finish_reason\":\"tool_calls\"}]",
           results);
  n = snprintf(body, sizeof body,
               "{\"id\":\"chatcmpl-C9jhPsYUtVnHeB1Ugq0wOTFpK3Dxm\","
               "\"object\":\"chat.completion\",\"created\":1756400000,"
               "\"model\":\"gpt-4o-mini-2024-07-18\",\"choices\":[{"
               "\"index\":0,\"message\":{\"role\":\"assistant\",%s,"
               "\"usage\":{\"prompt_tokens\":80,\"completion_tokens\":17,"
               "\"total_tokens\":97}}",
               message);
  n = snprintf(out, sizeof out,
               "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
               "Content-Length: %d\r\n\r\n%s",
               n, body);
  send_all(fd, out, (size_t)n);
}

static inline void serve_tools(int fd) {
  static char in[1 << 20];
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  while (read_request(fd, in, sizeof in))
    answer_request(fd, in);
  close(fd);
}

#endif
