-- Hostile servers that ask for tools: those cases of ../shared/vectors/http.
-- A relay hands the first request of a turn to the replay server, and says
-- "done" to the one with the results: so a turn that the index expects to end
-- well ends with that text. Where the index leaves a choice, ours is below.

local deepagent = require "deepagent"
local hostile = require "support.hostile"
local json = require "dkjson"

local F = { { "f", { a = 1 } } }
local F_AND_G = { { "f", { a = 1 } }, { "g", { b = 2 } } }
local NOTHING = {}

-- What runs: names and arguments; and the error, if it is one, else the turn
-- ends well and each call, run or not, has its result. `id`: the first one's.
local outcomes = {
  ["139-tool-index-gap"] = { runs = F_AND_G, id = "call_1" },
  ["141-tool-index-missing-two"] = { runs = F_AND_G, id = "call_1" },
  ["143-tool-index-2e53"] = { runs = F, id = "call_1" },
  ["144-tool-index-negative"] = { runs = F, id = "call_1" },
  ["145-tool-index-float"] = { runs = F, id = "call_1" },
  ["150-tool-id-missing"] = { runs = F },
  ["151-tool-id-empty"] = { runs = F },
  ["152-tool-id-duplicate"] = { runs = F_AND_G },
  ["153-tool-id-hostile"] = { runs = F, id = "../../x\r\nX: y\0" },
  ["154-tool-name-split"] = { runs = { { "get_weather", { a = 1 } } } },
  ["157-tool-name-unknown"] = { runs = NOTHING },
  ["158-tool-name-lua-global"] = { runs = NOTHING },
  ["159-tool-name-metamethod"] = { runs = NOTHING },
  ["160-tool-name-path"] = { runs = NOTHING },
  ["161-tool-name-long"] = { runs = NOTHING },
  ["162-tool-name-nul"] = { runs = NOTHING },
  ["163-tool-name-empty"] = { runs = NOTHING },
  ["164-tool-name-unicode"] = { runs = NOTHING },
  ["165-tool-name-case"] = { runs = NOTHING },
  ["167-tool-args-space"] = { runs = { { "f", {} } } },
  ["168-tool-args-null"] = { runs = NOTHING },
  ["170-tool-args-number"] = { runs = NOTHING },
  ["171-tool-args-string"] = { runs = NOTHING },
  ["172-tool-args-truncated"] = { runs = NOTHING },
  ["173-tool-args-trailing-comma"] = { runs = NOTHING },
  ["175-tool-args-double-encoded"] = { runs = NOTHING },
  ["177-tool-args-two-objects"] = { runs = NOTHING },
  ["178-tool-args-python-literals"] = { runs = NOTHING },
  ["179-tool-args-nan"] = { runs = NOTHING },
  ["181-tool-args-int64"] = { runs = NOTHING },
  ["182-tool-args-float-exp"] = { runs = NOTHING },
  ["184-tool-args-proto"] = { runs = { { "f", { __proto__ = { x = 1 },
    __index = "y", __gc = "z" } } } },
  ["185-tool-args-numeric-keys"] = { runs = { { "f", { ["1"] = "a",
    ["01"] = "b", ["1.0"] = "c" } } } },
  ["186-tool-args-empty-key"] = { runs = { { "f", { [""] = 1 } } } },
  ["187-tool-args-empty-containers"] = { runs = { { "f", { o = {},
    a = deepagent.array {} } } } },
  ["189-tool-args-control-raw"] = { runs = NOTHING },
  ["191-tool-args-shell"] = { runs = { { "f", { cmd = "; rm -rf / #",
    sql = "'); DROP TABLE sessions;--" } } } },
  ["196-tool-args-4MiB"] = { runs = { { "f", { a = "4194304 bytes" } } } },
  ["198-tool-1000-calls"] = { runs = NOTHING, error = "tool_limit" },
  ["199-tool-finish-without-calls"] = { runs = NOTHING, error = "protocol" },
  ["201-tool-finish-length-cut-args"] = { runs = NOTHING,
    error = "truncated" },
  ["204-tool-legacy-function-call"] = { runs = F },
  ["205-tool-truncated-before-finish"] = { runs = NOTHING,
    error = "truncated" },
}

