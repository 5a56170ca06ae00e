--- Lua without memory, in each configuration: the sanitizers see what C code
--- loses when an allocation of Lua's fails. Here only some of them do, of
--- all spec/torture/lua_memory_spec.lua takes care.

local memory = require "support.memory_play"

local STEP = 17

describe("an allocation of Lua's fails (step " .. STEP .. "):", function()
  it("loading", function()
    assert(memory.play("loading", STEP * 7) > 0)
  end)
  for _, name in ipairs(memory.order) do
    it(name, function()
      assert(memory.play(name, STEP) > 0)
    end)
  end
end)
