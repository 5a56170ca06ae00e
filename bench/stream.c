/* stream.c - the CPU time that a streamed delta costs, in C and through Lua,
** against a bare write callback of libcurl that gets the same stream.
*/
#include <curl/curl.h>
#include <spawn.h>

#include "deepagent.h"
#include "stream_server.h"

enum { ROUNDS = 7 };

extern char **environ;

static double cpu_us(void) {
  return clock_us(CLOCK_PROCESS_CPUTIME_ID);
}

static void make_url(char *url, size_t size, unsigned port, int together) {
  snprintf(url, size, "http://127.0.0.1:%u/%ld/%d/v1", port, (long)getpid(),
           together);
}

/* ---- libcurl alone ---- */

static size_t on_bytes(char *bytes, size_t size, size_t n, void *ctx) {
  (void)bytes;
  *(size_t *)ctx += size * n;
  return size * n;
}

/* Microseconds of CPU for each delta. A first exchange opens the connection,
** as an agent's does. */
static double bare(CURL *easy, unsigned port, int together) {
  char url[128];
  size_t got = 0;
  make_url(url, sizeof url, port, together);
  strcat(url, "/chat/completions");
  curl_easy_setopt(easy, CURLOPT_URL, url);
  curl_easy_setopt(easy, CURLOPT_POSTFIELDS, "{}");
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_bytes);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &got);
  curl_easy_setopt(easy, CURLOPT_PROXY, "");
  double start = cpu_us();
  CURLcode code = curl_easy_perform(easy);
  double took = cpu_us() - start;
  if (code != CURLE_OK)
    die("curl", curl_easy_strerror(code));
  return took / DELTAS;
}

/* ---- deepagent ---- */

static int on_delta(void *ctx, da_text delta, da_err *err) {
  (void)err;
  *(size_t *)ctx += delta.len;
  return DA_OK;
}

static double ours(da_agent *a, unsigned port, int together) {
  char url[128], *text;
  size_t got = 0;
  da_err err;
  make_url(url, sizeof url, port, together);
  must(da_agent_set_base_url(a, url, &err), &err);
  double start = cpu_us();
  int code = da_agent_stream(a, "Go on.", on_delta, &got, &text, &err);
  double took = cpu_us() - start;
  must(code, &err);
  if (got != (size_t)DELTAS * DELTA_TEXT || strlen(text) != got)
    die("stream", "deltas were lost");
  free(text);
  return took / DELTAS;
}

/* ---- through Lua ---- */

/* bench/lua_stream.lua prints its figure. */
static double lua(unsigned port, int together) {
  char command[256];
  double each;
  snprintf(command, sizeof command,
           "exec /usr/bin/lua5.4 bench/lua_stream.lua %u %d", port, together);
  FILE *f = popen(command, "r");
  if (!f || fscanf(f, "%lf", &each) != 1 || pclose(f))
    die("bench/lua_stream.lua", "failed");
  return each;
}

/* ---- all ---- */

int main(void) {
  static const int together[] = {1, TOGETHER};
  static samples s[2][3];
  CURL *easy = curl_easy_init();
  da_runtime *rt;
  da_agent *a;
  da_err err;
  pid_t pid;
  unsigned port = start_server(&pid);
  must(da_runtime_new(&rt, &da_transport_curl, &err), &err);
  must(da_agent_new(&a, rt, "m", "http://127.0.0.1/", NULL, &err), &err);
  for (int i = 0; i < ROUNDS; i++) {
    for (int t = 0; t < 2; t++) {
      sample(&s[t][0], bare(easy, port, together[t]));
      sample(&s[t][1], ours(a, port, together[t]));
      sample(&s[t][2], lua(port, together[t]));
    }
  }
  da_agent_free(a);
  da_runtime_free(rt);
  curl_easy_cleanup(easy);
  sys(kill(pid, SIGTERM), "kill");
  sys(waitpid(pid, NULL, 0), "waitpid");
  row("CPU of a delta by itself, C / bare libcurl", median(&s[0][1]),
      median(&s[0][0]), "us", 1.3);
  row("CPU of a delta by itself, Lua / bare libcurl", median(&s[0][2]),
      median(&s[0][0]), "us", 1.3);
  row("CPU of one of 64 deltas in one write, C", median(&s[1][1]), 1, "us", 1);
  row("CPU of one of 64 deltas in one write, Lua", median(&s[1][2]), 1, "us",
      1);
  note("  bare libcurl, 64 in one write", median(&s[1][0]), 0, "us");
  return 0;
}
