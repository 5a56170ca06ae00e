-- Models written in Lua: what they get, what each of their results means,
-- and what they may do in the middle of a turn.

local answers = require "support.answers"
local deepagent = require "deepagent"
local models = require "support.models"

local function acting(behave)
  return deepagent.new { provider = models.acting(behave) }
end

-- The error of an ask that ends with what `behave` does.
local function error_of(behave, verb, ...)
  local agent = acting(behave):with_memory()
  local answer, err = agent[verb or "ask"](agent, "x", ...)
  assert.is_nil(answer)
  assert.same({}, agent:get_history())
  assert.is_nil(agent:last())
  return err
end

describe("a provider in Lua", function()
  it("gets itself, the request as a table, and on_delta #smoke", function()
    local provider = {}
    function provider.complete(self, request, on_delta, ...)
      assert(self == provider and select("#", ...) == 0)
      assert(type(on_delta) == "function")
      assert(request.model == "lua" and #request.messages == 2)
      assert(request.messages[1].role == "system")
      assert(request.messages[2].content == "\0 \u{e9}")
      assert(request.messages[2].id == nil)
      assert(request.messages[2].created_at == nil)
      return "fine"
    end
    local agent = deepagent.new { provider = provider, system = "S" }
    assert.equal("fine", assert(agent:ask("\0 \u{e9}")))
    assert.equal("fine", assert(agent:stream("\0 \u{e9}")))
  end)

  it("may change the request as it likes", function()
    local agent = acting(function(request)
      local text = models.told(request.messages)
      request.messages[1].content = nil
      request.messages, request.model = nil, nil
      return text
    end):with_memory()
    assert.equal("user:a", agent:ask("a"))
    assert.equal("user:a|assistant:user:a|user:b", agent:ask("b"))
  end)

  it("answers with a message, which is kept as it is", function()
    local given = { content = "hi", refusal = deepagent.null,
      annotations = deepagent.array {}, n = 9007199254740993 }
    local agent = acting(function() return given end):with_memory()
    assert.equal("hi", agent:ask("x"))
    local message = agent:get_history()[2]
    assert.equal("assistant", message.role)
    assert.equal(deepagent.null, message.refusal)
    assert.same(deepagent.array {}, message.annotations)
    assert.equal(9007199254740993, message.n)
    assert.is_nil(given.role)
    assert.is_nil(given.id)
  end)

  it("answers with parts, with nothing, or with a text", function()
    for expected, answer in pairs {
      ["ab"] = { content = { { type = "text", text = "a" },
        { type = "text", text = "b" } } },
      [""] = { content = deepagent.null },
      ["text"] = "text",
      ["\0"] = "\0",
      ["json"] = { json = '{"role":"assistant","content":"json"}' },
    } do
      local heard = {}
      local agent = acting(function() return answer end)
      assert.equal(expected, agent:ask("x"))
      assert.equal(expected, agent:stream("x", function(d)
        heard[#heard + 1] = d
      end))
      assert.equal(expected, table.concat(heard))
    end
    assert.equal("", acting(function() return {} end):ask("x"))
    assert.equal("", acting(function() return "" end):ask("x"))
  end)

  it("tells usage, model and finish reason, or does not", function()
    local info
    local agent = acting(function() return "x", info end)
    assert(agent:ask("x"))
    assert.equal("stop", agent:last().finish_reason)
    assert.equal(0, agent:usage().last.total_tokens)
    info = { finish_reason = "length", model = "m2",
      usage = { prompt_tokens = 10, completion_tokens = 5,
        total_tokens = 99 } }
    assert(agent:ask("x"))
    local last = agent:last()
    assert.same({ "length", "m2", "" },
      { last.finish_reason, last.model, last.request_id })
    assert.same(answers.tokens(10, 5, { total_tokens = 99 }), last.usage)
    for _, odd in ipairs { 5, "x", true, {}, { usage = 5 },
      { usage = { prompt_tokens = "1", completion_tokens = -5 } },
      { finish_reason = {}, model = 5 } } do
      info = odd
      assert.equal("x", agent:ask("x"))
      assert.equal(0, agent:usage().last.total_tokens)
    end
  end)

  describe("fails with provider_error when it", function()
    local nothing = setmetatable({}, { __tostring = function() error() end })
    for name, case in pairs {
      ["raises a string"] = { function() error("why", 0) end, "why" },
      ["raises nil"] = { function() error() end, "nil" },
      ["raises what cannot tell itself"] = {
        function() error(nothing) end, "cannot be printed" },
      ["raises a table that can"] = { function()
        error(setmetatable({}, { __tostring = function() return "why" end }))
      end, "why" },
      ["returns nothing"] = { function() end, "nothing" },
      ["returns nil and why"] = { function() return nil, "why" end, "why" },
      ["returns false"] = { function() return false end, "no message" },
      ["returns a number"] = { function() return 5 end, "no message" },
      ["returns a function"] = { function() return print end, "no message" },
      ["returns what is no message"] = {
        function() return { role = 5 } end, "no message" },
      ["returns another's message"] = { function()
        return { role = "user", content = "x" }
      end, "not the assistant's" },
      ["returns a content that is no text"] = {
        function() return { content = 5 } end, "no text" },
      ["returns JSON that is none"] = {
        function() return { role = "assistant", json = "{" } end,
        "no message" },
      ["returns bytes that are no UTF-8"] = {
        function() return "\xff" end, "UTF-8" },
      ["returns a table in a circle"] = { function()
        local t = {}
        t.content = { t }
        return t
      end, "nested" },
      ["returns a table that raises"] = { function()
        return setmetatable({}, { __index = function() error("idx") end })
      end, "idx" },
      ["yields"] = { function() coroutine.yield() end, "yield" },
    } do
      it(name, function()
        for _, verb in ipairs { "ask", "stream" } do
          local err = error_of(case[1], verb)
          assert.equal("provider_error", err.code)
          assert.truthy(err.message:find(case[2], 1, true), err.message)
        end
        coroutine.wrap(function()
          assert.equal("provider_error", error_of(case[1]).code)
        end)()
      end)
    end
  end)

  it("fails with the code that it says", function()
    for _, code in ipairs { "rate_limited", "timeout", "auth", "network" } do
      for _, behave in ipairs {
        function() return nil, { code = code, message = "M" } end,
        function() error { code = code, message = "M" } end,
      } do
        local err = error_of(behave)
        assert.equal(code, err.code)
        assert.equal("M", err.message)
      end
    end
    assert.equal("provider_error",
      error_of(function() return nil, { code = "made_up" } end).code)
    assert.equal("provider_error",
      error_of(function() return nil, { code = 5 } end).code)
  end)

  it("is heard as it goes, and need not be", function()
    local heard
    local agent = acting(function(_, on_delta)
      for word in ("one two three"):gmatch "%S+" do on_delta(word) end
      on_delta("")
      on_delta(4)
      return "whole"
    end)
    heard = {}
    assert.equal("whole", agent:stream("x", function(d)
      heard[#heard + 1] = d
    end))
    assert.same({ "one", "two", "three", "4" }, heard)
    heard = {}
    agent:on_stream(function(d) heard[#heard + 1] = d end)
    assert.equal("whole", agent:ask("x"))
    assert.same({}, heard)
  end)

  it("cannot go on after on_delta has ended the turn", function()
    for name, listener in pairs { cancelled = function() return false end,
      callback_error = function() error("enough", 0) end } do
      local calls = 0
      local function counting(...)
        calls = calls + 1
        return listener(...)
      end
      for _, after in ipairs { function() return "x" end,
        function() return nil, "no" end, function() error("no") end,
        function() return 5 end, function() end } do
        calls = 0
        local err = error_of(function(_, on_delta)
          pcall(on_delta, "a")
          pcall(on_delta, "b")
          return after()
        end, "stream", counting)
        assert.equal(name, err.code)
        assert.equal(1, calls)
      end
      local err = error_of(function(_, on_delta)
        on_delta("a")
        error("not reached")
      end, "stream", counting)
      assert.equal(name, err.code)
    end
  end)

  it("may keep on_delta, but not use it afterwards", function()
    local kept = {}
    local agent = acting(function(_, on_delta)
      kept[#kept + 1] = on_delta
      if #kept > 1 then
        local ok, why = pcall(kept[1], "late")
        assert(not ok and why:find("after complete", 1, true))
      end
      on_delta("now")
      return "now"
    end)
    local heard = {}
    local function listen(delta) heard[#heard + 1] = delta end
    assert.equal("now", agent:stream("x", listen))
    assert.has_error(function() kept[1]("late") end)
    assert.equal("now", agent:stream("x", listen))
    assert.same({ "now", "now" }, heard)
    agent = nil -- luacheck: ignore
    collectgarbage()
    assert.has_error(function() kept[2]("late") end)
  end)

  it("may ask other agents in the middle, any depth", function()
    local innermost = acting(function() return "core" end)
    local agent = innermost
    for level = 1, 20 do
      local inner = agent
      agent = acting(function(_, on_delta)
        on_delta(level .. "(")
        local text = assert(inner:stream("x"))
        on_delta(")")
        return level .. "(" .. text .. ")"
      end)
    end
    local heard = {}
    local text = agent:stream("x", function(d) heard[#heard + 1] = d end)
    assert.truthy(text:find("1(core)", 1, true))
    assert.equal("20()", table.concat(heard))
  end)

  it("may not ask its own agent: busy", function()
    local agent, seen
    agent = acting(function()
      for _, verb in ipairs { "ask", "stream", "set_history", "clear",
        "close" } do
        local result, err = agent[verb](agent,
          verb == "set_history" and {} or "x")
        seen[verb] = result == nil and err.code
      end
      return "x"
    end):with_memory()
    for _ = 1, 2 do
      seen = {}
      assert.equal("x", agent:ask("q"))
      assert.same({ ask = "busy", stream = "busy", set_history = "busy",
        clear = "busy", close = "busy" }, seen)
    end
    assert.equal(4, #agent:get_history())
  end)

  it("is given up to endless recursion without a crash", function()
    local depth = 0
    local function deeper()
      depth = depth + 1
      return assert(acting(deeper):ask("x"))
    end
    local answer, err = acting(deeper):ask("x")
    assert.is_nil(answer)
    assert.equal("provider_error", err.code)
    assert.truthy(depth > 20)
  end)

  it("may be used by many agents, collect garbage, and be dropped",
    function()
      local model = models.acting(function(request)
        collectgarbage()
        return models.told(request.messages)
      end)
      local agents = {}
      for i = 1, 10 do
        agents[i] = deepagent.new { provider = model }:with_memory()
      end
      model = nil -- luacheck: ignore
      collectgarbage()
      for i, agent in ipairs(agents) do
        assert.equal("user:" .. i, agent:ask(tostring(i)))
        agents[i] = false
      end
    end)
end)

describe("a logger", function()
  it("may not close or change its agent: busy", function()
    local agent, seen
    agent = deepagent.offline():with_session_id("s")
      :with_memory_backend("memory"):with_logger(function()
        for _, verb in ipairs { "close", "clear", "ask", "stream",
          "set_history", "save_session", "load_session", "delete_session",
          "flush" } do
          local argument = verb == "set_history" and {}
            or (verb == "ask" or verb == "stream") and "x" or nil
          local result, err = agent[verb](agent, argument)
          assert(result == nil, verb)
          seen[err.code] = (seen[err.code] or 0) + 1
        end
        agent:save_status()
      end)
    for _, verb in ipairs { "ask", "flush", "save_session", "save_status",
      "get_history", "load_session", "clear", "ask", "close" } do
      seen = {}
      assert(agent[verb](agent, verb == "ask" and "x" or nil) ~= nil, verb)
      assert.is_nil(next(seen, next(seen)))
      assert.truthy(next(seen) == nil or next(seen) == "busy", next(seen))
    end
  end)
end)
