-- Answers that would never end, given up in the middle: the server hears of
-- it and stops, and the next question works.

local child = require "support.child"
local disk = require "support.disk"
local llama = require "e2e.llama"

describe("an answer that never ends is given up", function()
  local server

  setup(function() server = llama.start() end)
  teardown(function() server:stop() end)

  local function busy()
    assert.is_false(server:idle())
  end

  -- The server is at work until now, and no longer; and works.
  local function stopped(agent)
    server:wait_idle()
    assert.equal(0, #agent:get_history())
    agent:with_extra { ignore_eos = false }
    assert(agent:ask("Hello"))
    assert.equal(2, #agent:get_history())
  end

  local function endless(options)
    return server:agent(options):with_memory():with_extra(llama.endless)
  end

  it("by on_delta, which returns false", function()
    local agent, heard = endless(), 0
    local text, err = agent:stream("Hello", function()
      heard = heard + 1
      if heard < 10 then return end
      busy()
      return false
    end)
    assert.is_nil(text)
    assert.equal("cancelled", err.code, tostring(err))
    assert.equal(10, heard)
    stopped(agent)
  end)

  it("by on_delta, which raises an error", function()
    local agent = endless()
    local text, err = agent:stream("Hello", function()
      busy()
      error("enough")
    end)
    assert.is_nil(text)
    assert.equal("callback_error", err.code, tostring(err))
    assert.is_truthy(err.message:find("enough", 1, true))
    stopped(agent)
  end)

  it("by the total timeout, in spite of all that comes", function()
    local agent = endless { timeout = 1 }
    local text, err = agent:stream("Hello", function() end)
    assert.is_nil(text)
    assert.equal("timeout", err.code, tostring(err))
    stopped(agent:with_timeout(60))
  end)

  it("by the timeout of a question", function()
    local agent = endless { timeout = 1 }
    local text, err = agent:ask("Hello")
    assert.is_nil(text)
    assert.equal("timeout", err.code, tostring(err))
    stopped(agent:with_timeout(60))
  end)

  it("by a limit", function()
    local agent = endless { limits = { body = 100000 } }
    local text, err = agent:stream("Hello", function() end)
    assert.is_nil(text)
    assert.equal("too_large", err.code, tostring(err))
    stopped(agent)
  end)

  it("by the end of the program", function()
    local program = child.start([[
      local deepagent = require "deepagent"
      local agent = deepagent.new { model = "m", base_url = arg[1],
        extra = { ignore_eos = true } }
      agent:stream("Hello", function()
        io.stdout:write(io.open("/proc/self/stat"):read("n"), "\n")
        io.stdout:flush()
      end)]], { args = { server.url } })
    local pid = tonumber(program:lines()())
    busy()
    disk.shell("kill -KILL %d", pid)
    program:wait()
    server:wait_idle()
  end)
end)
