-- What goes wrong with a real server: which error it is, and that nothing of
-- it stays behind.

local deepagent = require "deepagent"
local llama = require "e2e.llama"
local process = require "support.process"

describe("a real server that", function()
  local server

  setup(function() server = llama.start() end)
  teardown(function() server:stop() end)

  -- Asked and streamed: the error has this code, and the conversation is as
  -- it was before. The last error.
  local function fails(code, options, question)
    local agent = server:agent(options):with_memory()
    local err
    for _, verb in ipairs { "ask", "stream" } do
      local text
      text, err = agent[verb](agent, question or "Hello", function() end)
      assert.is_nil(text)
      assert.equal(code, err.code, verb .. ": " .. tostring(err))
      assert.equal(0, #agent:get_history())
    end
    return err
  end

  it("does not like a member of the request", function()
    local err = fails("bad_request",
      { extra = { response_format = { type = "nonsense" } } })
    assert.equal(400, err.status)
    assert.is_false(err.retryable)
    assert.is_truthy(err.message:find("nonsense", 1, true), err.message)
  end)

  it("has no such path", function()
    local err = fails("not_found",
      { base_url = server.url:gsub("v1$", "v2") })
    assert.equal(404, err.status)
  end)

  it("has a smaller context than the conversation", function()
    local question = ("the agent "):rep(5000)
    local err = fails("context_length", nil, question)
    assert.equal(400, err.status)
    assert.is_false(err.retryable)

    -- A limited history is sent whole turns at a time, and fits again.
    local agent = server:agent { max_history = 2 }
      :with_messages { { role = "user", content = question },
        { role = "assistant", content = "Yes." } }:with_memory()
    assert(agent:ask("Hello"))
    assert.equal(4, #agent:get_history())
  end)

  it("cannot see", function()
    local err = fails("server", { retry = false }, { "What is it?",
      deepagent.image_url "data:image/png;base64,iVBORw0KGgo=" })
    assert.equal(500, err.status)
    assert.is_truthy(err.message:find("image input is not supported", 1, true),
      err.message)
  end)

  it("wants another key", function()
    local open = server
    server = llama.start("--api-key right")
    finally(function()
      server:stop()
      server = open
    end)
    for _, key in ipairs { false, "sk-wrong-canary" } do
      local err = fails("auth", { api_key = key or nil })
      assert.equal(401, err.status)
      assert.is_false(err.retryable)
      assert.is_nil(tostring(err):find("canary", 1, true))
    end
    assert(server:agent { api_key = "right" }:ask("Hello"))
  end)

  it("is not there", function()
    local err = fails("network", { base_url = ("http://127.0.0.1:%d/v1")
      :format(process.free_port()), timeout = 20 })
    assert.is_true(err.retryable)
  end)

  it("dies in mid-answer", function()
    local mortal = llama.start()
    finally(function() mortal:stop() end)
    local agent = mortal:agent { memory = true, extra = llama.endless }
    local heard = {}
    local text, err = agent:stream("Hello", function(delta)
      heard[#heard + 1] = delta
      if #heard == 3 then mortal:kill("KILL") end
    end)
    assert.is_nil(text)
    assert.is_truthy(err.code == "network" or err.code == "truncated",
      tostring(err))
    assert.is_true(#heard >= 3)
    assert.equal(table.concat(heard), err.text)
    assert.equal(0, #agent:get_history())
    text, err = agent:ask("Are you there?")
    assert.is_nil(text)
    assert.equal("network", err.code, tostring(err))
  end)

  it("falls silent in mid-answer", function()
    local agent = server:agent { memory = true, extra = llama.endless,
      timeout = { idle = 3, total = 60 } }
    local heard = {}
    local text, err = agent:stream("Hello", function(delta)
      heard[#heard + 1] = delta
      if #heard == 3 then server:kill("STOP") end
    end)
    server:kill("CONT")
    assert.is_nil(text)
    assert.equal(table.concat(heard), err.text)
    assert.equal("timeout", err.code, tostring(err))
    assert.equal(0, #agent:get_history())
    server:wait_idle()
  end)

  it("does not answer at all", function()
    server:kill("STOP")
    finally(function() server:kill("CONT") end)
    fails("timeout", { timeout = 1 })
    server:kill("CONT")
    assert(server:agent():ask("Hello"))
  end)
end)
