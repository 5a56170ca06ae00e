/* test_agent_http.c - an agent from C, over libcurl, against a socket of this
** program's own; and the public headers by themselves. */
#include "da_agent.h"

#include "check.h"
#include "da_clock.h"
#include "text_kit.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/wait.h>

static da_err err;

/* ---- a server of one answer a connection ---- */

typedef struct server {
  pthread_t thread;
  int fd, port, count;
  const char *answers[8]; /* whole, NULL: the end */
  char requests[8][8192];
} server;

/* Reads one request, header and body; 0 if there is none. */
static int read_request(int fd, char *out, size_t size) {
  size_t used = 0, length = 0;
  const char *end = NULL, *at;
  out[0] = '\0';
  while (!end || used < (size_t)(end - out) + 4 + length) {
    ssize_t n = read(fd, out + used, size - 1 - used);
    if (n <= 0)
      return 0;
    out[used += (size_t)n] = '\0';
    end = strstr(out, "\r\n\r\n");
    at = strcasestr(out, "content-length:");
    if (end && at)
      length = (size_t)strtoul(at + 15, NULL, 10);
  }
  return 1;
}

static void *serve(void *arg) {
  server *s = arg;
  for (s->count = 0; s->answers[s->count]; s->count++) {
    struct pollfd p = {s->fd, POLLIN, 0};
    int fd =
        poll(&p, 1, CHECK_LONG * 1000) == 1 ? accept(s->fd, NULL, NULL) : -1;
    const char *answer = s->answers[s->count];
    if (fd < 0)
      break;
    if (read_request(fd, s->requests[s->count], sizeof s->requests[0])) {
      ssize_t n = write(fd, answer, strlen(answer));
      (void)n;
    }
    shutdown(fd, SHUT_WR);
    close(fd);
  }
  return NULL;
}

/* Starts a server of these answers; `url` gets its base URL. */
static server *start(char *url, size_t size, const char *first,
                     const char *second) {
  server *s = calloc(1, sizeof *s);
  struct sockaddr_in at = {.sin_family = AF_INET};
  socklen_t len = sizeof at;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  s->answers[0] = first;
  s->answers[1] = second;
  s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK_INT(bind(s->fd, (struct sockaddr *)&at, len), 0);
  CHECK_INT(listen(s->fd, 8), 0);
  CHECK_INT(getsockname(s->fd, (struct sockaddr *)&at, &len), 0);
  snprintf(url, size, "http://127.0.0.1:%d/v1", ntohs(at.sin_port));
  CHECK_INT(pthread_create(&s->thread, NULL, serve, s), 0);
  return s;
}

static void stop(server *s) {
  pthread_join(s->thread, NULL);
  close(s->fd);
  free(s);
}

#define HEAD(type)                                                            \
  "HTTP/1.1 200 OK\r\nContent-Type: " type                                    \
  "\r\nx-request-id: req_7\r\nConnection: close\r\n\r\n"

static const char plain[] =
    HEAD("application/json") "{\"id\":\"chatcmpl-1\",\"model\":\"m-1\","
                             "\"choices\":[{\"index\":0,"
                             "\"message\":{\"role\":\"assistant\",\"content\":"
                             "\"Paris.\\u0000\","
                             "\"refusal\":null},\"finish_reason\":\"stop\"}],"
                             "\"usage\":{"
                             "\"prompt_tokens\":9,\"completion_tokens\":2,"
                             "\"total_tokens\":11}}";

static const char streamed[] = HEAD(
    "text/event-stream") "data: "
                         "{\"choices\":[{\"index\":0,\"delta\":{\"role\":"
                         "\"assistant\","
                         "\"content\":\"Mad\"}}]}\n\n"
                         "data: "
                         "{\"choices\":[{\"index\":0,\"delta\":{\"content\":"
                         "\"rid\\ud83d\"}}]"
                         "}\n\n"
                         "data: "
                         "{\"choices\":[{\"index\":0,\"delta\":{\"content\":"
                         "\"\\ude00\"},"
                         "\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

static const char cut[] =
    HEAD("text/event-stream") "data: "
                              "{\"choices\":[{\"index\":0,\"delta\":{"
                              "\"content\":\"Mad\"}}]}\n\n";

