-- Tools over HTTP: streams, what is sent back to the byte, what is stored.

local answers = require "support.answers"
local deepagent = require "deepagent"
local disk = require "support.disk"
local json = require "dkjson"
local test_server = require "support.server"
local tooled = require "support.tooled"

local tool = tooled.tool

describe("tools over HTTP", function()
  local server, directory

  setup(function()
    server = test_server.start()
    directory = disk.temp()
  end)
  teardown(function()
    server:stop()
    disk.remove(directory)
  end)
  before_each(function() server:reset() end)

  local function agent(options)
    options = options or {}
    options.model = "m"
    options.base_url = server.url
    options.retry = options.retry or { max = 0 }
    return deepagent.new(options):with_memory()
  end

  local function stored(id)
    return agent { session_id = id, memory_backend =
      deepagent.file_backend { path = directory, durable = false } }
  end

  --- An answer whose message is this text, to the byte.
  local function message(text)
    return { body = '{"model":"m-1","choices":[{"index":0,"message":' .. text
      .. ',"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":10,'
      .. '"completion_tokens":1,"total_tokens":11}}',
      headers = { ["content-type"] = "application/json" } }
  end

  local function delta(calls, finish)
    return answers.event({ tool_calls = calls }, finish)
  end

  --- A stream that says `text` and calls f, and its end, or not.
  local function calling(text, ending)
    local events = { answers.event { role = "assistant", content = text },
      delta { { index = 0, id = "c1", type = "function",
        ["function"] = { name = "f", arguments = "" } } },
      delta { { index = 0, ["function"] = { arguments = '{"n"' } } },
      delta { { index = 0, ["function"] = { arguments = ":7}" } } } }
    for _, event in ipairs(ending or { answers.event({}, "tool_calls"),
      answers.done }) do events[#events + 1] = event end
    return events
  end

  it("hears the text of every round of a stream", function()
    server:script { answers.events(calling "Let me "),
      answers.events(calling "see. "), answers.stream { "It is ", "7." } }
    local heard, ran = {}, {}
    local a = agent():with_tool(tool("f", function(arguments)
      ran[#ran + 1] = arguments.n
      heard[#heard + 1] = "<f>"
      return arguments.n
    end))
    local text = assert(a:stream("go", function(piece)
      heard[#heard + 1] = piece
    end))
    assert.equal("It is 7.", text)
    assert.equal("Let me <f>see. <f>It is 7.", table.concat(heard))
    assert.same({ 7, 7 }, ran)
    for _, request in ipairs(server:requests()) do
      assert.is_true(json.decode(request.body).stream)
    end
    assert.equal("Let me ", a:get_history()[2].content)
    assert.equal('{"n":7}',
      a:get_history()[2].tool_calls[1]["function"].arguments)
  end)

  it("ends in any round where on_delta says so, and can go on", function()
    server:script { answers.events(calling "Let me "),
      answers.stream { "It is ", "7." }, answers.plain "It is 7, again." }
    local a, heard = agent(), 0
    a:with_tool(tool("f", function() return "7" end))
    local text, err = a:stream("go", function()
      heard = heard + 1
      return heard < 2
    end)
    assert.is_nil(text)
    assert.equal("cancelled", err.code)
    assert.equal("user assistant(1) tool", tooled.shape(err.messages))
    assert.equal(0, #a:get_history())
    assert.equal("It is 7, again.", a:resume())
    assert.equal("user assistant(1) tool assistant",
      tooled.shape(a:get_history()))
  end)

  describe("never run", function()
    local broken = {
      ["from a stream that ends without a finish"] = { chunks = calling("",
        {}) },
      ["from a stream that ends within the arguments"] = { chunks = {
        table.unpack(calling "", 1, 3) } },
      ["from a stream that is cut within an event"] = { cut = 400,
        chunks = calling "" },
      ["from a stream that is reset"] = { cut = 480, reset = true,
        chunks = calling "" },
      ["from a stream with an error in it"] = { chunks = calling("", {
        'data: {"error":{"message":"overloaded","code":"x"}}\n\n' }) },
      ["from a stream that was cut at its length"] = { chunks = calling("", {
        answers.event({}, "length"), answers.done }) },
      ["from a stream that was filtered"] = { chunks = calling("", {
        answers.event({}, "content_filter"), answers.done }) },
    }
    for _, reason in ipairs { "model_length", "max_tokens", "MAX_TOKENS",
      "error", "insufficient_system_resource" } do
      broken["from a stream that ended by " .. reason] = { chunks =
        calling("", { answers.event({}, reason), answers.done }) }
    end
    for name, answer in pairs(broken) do
      it(name, function()
        answer.headers = { ["content-type"] = "text/event-stream" }
        for _, framing in ipairs { "chunked", "close" } do
          server:reset()
          answer.framing = framing
          server:script { answer }
          local ran = 0
          local a = agent():with_tool(tool("f", function() ran = ran + 1 end))
          local text, err = a:stream("go", function() end)
          assert.is_nil(text)
          assert.truthy(err.code)
          assert.equal(0, ran)
          assert.equal(0, #a:get_history())
          assert.is_nil(a:unfinished_turn())
          server:script({}, "echo")
          assert.equal("echo: again", a:ask "again")
        end
      end)
    end

    it("from an answer that is cut", function()
      local whole = message('{"role":"assistant","content":null,'
        .. '"tool_calls":[{"id":"c","type":"function","function":'
        .. '{"name":"f","arguments":"{}"}}]}')
      for _, cut in ipairs { 60, 120, #whole.body - 1 } do
        whole.cut, whole.close = cut, true
        server:reset()
        server:script { whole }
        local ran = 0
        local a = agent():with_tool(tool("f", function() ran = ran + 1 end))
        assert.is_nil((a:ask "go"))
        assert.equal(0, ran)
      end
    end)
  end)

  it("hears no delta of a cut stream's calls", function()
    server:script { answers.events({ table.unpack(calling "Text", 1, 3) }) }
    local heard = {}
    local a = agent():with_tool(tool("f", function() error "it ran" end))
    local text, err = a:stream("go", function(piece)
      heard[#heard + 1] = piece
    end)
    assert.is_nil(text)
    assert.equal("truncated", err.code)
    assert.same({ "Text" }, heard)
  end)

  describe("a message with calls", function()
    -- What a service may write: its own members, large numbers, escapes.
    local others = [["x_big":9007199254740993,"x_list":[],"x_object":{},]]
      .. [["x_float":1.50e+2]]
    local arguments = [["{\"n\": 12345678901234567,\"z\":\"\\u0000\",]]
      .. [[\"e\":\"\\ud83d\\ude00\"}"]]
    local text = [[{"role":"assistant","content":null,]] .. others
      .. [[,"tool_calls":[{"id":"call_1","type":"function","function":{]]
      .. [["name":"f","arguments":]] .. arguments
      .. [[},"x":{"deep":[1E2]}}]}]]

    --- The messages of a request's body, as texts.
    local function sent(request)
      local body = request.body
      local list = body:match '"messages":(%b[])' or ""
      return list
    end

    it("is sent back to the byte, at once and from a session", function()
      server:script { message(text), answers.plain "done",
        answers.plain "again", answers.plain "once more" }
      local got
      local a = stored("exact"):with_tool(tool("f", function(values, c)
        got = { values, c }
        return "result \0 \u{20AC}"
      end))
      assert.equal("done", a:ask "go")
      assert.equal(12345678901234567, got[1].n)
      assert.equal("\0", got[1].z)
      assert.equal("\u{1F600}", got[1].e)
      assert.equal("call_1", got[2].id)
      assert.equal("again", a:ask "and")
      assert.is_true(a:flush())
      a:close()
      local b = stored "exact"
      assert.equal("once more", b:ask "more")
      local requests = server:requests()
      for i = 2, 4 do
        assert.truthy(sent(requests[i]):find(text, 1, true),
          i .. ": " .. sent(requests[i]))
        assert.truthy(sent(requests[i]):find([["tool_call_id":"call_1"]], 1,
          true))
        assert.truthy(sent(requests[i]):find("\"result \\u0000 \u{20AC}\"", 1,
          true))
      end
      b:close()
    end)

    it("is stored to the byte while the turn is not finished", function()
      server:script { message(text), answers.failure(500, "down"),
        answers.plain "done" }
      local a = stored("half"):with_tool(tool("f", function() return "r" end))
      assert.is_nil((a:ask "go"))
      a:close()
      local b = stored "half"
      assert.equal("user assistant(1) tool", tooled.shape(b:unfinished_turn()))
      assert.equal("done", b:resume())
      local requests = server:requests()
      assert.truthy(sent(requests[3]):find(text, 1, true))
      assert.equal(sent(requests[2]), sent(requests[3]))
      b:close()
      assert.is_nil(disk.read(directory .. "/half.json"):find "unfinished")
    end)
  end)

  it("adds up what the service counted", function()
    local ask = message('{"role":"assistant","content":null,"tool_calls":[{'
      .. '"id":"c","type":"function","function":{"name":"f","arguments":'
      .. '"{}"}}]}')
    server:script { ask, ask, answers.plain "done" }
    local a = agent():with_tool(tool("f", function() end))
    assert.equal("done", a:ask "go")
    assert.equal(29, a:usage().last.total_tokens)
    assert.equal(29, a:usage().total.total_tokens)
  end)

  it("ends a turn with what the service says in a later round", function()
    local ask = message('{"role":"assistant","content":null,"tool_calls":[{'
      .. '"id":"c","type":"function","function":{"name":"f","arguments":'
      .. '"{}"}}]}')
    server:script { ask, answers.failure(401, "bad key"),
      answers.plain "done" }
    local ran = 0
    local a = agent():with_tool(tool("f", function() ran = ran + 1 end))
    local text, err = a:ask "go"
    assert.is_nil(text)
    assert.equal("auth", err.code)
    assert.equal(401, err.status)
    assert.equal("user assistant(1) tool", tooled.shape(err.messages))
    assert.equal("done", a:resume())
    assert.equal(1, ran)
  end)
end)
