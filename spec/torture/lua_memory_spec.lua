--- Every allocation of a lua_State fails, in twenty-two scenes and while the
--- library is loaded: once (Lua collects, tries again, and gets it), once and
--- once more, and for ever. The error tells of the lack of memory, the state
--- gives back every byte, no descriptor or thread stays, nothing hangs, and
--- with memory again the same agent does the same. In the short version every
--- third.

local memory = require "support.memory_play"

local FULL = (os.getenv "DA_FULL" or "") ~= ""
local STEP = FULL and 1 or 3

describe("every allocation of Lua's fails (step " .. STEP .. "):", function()
  for _, name in ipairs { "loading", table.unpack(memory.order) } do
    it(name, function()
      assert(memory.play(name, name == "loading" and STEP * STEP or STEP) > 0)
    end)
  end
end)