static const char refused[] =
    "HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\n"
    "Connection: close\r\n\r\n{\"error\":{\"message\":\"Incorrect API key: "
    "sk-very-secret\",\"code\":\"invalid_api_key\"}}";

/* ---- talking ---- */

static da_runtime *rt;

static da_agent *agent(const char *url) {
  da_agent *a = NULL;
  CHECK_INT(da_runtime_new(&rt, &da_transport_curl, &err), DA_OK);
  CHECK_INT(da_agent_new(&a, rt, "m", url, "sk-very-secret", &err), DA_OK);
  da_agent_set_memory(a, 1);
  return a;
}

static void end(da_agent *a) {
  da_agent_free(a);
  da_runtime_free(rt);
}

static int collect(void *ctx, da_text delta, da_err *e) {
  (void)e;
  return da_buf_put(ctx, delta.data, delta.len);
}

static int is(da_text t, const char *s) {
  return t.len == strlen(s) && memcmp(t.data, s, t.len) == 0;
}

static void check_last(const da_agent *a) {
  da_last last;
  CHECK_INT(da_agent_last(a, &last), 1);
  CHECK(is(last.message, "{\"role\":\"assistant\",\"content\":\"Paris."
                         "\\u0000\",\"refusal\":null}"));
  CHECK(is(last.raw_usage, "{\"prompt_tokens\":9,\"completion_tokens\":2,"
                           "\"total_tokens\":11}"));
  CHECK_INT(last.usage.total, 11);
  CHECK(last.choices.len == 0 && last.logprobs.len == 0 && !last.refused);
  CHECK_STR(last.finish_reason, "stop");
  CHECK_STR(last.model, "m-1");
  CHECK_STR(last.request_id, "req_7");
}

static void asks_and_streams(void) {
  char url[64], *text = NULL;
  server *s = start(url, sizeof url, plain, streamed);
  da_agent *a = agent(url);
  da_buf deltas;
  da_usage last;
  da_last nothing;
  CHECK_INT(da_agent_last(a, &nothing), 0);
  CHECK_STR(da_agent_finish_reason(a), "");
  da_buf_init(&deltas, KIT_CAP);
  CHECK_INT(da_agent_add_header(a, "X-Mine", "yes", &err), DA_OK);
  CHECK_INT(da_agent_ask(a, "Capital of France?", &text, &err), DA_OK);
  CHECK_STR(text, "Paris."); /* and a NUL that the text ends with */
  free(text);
  CHECK_STR(da_agent_finish_reason(a), "stop");
  check_last(a);
  CHECK_INT(da_agent_usage(a, &last, NULL, &err), DA_OK);
  CHECK(last.prompt == 9 && last.completion == 2 && last.total == 11);
  CHECK_INT(da_agent_stream(a, "And of Spain?", collect, &deltas, &text, &err),
            DA_OK);
  CHECK_STR(text, "Madrid\xf0\x9f\x98\x80");
  CHECK_STR(deltas.data, text);
  free(text);
  stop(s);
  da_buf_dispose(&deltas);
  end(a);
}

static int enough(void *ctx, da_text delta, da_err *e) {
  (void)ctx, (void)delta, (void)e;
  return DA_ECANCELLED; /* and no word why */
}

static void stops(void) {
  char url[64], *text = NULL;
  server *s = start(url, sizeof url, streamed, plain);
  da_agent *a = agent(url);
  CHECK_INT(da_agent_stream(a, "Hi", enough, NULL, &text, &err),
            DA_ECANCELLED);
  CHECK_INT(err.code, DA_ECANCELLED);
  CHECK(strstr(err.message, "cancelled") != NULL);
  CHECK_INT(da_agent_ask(a, "Capital of France?", &text, &err), DA_OK);
  free(text);
  stop(s);
  end(a);
}

