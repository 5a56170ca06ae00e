/* lua_curl.c - the module deepagent.curl (floor 7): the HTTP transport, in a
** library of its own so that libcurl is loaded at the first request. */
#include <dlfcn.h>
#include <lua.h>

#include "da_transport.h"

__attribute__((visibility("default"))) int
luaopen_deepagent_curl(lua_State *L);

int luaopen_deepagent_curl(lua_State *L) {
  Dl_info info;
  /* The runtime outlives the module's table: the library stays. */
  if (dladdr((const void *)&da_transport_curl, &info) && info.dli_fname)
    dlopen(info.dli_fname, RTLD_NOW | RTLD_NODELETE);
  lua_pushlightuserdata(L, (void *)&da_transport_curl);
  return 1;
}
