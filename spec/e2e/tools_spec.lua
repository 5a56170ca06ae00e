-- Tools that the model of a real server calls. Where tools are offered, its
-- template makes it call one after a user's message, and talk after a result;
-- the server lets it write only arguments that fit the tool's schema.

local llama = require "e2e.llama"

describe("tools with a real server", function()
  local server

  setup(function() server = llama.start() end)
  teardown(function() server:stop() end)

  -- A tool that remembers what it was called with.
  local function weather(calls, run)
    return { name = "weather", description = "The weather of a city",
      parameters = { type = "object", required = { "city", "days" },
        properties = { city = { type = "string" },
          days = { type = "integer" } } },
      run = function(args, context)
        calls[#calls + 1] = args
        if run then return run(args, context) end
        return { sky = "clear", days = args.days }
      end }
  end

  local function roles(agent)
    local all = {}
    for i, message in ipairs(assert(agent:get_history())) do
      all[i] = message.role
    end
    return table.concat(all, " ")
  end

  local one_call = "user assistant tool assistant"

  -- The result of the call as the model was told it.
  local function told(agent)
    local message = agent:get_history()[3]
    assert.equal("tool", message.role)
    return message.content
  end

  for _, verb in ipairs { "ask", "stream" } do
    it("are called, and the answer follows: " .. verb, function()
      local calls, deltas = {}, {}
      local agent = server:agent { memory = true }:with_tool(weather(calls))
      local text = assert(agent[verb](agent, "How is the weather?",
        function(delta) deltas[#deltas + 1] = delta end))
      assert.is_true(#text > 0)
      assert.equal(1, #calls)
      assert.equal("string", type(calls[1].city))
      assert.equal("integer", math.type(calls[1].days))
      assert.equal(one_call, roles(agent))

      local history = agent:get_history()
      local call = history[2].tool_calls[1]
      assert.equal("weather", call["function"].name)
      assert.equal(call.id, history[3].tool_call_id)
      assert.is_true(#call.id > 0)
      assert.is_truthy(told(agent):find("clear", 1, true))
      assert.equal(text, history[4].content)
      if verb == "stream" then
        assert.equal(text, table.concat(deltas):sub(-#text))
      end

      -- Both requests of the turn are counted.
      local usage = agent:usage()
      assert.is_true(usage.total.prompt_tokens
        >= agent:last().usage.prompt_tokens)
      -- and the next turn is one as this was
      assert(agent[verb](agent, "And tomorrow?", function() end))
      assert.equal(2, #calls)
      assert.equal(one_call .. " " .. one_call, roles(agent))
    end)
  end

  it("are called if they must", function()
    for _, choice in ipairs { "required", "weather" } do
      local calls = {}
      local agent = server:agent { memory = true }:with_tool(weather(calls))
        :with_tool_choice(choice)
      assert(agent:ask("Hello"))
      assert.equal(1, #calls)
      assert.equal(one_call, roles(agent))
    end
  end)

  -- This model writes something like a call all the same, without an end.
  it("are not called if they must not", function()
    local calls = {}
    local agent = server:agent { memory = true, max_tokens = 20 }
      :with_tool(weather(calls)):with_tool_choice("none")
    assert(agent:ask("Hello"))
    assert.equal(0, #calls)
    assert.equal("user assistant", roles(agent))
  end)

  it("may fail, which the model is told", function()
    local agent = server:agent { memory = true }
      :with_tool(weather({}, function() error("no satellite") end))
    assert(agent:ask("How is the weather?"))
    assert.equal(one_call, roles(agent))
    assert.is_truthy(told(agent):find("no satellite", 1, true))
  end)

  it("may be refused, which the model is told", function()
    local calls, asked = {}, 0
    local agent = server:agent { memory = true }:with_tool(weather(calls))
      :on_tool_call(function()
        asked = asked + 1
        return false, "not today"
      end)
    assert(agent:ask("How is the weather?"))
    assert.same({ 1, 0 }, { asked, #calls })
    assert.is_truthy(told(agent):find("not today", 1, true))
  end)

  it("may take too long, which the model is told", function()
    local agent = server:agent { memory = true, tool_timeout = 0.2 }
      :with_tool(weather({}, function() while true do end end))
    assert(agent:ask("How is the weather?"))
    assert.equal(one_call, roles(agent))
  end)

  it("are not called more often than they may", function()
    local calls = {}
    local agent = server:agent { memory = true, max_tool_rounds = 0 }
      :with_tool(weather(calls))
    local text, err = agent:ask("How is the weather?")
    assert.is_nil(text)
    assert.equal("tool_limit", err.code, tostring(err))
    assert.equal(0, #calls)
    assert.equal(0, #agent:get_history())
    assert.equal("assistant", err.messages[2].role)
    assert(agent:with_max_tool_rounds(1):ask("How is the weather?"))
    assert.equal(1, #calls)
  end)

  it("are not called from an answer that was cut", function()
    local cut = 0
    for _, verb in ipairs { "ask", "stream" } do
      for most = 12, 44, 8 do -- the whole call takes some 60 tokens
        local calls = {}
        local agent = server:agent { memory = true, max_tokens = most }
          :with_tool(weather(calls))
        local text, err = agent[verb](agent, "How is the weather?",
          function() end)
        assert.equal(0, #calls)
        if not text then -- else it is no call yet, but a text
          assert.equal("truncated", err.code, tostring(err))
          assert.equal(0, #agent:get_history())
          cut = cut + 1
        end
      end
    end
    assert.is_true(cut >= 6)
  end)

  it("may be another agent", function()
    local inner = server:agent { extra = { grammar = 'root ::= "inner"' } }
    local agent = server:agent { memory = true }
      :with_tool(inner:as_tool { name = "helper", description = "Helps" })
    assert(agent:ask("Hello"))
    assert.equal(one_call, roles(agent))
    assert.is_truthy(told(agent):find("inner", 1, true))
  end)

  it("may find the server gone", function()
    local mortal <close> = llama.start()
    local calls = {}
    local agent = mortal:agent { memory = true }
      :with_tool(weather(calls, function()
        mortal:kill("KILL")
        return "clear"
      end))
    local text, err = agent:ask("How is the weather?")
    assert.is_nil(text)
    assert.equal("network", err.code, tostring(err))
    assert.equal(1, #calls)
  end)
end)
