/* start.c - a whole process: what `require "deepagent"`, an agent and a
** loaded conversation of 1,000 messages add to one of Lua's that does
** nothing.
*/
#include <spawn.h>

#include "model.h"

enum { ROUNDS = 150, ALLOWED_US = 3000 };

extern char **environ;

/* Debian's interpreter itself, not the tests' wrapper around it. */
static const char lua[] = "/usr/bin/lua5.4";

static double time_lua(const char *code) {
  char *argv[] = {(char *)(uintptr_t)lua, (char *)(uintptr_t) "-e",
                  (char *)(uintptr_t)code, NULL};
  pid_t pid;
  int status;
  double start = wall_us();
  if (posix_spawn(&pid, lua, NULL, NULL, argv, environ))
    die(lua, "cannot be started");
  sys(waitpid(pid, &status, 0), "waitpid");
  double took = wall_us() - start;
  if (status)
    die(lua, "failed");
  return took;
}

int main(void) {
  static samples nothing, loaded, required;
  char path[512], code[1024];
  scratch(path, sizeof path, "start");
  store_session(path, "start", 1000);
  snprintf(code, sizeof code,
           "local d = require 'deepagent' "
           "local a = d.openai('m', 'key'):with_session_id('start')"
           ":with_memory_backend(d.file_backend{path = '%s'}) "
           "assert(a:load_session())",
           path);
  for (int i = 0; i < ROUNDS; i++) {
    sample(&nothing, time_lua(""));
    sample(&loaded, time_lua(code));
    sample(&required, time_lua("require 'deepagent'"));
  }
  note("  lua5.4 -e \"\"", median(&nothing), 0, "us");
  note("  require only, beyond that", median(&required) - median(&nothing), 0,
       "us");
  row("cold start with 1,000 messages, beyond it",
      median(&loaded) - median(&nothing), ALLOWED_US, "us", 1);
  return 0;
}