static void what_is_sent(void) {
  char url[64], line[512], *text = NULL;
  server *s = start(url, sizeof url, plain, plain);
  da_agent *a = agent(url);
  size_t n = 0;
  for (int i = 0; i < 2; i++) {
    CHECK_INT(da_agent_ask(a, "Hi \"you\"", &text, &err), DA_OK);
    free(text);
  }
  pthread_join(s->thread, NULL);
  CHECK(strncmp(s->requests[0], "POST /v1/chat/completions HTTP/1.1\r\n",
                36) == 0);
  CHECK(strcasestr(s->requests[0],
                   "\r\nauthorization: Bearer sk-very-secret\r\n") != NULL);
  CHECK(strstr(s->requests[0], "{\"role\":\"user\",\"content\":"
                               "\"Hi \\\"you\\\"\"}") != NULL);
  CHECK(strstr(s->requests[1], "{\"role\":\"assistant\",\"content\":"
                               "\"Paris.\\u0000\"") != NULL);
  CHECK_INT(da_agent_count(a, &n, &err), DA_OK);
  CHECK_INT(n, 4);
  snprintf(line, sizeof line, "%.*s", (int)da_agent_message(a, 1).len,
           da_agent_message(a, 1).data);
  CHECK(strstr(line, "\"role\":\"assistant\",\"content\":\"Paris.\\u0000\","
                     "\"refusal\":null}") != NULL); /* kept as it came */
  close(s->fd);
  free(s);
  end(a);
}

static void errors(void) {
  char url[64], *text = NULL;
  size_t n = 9;
  server *s = start(url, sizeof url, refused, cut);
  da_agent *a = agent(url);
  CHECK_INT(da_agent_ask(a, "Hi", &text, &err), DA_EAUTH);
  CHECK_INT(err.status, 401);
  CHECK_STR(err.service_code, "invalid_api_key");
  CHECK(strstr(err.message, "sk-very-secret") == NULL);
  CHECK_INT(da_agent_stream(a, "Hi", NULL, NULL, &text, &err), DA_ETRUNCATED);
  CHECK_INT(da_agent_count(a, &n, &err), DA_OK);
  CHECK_INT(n, 0);
  stop(s);
  CHECK_INT(da_agent_ask(a, "Hi", &text, &err),
            DA_ENETWORK); /* nobody there */
  CHECK(err.retryable);
  CHECK_INT(da_agent_set_base_url(a, "http://example.com/v1", &err), DA_OK);
  CHECK_INT(da_agent_ask(a, "Hi", &text, &err), DA_EURL);
  CHECK_INT(da_agent_set_base_url(a, "ftp://127.0.0.1", &err), DA_OK);
  CHECK_INT(da_agent_ask(a, "Hi", &text, &err), DA_EURL);
  end(a);
}

/* A server that accepts and says nothing. */
static void silence(void) {
  static const da_timeouts quick = {0.3, 0.3, 0.3};
  struct sockaddr_in at = {.sin_family = AF_INET};
  socklen_t len = sizeof at;
  char url[64], *text = NULL;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  double begun = da_now();
  da_agent *a;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK_INT(bind(fd, (struct sockaddr *)&at, len), 0);
  CHECK_INT(listen(fd, 8), 0);
  CHECK_INT(getsockname(fd, (struct sockaddr *)&at, &len), 0);
  snprintf(url, sizeof url, "http://127.0.0.1:%d", ntohs(at.sin_port));
  a = agent(url);
  da_agent_set_timeouts(a, &quick);
  CHECK_INT(da_agent_ask(a, "Hi", &text, &err), DA_ETIMEOUT);
  CHECK(da_now() - begun < CHECK_SOON);
  end(a);
  close(fd);
}

/* ---- the named services ---- */

