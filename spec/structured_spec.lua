-- Answers that must be JSON: what is asked for, what is taken, what is not.

local answers = require "support.answers"
local child = require "support.child"
local deepagent = require "deepagent"
local failing = require "support.failing"
local json = require "dkjson"
local models = require "support.models"
local test_server = require "support.server"

local fails = failing.fails

describe("an answer that must be JSON", function()
  local server

  setup(function() server = test_server.start() end)
  teardown(function() server:stop() end)
  before_each(function()
    collectgarbage()
    server:reset()
  end)

  local function agent(options)
    options = options or {}
    options.model, options.base_url = "m", server.url
    options.api_key = failing.key
    return deepagent.new(options)
  end

  local TRIP = { city = "string", days = "integer" }
  local ROME = '{"city":"Rome","days":3}'

  local function trip() return agent():with_json_schema("trip", TRIP) end

  local function last_request()
    local requests = server:requests()
    return json.decode(requests[#requests].body), requests[#requests].body
  end

  -- An answer with that text, and finish reason.
  local function ends(text, finish, more)
    local message = { role = "assistant", content = text }
    for name, value in pairs(more or {}) do message[name] = value end
    return { json = { choices = { { index = 0, finish_reason = finish,
      message = message } } } }
  end

  -- The same as a stream.
  local function streams(pieces, finish, member)
    local events = {}
    for i, piece in ipairs(pieces) do
      events[i] = answers.event { [member or "content"] = piece }
    end
    events[#events + 1] = answers.event({}, finish)
    events[#events + 1] = answers.done
    return answers.events(events)
  end

  it("is asked for with its schema, and comes as a table #smoke", function()
    server:script { answers.plain(ROME) }
    local got = assert(trip():ask "Where to?")
    assert.same({ city = "Rome", days = 3 }, got)
    assert.equal("integer", math.type(got.days))
    assert.same({ type = "json_schema", json_schema = { name = "trip",
      strict = true, schema = { type = "object",
        properties = { city = { type = "string" },
          days = { type = "integer" } },
        required = { "city", "days" }, additionalProperties = false } } },
      last_request().response_format)
  end)

  it("is asked for with the same text in every process", function()
    local function text_of()
      return (child.run([[
        local deepagent = require "deepagent"
        deepagent.new { model = "m", base_url = ]] .. ("%q"):format(server.url)
        .. [[, json_schema = { name = "x", schema = { delta = "string",
          alpha = "integer", Beta = "string", none = {},
          gamma = { z = "string", a = "string[]" } } } }:ask "q"]]))
    end
    server:script({ answers.plain "{}" }, "repeat")
    text_of()
    text_of()
    local requests = server:requests()
    assert.equal(2, #requests)
    assert.equal(requests[1].body, requests[2].body)
    assert.truthy(requests[1].body:find('"none":{"type":"object",'
      .. '"additionalProperties":false,"properties":{},"required":[]}', 1,
      true))
    assert.truthy(requests[1].body:find('"required":["Beta","alpha","delta",'
      .. '"gamma","none"]', 1, true))
  end)

  it("streams its text and returns the table", function()
    server:script { answers.stream { '{"city":"Ro', 'me","days"', ":3}" } }
    local pieces = {}
    local got = assert(trip():stream("Where to?", function(piece)
      pieces[#pieces + 1] = piece
    end))
    assert.same({ city = "Rome", days = 3 }, got)
    assert.same({ '{"city":"Ro', 'me","days"', ":3}" }, pieces)
  end)

  it("may be any JSON without a schema", function()
    local a = agent():with_json_mode()
    for text, value in pairs { [ROME] = { city = "Rome", days = 3 },
      ["[1,2.5]"] = { 1, 2.5 }, [" 5 "] = 5, ['"x"'] = "x",
      ["null"] = deepagent.null } do
      server:script { answers.plain(text) }
      assert.same(value, a:ask "q")
    end
    assert.same({ type = "json_object" }, last_request().response_format)
  end)

  it("may be any text again", function()
    local a = trip()
    for _, off in ipairs { { "with_json_schema", nil },
      { "with_json_schema", false }, { "with_json_mode", false } } do
      a:with_json_schema("trip", TRIP)
      a[off[1]](a, off[2])
      server:script { answers.plain "as you like" }
      assert.equal("as you like", a:ask "q")
      assert.is_nil(last_request().response_format)
    end
    a:with_json_schema("trip", TRIP):with_json_mode()
    server:script { answers.plain "[]" }
    assert.same({}, a:ask "q")
    assert.same({ type = "json_object" }, last_request().response_format)
  end)

  it("may stand in a fence", function()
    local a = trip():with_memory()
    local fenced = { "```json\n" .. ROME .. "\n```", "```\n" .. ROME .. "```",
      "\n ```JSON \r\n" .. ROME .. "\r\n```\n", " " .. ROME .. "\n" }
    for _, text in ipairs(fenced) do
      server:script { answers.plain(text) }
      assert.same({ city = "Rome", days = 3 }, a:ask "q")
      local history = a:get_history()
      assert.equal(text, history[#history].content) -- as it came
    end
    for _, text in ipairs { "```lua\n" .. ROME .. "\n```", "```" .. ROME
      .. "```", "``````", "```json\n" .. ROME, "```json\n```" } do
      server:script { answers.plain(text) }
      assert.equal(text, fails(a, "invalid_output").text)
    end
  end)

  it("is refused where it does not fit, and says where", function()
    for text, why in pairs {
      ['{"city":"Rome","days":"3"}'] =
        "$.days: must be an integer, not a string",
      ['{"city":"Rome"}'] = "$.days: is missing",
      ['{"city":"Rome","days":3,"x":1}'] =
        "$.x: there must be no such member",
      ["[]"] = "$: must be an object, not an array",
    } do
      server:script { answers.plain(text), answers.stream { text } }
      for _, streamed in ipairs { false, true } do
        local err = fails(trip(), "invalid_output", streamed)
        assert.equal("the answer does not fit its schema: " .. why,
          err.message)
        assert.equal(text, err.text)
      end
    end
  end)

  it("is refused where it is no JSON", function()
    for _, text in ipairs { "Sure! " .. ROME, ROME .. ".", '{"city":',
      "NaN" } do
      server:script { answers.plain(text), answers.stream { text } }
      for i, a in ipairs { trip(), agent():with_json_mode() } do
        local err = fails(a, "invalid_output", i == 2)
        assert.truthy(err.message:find("the answer is not JSON", 1, true))
        assert.equal(text, err.text)
      end
    end
    server:script { answers.plain "" }
    assert.is_nil(fails(trip(), "invalid_output").text)
  end)

  it("is refused where it was cut", function()
    for finish, code in pairs { length = "truncated",
      content_filter = "content_filter" } do
      server:script { ends('{"city":"R', finish),
        streams({ '{"ci', 'ty":"R' }, finish), ends(ROME, finish) }
      assert.equal('{"city":"R', fails(trip(), code).text)
      assert.equal('{"city":"R', fails(trip(), code, true).text)
      assert.equal(ROME, fails(trip(), code).text)
      -- Of a text, that is the user's to judge.
      server:script { ends("cut sho", finish) }
      local a = agent()
      assert.equal("cut sho", a:ask "q")
      assert.equal(finish, a:last().finish_reason)
    end
  end)

  it("may be refused by the model", function()
    server:script {
      ends(json.null, "stop", { refusal = "I cannot help with that." }),
      streams({ "I cannot ", "help with that." }, "stop", "refusal"),
      ends(json.null, "stop", { refusal = "I cannot help with that." }) }
    for _, streamed in ipairs { false, true } do
      local err = fails(trip(), "refused", streamed)
      assert.equal("I cannot help with that.", err.text)
      assert.is_nil(err.message:find("cannot help", 1, true))
    end
    assert.equal("I cannot help with that.", agent():ask "q")
  end)

  it("leaves the session as it was where it fails", function()
    local store = deepagent.memory_backend()
    local a = trip():with_session_id "s":with_memory_backend(store)
    server:script { answers.plain(ROME), answers.plain "no",
      answers.plain('{"city":"Bari","days":1}') }
    assert(a:ask "first")
    assert(a:flush())
    local total = a:usage().total.total_tokens
    assert.equal("invalid_output", select(2, a:ask "second").code)
    assert(a:flush())
    assert.equal(2, #assert(store:load "s"))
    assert.equal(total, a:usage().total.total_tokens)
    assert.equal(1, assert(a:ask "third").days)
    -- Another process goes on with it; the answers are texts there.
    local b = trip():with_session_id "s":with_memory_backend(store)
    assert(a:flush())
    assert.equal("user:first|assistant:" .. ROME .. "|user:third|assistant:"
      .. '{"city":"Bari","days":1}', models.told(assert(b:get_history())))
    server:script { answers.plain(ROME) }
    assert.equal("Rome", b:ask("fourth").city)
    assert.equal(ROME, last_request().messages[2].content)
  end)

  it("gives what there was of a stream that is ended", function()
    for _, a in ipairs { agent(), trip() } do
      local heard = ""
      server:script { answers.stream { "one ", "two ", "three" } }
      local _, err = a:stream("q", function(piece)
        heard = heard .. piece
        return #heard < 8
      end)
      assert.equal("cancelled", err.code)
      assert.equal("one two ", err.text)
      server:script { answers.stream({ "one ", "two " }, { cut = 200 }) }
      _, err = a:stream("q", function() end)
      assert.equal("truncated", err.code)
      assert.equal("one ", err.text)
      -- The next failure does not show it.
      server:script { answers.failure(400, "no") }
      assert.is_nil(select(2, a:ask "q").text)
    end
  end)

  describe("has a setting that", function()
    it("takes a schema as a table or as JSON", function()
      local text = '{"type":"object","properties":{"b":{"type":"string"},'
        .. '"a":{"type":"string"}},"required":["b"]}'
      server:script({ answers.plain '{"b":"x"}' }, "repeat")
      local a = agent():with_json_schema("x", text)
      assert.same({ b = "x" }, a:ask "q")
      local _, body = last_request()
      assert.truthy(body:find('"schema":' .. text .. ',"strict":false', 1,
        true))
      a = agent():with_json_schema("x", { type = "object",
        properties = { b = { const = "x" } } })
      assert.same({ b = "x" }, a:ask "q")
      a = agent { json_schema = { name = "x", schema = { b = "string" } } }
      assert.same({ b = "x" }, a:ask "q")
      a = agent { json_mode = true }
      assert.same({ b = "x" }, a:ask "q")
      server:script { answers.plain "[1,2]" }
      assert.same({ 1, 2 }, agent():with_json_schema("x", "integer[]")
        :ask "q")
    end)

    it("is strict where the schema can be, or as told", function()
      local open = { type = "object", properties = { a = { type = "string" } },
        required = { "a" } }
      local closed = { type = "object", additionalProperties = false,
        required = { "a" }, properties = { a = { type = "array",
          items = open } } }
      for _, case in ipairs {
        { true, TRIP }, { false, "string[]" }, { true, {} },
        { true, { to = { street = "string" } } },
        { false, { city = "string", days = "integer?" } },
        { false, { to = { street = "string?" } } },
        { false, { map = { "object", additionalProperties = "string" } } },
        { false, { any = "object" } },
        { false, open }, { false, closed },
        { false, { type = { "object", "null" } } },
        { false, { anyOf = { open } } },
        { false, { a = { type = { "object", "null" } } } },
        { true, { a = { type = { "null", "object" }, required = { "b" },
          properties = { b = { type = "string" } },
          additionalProperties = false } } },
        { false, { type = "object", additionalProperties = false,
          required = { "a" }, properties = { a = true } } },
        { true, { city = "string?" }, true }, { false, TRIP, false },
        { true, { a = { type = "string", description = "type" } } },
        { true, { default = "string", ["not"] = "string[]" } },
        { true, { a = { type = { "string", "null" } }, b = {
          anyOf = { { type = "string" }, { ["$ref"] = "#" } } } } },
        { false, { a = "any" } }, { false, { a = "array" } },
        { false, { a = { "string", default = "x" } } },
        { false, { a = { "string[]", uniqueItems = true } } },
        { false, { a = { oneOf = { { type = "string" } } } } },
        { false, { a = { allOf = { { type = "string" } } } } },
        { false, { ["$ref"] = "#/$defs/x", ["$defs"] = { x = closed } } },
        { false, { anyOf = { { type = "object", properties = {},
          additionalProperties = false } } } },
      } do
        server:script { answers.plain "{}" }
        agent():with_json_schema("x", case[2], case[3]):ask "q"
        assert.equal(case[1], last_request().response_format.json_schema
          .strict)
      end
      server:script { answers.plain "{}" }
      agent { json_schema = { name = "x", schema = TRIP, strict = false } }
        :ask "q"
      assert.is_false(last_request().response_format.json_schema.strict)
    end)

    it("gives way to with_extra", function()
      server:script({ answers.plain(ROME) }, "repeat")
      local own = trip():with_extra { response_format = { type = "own" } }
      assert.equal(3, own:ask("q").days)
      assert.same({ type = "own" }, last_request().response_format)
      local none = trip():with_extra { response_format = deepagent.null }
      assert.equal(3, none:ask("q").days)
      assert.is_nil(last_request().response_format)
    end)

    it("goes to clones", function()
      server:script({ answers.plain(ROME) }, "repeat")
      local a = trip()
      local b = a:clone()
      a:with_json_schema(nil)
      assert.equal(3, b:ask("q").days)
      assert.equal(ROME, a:ask "q")
    end)

    it("refuses what it cannot use, and stays as it was", function()
      local a = trip()
      local long = ("x"):rep(65)
      for _, case in ipairs {
        { "name must be a string", 5, TRIP }, { "name must be 1 to 64", "",
          TRIP }, { "name must be 1 to 64", "a b", TRIP },
        { "name must be 1 to 64", long, TRIP },
        { "NUL", "a\0b", TRIP }, { "NUL", "a", '{"a":"\0"}' },
        { "#3.*a schema expected", "x" }, { "#3.*a schema expected", "x", 5 },
        { "#3.*unknown type 'y'", "x", "y" },
        { "#3.*%$%.a: unknown type 'y'", "x", { a = "y" } },
        { "#3.*%$%.properties%.a%.type: string, integer", "x",
          { type = "object", properties = { a = { type = "strng" } } } },
        { "#3.*not JSON", "x", '{"type":' },
        { "#3.*%$%.%$ref: must be a place", "x",
          { ["$ref"] = "other.json" } },
        { "#3.*cannot be JSON", "x", { a = { "string",
          default = print } } },
        { "#3.*cannot be JSON", "x", { a = { "string",
          description = "\xff" } } },
        { "#4.*strict must be a boolean", "x", TRIP, "yes" },
        { "must have name, schema", { name = "x", schma = TRIP } },
        { "must have name, schema", { TRIP } },
        { "name must be a string", { schema = TRIP } },
        { "value expected" },
      } do
        local ok, why = pcall(a.with_json_schema, a,
          table.unpack(case, 2, #case))
        assert.is_false(ok, case[1])
        assert.truthy(why:find(case[1]), why)
      end
      assert.truthy(child.run([[
        local core = require "deepagent.core"
        print(pcall(function()
          core.agent("openai", "m"):with_json_schema("x", { a = "string" })
        end))]]):find('schemas need require "deepagent"', 1, true))
      assert.is_false((pcall(a.with_json_mode, a, 1)))
      assert.is_false((pcall(a.with_json_mode, a, nil)))
      server:script { answers.plain(ROME) }
      assert.equal(3, a:ask("q").days)
    end)
  end)

  it("is asked of a model in Lua, too", function()
    local model = models.acting(function(request)
      local schema = request.response_format.json_schema.schema
      return { role = "assistant", content = json.encode {
        city = schema.properties.city.type, days = 1 } }
    end)
    local a = deepagent.new { provider = model }
      :with_json_schema("trip", TRIP)
    assert.same({ city = "string", days = 1 }, a:ask "q")
    model.behave = function()
      return { role = "assistant", content = deepagent.null,
        refusal = "No." }
    end
    local _, err = a:ask "q"
    assert.equal("refused", err.code)
    assert.equal("No.", err.text)
    model.behave = function() return "x", { finish_reason = "length" } end
    assert.equal("truncated", select(2, a:ask "q").code)
  end)

  it("is the last of a turn with tools", function()
    local got
    local a = trip():with_memory():with_tool { name = "days_of",
      description = "D", parameters = { city = "string", limit = "integer?" },
      run = function(arguments)
        got = arguments
        return "3"
      end }
    local function call(arguments)
      return ends("Let me see.", "tool_calls", { tool_calls = { { id = "c",
        type = "function", ["function"] = { name = "days_of",
          arguments = arguments } } } })
    end
    server:script { call '{"city":5}', call '{"city":"Rome","limit":9}',
      answers.plain(ROME) }
    assert.same({ city = "Rome", days = 3 }, a:ask "q")
    assert.same({ city = "Rome", limit = 9 }, got)
    local request = last_request()
    assert.truthy(request.messages[3].content:find(
      "$.city: must be a string, not 5", 1, true), request.messages[3].content)
    assert.equal("3", request.messages[5].content)
    assert.same({ type = "object", additionalProperties = false,
      required = { "city" }, properties = { city = { type = "string" },
        limit = { type = "integer" } } },
      request.tools[1]["function"].parameters)
    assert.equal("json_schema", request.response_format.type)
    -- A tool whose parameters are no schema is refused.
    for short, why in pairs { [{ a = "strng" }] = "unknown type 'strng'",
      [{ type = "object", properties = { a = 5 } }] =
        "$.properties.a: must be a schema" } do
      local ok, message = pcall(a.with_tool, a, { name = "x",
        description = "D", parameters = short, run = print })
      assert.is_false(ok)
      assert.truthy(tostring(message):find(why, 1, true), message)
    end
    server:script { call '{"city":"Rome"}', answers.plain "no" }
    local err = fails(a, "invalid_output")
    assert.equal("no", err.text)
    assert.equal(3, #err.messages)
    -- An error before the next turn has begun tells nothing of this one.
    err = select(2, a:ask "\xff")
    assert.equal("invalid_utf8", err.code)
    assert.is_nil(err.text)
    assert.is_nil(err.messages)
  end)

  it("is never the log's", function()
    local lines = {}
    local a = trip():with_logger(function(_, message, fields)
      lines[#lines + 1] = message .. " " .. tostring(fields.code)
    end)
    server:script { answers.plain "my secret plan" }
    assert.equal("invalid_output", select(2, a:ask "q").code)
    local log = table.concat(lines, "\n")
    assert.truthy(log:find("invalid_output", 1, true))
    assert.is_nil(log:find("secret", 1, true))
  end)
end)
