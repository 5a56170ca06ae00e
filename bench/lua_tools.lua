-- lua_tools.lua URL ROUNDS - for tools.c: prints the microseconds that a turn
-- takes in which a tool written in Lua is called so many times, the best of a
-- few.

local deepagent = require "deepagent"
local lib = require "benchlib"

local base = arg[1]:gsub("/chat/completions$", "")
local rounds = math.tointeger(tonumber(arg[2]))

local ran
local agent = deepagent.new { model = "m", base_url = base }
agent:with_tool {
  name = "lookup",
  description = "What a word means, and where it comes from.",
  parameters = { type = "object", properties = { word = { type = "string" } },
    required = deepagent.array { "word" } },
  run = function(args)
    assert(args.word == "naive")
    ran = ran + 1
    return "Artless, too ready to trust; from the French."
  end,
}

local best = math.huge
for _ = 1, 30 do -- the first also loads libcurl and opens the connection
  ran = 0
  local start = lib.now()
  local text = assert(agent:ask 'What does "naive" mean?')
  best = math.min(best, lib.now() - start)
  assert(text == "Done." and ran == rounds)
end
print(best)