local function expected_of(case)
  local expect = outcomes[case.file:match "^(.*)%.http$"]
  if expect then return expect end
  local runs = {}
  for i, tool in ipairs(case.expect.tools) do
    runs[i] = { tool.name, tool.arguments }
  end
  return { runs = runs, id = case.expect.tools[1].id }
end

--- Tables without metatables, and long strings by their length.
local function plain(value)
  if type(value) == "string" and #value > 10000 then
    return #value .. " bytes"
  elseif type(value) ~= "table" then
    return value
  end
  local copy = {}
  for name, item in pairs(value) do copy[name] = plain(item) end
  return copy
end

describe("hostile servers that ask for tools:", function()
  if not hostile.present() then
    it("all", function() pending(hostile.folder .. " is not there") end)
    return
  end
  local cases = {}
  for _, case in ipairs(hostile.cases()) do
    if case.file:find("-tool-", 1, true)
      and not case.file:find("-anthropic-", 1, true)
    then
      cases[#cases + 1] = case
    end
  end
  local servers
  local ended = {}

  setup(function() servers = hostile.start() end)
  teardown(function() servers:stop() end)

  --- An agent with tools, and what was run of them.
  local function new_agent(case)
    local ran = {}
    local a = servers:agent(case, true):with_retry(false)
    for _, name in ipairs { "f", "g", "get_weather", "F_", "execute" } do
      a:with_tool { name = name, description = "a tool",
        parameters = { type = "object" },
        run = function(arguments, context)
          assert(getmetatable(arguments) == nil or next(
            getmetatable(arguments)) == "__name")
          ran[#ran + 1] = { name = name, id = context.id,
            arguments = arguments }
          return "result of " .. name .. " " .. #ran
        end }
    end
    return a, ran
  end

  --- The second request has one result for each call, in order; returns the
  --- calls.
  local function check_results(case, ran)
    local requests = servers:requests(case)
    assert.equal(2, #requests)
    local messages = requests[2].messages
    local calls = messages[2].tool_calls
    assert.equal("assistant", messages[2].role)
    assert.equal(2 + #calls, #messages)
    local seen, number = {}, 0
    for i, call in ipairs(calls) do
      local result = messages[2 + i]
      assert.equal("tool", result.role)
      assert.equal(call.id, result.tool_call_id)
      assert.truthy(#call.id > 0 and not seen[call.id], "an id twice")
      seen[call.id] = true
      assert.equal("string", type(call["function"].arguments))
      if ran[number + 1] and ran[number + 1].id == call.id then
        number = number + 1
        assert.equal(("result of %s %d"):format(ran[number].name, number),
          result.content)
      else
        assert.truthy(#result.content > 0 and #result.content < 2000)
      end
    end
    assert.equal(#ran, number)
    return calls, messages
  end

  local function check(case)
    local expect = expected_of(case)
    local a, ran = new_agent(case)
    local text, err = servers:ask(case, a)
    ended[#ended + 1] = ("%-40s %s, %d run"):format(case.file,
      text or tostring(err), #ran)
    local runs = {}
    for i, call in ipairs(ran) do
      runs[i] = { call.name, plain(call.arguments) }
    end
    assert.same(plain(expect.runs), runs, tostring(err))
    if expect.error then
      assert.is_nil(text)
      assert.equal(expect.error, err.code)
      if case.expect.retryable ~= nil then
        assert.equal(case.expect.retryable, err.retryable)
      end
      assert.equal(1, #servers:requests(case))
      return
    end
    assert.equal("done", text, tostring(err))
    local calls, messages = check_results(case, ran)
    if expect.id then assert.equal(expect.id, calls[1].id) end
    if case.expect.text then
      assert.equal(case.expect.text, messages[2].content)
    end
    local history = a:get_history()
    assert.equal(#messages + 1, #history)
    for i, tool in ipairs(case.expect.tools or {}) do
      assert.equal(tool.id, calls[i].id)
      assert.same(plain(tool.arguments),
        plain(json.decode(calls[i]["function"].arguments)))
    end
  end

  for _, case in ipairs(cases) do
    it(case.file, function() check(case) end)
  end

  it("are answered by nobody else", function()
    assert.equal("", servers:leaks())
  end)

  it("(the table of it)", function()
    print("\n" .. table.concat(ended, "\n"))
    assert.equal(52, #cases)
    assert.equal(#cases, #ended, "a case did not come to its end")
  end)
end)
