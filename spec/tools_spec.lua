-- Tools: what a turn with them does, what the model is sent, what it reads.

local deepagent = require "deepagent"
local json = require "dkjson"
local tooled = require "support.tooled"

local call, tool = tooled.call, tooled.tool

--- An agent whose model plays the steps, and the model.
local function agent(steps, options)
  options = options or {}
  options.provider = tooled.model(steps)
  return deepagent.new(options), options.provider
end

--- What the model reads as the result of one call of the tool that runs `run`.
local function read_result(run, more, arguments)
  local a, model = agent { { call("f", arguments) }, "done" }
  a:with_tool(tool("f", run, more))
  assert.equal("done", a:ask "go")
  local results = tooled.results(model.requests[2])
  assert.equal(1, #results)
  return results[1].content, a
end

--- The text of an error that the model reads.
local function read_error(...)
  local content = read_result(...)
  local object = assert(json.decode(content), content)
  assert.same({ "error" }, { next(object) and (next(object)) })
  assert.is_string(object.error)
  return object.error
end

local function nothing() end

describe("a turn with tools", function()
  it("runs the calls of an answer in order, a result for each", function()
    local ran = {}
    local a, model = agent { { call("add", '{"n":1}', "x"),
      call("add", '{"n":2}', "y"), call("add", '{"n":3}', "z") }, "six" }
    a:with_tool(tool("add", function(arguments)
      ran[#ran + 1] = arguments.n
      return "got " .. arguments.n
    end)):with_memory()
    assert.equal("six", a:ask "add")
    assert.same({ 1, 2, 3 }, ran)
    assert.same({ { id = "x", content = "got 1" }, { id = "y",
      content = "got 2" }, { id = "z", content = "got 3" } },
      tooled.results(model.requests[2]))
    assert.equal("user assistant(3) tool tool tool assistant",
      tooled.shape(a:get_history()))
    assert.equal("user assistant(3) tool tool tool",
      tooled.shape(model.requests[2].messages))
  end)

  it("goes on for as many rounds as the model wants", function()
    local rounds = {}
    local a, model = agent { { call "f" }, { call "f", call "f" },
      { call "f" }, "done" }
    a:with_memory():with_tool(tool("f", function(_, context)
      rounds[#rounds + 1] = context.round
      return "ok"
    end))
    assert.equal("done", a:ask "go")
    assert.same({ 1, 2, 2, 3 }, rounds)
    assert.equal(4, #model.requests)
    assert.equal("user assistant(1) tool assistant(2) tool tool "
      .. "assistant(1) tool assistant", tooled.shape(a:get_history()))
    -- and the next turn sends all of it
    model.steps[5] = "again"
    assert.equal("again", a:ask "more")
    assert.equal(10, #model.requests[5].messages)
  end)

  it("tells the tool of the call", function()
    local got
    local a = agent({ { call("f", '{ "a": [1, {"b": null}] }', "id-1") },
      "done" }, { session_id = "s", memory_backend = "memory",
      timeout = 60 })
    a:with_tool(tool("f", function(arguments, context)
      got = { arguments, context }
    end))
    assert.equal("done", a:ask "go")
    assert.equal(deepagent.null, got[1].a[2].b)
    assert.equal("integer", math.type(got[1].a[1]))
    local context = got[2]
    assert.equal("id-1", context.id)
    assert.equal("f", context.name)
    assert.equal(1, context.round)
    assert.equal("s", context.session_id)
    assert.equal('{ "a": [1, {"b": null}] }', context.arguments)
    assert.is_true(context.seconds > 0 and context.seconds <= 60)
  end)

  it("sends definitions as they were given", function()
    local a, model = agent { "hi" }
    a:with_tools {
      { name = "weather", description = "Weather. \u{1F327}", strict = true,
        parameters = { type = "object", properties = {
          city = { type = "string" } }, required = { "city" } },
        run = nothing },
      { name = "now", run = nothing },
    }
    assert.equal("hi", a:ask "hello")
    local sent = model.requests[1].tools
    assert.equal(2, #sent)
    assert.equal("function", sent[1].type)
    local f = sent[1]["function"]
    assert.equal("weather", f.name)
    assert.equal("Weather. \u{1F327}", f.description)
    assert.is_true(f.strict)
    assert.equal("object", f.parameters.type)
    assert.equal("string", f.parameters.properties.city.type)
    assert.same({ "city" }, f.parameters.required)
    f = sent[2]["function"]
    assert.equal("now", f.name)
    assert.is_nil(f.description)
    assert.is_nil(f.strict)
    assert.equal("object", f.parameters.type)
    assert.is_nil(next(f.parameters.properties))
  end)

  it("sends nothing of tools where there are none", function()
    local a, model = agent { "hi" }
    a:with_tool_choice("auto"):with_parallel_tools(true)
      :with_max_tool_rounds(3):with_tool_timeout(1)
    assert.equal("hi", a:ask "hello")
    for _, name in ipairs { "tools", "tool_choice", "parallel_tool_calls" } do
      assert.is_nil(model.requests[1][name], name)
    end
  end)

  it("replaces a tool of the same name, in its place", function()
    local a, model = agent { { call "b" }, "done" }
    for _, name in ipairs { "a", "b", "c" } do
      a:with_tool(tool(name, function() return "old" end))
    end
    a:with_tool(tool("b", function() return "new" end))
    assert.equal("done", a:ask "go")
    assert.equal("new", tooled.results(model.requests[2])[1].content)
    local names = {}
    for i, one in ipairs(model.requests[1].tools) do
      names[i] = one["function"].name
    end
    assert.same({ "a", "b", "c" }, names)
  end)

  it("adds up the tokens of its rounds", function()
    local a = agent { { call "f" }, { call "f" }, "done" }
    a:with_tool(tool("f", nothing)):with_memory()
    assert.equal("done", a:ask "go")
    assert.equal(33, a:usage().last.total_tokens)
    assert.equal(30, a:usage().last.prompt_tokens)
    assert.equal("done", a:ask "go")
    assert.equal(11, a:usage().last.total_tokens)
    assert.equal(44, a:usage().total.total_tokens)
  end)

  it("works without memory, and keeps nothing", function()
    local a, model = agent { { call "f" }, "done", "again" }
    a:with_tool(tool("f", function() return "r" end))
    assert.equal("done", a:ask "go")
    assert.equal("again", a:ask "and")
    assert.equal("user", tooled.shape(model.requests[3].messages))
    assert.equal(0, #a:get_history())
    assert.is_nil(a:unfinished_turn())
  end)

  it("never separates a call from its result in a limited history", function()
    local a, model = agent { { call "f", call "f" }, "done", "2", "3", "4" }
    a:with_tool(tool("f", nothing)):with_memory()
    a:ask "1"
    local shapes = {}
    for i, limit in ipairs { 3, 6, 7 } do
      a:with_max_history(limit)
      a:ask(tostring(i + 1))
      shapes[i] = tooled.shape(model.requests[i + 2].messages)
    end
    assert.same({ "user", "user assistant user",
      "user assistant user assistant user" }, shapes)
    -- the current turn is sent whole, however long it is
    model.steps[6] = { call "f", call "f", call "f" }
    model.steps[7] = "end"
    a:with_max_history(1)
    assert.equal("end", a:ask "5")
    assert.equal("user assistant(3) tool tool tool",
      tooled.shape(model.requests[7].messages))
  end)

  it("takes the text beside calls, null and none", function()
    for _, content in ipairs { "Let me see.", deepagent.null, false } do
      local a, model = agent { function()
        return tooled.asking({ call("f") }, content or nil)
      end, "done" }
      a:with_tool(tool("f", nothing)):with_memory()
      assert.equal("done", a:ask "go")
      assert.equal(content or nil, model.requests[2].messages[2].content)
    end
  end)
end)

describe("a result", function()
  it("is a string as it is", function()
    for _, text in ipairs { "plain", "", '{"a":1}', "\u{20AC}\n\t\"\\\0x" } do
      assert.equal(text, (read_result(function() return text end)))
    end
  end)

  it("is the JSON of anything else", function()
    local function is(want, value)
      assert.equal(want, (read_result(function() return value end)))
    end
    is("5", 5)
    is("1.5", 1.5)
    is("9007199254740993", 9007199254740993)
    is("true", true)
    is("false", false)
    is("null", nil)
    is("null", deepagent.null)
    is("{}", {})
    is("[]", deepagent.array {})
    is('[1,"b",[true]]', { 1, "b", { true } })
    is('{"a":{"b":null}}', { a = { b = deepagent.null } })
    assert.equal("null", (read_result(nothing)))
  end)

  it("may stand before others, which are not looked at", function()
    assert.equal("a", (read_result(function() return "a", "b", "c" end)))
    assert.equal("true", (read_result(function() return true, "b" end)))
  end)

  it("is an error where the tool says nil or false, why", function()
    assert.equal("no such city", read_error(function()
      return nil, "no such city"
    end))
    assert.equal("no", read_error(function() return false, "no" end))
    assert.equal("gone", read_error(function()
      return nil, { code = "not_found", message = "gone" }
    end))
    assert.equal("7", read_error(function() return nil, 7 end))
  end)

  it("is an error where the tool raises one", function()
    assert.truthy(read_error(function() error "boom" end)
      :find "tools_spec.lua:%d+: boom$")
    assert.equal("plain", read_error(function() error("plain", 0) end))
    assert.equal("of mine", read_error(function()
      error { code = "timeout", message = "of mine" }
    end))
    assert.equal("told", read_error(function()
      error(setmetatable({}, { __tostring = function() return "told" end }))
    end))
    assert.equal("nil", read_error(function() error(nil) end))
    assert.truthy(read_error(function() error(setmetatable({}, {
      __tostring = function() error "worse" end })) end))
    assert.truthy(read_error(function() return nil .. "x" end)
      :find "concatenate")
    assert.truthy(read_error(function()
      local function deeper() return 1 + deeper() end
      return deeper()
    end):find "stack overflow")
    assert.truthy(read_error(function() coroutine.yield() end):find "yield")
  end)

  it("cannot be what JSON has nothing for", function()
    local circle = {}
    circle.itself = circle
    for _, value in ipairs { print, io.stdout, coroutine.create(print), 0 / 0,
      math.huge, circle, { print }, { [1] = 1, a = 2 }, { "\xff" } } do
      assert.truthy(#read_error(function() return value end) > 0)
    end
  end)

  it("must be valid UTF-8", function()
    for _, text in ipairs { "\xff", "a\xc3", "\xed\xa0\x80", "\xc0\x80" } do
      assert.truthy(read_error(function() return text end):find "UTF%-8")
    end
    assert.truthy(#read_error(function() error("\xff\xfe", 0) end) > 0)
  end)

  it("has a limit", function()
    local function of(bytes, limit)
      local a, model = agent { { call "f" }, "done" }
      a:with_tool(tool("f", function() return ("x"):rep(bytes) end))
      if limit then a:with_limits { result = limit } end
      assert.equal("done", a:ask "go")
      return tooled.results(model.requests[2])[1].content
    end
    assert.equal(("x"):rep(100), of(100, 100))
    assert.equal('{"error":"the result is larger than 100 bytes"}',
      of(101, 100))
    assert.equal(1 << 20, #of(1 << 20))
    assert.truthy(of((1 << 20) + 1):find "^{\"error\":")
    -- an error is told, however small the limit is
    assert.equal('{"error":"the result is larger than 1 bytes"}', of(2, 1))
  end)

  it("of an error is not without end", function()
    local content = read_result(function() error(("x"):rep(1 << 20), 0) end)
    assert.truthy(#content < 1000)
  end)
end)

describe("a call that cannot be made", function()
  --- What the model reads; the tool must not run.
  local function refused(arguments, more)
    return read_error(function() error "it ran" end, more, arguments)
  end

  it("is one of a tool that there is not", function()
    local a, model = agent { { call("delete_all"), call("f") }, "done" }
    a:with_tools { tool("f", function() return "fine" end), tool("g", nothing) }
    assert.equal("done", a:ask "go")
    local results = tooled.results(model.requests[2])
    assert.same({
      [[{"error":"there is no tool 'delete_all'; there are: f, g"}]], "fine" },
      { results[1].content, results[2].content })
  end)

  it("is one of a tool where there are none at all", function()
    local a, model = agent { { call("f") }, "done" }
    assert.equal("done", a:ask "go")
    assert.truthy(tooled.results(model.requests[2])[1].content
      :find "there is no tool 'f'")
  end)

  it("is one of a name that only Lua or C would understand", function()
    for _, name in ipairs { "", "ask", "__index", "__gc", "run", "F", "f ",
      "f\0", ("n"):rep(1000), "\u{FFFD}", "%s%n", "1" } do
      local a, model = agent { { call(name) }, "done" }
      a:with_tool(tool("f", function() error "it ran" end))
      assert.equal("done", a:ask "go")
      assert.truthy(tooled.results(model.requests[2])[1].content
        :find "there is no tool")
    end
  end)

  it("is one whose arguments are no JSON", function()
    for _, text in ipairs { "{", '{"a":', "nope", "{'a':1}", '{"a":1}x',
      '{"a":01}', " ", '{"a":NaN}', ("["):rep(600) } do
      assert.truthy(#refused(text) > 0)
    end
  end)

  it("is one whose arguments are no object", function()
    for _, text in ipairs { "[]", "[1]", "1", '"{}"', "null", "true" } do
      assert.truthy(refused(text):find "must be a JSON object")
    end
  end)

  it("is not one without arguments", function()
    for _, text in ipairs { "", "{}", " { } " } do
      local got
      read_result(function(arguments) got = arguments end, nil, text)
      assert.same({}, got)
    end
  end)

  it("is one whose arguments do not fit the parameters", function()
    local parameters = { type = "object", required = { "city" }, properties = {
      city = { type = "string" }, days = { type = "integer", minimum = 1 } } }
    local function fits(text)
      local ran
      local content = read_result(function() ran = true end,
        { parameters = parameters }, text)
      return ran, content
    end
    assert.is_true(fits '{"city":"Rome"}')
    assert.is_true(fits '{"city":"Rome","days":3}')
    for _, text in ipairs { "{}", '{"city":1}', '{"city":"Rome","days":0}',
      '{"city":"Rome","days":"3"}', '{"city":null}' } do
      local ran, content = fits(text)
      assert.is_nil(ran, text)
      assert.truthy(json.decode(content).error, text)
    end
  end)

  it("is one with a number that Lua has none for", function()
    for _, text in ipairs { '{"n":9223372036854775808}', '{"n":[1e400]}',
      '{"a":{"n":-99999999999999999999}}' } do
      assert.truthy(refused(text):find "too large for Lua")
    end
    local got
    read_result(function(arguments) got = arguments.n end, nil,
      '{"n":-9223372036854775808}')
    assert.equal(math.mininteger, got)
  end)

  it("does not keep the others from being made", function()
    local ran = 0
    local a, model = agent { { call("f", "{"), call("f"), call("x"),
      call("f") }, "done" }
    a:with_tool(tool("f", function() ran = ran + 1 return ran end))
    assert.equal("done", a:ask "go")
    assert.equal(2, ran)
    local results = tooled.results(model.requests[2])
    assert.equal(4, #results)
    assert.equal("1", results[2].content)
    assert.equal("2", results[4].content)
  end)
end)

describe("a provider in Lua", function()
  it("may give arguments as a table", function()
    local got
    local a = agent { { { id = "1", ["function"] = { name = "f",
      arguments = { city = "Rome", days = 2 } } } }, "done" }
    a:with_tool(tool("f", function(arguments) got = arguments end))
    assert.equal("done", a:ask "go")
    assert.same({ city = "Rome", days = 2 }, got)
  end)

  it("may give calls that cannot be understood, and nothing runs", function()
    for _, one in ipairs { {}, 5, "f", { id = "1", type = "function" },
      { ["function"] = "f" }, { ["function"] = {} },
      { ["function"] = { name = 7 } } } do
      local a, model = agent { { one }, "done" }
      a:with_memory():with_tool(tool("f", function() error "it ran" end))
      local text, err = a:ask "go"
      assert.truthy(text or err.code == "provider_error"
        or err.code == "protocol", tostring(err))
      for _, result in ipairs(tooled.results(model.requests[2] or {
        messages = {} })) do
        assert.truthy(result.content:find "there is no tool ''")
      end
    end
  end)

  it("runs nothing of an answer that was cut", function()
    for reason, code in pairs { length = "truncated",
      content_filter = "content_filter" } do
      local a = agent { function()
        return tooled.asking { call("f", "") }, { finish_reason = reason }
      end }
      a:with_tool(tool("f", function() error "it ran" end)):with_memory()
      local text, err = a:ask "go"
      assert.is_nil(text)
      assert.equal(code, err.code)
      assert.is_nil(a:unfinished_turn())
    end
  end)
end)
