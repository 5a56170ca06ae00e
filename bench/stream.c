/* stream.c - the CPU time that a streamed delta costs, in C and through Lua,
** against a bare write callback of libcurl that gets the same stream. The
** agents have a tool, which could be called for at any delta.
*/
#include <curl/curl.h>

#include "deepagent.h"
#include "stream_server.h"

/* All take their best of so many: what other processes do to this one's
** caches, and the dozing of the processor, only ever adds. Three in a row, as
** the first one pays for the connection.
*/
enum { ROUNDS = 6, IN_A_ROW = 3 };

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

/* Microseconds of CPU for each delta. */
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

static int run(void *ctx, const da_tool_call *call, da_tool_result *result,
               da_err *err) {
  (void)ctx, (void)call, (void)err;
  return da_tool_put(result, "x", 1);
}

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

static double smaller(double a, double b) {
  return a < b ? a : b;
}

static double best(samples *s) {
  return quantile(s, 0);
}

static void take_turns(samples s[3], CURL *easy, da_agent *a, unsigned port,
                       int together) {
  double b = 1e9, o = 1e9;
  for (int i = 0; i < IN_A_ROW; i++)
    b = smaller(b, bare(easy, port, together));
  for (int i = 0; i < IN_A_ROW; i++)
    o = smaller(o, ours(a, port, together));
  sample(&s[0], b);
  sample(&s[1], o);
  sample(&s[2], lua(port, together));
}

int main(void) {
  static samples s[2][3];
  CURL *easy = curl_easy_init();
  da_runtime *rt;
  da_agent *a;
  da_err err;
  pid_t pid;
  unsigned port = start_server(&pid, serve_streams);
  must(da_runtime_new(&rt, &da_transport_curl, &err), &err);
  must(da_agent_new(&a, rt, "m", "http://127.0.0.1/", NULL, &err), &err);
  must(da_agent_add_tool(a, &(da_tool){.name = "lookup", .run = run}, &err),
       &err);
  for (int i = 0; i < ROUNDS; i++) {
    take_turns(s[0], easy, a, port, 1);
    take_turns(s[1], easy, a, port, TOGETHER);
  }
  da_agent_free(a);
  da_runtime_free(rt);
  curl_easy_cleanup(easy);
  sys(kill(pid, SIGTERM), "kill");
  sys(waitpid(pid, NULL, 0), "waitpid");
  row("CPU of a delta by itself, C / bare libcurl", best(&s[0][1]),
      best(&s[0][0]), "us", 1.3);
  row("CPU of a delta by itself, Lua / bare libcurl", best(&s[0][2]),
      best(&s[0][0]), "us", 1.3);
  row("CPU of one of 64 deltas in one write, C", best(&s[1][1]), 1, "us", 1);
  row("CPU of one of 64 deltas in one write, Lua", best(&s[1][2]), 1, "us", 1);
  note("  bare libcurl, 64 in one write", best(&s[1][0]), 0, "us");
  return 0;
}
