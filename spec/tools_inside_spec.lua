-- Tools that use agents while they run, also their own; agents as tools;
-- clones; and what is left of tools when nobody has them any more.

local deepagent = require "deepagent"
local json = require "dkjson"
local tooled = require "support.tooled"

local call, tool = tooled.call, tooled.tool

local function agent(steps, options)
  options = options or {}
  options.provider = tooled.model(steps)
  return deepagent.new(options), options.provider
end

local function result(model, n)
  return tooled.results(model.requests[2])[n or 1].content
end

local function nothing() end

describe("a tool", function()
  it("may ask another agent", function()
    local other, heard = agent { "Rome" }
    local a, model = agent { { call("f", '{"q":"Where?"}') }, "done" }
    a:with_tool(tool("f", function(arguments)
      return other:ask(arguments.q)
    end))
    assert.equal("done", a:ask "go")
    assert.equal("Rome", result(model))
    assert.equal("Where?", heard.requests[1].messages[1].content)
  end)

  it("that is stopped within another agent says just that", function()
    local loop = function() while true do end end
    for _, inside in ipairs {
      function()
        return deepagent.new { provider = { complete = loop } }:ask "x"
      end,
      function()
        return (agent { function(_, on_delta) on_delta "x" end })
          :stream("x", loop)
      end,
    } do
      local a, model = agent { { call "f" }, "done" }
      a:with_tool_timeout(0.05):with_tool(tool("f", inside))
      assert.equal("done", a:ask "go")
      local content = result(model)
      assert.truthy(content:find("its time was over", 1, true)
        or content:find("it took longer", 1, true), content)
    end
  end)

  it("may not use its own agent's turn", function()
    local a, model = agent { { call "f" }, "done" }
    a:with_memory()
    local codes = {}
    a:with_tool(tool("f", function()
      for _, use in ipairs {
        function() return a:ask "x" end,
        function() return a:stream("x", nothing) end,
        function() return a:resume() end,
        function() return a:discard_turn() end,
        function() return a:unfinished_turn() end,
        function() return a:set_history {} end,
        function() return a:clear() end,
        function() return a:close() end,
      } do
        local value, err = use()
        assert(value == nil)
        assert(err.messages == nil)
        codes[#codes + 1] = err.code
      end
      return "ok"
    end))
    assert.equal("done", a:ask "go")
    assert.equal("ok", result(model))
    assert.same({ "busy", "busy", "busy", "busy", "busy", "busy", "busy",
      "busy" }, codes)
    assert.equal(4, #a:get_history())
  end)

  it("may look at its own agent, and collect garbage", function()
    local a, model = agent({ "first", { call "f" }, "done" })
    a:with_memory()
    assert.equal("first", a:ask "one")
    a:with_tool(tool("f", function()
      collectgarbage()
      assert(#a:get_history() == 2)
      assert(a:usage() and a:last() and tostring(a))
      assert(a:clone())
      collectgarbage()
      return "ok"
    end))
    assert.equal("done", a:ask "go")
    assert.equal("ok", tooled.results(model.requests[3])[1].content)
  end)

  it("may replace itself while it runs", function()
    local a, model = agent { { call "f", call "f" }, { call "f" }, "done" }
    local function second() return "second" end
    a:with_tool(tool("f", function()
      a:with_tool(tool("f", second))
      collectgarbage()
      collectgarbage()
      return "first"
    end))
    assert.equal("done", a:ask "go")
    local results = tooled.results(model.requests[3])
    assert.same({ "first", "second", "second" }, { results[1].content,
      results[2].content, results[3].content })
  end)

  it("may be replaced while somebody is asked about it", function()
    local a, model = agent { { call("f", '{"n":1}') }, "done" }
    local function add(answer)
      a:with_tool(tool("f", function() return answer end,
        { parameters = { type = "object", properties = {} } }))
    end
    add "old"
    a:on_tool_call(function()
      for _ = 1, 50 do add "new" end
      collectgarbage()
      collectgarbage()
    end)
    assert.equal("done", a:ask "go")
    -- nobody has approved the new one; the old one is gone
    assert.truthy(result(model) == "old"
      or result(model):find "the tool is gone")
  end)

  it("may come to its agent in the middle of a turn", function()
    local a, model = agent { { call "f" }, { call "g" }, "done" }
    a:with_tool(tool("f", function()
      a:with_tool(tool("g", function() return "g is there" end))
    end))
    assert.equal("done", a:ask "go")
    assert.equal(1, #model.requests[1].tools)
    assert.equal(2, #model.requests[2].tools)
    assert.equal("g is there", tooled.results(model.requests[3])[2].content)
  end)

  it("may change what its agent was told", function()
    local a, model = agent({ { call "f" }, "done" }, { base_url =
      "http://127.0.0.1:1/v1" })
    a:with_tool(tool("f", function()
      a:with_system("be brief"):with_temperature(0.5)
        :with_tool_choice("none"):with_header("X-A", "b")
        :with_limits { result = 3 }:with_max_tool_rounds(0)
        :on_tool_call(nothing):with_timeout(5)
      return "ok"
    end))
    assert.equal("done", a:ask "go")
    assert.equal("system", model.requests[2].messages[1].role)
    assert.equal("none", model.requests[2].tool_choice)
  end)

  it("may be used in a coroutine", function()
    local a, model = agent { { call "f" }, "done" }
    a:with_tool(tool("f", function()
      return coroutine.wrap(function() return "from within" end)()
    end))
    assert.equal("done", coroutine.wrap(function() return a:ask "go" end)())
    assert.equal("from within", result(model))
  end)

  it("may be anything that can be called", function()
    local a, model = agent { { call("f", '{"n":2}') }, "done" }
    a:with_tool { name = "f", run = setmetatable({}, {
      __call = function(_, arguments) return arguments.n + 1 end }) }
    assert.equal("done", a:ask "go")
    assert.equal("3", result(model))
  end)

  it("is not looked at again after it was given", function()
    local a, model = agent { { call "f" }, "done" }
    local t = tool("f", function() return "as given" end)
    a:with_tool(t)
    t.run, t.name = error, "g"
    assert.equal("done", a:ask "go")
    assert.equal("as given", result(model))
  end)

  it("that fails in the middle leaves the agent as it was", function()
    local a, model = agent { { call "f" }, "done" }
    local boom = agent { function() error "no service" end }
    a:with_memory():with_tool(tool("f", function()
      return assert(boom:ask "x")
    end))
    assert.equal("done", a:ask "go")
    assert.truthy(json.decode(result(model)).error:find "no service")
    assert.equal(4, #a:get_history())
  end)
end)

describe("an agent as a tool", function()
  it("is asked what the model wants to know", function()
    local inner, heard = agent { "It is Rome." }
    local a, model = agent { { call("geo", '{"input":"Capital of Italy?"}') },
      "Rome" }
    a:with_tool(inner:as_tool { name = "geo", description = "Geography." })
    assert.equal("Rome", a:ask "go")
    assert.equal("Capital of Italy?", heard.requests[1].messages[1].content)
    assert.equal("It is Rome.", result(model))
    local sent = model.requests[1].tools[1]["function"]
    assert.equal("geo", sent.name)
    assert.equal("Geography.", sent.description)
  end)

  it("tells its errors to the model", function()
    local inner = agent { function()
      return nil, { code = "rate_limited", message = "slow down" }
    end }
    local a, model = agent { { call("geo", '{"input":"x"}') }, "sorry" }
    a:with_tool(inner:as_tool { name = "geo" })
    assert.equal("sorry", a:ask "go")
    assert.equal('{"error":"slow down"}', result(model))
  end)

  it("must be asked something", function()
    local inner, heard = agent { "x" }
    local a, model = agent { { call("geo", '{}'), call("geo", '{"input":1}'),
      call("geo", '{"input":null}') }, "sorry" }
    a:with_tool(inner:as_tool { name = "geo" })
    assert.equal("sorry", a:ask "go")
    assert.equal(0, #heard.requests)
    for i = 1, 3 do assert.truthy(json.decode(result(model, i)).error) end
  end)

  it("may have agents as tools itself", function()
    local third = agent { { call "f" }, "bottom" }
    third:with_tool(tool("f", function() return "deep" end))
    local second = agent { { call("down", '{"input":"b"}') }, function(r)
      return "middle of " .. tooled.results(r)[1].content
    end }
    second:with_tool(third:as_tool { name = "down" })
    local a = agent { { call("down", '{"input":"a"}') }, function(r)
      return "top of " .. tooled.results(r)[1].content
    end }
    a:with_tool(second:as_tool { name = "down" })
    assert.equal("top of middle of bottom", a:ask "go")
  end)

  it("cannot be its own", function()
    local a, model = agent { { call("me", '{"input":"again"}') }, "done" }
    a:with_tool(a:as_tool { name = "me" })
    assert.equal("done", a:ask "go")
    assert.truthy(json.decode(result(model)).error:find "middle of a turn")
  end)

  it("keeps what it is told, if it has a memory", function()
    local inner = agent { "1", "2" }
    inner:with_memory()
    local a = agent { { call("in", '{"input":"a"}'),
      call("in", '{"input":"b"}') }, "done" }
    a:with_tool(inner:as_tool { name = "in" })
    assert.equal("done", a:ask "go")
    assert.equal(4, #inner:get_history())
  end)
end)

describe("a clone", function()
  local function named(text)
    return tool("f", function() return text end)
  end

  --- What the tool f of the agent says.
  local function says(a, model)
    model.requests = {}
    assert.equal("done", a:ask "go")
    return result(model)
  end

  it("has the same tools until one of the two changes its own", function()
    local a, model = agent { { call "f" }, "done" }
    a:with_tool(named "shared")
    local b = a:clone()
    assert.equal("shared", says(b, model))
    b:with_tool(named "b's")
    assert.equal("b's", says(b, model))
    assert.equal("shared", says(a, model))
    a:with_tool(named "a's")
    assert.equal("b's", says(b, model))
    assert.equal("a's", says(a, model))
    local c = b:clone():with_tool(tool("g", nothing))
    says(b, model)
    assert.equal(1, #model.requests[1].tools)
    says(c, model)
    assert.equal(2, #model.requests[1].tools)
  end)

  it("keeps the tools when the first is gone", function()
    local a, model = agent { { call "f" }, "done" }
    a:with_tool(named "still here")
    local b = a:clone()
    a = nil -- luacheck: ignore
    collectgarbage()
    collectgarbage()
    assert.equal("still here", says(b, model))
  end)

  it("asks before its own calls", function()
    local asked = 0
    local a, model = agent { { call "f" }, "done" }
    a:with_tool(named "x"):on_tool_call(function() asked = asked + 1 end)
    local b = a:clone():on_tool_call(function() return false, "b says no" end)
    assert.truthy(says(b, model):find "b says no")
    assert.equal(0, asked)
    assert.equal("x", says(a:clone(), model))
    assert.equal(1, asked)
    a = nil -- luacheck: ignore
    collectgarbage()
    assert.truthy(says(b, model):find "b says no")
  end)

  it("has the other settings of tools too", function()
    local a, model = agent { { call "f" }, "done" }
    a:with_tool(named "x"):with_tool_choice("f"):with_parallel_tools(false)
      :with_max_tool_rounds(0)
    local text, err = a:clone():ask "go"
    assert.is_nil(text)
    assert.equal("tool_limit", err.code)
    assert.equal("f", model.requests[1].tool_choice["function"].name)
    assert.is_false(model.requests[1].parallel_tool_calls)
  end)
end)

describe("a tool's function", function()
  --- Collects all; whether the object of the weak table is gone.
  local function gone(weak)
    for _ = 1, 3 do collectgarbage() end
    return weak[1] == nil
  end

  local function weakly(value)
    return setmetatable({ value }, { __mode = "v" })
  end

  it("lives and goes with its agent", function()
    local weak, a, model
    do
      local big = { "captured" }
      weak = weakly(big)
      a, model = agent { { call "f" }, "done" }
      a:with_tool(tool("f", function() return big[1] end))
    end
    assert.is_false(gone(weak))
    assert.equal("done", a:ask "go")
    assert.equal("captured", result(model))
    a = nil -- luacheck: ignore
    assert.is_true(gone(weak))
  end)

  it("goes when it is replaced", function()
    local weak, a
    do
      local big = {}
      weak = weakly(big)
      a = agent { "x" }
      a:with_tool(tool("f", function() return big end))
    end
    assert.is_false(gone(weak))
    a:with_tool(tool("f", nothing))
    assert.is_true(gone(weak))
    assert.equal("x", a:ask "go")
  end)

  it("does not keep its agent, nor an agent that is its own tool", function()
    local weak
    do
      local a = agent { "x" }
      weak = weakly(a)
      a:with_tool(tool("f", function() return a end))
      a:with_tool(a:as_tool { name = "me" })
      a:on_tool_call(function() return a end)
    end
    assert.is_true(gone(weak))
  end)

  it("may be replaced 10,000 times", function()
    local a = agent { "x" }
    local function replace(n)
      for i = 1, n do
        a:with_tool(tool("f", function() return i end,
          { description = ("d"):rep(100) }))
      end
      collectgarbage()
      collectgarbage()
      return collectgarbage "count"
    end
    local before = replace(100)
    assert.truthy(replace(10000) - before < 100)
  end)

  it("does not run unasked when its agent is being collected", function()
    local ran, asked, answer, failure = 0, 0, nil, nil
    local clone
    do
      local a = agent { { call "f" }, "done" }
      a:with_tool(tool("f", function() ran = ran + 1 end))
        :on_tool_call(function() asked = asked + 1 return false end)
      clone = a:clone()
      setmetatable({}, { __gc = function()
        answer, failure = a:ask "a last question"
      end })
    end
    collectgarbage()
    collectgarbage()
    assert.equal(0, ran)
    assert.truthy(answer or failure)
    assert.truthy(clone)
  end)
end)
