-- recorded.lua - has agents send what was recorded, by deepagent's API, as
-- spec/support/recorded.py tells it, and checks what they get.

local assert = require "luassert"
local deepagent = require "deepagent"
local json = require "dkjson"

local recorded = {}

local root = os.getenv "DA_ROOT" or "."
local folder = (os.getenv "DA_SHARED" or "../shared") .. "/recorded"
recorded.folder = folder

local function run_python(arguments)
  local pipe = io.popen(("python3 -I %s/spec/support/recorded.py %s/chat %s")
    :format(root, folder, arguments))
  local text = pipe:read "a"
  assert(pipe:close(), "spec/support/recorded.py failed")
  return text
end

--- Tables of dkjson's as deepagent has them.
local function mark(value)
  if type(value) ~= "table" then return value end
  local meta = getmetatable(value)
  for _, item in pairs(value) do mark(item) end
  if meta and meta.__jsontype == "array" then
    return deepagent.array(setmetatable(value, nil))
  end
  return setmetatable(value, nil)
end

local function decode(text)
  return mark(assert(json.decode(text, 1, deepagent.null)))
end

--- All recordings.
function recorded.read()
  return decode(run_python "")
end

--- What differs, by recording, of the requests that the replay server on
--- that port got; but for whether they ask for a stream, if they are swapped.
function recorded.differences(port, swapped)
  return decode(run_python(port .. (swapped and " any" or "")))
end

-- ---- an agent ---------------------------------------------------------------

local SETTERS = { "temperature", "top_p", "max_tokens", "stop",
  "presence_penalty", "frequency_penalty" }

local function set_members(a, members)
  local extra = {}
  for name, value in pairs(members) do extra[name] = value end
  for _, name in ipairs(SETTERS) do
    if extra[name] ~= nil then
      a["with_" .. name](a, extra[name])
      extra[name] = nil
    end
  end
  if next(extra) then a:with_extra(extra) end
end

local function has_only(t, ...)
  local rest = {}
  for name in pairs(t) do rest[name] = true end
  for _, name in ipairs { ... } do rest[name] = nil end
  return next(rest) == nil
end

--- Whether all of them can be told by with_tool.
local function are_plain(tools)
  for _, tool in ipairs(tools) do
    if not tool["function"] or not has_only(tool, "type", "function") then
      return false
    end
  end
  return true
end

local function add_tools(a, tools, run)
  for _, tool in ipairs(tools) do
    local f = tool["function"]
    if f then
      a:with_tool { name = f.name, description = f.description,
        parameters = f.parameters, strict = f.strict, run = run }
    end
  end
  if not are_plain(tools) then a:with_extra { tools = tools } end
end

--- What forces a call is ours for the first request only; what the user
--- adds is sent with each.
local function set_choice(a, choice, rounds)
  local name = type(choice) == "table" and choice.type == "function"
    and choice["function"].name
  if choice == "auto" or choice == "none" then
    a:with_tool_choice(choice)
  elseif (choice == "required" or name) and rounds == 0 then
    a:with_tool_choice(name or choice)
  else
    a:with_extra { tool_choice = choice }
  end
end

--- true if the answers are tables then.
local function set_format(a, format)
  local schema = format.json_schema
  if format.type == "json_object" then
    a:with_json_mode()
  elseif has_only(schema, "name", "schema", "strict") then
    a:with_json_schema(schema.name, schema.schema, schema.strict or false)
  else
    a:with_extra { response_format = format }
    return false
  end
  return true
end

--- A backend whose one session has the turn begun.
local function unfinished(start, messages)
  return {
    load = function()
      return start, { unfinished = deepagent.array {
        { id = "begun", messages = deepagent.array(messages) } } }
    end,
    save = function() end, delete = function() end, list = function() end,
  }
end

