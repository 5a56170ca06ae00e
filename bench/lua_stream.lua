-- lua_stream.lua PORT TOGETHER - for stream.c: prints the microseconds of CPU
-- that a streamed delta costs, `TOGETHER` of them in one write.

local deepagent = require "deepagent"
local lib = require "benchlib"

local DELTAS, TEXT = 10000, 5
local port, together = arg[1], arg[2]

local agent = deepagent.new {
  model = "m",
  base_url = ("http://127.0.0.1:%s/%d/%s/v1"):format(port, lib.pid(),
    together),
}

agent:with_tool { name = "lookup", run = function() return "x" end }

local got = 0
local function on_delta(delta) got = got + #delta end

local best = math.huge
for _ = 1, 3 do -- the first also loads libcurl and opens the connection
  got = 0
  local start = lib.cpu()
  local text = assert(agent:stream("Go on.", on_delta))
  best = math.min(best, lib.cpu() - start)
  assert(got == DELTAS * TEXT and #text == got)
end
print(best / DELTAS)
