--- Lua without memory: every allocation of a lua_State fails, in turn. Here
--- only some, so that it is quick with a sanitizer, too, which sees what C
--- code loses; all of them are spec/torture/lua_memory_spec.lua's.

local memory = require "support.memory_play"

local FULL = (os.getenv "DA_FULL" or "") ~= ""
local STEP = FULL and 1 or 13

describe("without memory for Lua:", function()
  it("loading", function()
    assert(memory.play("loading", STEP * 7) > 0)
  end)
  for _, name in ipairs(memory.order) do
    it(name, function()
      assert(memory.play(name, STEP) > 0)
    end)
  end
end)
