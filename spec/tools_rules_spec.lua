-- Tools: what the user says of their use: choice, rounds, time, approval; and
-- what cannot be said.

local deepagent = require "deepagent"
local json = require "dkjson"
local socket = require "socket"
local tooled = require "support.tooled"

local call, tool = tooled.call, tooled.tool

local function agent(steps, options)
  options = options or {}
  options.provider = tooled.model(steps)
  return deepagent.new(options), options.provider
end

local function nothing() end

--- What the model read as the result of the first call.
local function first_result(model)
  return tooled.results(model.requests[2])[1].content
end

describe("the choice of a tool", function()
  --- What is sent as tool_choice in each round.
  local function sent(choice)
    local a, model = agent { { call "f" }, { call "g" }, "done" }
    a:with_tools { tool("f", nothing), tool("g", nothing) }
    if choice then a:with_tool_choice(choice) end
    assert.equal("done", a:ask "go")
    local choices = {}
    for i, request in ipairs(model.requests) do
      choices[i] = request.tool_choice or false
    end
    return choices
  end

  it("is not sent unless it was made", function()
    assert.same({ false, false, false }, sent(nil))
  end)

  it("is for the first request where it forces a call", function()
    assert.same({ "required", false, false }, sent "required")
    local choices = sent "g"
    assert.equal("function", choices[1].type)
    assert.equal("g", choices[1]["function"].name)
    assert.is_false(choices[2])
    assert.is_false(choices[3])
  end)

  it("may forbid calls, in every round", function()
    assert.same({ "none", "none", "none" }, sent "none")
  end)

  it("may be left to the model", function()
    assert.equal("auto", sent("auto")[1])
  end)

  it("is made anew in the next turn", function()
    local a, model = agent { { call "f" }, "1", { call "f" }, "2" }
    a:with_tool(tool("f", nothing)):with_tool_choice "f"
    a:ask "1"
    a:ask "2"
    assert.truthy(model.requests[3].tool_choice)
    assert.is_nil(model.requests[4].tool_choice)
    a:with_tool_choice(nil)
    a:ask "3"
    assert.is_nil(model.requests[5].tool_choice)
  end)

  it("of a tool that there is not is told, and nothing is sent", function()
    local a, model = agent { "done" }
    a:with_tool(tool("f", nothing)):with_tool_choice("g")
    local text, err = a:ask "go"
    assert.is_nil(text)
    assert.equal("invalid_argument", err.code)
    assert.truthy(err.message:find("'g'", 1, true))
    assert.is_nil(err.messages)
    assert.equal(0, #model.requests)
    a:with_tool(tool("g", nothing)) -- the order does not matter
    assert.equal("done", a:ask "go")
  end)

  it("may not force what there are no tools for", function()
    local a = agent { "done" }
    a:with_tool_choice "required"
    assert.equal("invalid_argument", select(2, a:ask "go").code)
    for _, choice in ipairs { "auto", "none" } do
      assert.equal("done", a:with_tool_choice(choice):ask "go")
    end
  end)

  it("gives way to what the user names in with_extra", function()
    local a, model = agent { "done" }
    a:with_tool(tool("f", nothing)):with_tool_choice("f")
      :with_extra { tool_choice = "auto", tools = deepagent.array {},
        parallel_tool_calls = deepagent.null }
      :with_parallel_tools(true)
    assert.equal("done", a:ask "go")
    assert.equal("auto", model.requests[1].tool_choice)
    assert.equal(0, #model.requests[1].tools)
    assert.is_nil(model.requests[1].parallel_tool_calls)
  end)

  it("of several calls at once is sent if it was made", function()
    for _, on in ipairs { true, false } do
      local a, model = agent { { call "f" }, "done" }
      a:with_tool(tool("f", nothing)):with_parallel_tools(on)
      assert.equal("done", a:ask "go")
      assert.equal(on, model.requests[1].parallel_tool_calls)
      assert.equal(on, model.requests[2].parallel_tool_calls)
    end
  end)
end)

describe("the most rounds", function()
  local function endless(limit)
    local ran = 0
    local a, model = agent { { call "f" } }
    a:with_memory():with_tool(tool("f", function() ran = ran + 1 end))
    if limit then a:with_max_tool_rounds(limit) end
    local text, err = a:ask "go"
    assert.is_nil(text)
    assert.equal("tool_limit", err.code)
    assert.is_false(err.retryable)
    assert.equal(0, #a:get_history())
    assert.equal(ran + 1, #model.requests)
    return ran, err, a, model
  end

  it("are 8", function() assert.equal(8, (endless())) end)

  it("may be any number, and what there was is in the error", function()
    for _, limit in ipairs { 1, 3, 20 } do
      local ran, err = endless(limit)
      assert.equal(limit, ran)
      assert.equal("user" .. (" assistant(1) tool"):rep(limit)
        .. " assistant(1)", tooled.shape(err.messages))
      assert.equal("go", err.messages[1].content)
    end
  end)

  it("may be none", function()
    local ran, err, a = endless(0)
    assert.equal(0, ran)
    assert.equal("user assistant(1)", tooled.shape(err.messages))
    assert.is_nil(a:unfinished_turn())
  end)

  it("do not count in the next turn", function()
    local _, _, a, model = endless(2)
    model.steps = { [#model.requests + 1] = { call "f" },
      [#model.requests + 2] = { call "f" }, [#model.requests + 3] = "done" }
    assert.equal("done", a:ask "again")
  end)

  it("may be raised to go on", function()
    local _, _, a, model = endless(2)
    local text, err = a:resume()
    assert.is_nil(text) -- the rounds that it has had count
    assert.equal("tool_limit", err.code)
    assert.equal(4, #model.requests)
    model.steps = { [5] = { call "f" }, [6] = "done" }
    assert.equal("done", a:with_max_tool_rounds(3):resume())
    assert.equal("user" .. (" assistant(1) tool"):rep(3) .. " assistant",
      tooled.shape(a:get_history()))
  end)
end)

describe("the error of a turn with tools", function()
  it("has the messages of that turn only", function()
    local a = agent { { call "f" } }
    a:with_max_tool_rounds(1):with_tool(tool("f", nothing))
    local _, err = a:ask "go"
    assert.truthy(err.messages)
    _, err = a:ask(("x"):rep(100), a:with_limits { message = 50 })
    assert.equal("too_large", err.code)
    assert.is_nil(err.messages)
    a:with_limits { message = 1000 }
    a:close()
    _, err = a:ask "more"
    assert.equal("closed", err.code)
    assert.is_nil(err.messages)
  end)
end)

describe("a tool's time", function()
  local function loop() while true do end end -- luacheck: ignore 542

  it("ends a loop", function()
    local a, model = agent { { call "f", call "g" }, "done" }
    a:with_tool_timeout(0.05):with_tools { tool("f", loop),
      tool("g", function(_, context) return context.seconds end) }
    assert.equal("done", a:ask "go")
    local results = tooled.results(model.requests[2])
    assert.equal('{"error":"it took longer than 0.05 s"}',
      results[1].content)
    assert.equal("0.05", results[2].content)
  end)

  it("ends one that catches errors, and one in a coroutine", function()
    for _, run in ipairs {
      function() while true do pcall(loop) end end,
      function() return coroutine.wrap(loop)() end,
    } do
      local a, model = agent { { call "f" }, "done" }
      a:with_tool_timeout(0.05):with_tool(tool("f", run))
      assert.equal("done", a:ask "go")
      assert.truthy(json.decode(first_result(model)).error)
    end
  end)

  it("is told where the function gives what it caught", function()
    local a, model = agent { { call "f" }, "done" }
    a:with_tool_timeout(0.05):with_tool(tool("f", function()
      local _, err = pcall(loop)
      return nil, err
    end))
    assert.equal("done", a:ask "go")
    assert.equal('{"error":"it took too long and was stopped"}',
      first_result(model))
  end)

  it("leaves the hook of the program as it was", function()
    local lines = 0
    local function hook() lines = lines + 1 end
    debug.sethook(hook, "l")
    local a = agent { { call "f" }, "done" }
    a:with_tool_timeout(0.05):with_tool(tool("f", loop))
    assert.equal("done", a:ask "go")
    assert.equal(hook, (debug.gethook()))
    debug.sethook()
    assert.truthy(lines > 0)
  end)

  it("is that of the tool that it is run in, if that is shorter", function()
    local inner = agent { { call "g" }, "inner" }
    inner:with_tool_timeout(1000):with_tool(tool("g", loop))
    local a, model = agent { { call "f" }, "done" }
    a:with_tool_timeout(0.1):with_tool(tool("f", function()
      return inner:ask "go"
    end))
    assert.equal("done", a:ask "go")
    assert.truthy(json.decode(first_result(model)).error)
  end)

  it("ends with the turn's", function()
    local ran, a, model = {}, agent { { call("f", nil, "a"),
      call("f", nil, "b"), call("f", nil, "c") }, "done" }
    a:with_memory():with_timeout { total = 1 }
    a:with_tool(tool("f", function(_, context)
      ran[#ran + 1] = context.seconds
      while true do end -- luacheck: ignore 542
    end))
    local text, err = a:ask "go"
    assert.is_nil(text)
    assert.equal("timeout", err.code)
    assert.equal(1, #ran) -- after that there is no time to run anything
    assert.truthy(ran[1] <= 1)
    assert.equal(1, #model.requests)
    assert.equal("user assistant(1) tool", (tooled.shape(err.messages)
      :gsub("3", "1")))
    assert.equal(0, #a:get_history())
  end)

  it("is not taken from a turn without an end", function()
    local seconds = "none"
    local a = agent { { call "f" }, "done" }
    a:with_timeout { total = 1e9 }:with_tool(tool("f", function(_, context)
      seconds = context.seconds
    end))
    assert.equal("done", a:ask "go")
    assert.truthy(seconds == nil or seconds > 1e8)
  end)
end)

describe("cancel", function()
  it("ends a turn from a tool, a hook, a delta or the logger", function()
    for _, place in ipairs { "tool", "hook", "delta", "logger" } do
      local ran = 0
      local a, model = agent { function(_, on_delta)
        on_delta "Let me see."
        return tooled.asking { call "f", call "f" }
      end, "not asked" }
      local function cancel(here)
        if here == place then assert.equal(a, a:cancel()) end
      end
      a:with_memory():on_tool_call(function() cancel "hook" end)
        :with_logger(function() cancel "logger" end)
        :with_tool(tool("f", function()
          ran = ran + 1
          cancel "tool"
          return "x"
        end))
      local text, err = a:stream("go", function() cancel "delta" end)
      assert.is_nil(text)
      assert.equal("cancelled", err.code)
      assert.truthy(ran <= (place == "tool" and 1 or 0), place)
      assert.truthy(#model.requests <= 1)
      assert.same({}, a:get_history())
      -- Between turns it means nothing.
      a:with_logger(nil):cancel()
      model.steps[#model.requests + 1] = "again"
      assert.equal("again", a:ask "go")
    end
  end)
end)

describe("on_tool_call", function()
  --- Asks with the hook; whether the tool ran, what the model read, and what
  --- ask returned.
  local function with(hook, arguments)
    local ran = 0
    local a, model = agent { { call("f", arguments, "x") }, "done" }
    a:with_memory():on_tool_call(hook):with_tool(tool("f", function()
      ran = ran + 1
      return "ran"
    end))
    local text, err = a:ask "go"
    return ran == 1, text and first_result(model), err, a
  end

  it("sees the call", function()
    local seen
    with(function(c) seen = c end, '{"a":{"b":[1]}}')
    assert.equal("x", seen.id)
    assert.equal("f", seen.name)
    assert.equal(1, seen.round)
    assert.equal(1, seen.arguments.a.b[1])
  end)

  it("lets a call pass by anything but false", function()
    for _, answer in ipairs { true, "no", 0, {}, deepagent.null } do
      local ran, content = with(function() return answer end)
      assert.is_true(ran)
      assert.equal("ran", content)
    end
    assert.is_true((with(function() end)))
    assert.is_true((with(function() return nil, "not a refusal" end)))
  end)

  it("refuses by false, and the model is told why", function()
    local ran, content = with(function() return false, "too dear" end)
    assert.is_false(ran)
    assert.equal('{"error":"too dear"}', content)
    ran, content = with(function() return false end)
    assert.is_false(ran)
    assert.equal('{"error":"the user has refused the call"}', content)
    ran, content = with(function()
      return false, { code = "timeout", message = "asleep" }
    end)
    assert.is_false(ran)
    assert.equal('{"error":"asleep"}', content)
  end)

  it("ends the turn where it raises an error", function()
    for _, raise in ipairs { function() error("why", 0) end,
      function() error { code = "refused", message = "why" } end,
      function() error { code = "timeout", message = "why" } end,
      function() error { code = "out_of_memory", message = "why" } end } do
      local ran, content, err, a = with(raise)
      assert.is_false(ran)
      assert.is_nil(content)
      assert.equal("callback_error", err.code)
      assert.equal("why", err.message)
      assert.equal(0, #a:get_history())
    end
    local ran, _, err = with(function() coroutine.yield() end)
    assert.is_false(ran)
    assert.equal("callback_error", err.code)
  end)

  it("is asked only about what could be made", function()
    local asked = {}
    local a = agent { { call "x", call("f", "{"), call("f", "[]"),
      call "f", call("g", '{"n":1}') }, "done" }
    a:on_tool_call(function(c) asked[#asked + 1] = c.name end)
      :with_tools { tool("f", nothing), tool("g", nothing) }
    assert.equal("done", a:ask "go")
    assert.same({ "f", "g" }, asked)
  end)

  it("is asked about each", function()
    local a, model = agent { { call("f", '{"n":1}'), call("f", '{"n":2}'),
      call("f", '{"n":3}') }, "done" }
    a:with_tool(tool("f", function(arguments) return arguments.n end))
      :on_tool_call(function(c) return c.arguments.n ~= 2, "not two" end)
    assert.equal("done", a:ask "go")
    local results = tooled.results(model.requests[2])
    assert.same({ "1", '{"error":"not two"}', "3" }, { results[1].content,
      results[2].content, results[3].content })
  end)

  it("cannot change what the tool gets", function()
    local got
    local a = agent { { call("f", '{"n":1}') }, "done" }
    a:on_tool_call(function(c) c.arguments.n = 2 c.name = "g" end)
      :with_tool(tool("f", function(arguments) got = arguments.n end))
    assert.equal("done", a:ask "go")
    assert.equal(1, got)
  end)

  it("may be taken away, and be an option", function()
    local refuse = function() return false end
    local options = { on_tool_call = refuse }
    local a, model = agent({ { call "f" }, "done", { call "f" }, "done" },
      options)
    a:with_tool(tool("f", function() return "ran" end))
    a:ask "go"
    assert.truthy(first_result(model):find "refused")
    a:on_tool_call(nil):ask "go"
    assert.equal("ran", tooled.results(model.requests[4])[1].content)
  end)

  it("may take time, which is the turn's", function()
    local ran = false
    local a = agent { { call "f" }, "done" }
    a:with_timeout { total = 1 }:with_tool(tool("f", function()
      ran = true
    end)):on_tool_call(function()
      socket.sleep(1.1)
    end)
    local text, err = a:ask "go"
    assert.is_nil(text)
    assert.equal("timeout", err.code)
    assert.is_false(ran)
  end)
end)

describe("misuse", function()
  --- with_tool raises, naming the argument and what is wrong.
  local function refuses(t, why)
    local a = agent { "x" }
    local ok, message = pcall(function() a:with_tool(t) end)
    assert.is_false(ok)
    assert.truthy(tostring(message):find("bad argument #1", 1, true), message)
    assert.truthy(tostring(message):find(why, 1, true), message)
    ok, message = pcall(a.with_tools, a, { tool("fine", nothing), t })
    assert.is_false(ok, message)
  end

  it("of a tool whose fields raise is raised as it was", function()
    local why = {}
    local t = setmetatable({}, { __index = function() error(why) end })
    local ok, raised = pcall(function() agent { "x" }:with_tool(t) end)
    assert.is_false(ok)
    assert.equal(why, raised)
  end)

  it("of a tool's fields is told", function()
    refuses({ run = nothing }, "name must be a string, not a nil")
    refuses({ name = 5, run = nothing }, "name must be a string")
    for _, name in ipairs { "", "a b", "a.b", "\u{e9}", ("n"):rep(65), "a\n",
      "none", "auto", "required" } do
      refuses({ name = name, run = nothing }, "tool")
    end
    refuses({ name = "a\0b", run = nothing }, "NUL")
    refuses({ name = "f" }, "run must be a function, not a nil")
    refuses({ name = "f", run = "x" }, "run must be a function, not a string")
    refuses({ name = "f", run = {} }, "run must be a function, not a table")
    refuses({ name = "f", run = nothing, description = 1 }, "description")
    refuses({ name = "f", run = nothing, description = "\xff" }, "UTF-8")
    refuses({ name = "f", run = nothing, parameters = "x" }, "parameters")
    refuses({ name = "f", run = nothing, strict = 1 }, "strict")
    refuses({ name = "f", run = nothing, idempotent = "y" }, "idempotent")
    refuses({ name = "f", run = nothing, paramters = {} },
      "unknown field 'paramters'")
    refuses({ "f", nothing }, "unknown field '1'")
    refuses({ name = "f", run = nothing, parameters = { type = "array",
      items = {} } }, "object")
  end)

  it("of the other settings is told", function()
    local a = agent { "x" }
    for _, bad in ipairs { { "with_tool" }, { "with_tool", "f" },
      { "with_tool", nothing }, { "with_tools" }, { "with_tools", "f" },
      { "with_tools", { "f" } }, { "with_tools", { a = 1 } },
      { "with_tools", tool("f", nothing) }, { "with_tool_choice" },
      { "with_tool_choice", 1 }, { "with_tool_choice", "" },
      { "with_tool_choice", "a\0" }, { "with_tool_choice", {} },
      { "with_parallel_tools" }, { "with_parallel_tools", 1 },
      { "with_max_tool_rounds" }, { "with_max_tool_rounds", -1 },
      { "with_max_tool_rounds", 1.5 }, { "with_max_tool_rounds", "x" },
      { "with_tool_timeout" }, { "with_tool_timeout", 0 },
      { "with_tool_timeout", -1 }, { "with_tool_timeout", 0 / 0 },
      { "with_tool_timeout", 1e10 }, { "on_tool_call" },
      { "on_tool_call", 1 }, { "with_on_tool_call", {} }, { "as_tool" },
      { "as_tool", "f" }, { "as_tool", {} }, { "as_tool", { name = 1 } } } do
      local ok, message = pcall(a[bad[1]], a, table.unpack(bad, 2))
      assert.is_false(ok, bad[1])
      assert.truthy(type(message) == "string", bad[1])
    end
    assert.equal("x", a:ask "it still works")
  end)

  it("leaves the tools as they were, however often", function()
    local a, model = agent { { call "f" }, "done" }
    a:with_tool(tool("f", function() return "old" end))
    collectgarbage()
    collectgarbage()
    local before = collectgarbage "count"
    for _ = 1, 3000 do
      pcall(a.with_tool, a, tool("a b", function() return "new" end))
      pcall(a.with_tool, a, { name = "f", run = nothing, x = 1 })
    end
    collectgarbage()
    collectgarbage()
    assert.truthy(collectgarbage "count" - before < 100)
    assert.equal("done", a:ask "go")
    assert.equal("old", first_result(model))
  end)
end)