local function new_agent(c, url, run)
  local a = deepagent.new { model = c.model, base_url = url, memory = true }
  a:with_timeout(120):with_retry { max = 2, base = 0.001, cap = 0.001 }
  if c.system then a:with_system(c.system) end
  set_members(a, c.members)
  if c.tools then add_tools(a, c.tools, run) end
  if c.tool_choice then set_choice(a, c.tool_choice, #c.turns[1].rounds) end
  local first = c.turns[1]
  if first.unfinished then
    a:with_session_id("begun")
    a:with_memory_backend(unfinished(c.start, first.unfinished))
  else
    a:with_messages(c.start)
  end
  return a, c.response_format and set_format(a, c.response_format)
end

-- ---- a turn -----------------------------------------------------------------

local codes = { [400] = "bad_request", [404] = "not_found",
  [429] = "rate_limited" }

local function check_usage(a, expected, where)
  local sum = { 0, 0, 0, 0, 0, 0 }
  local names = { "prompt", "completion", "total", "cached", "reasoning",
    "audio" }
  for _, usage in ipairs(expected) do
    for i, name in ipairs(names) do sum[i] = sum[i] + usage[name] end
  end
  local got = a:usage().last
  for i, name in ipairs(names) do
    assert.equal(sum[i], got[name .. "_tokens"], where .. name)
  end
end

local function check_calls(expected, message, where)
  local calls = message.tool_calls
  assert.equal(#expected, #calls, where)
  for i, call in ipairs(expected) do
    assert.same({ call.id, call.name, call.arguments },
      { calls[i].id, calls[i]["function"].name,
        calls[i]["function"].arguments },
      where)
  end
end

local function check_end(a, turn, answer, err, where)
  local last = turn["end"]
  if last.status then
    assert.is_nil(answer, where)
    assert.same({ codes[last.status], last.status, last.message },
      { err.code, err.status, err.message }, where)
  elseif last.unreadable then
    assert.is_nil(answer, where)
    assert.equal("protocol", err.code, where)
  elseif #last.calls > 0 then
    assert.is_nil(answer, where)
    assert.equal("callback_error", err.code, where .. tostring(err))
    check_calls(last.calls, err.messages[#err.messages], where)
  else
    assert.equal(last.text, answer, where .. tostring(err))
    assert.equal(last.finish_reason, a:last().finish_reason, where)
    check_usage(a, turn.usage, where)
  end
end

local function ask(a, turn, verb, heard)
  local on_delta = verb == "stream" and function(delta)
    heard[#heard + 1] = delta
  end or nil
  if turn.unfinished then return a:resume(on_delta) end
  return a[verb](a, turn.content, on_delta)
end

--- What came of the conversation is what was recorded. `verbs`: which to use
--- in the place of which. Returns the agent.
local function play(c, url, verbs, where)
  local rounds, ran, a
  local function run(arguments, context)
    local round = rounds[context.round]
    local call = assert(round.by_id[context.id])
    ran[#ran + 1] = context.id
    assert.same(decode(call.arguments), arguments)
    if round.tools then add_tools(a, round.tools, run) end
    return call.result
  end
  local tables
  a, tables = new_agent(c, url, run)
  for number, turn in ipairs(c.turns) do
    local heard, expected = {}, {}
    rounds, ran = turn.rounds, {}
    local said = ""
    for _, round in ipairs(rounds) do
      said = said .. round.text
      round.by_id = {}
      for _, call in ipairs(round.calls) do
        round.by_id[call.id] = call
        expected[#expected + 1] = call.id
      end
    end
    -- Where the recording ends with calls, so do we.
    a:on_tool_call(function(call)
      assert(call.round <= #rounds, "nothing more was recorded")
    end)
    local verb = verbs[turn.verb]
    local at = ("%s, turn %d: "):format(where, number)
    local answer, err = ask(a, turn, verb, heard)
    if tables and answer then
      assert.same(decode(turn["end"].text), answer, at)
      answer = turn["end"].text
    end
    said = said .. (turn["end"].text or "")
    check_end(a, turn, answer, err, at)
    if verb == "stream" and answer then
      assert.equal(said, table.concat(heard), at)
    end
    assert.same(expected, ran, at)
  end
  return a
end

--- Plays a recording at `url`, the replay server's for it; calls `skip` for
--- a request that we cannot make. Returns its last agent.
function recorded.play(recording, url, verbs, skip)
  local agent
  for i, conversation in ipairs(recording.conversations) do
    local where = ("%s, conversation %d"):format(recording.name, i)
    if conversation.skipped then
      skip()
    else
      agent = play(conversation, url, verbs, where)
    end
  end
  return agent
end

return recorded
