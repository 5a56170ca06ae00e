-- Ctrl-C while an answer is waited for.

local child = require "support.child"
local deepagent = require "deepagent"
local patience = require "support.patience"
local test_server = require "support.server"

local SCRIPT = [[
  local deepagent = require "deepagent"
  io.write(io.open "/proc/self/stat":read "n", "\n") io.flush()
  local agent = deepagent.new { base_url = arg[1], model = "m" }
  print(agent[arg[2] ](agent, "Hello", function() end))
  print "and went on"]]

describe("a program that looks at its calls", function()
  it("is not interrupted", function()
    local calls, agent = 0, deepagent.offline()
    debug.sethook(function() calls = calls + 1 end, "c")
    local text, err = agent:ask "x"
    debug.sethook()
    assert.is_nil(err)
    assert.is_string(text)
    assert.is_true(calls > 0)
  end)
end)

describe("an interrupted program", function()
  local server
  setup(function() server = test_server.start() end)
  teardown(function() server:stop() end)
  before_each(function() server:reset() end)

  for _, verb in ipairs { "ask", "stream" } do
    it("ends in the middle of " .. verb, function()
      server:script { { hang = true } }
      local running = child.start(SCRIPT, { args = { server.url, verb } })
      local pid = running:lines()()
      patience.eventually(function() return #server:requests() == 1 end)
      os.execute("kill -INT " .. pid)
      local output, status = running:wait()
      assert.truthy(output:find("interrupted!", 1, true), output)
      assert.falsy(output:find("went on", 1, true))
      assert.not_equal(0, status)
    end)
  end
end)
