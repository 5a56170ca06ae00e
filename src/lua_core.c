/* lua_core.c - the module deepagent.core (floor 7): what lua/deepagent is
** built on. Users require "deepagent". */
#include "da_version.h"
#include "lua_agent.h"
#include "lua_backend.h"
#include "lua_content.h"
#include "lua_json.h"

__attribute__((visibility("default"))) int
luaopen_deepagent_core(lua_State *L);

int luaopen_deepagent_core(lua_State *L) {
  static const luaL_Reg functions[] = {{"agent", l_agent_new},
                                       {"azure", l_agent_azure},
                                       {"file_backend", l_file_backend},
                                       {"memory_backend", l_memory_backend},
                                       {"native_backend", l_native_backend},
                                       {"image", l_part_image},
                                       {"image_url", l_part_image_url},
                                       {"audio", l_part_audio},
                                       {"file", l_part_file},
                                       {"array", l_json_array},
                                       {"encode", l_json_encode},
                                       {NULL, NULL}};
  static const char here = 0;
  l_pin(&here);
  l_error_open(L);
  l_json_open(L);
  l_runtime_open(L);
  l_backend_open(L);
  l_agent_open(L);
  luaL_newlib(L, functions);
  lua_pushlightuserdata(L, NULL);
  lua_setfield(L, -2, "null");
  lua_pushliteral(L, DA_VERSION);
  lua_setfield(L, -2, "version");
  return 1;
}
