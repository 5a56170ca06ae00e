-- A real server that is away for a while, or for good; and one that need not
-- be asked twice.

local deepagent = require "deepagent"
local llama = require "e2e.llama"
local process = require "support.process"

describe("a real server", function()
  local absent = "http://127.0.0.1:%d/v1"

  it("is asked again when it is back", function()
    local port = process.free_port()
    local server
    finally(function() if server then server:stop() end end)
    local agent = deepagent.new { model = "m", timeout = 60, memory = true,
      base_url = absent:format(port), retry = { base = 0.01 } }
    agent:with_logger(function(level, _, fields)
      if level == "info" and fields.code == "network" and not server then
        server = llama.start("--port " .. port)
      end
    end)
    assert(agent:ask("Hello"))
    assert.is_truthy(server)
    assert.equal(2, #agent:get_history())

    server:stop()
    server = nil
    assert(agent:stream("And now?", function() end))
    assert.equal(4, #agent:get_history())
  end)

  it("takes the place of another one", function()
    local server <close> = llama.start()
    local agent = deepagent.new { model = "away", memory = true, retry = false,
      base_url = absent:format(process.free_port()), timeout = 60 }
      :with_fallback(server:agent())
    assert(agent:ask("Hello"))
    assert.equal("bigram", agent:last().model)
    assert.equal(2, #agent:get_history())
    assert(agent:stream("And now?", function() end))
    assert.equal(4, #agent:get_history())
  end)

  it("need not answer twice", function()
    local server <close> = llama.start()
    local cache = deepagent.memory_backend()
    local text = assert(server:agent():with_cache(cache):ask("Hello"))
    local worked = server:worked()
    assert.equal(text, assert(server:agent():with_cache(cache):ask("Hello")))
    assert.equal(worked, server:worked())
    assert(server:agent():with_cache(cache):ask("Hello again"))
    assert.is_true(server:worked() > worked)
  end)
end)
