/* tools.c - what a round of a tool loop costs beyond the network: turns of an
** agent with ROUNDS calls of a tool, by turns with as many bare exchanges by
** libcurl, of the same bodies with the same service. In C, and through Lua.
*/
#include <curl/curl.h>

#include "deepagent.h"
#include "tool_server.h"

enum { ROUNDS = 8, TIMES = 60, LIMIT_US = 100 };

/* ---- the tool ---- */

static int run(void *ctx, const da_tool_call *call, da_tool_result *result,
               da_err *err) {
  static const char text[] = "Artless, too ready to trust; from the French.";
  (void)call, (void)err;
  ++*(size_t *)ctx;
  return da_tool_put(result, text, sizeof text - 1);
}

static void add_tool(da_agent *a, const char *name, void *ctx) {
  da_tool t = {.name = name,
               .description = "What a word means, and where it comes from.",
               .parameters = "{\"type\":\"object\",\"properties\":{\"word\":{"
                             "\"type\":\"string\"}},\"required\":[\"word\"]}",
               .run = run,
               .ctx = ctx};
  da_err err;
  must(da_agent_add_tool(a, &t, &err), &err);
}

/* ---- turns ---- */

static double ours(da_agent *a, size_t *ran) {
  char *text;
  da_err err;
  *ran = 0;
  double start = wall_us();
  int code = da_agent_ask(a, "What does \"naive\" mean?", &text, &err);
  double took = wall_us() - start;
  must(code, &err);
  if (*ran != ROUNDS || strcmp(text, "Done.") != 0)
    die("tools", text);
  free(text);
  return took;
}

/* ---- libcurl alone ---- */

static size_t on_bytes(char *bytes, size_t size, size_t n, void *ctx) {
  (void)bytes;
  *(size_t *)ctx += size * n;
  return size * n;
}

/* A body as our request number `i` is, all but for names and spelling. */
static void put_body(char *out, size_t size, int i) {
  int n = snprintf(
      out, size,
      "{\"model\":\"m\",\"tools\":[{\"type\":\"function\",\"function\":{"
      "\"name\":\"lookup\",\"description\":\"What a word means, and where it "
      "comes from.\",\"parameters\":{\"type\":\"object\",\"properties\":{"
      "\"word\":{\"type\":\"string\"}},\"required\":[\"word\"]}}}],"
      "\"messages\":[{\"role\":\"user\",\"content\":\"What does \\\"naive\\\" "
      "mean?\"}");
  for (int k = 0; k < i; k++)
    n += snprintf(
        out + n, size - (size_t)n,
        ",{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":"
        "\"call_%d\",\"type\":\"function\",\"function\":{\"name\":\"lookup\","
        "\"arguments\":\"{\\\"word\\\":\\\"naive\\\"}\"}}]},{\"role\":"
        "\"tool\","
        "\"tool_call_id\":\"call_%d\",\"content\":\"Artless, too ready to "
        "trust; from the French.\"}",
        k, k);
  snprintf(out + n, size - (size_t)n, "]}");
}

/* All exchanges of a turn. */
static double bare(CURL *easy, const char *url) {
  static char bodies[ROUNDS + 1][16384];
  size_t got = 0;
  for (int i = 0; i <= ROUNDS; i++)
    put_body(bodies[i], sizeof bodies[i], i);
  curl_easy_setopt(easy, CURLOPT_URL, url);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_bytes);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &got);
  curl_easy_setopt(easy, CURLOPT_PROXY, "");
  double start = wall_us();
  for (int i = 0; i <= ROUNDS; i++) {
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, bodies[i]);
    CURLcode code = curl_easy_perform(easy);
    if (code != CURLE_OK)
      die("curl", curl_easy_strerror(code));
  }
  return wall_us() - start;
}

/* ---- through Lua ---- */

/* bench/lua_tools.lua prints its figure, the best of a few. */
static double lua(const char *url) {
  char command[256];
  double turn;
  snprintf(command, sizeof command,
           "exec /usr/bin/lua5.4 bench/lua_tools.lua %s %d", url, ROUNDS);
  FILE *f = popen(command, "r");
  if (!f || fscanf(f, "%lf", &turn) != 1 || pclose(f))
    die("bench/lua_tools.lua", "failed");
  return turn;
}

/* ---- all ---- */

/* The best, as what other processes do only ever adds. */
static double beyond(samples *turn, samples *exchanges) {
  return (quantile(turn, 0) - quantile(exchanges, 0)) / (ROUNDS + 1);
}

int main(void) {
  static samples c, l, b;
  char base[64], url[128];
  size_t ran;
  da_runtime *rt;
  da_agent *a;
  da_err err;
  pid_t pid;
  CURL *easy = curl_easy_init();
  unsigned port = start_server(&pid, serve_tools);
  snprintf(base, sizeof base, "http://127.0.0.1:%u/%d", port, ROUNDS);
  snprintf(url, sizeof url, "%s/chat/completions", base);
  must(da_runtime_new(&rt, &da_transport_curl, &err), &err);
  must(da_agent_new(&a, rt, "m", base, NULL, &err), &err);
  add_tool(a, "lookup", &ran);
  for (int i = 0; i < TIMES; i++) {
    sample(&b, bare(easy, url));
    sample(&c, ours(a, &ran));
    if (i % 20 == 0)
      sample(&l, lua(url));
  }
  da_agent_free(a);
  da_runtime_free(rt);
  curl_easy_cleanup(easy);
  sys(kill(pid, SIGTERM), "kill");
  sys(waitpid(pid, NULL, 0), "waitpid");
  row("a round of tools beyond the network, C", beyond(&c, &b), LIMIT_US, "us",
      1);
  row("a round of tools beyond the network, Lua", beyond(&l, &b), LIMIT_US,
      "us", 1);
  note("  a bare exchange by libcurl", quantile(&b, 0) / (ROUNDS + 1), 0,
       "us");
  return 0;
}