static void openai_and_ollama(void) {
  char url[64], *text = NULL;
  server *s;
  da_agent *a = NULL;
  CHECK_INT(da_runtime_new(&rt, &da_transport_curl, &err), DA_OK);
  unsetenv("OPENAI_API_KEY");
  CHECK_INT(da_openai(&a, rt, "m", NULL, &err), DA_OK);
  CHECK_INT(da_agent_ask(a, "Hi", &text, &err), DA_EKEY);
  CHECK(strstr(err.message, "OPENAI_API_KEY") != NULL);
  da_agent_free(a);
  s = start(url, sizeof url, plain, NULL);
  setenv("OPENAI_API_KEY", "sk-from-env", 1);
  setenv("OPENAI_ORG_ID", "org-1\nX-Evil: 1", 1);
  CHECK_INT(da_openai(&a, rt, "m", NULL, &err), DA_EINVAL);
  setenv("OPENAI_ORG_ID", "org-1", 1);
  setenv("OPENAI_PROJECT_ID", "p\r", 1);
  CHECK_INT(da_openai(&a, rt, "m", NULL, &err), DA_EINVAL);
  unsetenv("OPENAI_PROJECT_ID");
  setenv("OPENAI_BASE_URL", url, 1);
  setenv("OPENAI_ORG_ID", "org-1", 1);
  CHECK_INT(da_openai(&a, rt, "m", NULL, &err), DA_OK);
  CHECK_INT(da_agent_ask(a, "Hi", &text, &err), DA_OK);
  free(text);
  da_agent_free(a);
  pthread_join(s->thread, NULL);
  CHECK(strcasestr(s->requests[0], "Bearer sk-from-env\r\n") != NULL);
  CHECK(strcasestr(s->requests[0], "openai-organization: org-1\r\n") != NULL);
  close(s->fd);
  free(s);
  unsetenv("OPENAI_API_KEY");
  unsetenv("OPENAI_BASE_URL");
  unsetenv("OPENAI_ORG_ID");
  CHECK_INT(da_ollama(&a, rt, "llama", &err), DA_OK);
  end(a);
}

/* ---- forks ---- */

static void fork_between_asks(void) {
  char url[64], *text = NULL;
  server *s = start(url, sizeof url, plain, plain);
  da_agent *a = NULL;
  int status = -1;
  pid_t pid;
  s->answers[2] = plain;
  CHECK_INT(da_runtime_new(&rt, &da_transport_curl, &err), DA_OK);
  CHECK_INT(da_agent_new(&a, rt, "m", url, "k", &err), DA_OK);
  CHECK_INT(da_agent_ask(a, "one", &text, &err), DA_OK);
  free(text);
  pid = fork();
  if (pid == 0) { /* connections of its own */
    alarm(CHECK_LONG);
    CHECK_INT(da_agent_ask(a, "child", &text, &err), DA_OK);
    CHECK_STR(text, "Paris.");
    CHECK_EXIT(check_failed_here);
  }
  CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
  CHECK_INT(status, 0);
  CHECK_INT(da_agent_ask(a, "parent", &text, &err), DA_OK);
  free(text);
  stop(s);
  end(a);
}

/* ---- the headers ---- */

/* 1 if the public headers compile alone with that compiler. */
static int compiles(const char *compiler, const char *language) {
  const char *root = getenv("DA_ROOT");
  char command[2048];
  snprintf(command, sizeof command,
           "cd '%s' && for h in deepagent.h deepagent_store.h "
           "deepagent_types.h; do printf '#include \"%%s\"\\n' $h | "
           "%s -x %s -pedantic -Wall -Wextra -Werror -fsyntax-only -Isrc - "
           "|| exit 1; done",
           root ? root : ".", compiler, language);
  return system(command) == 0;
}

static void headers_in_c99(void) {
  CHECK(compiles("gcc -std=c99", "c"));
}

static void headers_in_cxx(void) {
  CHECK(compiles("g++ -std=c++11", "c++"));
}

/* Each code has a name of its own, and is what it was. */
static void code_names(void) {
#define CHECK_CODE(symbol, number, name)                                      \
  CHECK_INT(symbol, number);                                                  \
  CHECK_STR(da_code_name(number), name);
  DA_CODES(CHECK_CODE)
  CHECK_STR(da_code_name(DA_OK), "ok");
  CHECK_STR(da_code_name(-9999), "unknown");
  CHECK_STR(da_code_name(1), "unknown");
}

int main(void) {
  RUN(asks_and_streams);
  RUN(stops);
  RUN(what_is_sent);
  RUN(errors);
  RUN(silence);
  RUN(openai_and_ollama);
  if (!kit_no_fork())
    RUN(fork_between_asks);
  else
    SKIP("fork_between_asks", kit_no_fork());
  if (system("gcc --version >/dev/null 2>&1") == 0)
    RUN(headers_in_c99);
  else
    SKIP("headers_in_c99", "gcc is not here");
  if (system("g++ --version >/dev/null 2>&1") == 0)
    RUN(headers_in_cxx);
  else
    SKIP("headers_in_cxx", "g++ is not here");
  RUN(code_names);
  return check_done();
}
